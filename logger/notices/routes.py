"""The rows of `notice_routes`: read, checked, added, changed, removed, each with its row in the audit. Sends nothing."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

import orjson
import psycopg2.errors

from core import audit
from core.database import Database, Row, Transaction
from core.errors import Conflict, InvalidInput, UnknownObject
from core.notices.addresses import address_of
from core.text import clean
from logger.notices.matching import GROUPED, checked_changes, checked_matcher

log = logging.getLogger("panda.notices")

CHANNELS = ("webhook", "slack", "mail")
OPTIONS = ("may_repeat",)
"""may_repeat: what may have arrived is sent again under its number; for receivers that drop repeats."""

_LONGEST_NAME = 80
_LONGEST_TARGET = 2000
_SECRET_NAME = re.compile(r"[A-Za-z0-9_-]{0,80}")

_SETTABLE = (
    *("name", "position", "matcher", "channel", "target", "secret_name", "options", "changes", "group_by"),
    *("group_wait_s", "max_per_hour", "is_active", "is_final"),
)
_DEFAULTS: dict[str, Any] = {
    **{"name": "", "position": 0, "matcher": {}, "channel": "webhook", "target": "", "secret_name": "", "options": {}},
    **{"changes": [], "group_by": [], "group_wait_s": 10, "max_per_hour": 60, "is_active": True, "is_final": False},
}
_DOCUMENTS = ("matcher", "options", "changes", "group_by")

_COLUMNS = f"route_id, {', '.join(_SETTABLE)}, modified_by, modification_time, version"
# a short table, read whole
_ALL = f"SELECT {_COLUMNS} FROM notice_routes ORDER BY position, route_id"
_ACTIVE = f"SELECT {_COLUMNS} FROM notice_routes WHERE is_active ORDER BY position, route_id"
_ONE = f"SELECT {_COLUMNS} FROM notice_routes WHERE route_id = %(route_id)s"

# the names come from _SETTABLE, never from input
_VALUES = {name: f"%({name})s{'::jsonb' if name in _DOCUMENTS else ''}" for name in _SETTABLE}
_ADD = f"""
INSERT INTO notice_routes ({", ".join(_SETTABLE)}, bucket, modified_by)
VALUES ({", ".join(_VALUES.values())}, %(max_per_hour)s, %(who)s) RETURNING {_COLUMNS}
"""
_CHANGE = f"""
UPDATE notice_routes SET {", ".join(f"{name} = {value}" for name, value in _VALUES.items())}, modified_by = %(who)s,
    bucket = least(bucket, %(max_per_hour)s), modification_time = clock_timestamp(), version = version + 1
