"""The device flow (RFC 8628): a program shows a code, a person confirms it in a browser. Knows states and limits, no HTTP.

pending ─person confirms─▶ approved ─program fetches its tokens─▶ used; or pending ─person denies─▶ denied. State is in the
database, since the program, the browser and the confirmation may each meet another API worker.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from core.database import Database, Row, Transaction
from core.errors import Conflict, NotAllowed, UnknownObject
from core.grants import Grant, grant, hash_of, refuse_if_gone

LIFETIME_S = 900
"""A code waits so long for its confirmation."""
_ALPHABET = "BCDFGHJKLMNPQRSTVWXZ"
"""No vowels, so no words; nothing to mistake (RFC 8628, 6.1). Eight of them are 34 bits."""
_SLOWER_S = 5
_OPEN_PER_ADDRESS = 200
_MISSES_PER_ADDRESS = 20

# ix_device_codes_expiry; kept for an hour so that a late person hears that the code is over, not that it never was
_FORGET = "DELETE FROM device_codes WHERE expiry_time < clock_timestamp() - interval '1 hour'"

# ix_device_codes_address
_COUNT_OPEN = "SELECT count(*) AS n FROM device_codes WHERE address = %(address)s AND expiry_time > clock_timestamp()"

_INSERT = """
INSERT INTO device_codes (device_code_hash, user_code_hash, client_id, vo, role, address, expiry_time)
VALUES (%(device_code_hash)s, %(user_code_hash)s, %(client_id)s, %(vo)s, %(role)s, %(address)s, %(expiry_time)s)
"""

# ix_device_codes_user_code
_BY_USER_CODE = """
SELECT client_id, vo, role, address, status, creation_time, expiry_time FROM device_codes
 WHERE user_code_hash = %(user_code_hash)s FOR UPDATE
"""

# by primary key
_BY_DEVICE_CODE = """
SELECT client_id, status, identity, interval_s, last_poll, expiry_time FROM device_codes
 WHERE device_code_hash = %(device_code_hash)s FOR UPDATE
"""

_DECIDE = """
UPDATE device_codes SET status = %(status)s, identity = %(identity)s WHERE user_code_hash = %(user_code_hash)s
"""

_POLLED = """
UPDATE device_codes SET status = %(status)s, interval_s = %(interval_s)s, last_poll = clock_timestamp()
 WHERE device_code_hash = %(device_code_hash)s
"""

_MISSES = """
SELECT misses FROM device_guesses WHERE address = %(address)s AND since > clock_timestamp() - interval '15 minutes'
"""

# by primary key; a new count begins when the last one is old
_MISSED = """
INSERT INTO device_guesses AS known (address, misses) VALUES (%(address)s, 1)
ON CONFLICT (address) DO UPDATE SET
    misses = CASE WHEN known.since > clock_timestamp() - interval '15 minutes' THEN known.misses + 1 ELSE 1 END,
    since = CASE WHEN known.since > clock_timestamp() - interval '15 minutes' THEN known.since ELSE clock_timestamp() END
