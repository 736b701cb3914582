"""Databases that do not answer, refuse or are locked."""

from __future__ import annotations

from logger.culprit.pattern import row

PATTERNS = (
    row(
        "postgres",
        ("psycopg", "fatal: "),
        r"\bpsycopg2?\.(?:\S*Error|errors\.\w+)(?:: |\) )"
        r"|\bFATAL: +(?:sorry, too many clients|the database system is |password authentication)",
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
        ("error ", "sqlite", "mysql", "database is locked"),
        r"\bERROR \d{4} \([0-9A-Z]{5}\)|\bsqlite3\.\w+Error(?:: |\) )"
        r"|\b(?:pymysql|MySQLdb|mysql\.connector)\.\S*Error(?:: |\) )|database is locked",
        error_class="database",
    ),
    row(
        "frontier",
        ("frontier", "no servers are available to process"),
        r"(?i)\bfrontier.*\b(?:error|failed)\b|No servers are available to process the query",
        "payload",
        "database",
    ),
)