WHERE route_id = %(route_id)s RETURNING {_COLUMNS}
"""
_REMOVE = "DELETE FROM notice_routes WHERE route_id = %(route_id)s"
# ix_incident_notices_due
_DROP_WAITING = """
UPDATE incident_notices SET state = 'failed', last_error = 'the route was removed', next_try_time = NULL
WHERE route_id = %(route_id)s AND state = 'waiting'
"""


def all_routes(database: Database) -> list[Row]:
    """Every route, in the order they are asked."""
    return database.fetch(_ALL)


def active_routes(transaction: Transaction) -> list[Row]:
    """The routes that tell anything, in order. One that is not understood (another release wrote it) tells nothing, says so
    aloud and keeps no other from telling."""
    return [route for route in transaction.fetch(_ACTIVE) if _is_understood(route)]


def _is_understood(route: Row) -> bool:
    try:
        checked_matcher(route["matcher"])
        _check_groups(route["group_by"])
    except InvalidInput as error:
        log.error(
            "the notice route %s is not understood and tells nothing: %s",
            route["name"],
            error,
            extra={"component": "incident_notices", "kind": "service", "fingerprint": f"notice route:{route['name']}"},
        )
        return False
    return True


def route_of(database: Database | Transaction, route_id: int) -> Row:
    """One route. Raises UnknownObject."""
    row = database.fetch_one(_ONE, {"route_id": route_id})
    if row is None:
        raise UnknownObject(
            f"there is no notice route {route_id}", field="route_id", remedy="see `panda notices routes`"
        )
    return row


def add_route(
    database: Database, fields: Mapping[str, Any], who: str, *, via: str = "api", roles: Iterable[str] = ()
) -> Row:
    """A new route. Raises InvalidInput naming the field, Conflict for a name that is taken."""
    route = _checked({**_DEFAULTS, **fields})
    with database.transaction() as transaction:
        row = _written(transaction, _ADD, {**route, "who": clean(who, 255)})
        audit.note(
            transaction, who, "add", "notice_route", str(row["route_id"]), {}, shown(route), via=via, roles=roles
        )
    return row


def change_route(
    database: Database,
    route_id: int,
    fields: Mapping[str, Any],
    version: int,
    who: str,
    *,
    via: str = "api",
    roles: Iterable[str] = (),
) -> Row:
    """Change some fields of a route that still has the `version` its editor saw.

    Raises UnknownObject, InvalidInput naming the field, Conflict when somebody else changed it meanwhile.
    """
    with database.transaction() as transaction:
        before = route_of_locked(transaction, route_id)
        if before["version"] != version:
            raise Conflict(
                f"the route was changed by {before['modified_by']}: it is version {before['version']} now",
                field="version",
                remedy="read it again and repeat the change",
            )
        route = _checked({**{name: before[name] for name in _SETTABLE}, **fields})
        row = _written(transaction, _CHANGE, {**route, "route_id": route_id, "who": clean(who, 255)})
        changed = {name: value for name, value in route.items() if value != before[name]}
        was = shown({name: before[name] for name in changed})
        audit.note(transaction, who, "change", "notice_route", str(route_id), was, shown(changed), via=via, roles=roles)
    return row


def remove_route(database: Database, route_id: int, who: str, *, via: str = "api", roles: Iterable[str] = ()) -> Row:
    """Remove a route; what waits for it is not sent. Raises UnknownObject."""
    with database.transaction() as transaction:
        row = route_of_locked(transaction, route_id)
        transaction.execute(_DROP_WAITING, {"route_id": route_id})
        transaction.execute(_REMOVE, {"route_id": route_id})
        was = shown({name: row[name] for name in _SETTABLE})
        audit.note(transaction, who, "remove", "notice_route", str(route_id), was, {}, via=via, roles=roles)
    return row


def route_of_locked(transaction: Transaction, route_id: int) -> Row:
    """One route, with its row locked. Raises UnknownObject."""
    transaction.execute("SELECT 1 FROM notice_routes WHERE route_id = %(id)s FOR UPDATE", {"id": route_id})
    return route_of(transaction, route_id)


def shown(route: Mapping[str, Any]) -> dict[str, Any]:
    """A route as readers and the audit may see it: the address of a chat or webhook is a secret itself, so only its
    server is named."""
    if "target" not in route:
        return dict(route)
    target = route["target"]
    if "://" in target:
        parts = urlsplit(target)
        path = "/…" if len(parts.path) > 1 or parts.query else parts.path
        target = f"{parts.scheme}://{parts.netloc}{path}"
    return {**route, "target": target}


def _written(transaction: Transaction, statement: str, values: dict[str, Any]) -> Row:
    documents = {name: orjson.dumps(values[name]).decode() for name in _DOCUMENTS}
    try:
        row = transaction.fetch_one(statement, {**values, **documents})
    except psycopg2.errors.UniqueViolation as error:
        raise Conflict(
            f"there is a route {values['name']!r} already", field="name", remedy="take another name"
        ) from error
    if row is None:
        raise AssertionError("a locked row was not written")
    return row


def _checked(route: dict[str, Any]) -> dict[str, Any]:
    """The route with its documents in order. Raises InvalidInput naming the field."""
    name = clean(route["name"], _LONGEST_NAME + 1).strip()
    if not name or len(name) > _LONGEST_NAME:
        raise InvalidInput("a route needs a name", field="name", remedy=f"1 to {_LONGEST_NAME} characters")
    if route["channel"] not in CHANNELS:
        raise InvalidInput("there is no such channel", field="channel", remedy=f"one of {', '.join(CHANNELS)}")
    if not _SECRET_NAME.fullmatch(route["secret_name"]):
        raise InvalidInput(
            "no name of a secret", field="secret_name", remedy="letters, digits, - and _: a key of [notices.secrets]"
        )
    _check_target(route["channel"], route["target"], has_secret=bool(route["secret_name"]))
    for option, value in route["options"].items():
        if option not in OPTIONS or not isinstance(value, bool):
            raise InvalidInput(
                "there is no such option", field=f"options.{option[:40]}", remedy=f"{', '.join(OPTIONS)}: true or false"
            )
    _check_groups(route["group_by"])
    for field, most in (("group_wait_s", 3600), ("max_per_hour", 3600), ("position", 1_000_000)):
        if not (field == "max_per_hour") <= route[field] <= most:
            raise InvalidInput(
                f"{route[field]} is out of range", field=field, remedy=f"from {int(field == 'max_per_hour')} to {most}"
            )
    return {
        **route,
        "name": name,
        "matcher": checked_matcher(route["matcher"]),
        "changes": checked_changes(route["changes"]),
    }


def _check_groups(columns: Iterable[str]) -> None:
    """Raise InvalidInput for what messages cannot be grouped by."""
    for column in columns:
        if column not in GROUPED:
            raise InvalidInput(
                f"messages cannot be grouped by {column[:40]!r}", field="group_by", remedy=f"of {', '.join(GROUPED)}"
            )


def _check_target(channel: str, target: str, *, has_secret: bool) -> None:
    """Raise InvalidInput for an address that cannot be."""
    if channel == "mail":
        if address_of(target, "") != target or not target:
            raise InvalidInput("that is no address", field="target", remedy="one address, as in shift@example.org")
        return
    if channel == "slack" and not target and has_secret:
        return  # the address itself is the secret
    remedy = "an address as in https://host/path, without user and password"
    try:
        parts = urlsplit(target)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    is_plain = target.isascii() and target.isprintable() and " " not in target and len(target) <= _LONGEST_TARGET
    if not is_address or not is_plain or parts.username is not None or parts.password is not None:
        raise InvalidInput("that is no address of a webhook", field="target", remedy=remedy)