"""

# the whole table: addresses that guessed wrong lately
_FORGET_MISSES = "DELETE FROM device_guesses WHERE since < clock_timestamp() - interval '1 hour'"


class Refused(StrEnum):
    """Why a program gets no tokens, in the words of RFC 8628 section 3.5 and RFC 6749 section 5.2."""

    PENDING = "authorization_pending"
    SLOW_DOWN = "slow_down"
    EXPIRED = "expired_token"
    DENIED = "access_denied"
    INVALID = "invalid_grant"


@dataclass(frozen=True)
class StartedFlow:
    """The two codes, in clear for the only time: one for the program, one for the person."""

    device_code: str
    user_code: str


@dataclass(frozen=True)
class DeviceRequest:
    """What a code asks for."""

    client_id: str
    vo: str
    role: str
    address: str
    creation_time: datetime


def start(database: Database, *, client_id: str, vo: str, role: str, address: str) -> StartedFlow:
    """Open a flow. Raises Conflict when too many of this address are open."""
    made = StartedFlow(secrets.token_urlsafe(32), _new_user_code())
    with database.transaction() as transaction:
        transaction.execute(_FORGET)
        transaction.execute(_FORGET_MISSES)
        row = transaction.fetch_one(_COUNT_OPEN, {"address": address})
        if row is not None and row["n"] >= _OPEN_PER_ADDRESS:
            raise Conflict(
                "too many codes wait for their confirmation",
                field="address",
                remedy=f"confirm one, or wait {LIFETIME_S // 60} minutes",
            )
        stored = {
            "device_code_hash": hash_of(made.device_code),
            "user_code_hash": _user_code_hash(made.user_code),
            "client_id": client_id,
            "vo": vo,
            "role": role,
            "address": address,
            "expiry_time": datetime.now(UTC) + timedelta(seconds=LIFETIME_S),
        }
        transaction.execute(_INSERT, stored)
    return made


def look_up(database: Database, user_code: str, address: str) -> DeviceRequest:
    """What waits under a code that a person typed. Raises UnknownObject for none, Conflict when it is over or decided,
    NotAllowed for an address that guesses."""
    with database.transaction() as transaction:
        row = _find(transaction, user_code, address)
        if row is not None:
            return _open(row)
    raise _unknown_code()


def decide(
    database: Database, user_code: str, address: str, *, is_approved: bool, identity: dict[str, Any]
) -> DeviceRequest:
    """Confirm or deny. `identity` holds the claims of the token to be (empty when denied). Raises as `look_up` does, and
    NotAllowed when the person was banned meanwhile."""
    with database.transaction() as transaction:
        row = _find(transaction, user_code, address)
        if row is not None:
            request = _open(row)
            if is_approved:
                refuse_if_gone(transaction, identity)
            status = "approved" if is_approved else "denied"
            values = {"user_code_hash": _user_code_hash(user_code), "status": status, "identity": identity}
            transaction.execute(_DECIDE, values)
            return request
    raise _unknown_code()


def redeem(database: Database, device_code: str, *, client_id: str, lifetime_s: int) -> Grant | Refused:
    """The tokens of a confirmed flow, once; or why there are none (yet). Raises NotAllowed when the person may not any more."""
    key = {"device_code_hash": hash_of(device_code)}
    with database.transaction() as transaction:
        row = transaction.fetch_one(_BY_DEVICE_CODE, key)
        if row is None or row["client_id"] != client_id or row["status"] == "used":
            return Refused.INVALID
        if row["status"] == "denied":
            return Refused.DENIED
        now = datetime.now(UTC)
        if row["expiry_time"] <= now:
            return Refused.EXPIRED
        interval_s = int(row["interval_s"])
        if row["status"] == "approved":
            transaction.execute(_POLLED, {**key, "status": "used", "interval_s": interval_s})
            return grant(transaction, client_id=client_id, identity=row["identity"], lifetime_s=lifetime_s)
        # half a second for networks that deliver two polls closer than they were sent
        is_too_fast = row["last_poll"] is not None and now - row["last_poll"] < timedelta(seconds=interval_s - 0.5)
        interval_s += _SLOWER_S if is_too_fast else 0
        transaction.execute(_POLLED, {**key, "status": "pending", "interval_s": interval_s})
        return Refused.SLOW_DOWN if is_too_fast else Refused.PENDING


def _find(transaction: Transaction, user_code: str, address: str) -> Row | None:
    """The row of a code; a wrong one is counted, and an address that had too many is not answered any more."""
    row = transaction.fetch_one(_MISSES, {"address": address})
    if row is not None and row["misses"] >= _MISSES_PER_ADDRESS:
        raise NotAllowed(
            "too many wrong codes came from your address", field="user_code", remedy="try again in 15 minutes"
        )
    found = transaction.fetch_one(_BY_USER_CODE, {"user_code_hash": _user_code_hash(user_code)})
    if found is None:
        transaction.execute(_MISSED, {"address": address})
    return found


def _open(row: Row) -> DeviceRequest:
    said = {
        "approved": "this code was confirmed already",
        "used": "this code was used already",
        "denied": "this code was denied already",
    }.get(row["status"])
    if said is None and row["expiry_time"] <= datetime.now(UTC):
        said = "this code has expired"
    if said is not None:
        raise Conflict(said, field="user_code", remedy="start the program again for a new one")
    return DeviceRequest(row["client_id"], row["vo"], row["role"], row["address"], row["creation_time"])


def _unknown_code() -> UnknownObject:
    return UnknownObject("there is no such code", field="user_code", remedy="type it as the program shows it")


def _new_user_code() -> str:
    letters = "".join(secrets.choice(_ALPHABET) for _ in range(8))
    return f"{letters[:4]}-{letters[4:]}"


def _user_code_hash(user_code: str) -> str:
    """People leave the hyphen out and type small letters."""
    return hash_of(re.sub(r"[^A-Z]", "", user_code.upper()))
