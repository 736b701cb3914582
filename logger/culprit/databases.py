"""Databases that do not answer, refuse or are locked."""

from __future__ import annotations

from logger.culprit.pattern import row

PATTERNS = (
    row(
        "postgres",
        ("psycopg", "fatal: ", "psql: ", "asyncpg"),
        r"\bpsycopg2?\.(?:\S*Error|errors\.\w+)(?:: |\) )"
        r"|\bFATAL: +(?:sorry, too many clients|remaining connection slots|the database system is |password authentication)"
        r"|^psql: |\basyncpg\.[\w.]*(?:Error|exceptions\.\w+): ",
        error_class="database",
    ),
    row(
        "oracle",
        ("ora-", "oracle"),
        r"\bORA-\d{5}: |\b(?:cx_Oracle|oracledb)\.\S*Error(?:: |\) )",
        error_class="database",
    ),
    row(
        "mysql_sqlite",
        ("error ", "sqlite", "mysql", "database is locked", "pymongo.", "redis."),
        r"\bERROR \d{4} \([0-9A-Z]{5}\)|\bsqlite3\.\w+Error(?:: |\) )"
        r"|\b(?:pymysql|MySQLdb|mysql\.connector)\.\S*Error(?:: |\) )|database is locked"
        r"|^[| ]*(?:pymongo|redis)\.[\w.]*(?:Error|Timeout|Failure): ",
        error_class="database",
    ),
    row(
        "frontier",
        ("frontier", "no servers are available to process", "coral/", "cool::", "coral::"),
        r"\b[Ff]rontier.*\b(?i:error|failed)\b|No servers are available to process the query"
        r"|^CORAL/\S+ +(?i:error|fatal)\b|\b(?:cool|coral)::\w+: ",
        "payload",
        "database",
    ),
)
