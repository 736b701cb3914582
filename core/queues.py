"""PanDA queues and storage endpoints: read, set, checked. Knows schedconfig, no HTTP."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict, Unpack

from core import audit
from core.brokerage.stated import read_stated
from core.database import Database, Row, Transaction
from core.errors import InvalidInput, UnknownObject
from core.names import ANY_QUEUE, check_line
from core.queue_status import AUTOMATON, PERSON, record_status

QUEUE_STATUSES = ("online", "offline", "test", "brokeroff", "paused")
MOVERS = ("cp", "symlink")
ENDPOINT_KINDS = ("disk", "tape")
LOCAL_QUEUE = "LOCAL"
LOCAL_ENDPOINT = "LOCAL_DISK"
_MAX_KIND = 255
"""Of the kind of resource that shares name (`rtype`)."""

_DEFAULTS: dict[str, Any] = {
    "status": "online",
    "comment": "",
    "max_ram_mb": 0,
    "max_disk_mb": 0,
    "max_core_count": 0,
    "max_walltime_s": 0,
    "storage_endpoint": "",
    "parameters": {},
}

_ENDPOINT_DEFAULTS: dict[str, Any] = {
    **{"mover": "cp", "path": "", "state": "online", "is_deterministic": False},
    **{"kind": "disk", "is_nucleus": False, "free_mb": None, "total_mb": None},
}

# primary key
_LOCK_QUEUE = "SELECT * FROM queues WHERE queue_name = %(name)s FOR UPDATE"
_SET_QUEUE = """
INSERT INTO queues (queue_name, site, status, comment, max_ram_mb, max_disk_mb, max_core_count, max_walltime_s,
                    storage_endpoint, parameters)
VALUES (%(queue_name)s, %(site)s, %(status)s, %(comment)s, %(max_ram_mb)s, %(max_disk_mb)s, %(max_core_count)s,
        %(max_walltime_s)s, %(storage_endpoint)s, %(parameters)s::jsonb)
ON CONFLICT (queue_name) DO UPDATE SET
    site = excluded.site, status = excluded.status, comment = excluded.comment, max_ram_mb = excluded.max_ram_mb,
    max_disk_mb = excluded.max_disk_mb, max_core_count = excluded.max_core_count,
    max_walltime_s = excluded.max_walltime_s, storage_endpoint = excluded.storage_endpoint,
    parameters = excluded.parameters, modification_time = clock_timestamp()
RETURNING *
"""

# primary key
_LOCK_ENDPOINT = "SELECT * FROM storage_endpoints WHERE name = %(name)s FOR UPDATE"
_SET_ENDPOINT = """
INSERT INTO storage_endpoints (name, mover, path, state, is_deterministic, kind, is_nucleus, free_mb, total_mb)
VALUES (%(name)s, %(mover)s, %(path)s, %(state)s, %(is_deterministic)s, %(kind)s, %(is_nucleus)s, %(free_mb)s,
        %(total_mb)s)
ON CONFLICT (name) DO UPDATE SET
    mover = excluded.mover, path = excluded.path, state = excluded.state, is_deterministic = excluded.is_deterministic,
    kind = excluded.kind, is_nucleus = excluded.is_nucleus, free_mb = excluded.free_mb, total_mb = excluded.total_mb
