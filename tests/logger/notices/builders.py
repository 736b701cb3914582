"""Incidents as their changes leave them, for tests of notices; and a clock that is held."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from core.configuration import Settings
from core.database import Database, Transaction
from core.states import IncidentState
from logger.life import Act, change, touch
from logger.notices.sending import NoticeSender

_numbers = itertools.count(1)


@dataclass
class HeldClock:
    """Time that moves when it is told to."""

    now: datetime = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def candidate(database: Database | Transaction, **columns: Any) -> int:
    """A candidate with a verdict, if none is given; returns its id."""
    number = next(_numbers)
    values: dict[str, Any] = {
        "fingerprint": f"test:{number}",
        "state": "candidate",
        "severity": "error",
        "title": f"trouble {number}",
        "computing_site": "CERN",
        "component": "pilot",
        "verdict": "site",
        **columns,
    }
    names = ", ".join(values)
    row = database.fetch_one(
        f"INSERT INTO incidents ({names}) VALUES ({', '.join(f'%({name})s' for name in values)}) RETURNING incident_id",
        values,
    )
    assert row is not None
    return int(row["incident_id"])


def opened(database: Database, clock: HeldClock, **columns: Any) -> int:
    """An incident that was opened just now."""
    incident_id = candidate(database, **columns)
    step(database, incident_id, IncidentState.OPEN, clock)
    return incident_id


def step(
    database: Database, incident_id: int, state: IncidentState, clock: HeldClock, who: str = "server", why: str = ""
) -> None:
    """Bring an incident into a state, as the store does."""
    with database.transaction() as transaction:
        change(transaction, incident_id, state, Act(who, state.value, why, is_automatic=who == "server"), clock())


def worse(database: Database, incident_id: int, clock: HeldClock) -> None:
    """The incident becomes critical."""
    with database.transaction() as transaction:
        touch(
            transaction, incident_id, Act("server", "worse", is_automatic=True), clock(), "worse", severity="critical"
        )


def sender(
    database: Database, clock: HeldClock, directory: Any, mail: dict[str, Any] | None = None, **notices: Any
) -> NoticeSender:
    """The agent with a held clock, and patience for receivers on a machine that is busy with something else."""
    told = {"timeout_s": 20.0, "base_url": "https://panda.example.org/", **notices}
    settings = Settings(data=directory, notices=told, mail=mail or {})
    return NoticeSender(database, settings, clock, 1.0)


def states(database: Database, route_id: int) -> list[tuple[int, str, str, str]]:
    """Incident, change, state and reason of a route's notices, in their order."""
    rows = database.fetch(
        "SELECT incident_id, change, state, reason FROM incident_notices WHERE route_id = %(id)s ORDER BY notice_id",
        {"id": route_id},
    )
    return [(row["incident_id"], row["change"], row["state"], row["reason"]) for row in rows]
