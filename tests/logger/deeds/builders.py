"""People, incidents and a clock that stands still, for the tests of actions."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta
from typing import Any

from core.clock import utc_now
from core.database import Database, Row
from logger.deeds import Actor, Preview, PreviewRequest, Selector, confirm, preview

OLGA = Actor("olga", "token-of-olga", frozenset({"operator"}), "cli")
OTTO = Actor("otto", "token-of-otto", frozenset({"operator"}), "web")
ALICE = Actor("alice", "token-of-alice")
BOB = Actor("bob", "token-of-bob")

_numbers = itertools.count(1)


class HeldClock:
    """A clock that goes when it is told to; begins now, because jobs live by the clock of the database."""

    def __init__(self) -> None:
        self.now = utc_now()

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        """So much later."""
        self.now += timedelta(seconds=seconds)


def make_incident(database: Database, **columns: Any) -> int:
    """An open incident with a fingerprint of its own."""
    values: dict[str, Any] = {
        "fingerprint": f"v2:test|{next(_numbers)}",
        "title": "jobs fail at CERN",
        "state": "open",
        "opened_time": utc_now() - timedelta(hours=1),
        "change_seq": 1,
        "computing_site": "CERN",
        "severity": "error",
        **columns,
    }
    names, marks = ", ".join(values), ", ".join(f"%({name})s" for name in values)
    found = database.fetch_one(f"INSERT INTO incidents ({names}) VALUES ({marks}) RETURNING incident_id", values)
    assert found is not None
    return int(found["incident_id"])


def look(
    database: Database,
    action: str,
    actor: Actor,
    clock: HeldClock,
    parameters: dict[str, Any] | None = None,
    **chosen: Any,
) -> Preview:
    """A preview. `chosen`: of a Selector; and `accept_ended`, `reason`."""
    said = {name: chosen.pop(name) for name in ("accept_ended", "reason") if name in chosen}
    selector = Selector(**{name: tuple(value) for name, value in chosen.items()})
    return preview(database, PreviewRequest(action, selector, parameters or {}, **said), actor, clock)


def do(
    database: Database,
    action: str,
    actor: Actor,
    clock: HeldClock,
    parameters: dict[str, Any] | None = None,
    **chosen: Any,
) -> Row:
    """Preview and confirm; the deed."""
    return confirm(database, look(database, action, actor, clock, parameters, **chosen).token, actor, clock)


def counts_of(made: Preview) -> dict[str, int]:
    """The consequences by name."""
    return {one.what: one.count for one in made.consequences}


def incident(database: Database, incident_id: int) -> Row:
    """The whole row."""
    found = database.fetch_one("SELECT * FROM incidents WHERE incident_id = %(id)s", {"id": incident_id})
    assert found is not None
    return found


def settled(row: Row) -> Row:
    """A row without what grows with every change, also with one that takes another back."""
    return {name: value for name, value in row.items() if name not in ("change_seq", "modification_time")}


def queue(database: Database, name: str) -> Row:
    """The whole row."""
    found = database.fetch_one("SELECT * FROM queues WHERE queue_name = %(name)s", {"name": name})
    assert found is not None
    return found


def audit_of(database: Database, kind: str, key: object) -> list[Row]:
    """What the audit says of an object, oldest first."""
    statement = "SELECT * FROM audit WHERE object_kind = %(kind)s AND object_id = %(key)s ORDER BY audit_id"
    return database.fetch(statement, {"kind": kind, "key": str(key)})
