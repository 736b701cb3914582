"""Users and tokens as the database knows them. Does not know JWT or HTTP."""

from __future__ import annotations

from datetime import datetime

from core.database import Database

_RECORD_TOKEN = """
INSERT INTO tokens (token_id, user_name, vo, roles, expiry_time)
VALUES (%(token_id)s, %(user_name)s, %(vo)s, to_jsonb(%(roles)s::text[]), %(expiry_time)s)
"""

_RECORD_USER = """
INSERT INTO users (user_name, vo) VALUES (%(user_name)s, %(vo)s)
ON CONFLICT (user_name) DO UPDATE SET last_seen = clock_timestamp()
"""

# two short lists by primary key scans; read every few seconds by each API process, never per request
_REFUSED = """
SELECT 'token' AS kind, token_id AS name FROM tokens WHERE revoked_time IS NOT NULL AND expiry_time > clock_timestamp()
UNION ALL
SELECT 'user', user_name FROM users WHERE status <> 'active'
"""


def record_token(
    database: Database, *, token_id: str, user_name: str, vo: str, roles: list[str], expiry_time: datetime
) -> None:
    """Remember that a token was given out, and its user."""
    with database.transaction() as transaction:
        transaction.execute(
            _RECORD_TOKEN,
            {"token_id": token_id, "user_name": user_name, "vo": vo, "roles": roles, "expiry_time": expiry_time},
        )
        transaction.execute(_RECORD_USER, {"user_name": user_name, "vo": vo})


def refused_identities(database: Database) -> tuple[frozenset[str], frozenset[str]]:
    """Ids of revoked tokens that have not expired, and names of disabled users."""
    rows = database.fetch(_REFUSED)
    tokens = frozenset(row["name"] for row in rows if row["kind"] == "token")
    users = frozenset(row["name"] for row in rows if row["kind"] == "user")
    return tokens, users
