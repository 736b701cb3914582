"""Users and tokens as the database knows them. Does not know JWT or HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from core import audit
from core.database import Database, Row, Transaction
from core.errors import InvalidInput, NotAllowed
from core.names import MAX_NAME_BYTES, check_line

EMBEDDED = "embedded:"
"""What subjects of the embedded issuer begin with in `users.subject`."""
PERMISSIONS = "pkt"
"""Special permissions by letter: p tokens and proxies, k key pairs, t token keys (server-api.md 0)."""

_RECORD_TOKEN = """
INSERT INTO tokens (token_id, user_name, vo, roles, expiry_time)
VALUES (%(token_id)s, %(user_name)s, %(vo)s, to_jsonb(%(roles)s::text[]), %(expiry_time)s)
"""

# ix_tokens_expiry; programs renew theirs every day, services get one every hour
_FORGET_TOKENS = "DELETE FROM tokens WHERE expiry_time < clock_timestamp() - interval '30 days'"

# by primary key; a name keeps the subject it came with first, or gets one if it was only prepared by an administrator
_RECORD_USER = """
INSERT INTO users (user_name, vo, subject, last_seen) VALUES (%(user_name)s, %(vo)s, %(subject)s, clock_timestamp())
ON CONFLICT (user_name) DO UPDATE
   SET last_seen = clock_timestamp(),
       vo = CASE WHEN users.vo = '' THEN excluded.vo ELSE users.vo END,
       subject = CASE WHEN users.subject = '' THEN excluded.subject ELSE users.subject END
RETURNING subject
"""

# two short lists by primary key scans; read every few seconds by each API process, never per request
_REFUSED = """
SELECT 'token' AS kind, token_id AS name FROM tokens WHERE revoked_time IS NOT NULL AND expiry_time > clock_timestamp()
UNION ALL
SELECT 'user', user_name FROM users WHERE status <> 'active'
"""

# by primary key; what is not given stays
_LOCK_USER = """
SELECT user_name, vo, status, permissions, subject, first_seen, last_seen FROM users
WHERE user_name = %(user_name)s FOR UPDATE
"""
_SET_USER = """
INSERT INTO users AS known (user_name, status, permissions, subject)
VALUES (%(user_name)s, coalesce(%(status)s, 'active'), coalesce(%(permissions)s, ''), coalesce(%(subject)s, ''))
ON CONFLICT (user_name) DO UPDATE
   SET status = coalesce(%(status)s, known.status),
       permissions = coalesce(%(permissions)s, known.permissions),
       subject = coalesce(%(subject)s, known.subject)
RETURNING user_name, vo, status, permissions, subject, first_seen, last_seen
"""

_PERMISSIONS = "SELECT permissions FROM users WHERE user_name = %(user_name)s"  # primary key

# the whole table, which holds people, not jobs; asked once an hour by each client that signs in
_HAS_USERS_OF = """
SELECT 1 FROM users WHERE vo = %(vo)s AND starts_with(subject, %(embedded)s) LIMIT 1
"""


def record_token(
    database: Database, *, token_id: str, user_name: str, vo: str, roles: list[str], expiry_time: datetime
) -> None:
    """Remember that the embedded issuer gave out a token, and its user."""
    with database.transaction() as transaction:
        remember_token(transaction, token_id, user_name, vo, roles, expiry_time)


def remember_token(
    transaction: Transaction, token_id: str, user_name: str, vo: str, roles: list[str], expiry_time: datetime
) -> None:
    """`record_token` within a transaction of the caller's; what expired long ago is forgotten."""
    transaction.execute(_FORGET_TOKENS)
    token = {"token_id": token_id, "user_name": user_name, "vo": vo, "roles": roles, "expiry_time": expiry_time}
    transaction.execute(_RECORD_TOKEN, token)
    transaction.execute(_RECORD_USER, {"user_name": user_name, "vo": vo, "subject": EMBEDDED + user_name})


def claim_user_name(database: Database, *, user_name: str, vo: str, subject: str) -> None:
    """Remember a user of an external issuer, whose name nobody else may then use.

    `subject` is unique for the person among all issuers. Raises NotAllowed when the name is another subject's: jobs and
    tasks are owned by name (client-wire.md 2.1), and people can often choose theirs at their provider.
    """
    row = database.fetch_one(_RECORD_USER, {"user_name": user_name, "vo": vo, "subject": subject})
    if row is not None and row["subject"] != subject:
        raise NotAllowed(
            f"the name '{user_name}' belongs to another account here",
            field="Authorization",
            remedy='an administrator may free it: PUT /api/control/user/NAME {"subject": ""}',
        )


def refused_identities(database: Database) -> tuple[frozenset[str], frozenset[str]]:
    """Ids of revoked tokens that have not expired, and names of disabled users."""
    rows = database.fetch(_REFUSED)
    tokens = frozenset(row["name"] for row in rows if row["kind"] == "token")
    users = frozenset(row["name"] for row in rows if row["kind"] == "user")
    return tokens, users


def set_user(database: Database, user_name: str, changes: Mapping[str, Any], *, who: str = "") -> Row:
    """Ban or unban a user (`status`), set `permissions` or `subject`; returns the user. Unknown names are prepared.

    `who`: the administrator, for the audit. Raises InvalidInput for a permission that does not exist or a name that
    cannot be one.
    """
    if not user_name.strip() or len(user_name.encode("utf-8", "surrogatepass")) > MAX_NAME_BYTES:
        raise InvalidInput("no name of a user", field="user_name", remedy=f"1 to {MAX_NAME_BYTES} bytes")
    check_line(user_name, "user_name")
    check_line(changes.get("subject") or "", "subject")
    letters = changes.get("permissions")
    if letters is not None and (unknown := sorted(set(letters) - set(PERMISSIONS))):
        raise InvalidInput(
            f"there is no permission '{unknown[0]}'",
            field="permissions",
            remedy="p (tokens and proxies), k (key pairs), t (token keys)",
        )
    values = {
        "user_name": user_name,
        "status": changes.get("status"),
        "permissions": "".join(sorted(set(letters))) if letters is not None else None,
        "subject": changes.get("subject"),
    }
    with database.transaction() as transaction:
        present = transaction.fetch_one(_LOCK_USER, {"user_name": user_name}) or {}
        [row] = transaction.fetch(_SET_USER, values)
        if who:
            audit.note_rows(transaction, who, "set user", "user", user_name, present, row)
    return row


def permissions_of(database: Database, user_name: str) -> str:
    """The letters of a user's special permissions; empty for nobody in particular."""
    row = database.fetch_one(_PERMISSIONS, {"user_name": user_name})
    return str(row["permissions"]) if row is not None else ""


def has_embedded_users(database: Database, vo: str) -> bool:
    """Whether the embedded issuer gave tokens to anybody of `vo`."""
    return database.fetch_one(_HAS_USERS_OF, {"vo": vo, "embedded": EMBEDDED}) is not None