RETURNING *
"""

# a short table
_ENDPOINTS = """
SELECT name, mover, path, state, is_deterministic, kind, is_nucleus, free_mb, total_mb FROM storage_endpoints ORDER BY name
"""


def set_queue(
    database: Database,
    name: str,
    changes: dict[str, Any],
    *,
    who: str = "",
    reason: str = "",
    is_released: bool = False,
) -> Row:
    """Create a queue or change some of its attributes. Raises InvalidInput, UnknownObject for a bad endpoint.

    `who`: the person whose word it is. A status that a person sets stays until a person sets another, or releases the
    queue (`is_released`), which gives it back to the automaton (core/queue_status.py).
    """
    _check_name(name, "queue_name")
    if name == ANY_QUEUE:
        raise InvalidInput(f"{ANY_QUEUE} stands for any queue", field="queue_name", remedy="choose another name")
    check_line(changes.get("site", ""), "site")
    with database.transaction() as transaction:
        present = transaction.fetch_one(_LOCK_QUEUE, {"name": name})
        values = {"site": name} | _DEFAULTS | (present or {}) | changes | {"queue_name": name}
        _check_values(transaction, values)
        row = transaction.fetch_one(_SET_QUEUE, {**values, "parameters": json.dumps(values["parameters"])})
        assert row is not None  # an upsert with RETURNING always answers
        previous = present["status"] if present else ""
        if who and "status" in changes:
            record_status(transaction, name, previous, row["status"], who=who, reason=reason, set_by=PERSON)
        if is_released:
            words = reason or "given back to the automaton"
            # in test it waits for test jobs, as if they had put it there
            set_by = AUTOMATON if row["status"] == "test" else ""
            record_status(transaction, name, row["status"], row["status"], who=who, reason=words, set_by=set_by)
        elif row["status"] != previous and not who and present:
            record_status(
                transaction, name, previous, row["status"], who="", reason=reason, set_by=row["status_set_by"]
            )
        changed = transaction.fetch_one(_LOCK_QUEUE, {"name": name}) or row
        if who:
            action = "set queue" if present else "make queue"
            audit.note_rows(transaction, who, action, "queue", name, present or {}, changed, reason=reason)
        return changed


def _check_values(transaction: Transaction, values: dict[str, Any]) -> None:
    if values["status"] not in QUEUE_STATUSES:
        raise InvalidInput(
            f"unknown status {values['status']!r}", field="status", remedy="one of " + ", ".join(QUEUE_STATUSES)
        )
    if "error" in values["parameters"]:
        raise InvalidInput(
            "the pilot would take the description of the queue for a failure",
            field="parameters.error",
            remedy="rename it",
        )
    if values["storage_endpoint"]:
        found = transaction.fetch_one(
            "SELECT kind FROM storage_endpoints WHERE name = %(name)s FOR SHARE", {"name": values["storage_endpoint"]}
        )
        if found is None:
            raise UnknownObject(
                f"there is no storage endpoint {values['storage_endpoint']!r}",
                field="storage_endpoint",
                remedy="create it with PUT /api/control/endpoint/NAME",
            )
        if found["kind"] == "tape":
            raise InvalidInput(
                f"{values['storage_endpoint']} is on tape: jobs can neither read nor write there",
                field="storage_endpoint",
                remedy="name a storage on disk",
            )


def check_parameters(parameters: Mapping[str, Any]) -> None:
    """Raise InvalidInput for the first value of a queue's parameters that brokerage or dispatch would have to overlook."""
    for name in read_stated(parameters).unreadable:
        field = f"parameters.{name}" if name in parameters else "parameters.catchall"
        raise InvalidInput(
            f"{str(parameters.get(name, name))[:50]!r} means nothing here",
            field=field,
            remedy="see docs/brokerage.md for what is read of it, or leave it out",
        )
    mean = parameters.get("meanrss")
    if mean is not None and (isinstance(mean, bool) or not isinstance(mean, int | float) or not 1 <= mean <= 10**8):
        raise InvalidInput(
            f"{str(mean)[:50]!r} is no memory", field="parameters.meanrss", remedy="MB per core, a number"
        )
    kind = parameters.get("resource_type")
    if kind is not None and (not isinstance(kind, str) or len(kind) > _MAX_KIND):
        raise InvalidInput(
            "not a word", field="parameters.resource_type", remedy=f"text of at most {_MAX_KIND} characters"
        )


class EndpointChanges(TypedDict, total=False):
    """Attributes of a storage endpoint. Room is in MB, None where nobody reports it."""

    mover: str
    path: str
    """Absolute."""
    state: str
    is_deterministic: bool
    """Whether scope and name of a file say where it lies below `path` (core.dataservice.places); the production pilot of
    PanDA can write to no other."""
    kind: str
    is_nucleus: bool
    free_mb: int | None
    total_mb: int | None


