"""Secrets that users keep here for their jobs, and keys for tokens of services. Knows owners and limits; no HTTP."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta

from core.database import Database
from core.errors import InvalidInput
from core.grants import hash_of
from core.names import MAX_NAME_BYTES

MAX_SECRET_BYTES = 1000 * 1024
"""The limit of the real client (domain.md 14)."""
FILE_PREFIX = "___file___:"
"""What the names of secrets that are files begin with; the client knows them by the bare name."""
TOKEN_KEY_LIFETIME_S = 4 * 24 * 3600

# by primary key
_SET = """
INSERT INTO user_secrets (user_name, name, value) VALUES (%(user_name)s, %(name)s, %(value)s)
ON CONFLICT (user_name, name) DO UPDATE SET value = excluded.value, modification_time = clock_timestamp()
"""

# by primary key, for all three
_DELETE = "DELETE FROM user_secrets WHERE user_name = %(user_name)s AND name = ANY(%(names)s)"
_DELETE_ALL = "DELETE FROM user_secrets WHERE user_name = %(user_name)s"
_GET = """
SELECT name, value FROM user_secrets
 WHERE user_name = %(user_name)s AND (%(names)s::text[] IS NULL OR name = ANY(%(names)s::text[])) ORDER BY name
"""

_FORGET_KEYS = "DELETE FROM token_keys WHERE expiry_time < clock_timestamp()"  # ix_token_keys_expiry
_ADD_KEY = """
INSERT INTO token_keys (key_hash, client_name, user_name, expiry_time)
VALUES (%(key_hash)s, %(client_name)s, %(user_name)s, %(expiry_time)s)
"""

# by primary key
_KNOWS_KEY = """
SELECT 1 FROM token_keys
 WHERE key_hash = %(key_hash)s AND client_name = %(client_name)s AND expiry_time > clock_timestamp()
"""


def set_secret(database: Database, user_name: str, name: str, value: str) -> None:
    """Keep a secret of `user_name`, in the place of an earlier one of that name. Raises InvalidInput past the limits."""
    if not name or len(name.encode()) > MAX_NAME_BYTES:
        raise InvalidInput("no name of a secret", field="key", remedy=f"1 to {MAX_NAME_BYTES} bytes")
    if len(value.encode()) > MAX_SECRET_BYTES:
        raise InvalidInput(
            f"longer than {MAX_SECRET_BYTES // 1024} kB", field="value", remedy="keep larger things in a dataset"
        )
    database.execute(_SET, {"user_name": user_name, "name": name, "value": value})


def delete_secret(database: Database, user_name: str, name: str) -> None:
    """Forget a secret, whether it is text or a file."""
    database.execute(_DELETE, {"user_name": user_name, "names": [name, FILE_PREFIX + name]})


def delete_all_secrets(database: Database, user_name: str) -> None:
    """Forget all secrets of a user."""
    database.execute(_DELETE_ALL, {"user_name": user_name})


def secrets_of(database: Database, user_name: str, names: list[str] | None = None) -> dict[str, str]:
    """The secrets of a user, or those of `names` that exist."""
    rows = database.fetch(_GET, {"user_name": user_name, "names": names})
    return {row["name"]: row["value"] for row in rows}


def new_token_key(database: Database, *, client_name: str, user_name: str) -> tuple[str, datetime]:
    """A key for tokens of a service and when it expires; earlier ones stay valid until they do."""
    key = secrets.token_urlsafe(32)
    expiry_time = datetime.now(UTC) + timedelta(seconds=TOKEN_KEY_LIFETIME_S)
    stored = {
        "key_hash": hash_of(key),
        "client_name": client_name,
        "user_name": user_name,
        "expiry_time": expiry_time,
    }
    with database.transaction() as transaction:
        transaction.execute(_FORGET_KEYS)
        transaction.execute(_ADD_KEY, stored)
    return key, expiry_time


def is_token_key(database: Database, key: str, client_name: str) -> bool:
    """Whether `key` is good for tokens of this service now."""
    return database.fetch_one(_KNOWS_KEY, {"key_hash": hash_of(key), "client_name": client_name}) is not None
