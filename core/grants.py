"""What a confirmed device is granted: an access token, and a refresh token that is renewed at each use. Does not know JWT.

An old refresh token that comes back means that two hold it, and one of them stole it: the whole family ends, the access
tokens given out with it included (RFC 9700, 4.14.2).
"""

from __future__ import annotations

import hashlib
import secrets
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from core.database import Database, Transaction
from core.errors import NotAllowed
from core.identity import remember_token

_INSERT = """
INSERT INTO refresh_tokens (token_hash, family_id, client_id, identity, access_token_id, expiry_time)
VALUES (%(token_hash)s, %(family_id)s, %(client_id)s, %(identity)s, %(access_token_id)s, %(expiry_time)s)
"""

# ix_refresh_tokens_expiry; a month later nobody needs to be told any more that a token was old
_FORGET = "DELETE FROM refresh_tokens WHERE expiry_time < clock_timestamp() - interval '30 days'"

# by primary key; the lock makes two users of one token follow each other
_FIND = """
SELECT family_id, client_id, identity, expiry_time, used_time, revoked_time
  FROM refresh_tokens WHERE token_hash = %(token_hash)s FOR UPDATE
"""

_USE = "UPDATE refresh_tokens SET used_time = clock_timestamp() WHERE token_hash = %(token_hash)s"  # primary key

# ix_refresh_tokens_family, then the primary key of tokens
_END_FAMILY = """
WITH ended AS (
    UPDATE refresh_tokens SET revoked_time = coalesce(revoked_time, clock_timestamp())
     WHERE family_id = %(family_id)s RETURNING access_token_id
)
UPDATE tokens SET revoked_time = coalesce(revoked_time, clock_timestamp())
  FROM ended WHERE tokens.token_id = ended.access_token_id
"""

# two primary keys: the user may be banned, and the token that the person confirmed with may be revoked
_IS_REFUSED = """
SELECT 1 WHERE EXISTS (SELECT FROM users WHERE user_name = %(user_name)s AND status <> 'active')
            OR EXISTS (SELECT FROM tokens WHERE token_id = %(confirmed_with)s AND revoked_time IS NOT NULL)
"""


@dataclass(frozen=True)
class Grant:
    """What the token endpoint hands out."""

    identity: dict[str, Any]
    """Claims of the access token, and until when and with which token it was confirmed."""
    access_token_id: str
    expiry_time: datetime
    """Of the access token."""
    refresh_token: str


def hash_of(secret: str) -> str:
    """How a code or token of high entropy is stored."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def grant(
    transaction: Transaction,
    *,
    client_id: str,
    identity: dict[str, Any],
    lifetime_s: int,
    family_id: str = "",
) -> Grant:
    """Make the next tokens of a family (a new one without `family_id`), none of which outlives `identity["until"]`, the
    end of the token that the person confirmed with. Raises NotAllowed when that person may not any more."""
    refuse_if_gone(transaction, identity)
    transaction.execute(_FORGET)
    until = datetime.fromtimestamp(float(identity["until"]), UTC)
    made = Grant(
        identity=identity,
        access_token_id=uuid.uuid4().hex,
        expiry_time=min(datetime.now(UTC) + timedelta(seconds=lifetime_s), until),
        refresh_token=secrets.token_urlsafe(32),
    )
    stored = {
        "token_hash": hash_of(made.refresh_token),
        "family_id": family_id or uuid.uuid4().hex,
        "client_id": client_id,
        "identity": identity,
        "access_token_id": made.access_token_id,
        "expiry_time": until,
    }
    transaction.execute(_INSERT, stored)
    user_name, vo, roles = str(identity["user_name"]), str(identity["vo"]), list(identity["roles"])
    remember_token(transaction, made.access_token_id, user_name, vo, roles, made.expiry_time)
    return made


def renew(database: Database, refresh_token: str, *, client_id: str, lifetime_s: int) -> Grant:
    """The next tokens for a refresh token, which is used up. Raises NotAllowed saying why not."""
    with database.transaction() as transaction:
        key = {"token_hash": hash_of(refresh_token)}
        row = transaction.fetch_one(_FIND, key)
        if row is None or row["client_id"] != client_id:
            raise _refusal("it is not known here")
        if row["used_time"] is None and row["revoked_time"] is None:
            if row["expiry_time"] <= datetime.now(UTC):
                raise _refusal("it has expired")
            transaction.execute(_USE, key)
            family_id = str(row["family_id"])
            return grant(
                transaction,
                client_id=client_id,
                identity=row["identity"],
                lifetime_s=lifetime_s,
                family_id=family_id,
            )
        transaction.execute(_END_FAMILY, {"family_id": row["family_id"]})
    # outside of the transaction, which must not be rolled back
    raise _refusal("it was used before, so everything that was granted with it is revoked")


def refuse_if_gone(transaction: Transaction, identity: dict[str, Any]) -> None:
    """Raise NotAllowed when the person behind `identity` was banned, or the token they confirmed with was revoked."""
    names = {"user_name": identity["user_name"], "confirmed_with": identity["confirmed_with"]}
    if transaction.fetch_one(_IS_REFUSED, names) is not None:
        raise NotAllowed(
            "the account is disabled or its token was revoked", field="user", remedy="ask an administrator"
        )


def _refusal(reason: str) -> NotAllowed:
    return NotAllowed(f"the refresh token will not do: {reason}", field="refresh_token", remedy="sign in again")