def set_endpoint(database: Database, name: str, *, who: str = "", **changes: Unpack[EndpointChanges]) -> Row:
    """Create a storage endpoint, or change what is given of one. `who`: the person whose word it is, for the audit.

    Raises InvalidInput naming the attribute; a new one needs a path.
    """
    _check_name(name, "name")
    with database.transaction() as transaction:
        present = transaction.fetch_one(_LOCK_ENDPOINT, {"name": name}) or {}
        values: dict[str, Any] = {**_ENDPOINT_DEFAULTS, **present, **changes, "name": name}
        _check_endpoint(values)
        values["path"] = values["path"].rstrip("/") or "/"
        if values["kind"] == "tape":
            _check_no_queue_uses(transaction, name)
        row = transaction.fetch_one(_SET_ENDPOINT, values)
        assert row is not None
        if who:
            audit.note_rows(transaction, who, "set endpoint", "endpoint", name, present, row)
    return row


def _check_endpoint(values: Mapping[str, Any]) -> None:
    kind, mover, path, free_mb, total_mb = (values[name] for name in ("kind", "mover", "path", "free_mb", "total_mb"))
    if kind not in ENDPOINT_KINDS:
        raise InvalidInput(f"unknown kind {kind!r}", field="kind", remedy="one of " + ", ".join(ENDPOINT_KINDS))
    if kind == "tape" and values["is_nucleus"]:
        raise InvalidInput("jobs cannot write to tape", field="is_nucleus", remedy="collect outputs on a disk")
    if free_mb is not None and total_mb is not None and free_mb > total_mb:
        raise InvalidInput("more than there is", field="free_mb", remedy="at most total_mb")
    if mover not in MOVERS:
        raise InvalidInput(f"unknown mover {mover!r}", field="mover", remedy="one of " + ", ".join(MOVERS))
    if not path:
        raise InvalidInput("missing", field="path", remedy="the directory where its files lie")
    if not path.startswith("/") or ".." in path.split("/"):
        raise InvalidInput("not an absolute path", field="path", remedy="begin with '/', without '..'")
    check_line(path, "path")


def _check_no_queue_uses(transaction: Transaction, name: str) -> None:
    used = transaction.fetch_one(
        "SELECT queue_name FROM queues WHERE storage_endpoint = %(name)s ORDER BY queue_name LIMIT 1", {"name": name}
    )
    if used is not None:
        raise InvalidInput(
            f"{name} is the storage of queue {used['queue_name']}: jobs can neither read nor write on tape",
            field="kind",
            remedy="give the queue another storage first",
        )


def endpoints(database: Database) -> list[Row]:
    """All storage endpoints by name."""
    return database.fetch(_ENDPOINTS)


def check_queue_exists(database: Any, name: str, field: str) -> None:
    """Raise UnknownObject naming `field` unless the queue exists. `database` is a Database or a Transaction."""
    if database.fetch_one("SELECT 1 FROM queues WHERE queue_name = %(name)s", {"name": name}) is None:
        raise UnknownObject(f"there is no queue {name[:100]!r}", field=field, remedy="see `panda queues` for the names")


def ensure_local_site(database: Database, storage: str) -> None:
    """The queue and the storage of `panda up`'s own site, made on first start and left alone after."""
    if not any(row["name"] == LOCAL_ENDPOINT for row in endpoints(database)):
        # who copies there himself must find it: a directory that is not there is a disk that is not mounted
        Path(storage).mkdir(parents=True, exist_ok=True)
        set_endpoint(database, LOCAL_ENDPOINT, mover="cp", path=storage)
    if database.fetch_one("SELECT 1 FROM queues WHERE queue_name = %(name)s", {"name": LOCAL_QUEUE}) is None:
        set_queue(database, LOCAL_QUEUE, {"site": "local", "storage_endpoint": LOCAL_ENDPOINT})


def _check_name(name: str, field: str) -> None:
    allowed = all(character.isalnum() or character in "_-." for character in name)
    if not name or len(name) > 100 or not allowed:
        raise InvalidInput(f"{name[:100]!r} is no name", field=field, remedy="letters, digits, '_', '-' and '.'")
