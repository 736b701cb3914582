"""What a central trouble explains is folded below it; what a person took, and what it cannot explain, stands for itself."""

from __future__ import annotations

from typing import Any

import pytest

from core.database import Database
from core.states import IncidentState
from logger import inhibition, life
from tests.logger.judgement.cases import HeldClock, changes, incidents

_INCIDENT = """
INSERT INTO incidents (fingerprint, kind, state, severity, component, error_class, step, verdict, verdict_value, held_by,
                       job_count, first_seen, last_seen, opened_time, change_seq)
VALUES (%(key)s, %(kind)s, %(state)s, 'error', %(component)s, %(error_class)s, %(step)s, %(verdict)s, %(value)s, %(held_by)s,
        %(jobs)s, %(first)s, %(last)s, %(opened)s, 1)
RETURNING incident_id
"""


class Scene:
    """Incidents as rows, at a held time."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = HeldClock()
        self._count = 0

    def add(self, **more: Any) -> int:
        """An incident at site A about the network, opened now."""
        self._count += 1
        now = self.clock()
        known: dict[str, Any] = {
            "kind": "failure_burst",
            "state": "open",
            "component": "pilot",
            "error_class": "network",
            "step": "stage-in",
        }
        known |= {"verdict": "site", "value": "A", "held_by": "", "jobs": 5, "first": now, "last": now, "opened": now}
        values = {"key": f"v2:x::{self._count}", **known, **more}
        return int(self.database.fetch(_INCIDENT, values)[0]["incident_id"])

    def central(self, **more: Any) -> int:
        """The database does not answer."""
        known = {"kind": "service", "component": "database", "error_class": "database", "step": "service", "jobs": 0}
        return self.add(**{**known, "verdict": "central", "value": "", **more})

    def apply(self) -> tuple[list[int], list[int]]:
        """One round."""
        with self.database.transaction() as transaction:
            return inhibition.apply(transaction, self.clock())

    def resolve(self, incident_id: int) -> None:
        """It is over."""
        with self.database.transaction() as transaction:
            act = life.Act("rule x", "resolve", is_automatic=True)
            life.change(transaction, incident_id, IncidentState.RESOLVED, act, self.clock())


@pytest.fixture
def scene(database: Database) -> Scene:
    return Scene(database)


def test_a_central_trouble_explains_what_it_can_cause(scene: Scene) -> None:
    central = scene.central()
    explained = [
        scene.add(),
        scene.add(error_class="node", step="heartbeat", verdict="unclear"),
        scene.add(error_class="database", verdict="node"),
    ]
    others = [
        scene.add(error_class="auth", step="service"),
        scene.add(error_class="software", step="payload"),
        scene.add(verdict="user"),
        scene.add(verdict=""),
        scene.add(held_by="ann"),
        scene.add(state="acknowledged"),
        scene.add(state="candidate", opened=None),
    ]
    assert scene.apply() == (explained, [])
    rows = {row["incident_id"]: row["inhibited_by"] for row in incidents(scene.database)}
    assert all(rows[one] == central for one in explained) and all(rows[one] is None for one in others)
    assert scene.apply() == ([], [])


def test_what_opened_long_before_or_after_is_not_explained(scene: Scene) -> None:
    scene.add()
    scene.clock.move(minutes=6)
    scene.central()
    scene.clock.move(minutes=6)
    scene.add()
    assert scene.apply() == ([], [])


@pytest.mark.parametrize(
    "more",
    [
        {"component": "gail", "error_class": "", "verdict": "central"},
        {"component": "adder", "error_class": "central"},
        {"state": "resolved"},
        {"verdict": "unclear"},
    ],
)
def test_a_flood_a_late_loop_and_what_is_over_explain_nothing(scene: Scene, more: dict[str, Any]) -> None:
    scene.central(**more)
    scene.add()
    assert scene.apply() == ([], [])


def test_a_broken_issuer_explains_refused_tokens(scene: Scene) -> None:
    scene.central(component="issuer", error_class="auth")
    refused = scene.add(kind="service", error_class="auth", step="service")
    assert scene.apply() == ([refused], [])


def test_when_it_is_over_they_are_free_and_what_goes_on_is_told(scene: Scene) -> None:
    central = scene.central()
    goes_on, quiet = scene.add(), scene.add()
    scene.apply()
    scene.clock.move(minutes=30)
    scene.database.execute(
        "UPDATE incidents SET last_seen = %(now)s WHERE incident_id = %(id)s", {"now": scene.clock(), "id": goes_on}
    )
    scene.resolve(central)
    assert scene.apply() == ([], [goes_on, quiet])
    assert changes(scene.database, goes_on) == [("opened", "open")] and changes(scene.database, quiet) == []
    assert all(row["inhibited_by"] is None for row in incidents(scene.database))


def test_what_a_person_holds_meanwhile_is_free_too(scene: Scene) -> None:
    central, effect = scene.central(), scene.add()
    scene.apply()
    scene.database.execute("UPDATE incidents SET held_by = 'ann' WHERE incident_id = %(id)s", {"id": effect})
    scene.resolve(central)
    assert scene.apply() == ([], [effect])
