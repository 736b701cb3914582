"""The life of an incident: every step of every state by whoever may take it, and a history that tells no other story."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.database import Database
from core.errors import Conflict, IllegalTransition, InvalidInput, PandaError, UnknownObject
from core.states import INCIDENT_TRANSITIONS, IncidentState
from logger import life
from logger.life import Act, Held
from logger.store import IncidentStore
from tests.logger.builders import end_jobs
from tests.logger.life.test_silences import Desk

_numbers = itertools.count(1)
START = datetime(2026, 3, 4, 12, tzinfo=UTC)
RULE = Act("rule failure_burst v1", "judge", "by itself", is_automatic=True)
ANN = Act("ann", "decide", "because", via="cli", roles=frozenset({"operator"}))


@pytest.fixture
def desk(shared_database: Database) -> Iterator[Desk]:
    shared_database.execute(
        "TRUNCATE incidents, incident_jobs, incident_breakdown, incident_bins, silences, incident_changes, incident_activity"
    )
    yield Desk(shared_database)


def an_incident(desk: Desk, state: str = "open", **columns: Any) -> int:
    """An incident in a state, as if it had always been there."""
    columns = {"fingerprint": f"k{next(_numbers)}", "state": state, "change_seq": 1, "opened_time": START, **columns}
    if state == "candidate":
        columns |= {"opened_time": None, "change_seq": 0}
    names = ", ".join(columns)
    marks = ", ".join(f"%({name})s" for name in columns)
    row = desk.database.fetch_one(f"INSERT INTO incidents ({names}) VALUES ({marks}) RETURNING incident_id", columns)
    assert row is not None
    return int(row["incident_id"])


def row_of(desk: Desk, incident_id: int) -> dict[str, Any]:
    row = desk.database.fetch_one("SELECT * FROM incidents WHERE incident_id = %(id)s", {"id": incident_id})
    assert row is not None
    return row


def told(desk: Desk, incident_id: int) -> list[dict[str, Any]]:
    return desk.database.fetch(
        "SELECT what, previous_state, state, who, is_automatic FROM incident_changes WHERE incident_id = %(id)s"
        " ORDER BY change_seq",
        {"id": incident_id},
    )


def change(desk: Desk, incident_id: int, target: IncidentState, act: Act) -> None:
    with desk.database.transaction() as transaction:
        life.change(transaction, incident_id, target, act, desk.now)


@pytest.mark.parametrize("act", [RULE, ANN], ids=["rule", "person"])
@pytest.mark.parametrize("target", list(IncidentState))
@pytest.mark.parametrize("current", list(IncidentState))
def test_every_step_is_as_the_table_says_and_is_told_once(
    desk: Desk, current: IncidentState, target: IncidentState, act: Act
) -> None:
    incident_id = an_incident(desk, current.value, owner="bob" if current is IncidentState.ACKNOWLEDGED else "")
    before = row_of(desk, incident_id)
    if target not in INCIDENT_TRANSITIONS[current]:
        with pytest.raises(IllegalTransition):
            change(desk, incident_id, target, act)
        assert row_of(desk, incident_id) == before and told(desk, incident_id) == []
        return
    change(desk, incident_id, target, act)
    after = row_of(desk, incident_id)
    assert after["state"] == target.value
    is_heard = not (current is IncidentState.CANDIDATE and target is IncidentState.RESOLVED)
    assert after["change_seq"] == before["change_seq"] + is_heard
    changes = told(desk, incident_id)
    assert [(one["previous_state"], one["state"], one["who"]) for one in changes] == (
        [(current.value, target.value, act.who)] if is_heard else []
    )
    assert (after["resolved_time"] == desk.now) == (target is IncidentState.RESOLVED)
    is_over_by_hand = target in (IncidentState.RESOLVED, IncidentState.SILENCED, IncidentState.REOPENED)
    assert after["held_by"] == ("ann" if act is ANN and is_over_by_hand else "")
    if current is IncidentState.CANDIDATE and is_heard:
        assert (after["opened_time"], after["opened_by"]) == (desk.now, act.who)


@pytest.mark.parametrize("target", ["resolved", "silenced", "reopened", "open", "acknowledged"])
@pytest.mark.parametrize("current", ["open", "acknowledged", "silenced", "reopened", "resolved"])
def test_automation_changes_nothing_that_a_person_holds(desk: Desk, current: str, target: str) -> None:
    if IncidentState(target) not in INCIDENT_TRANSITIONS[IncidentState(current)]:
        return
    incident_id = an_incident(desk, current, held_by="ann")
    with pytest.raises(Held):
        change(desk, incident_id, IncidentState(target), RULE)
    with pytest.raises(Held), desk.database.transaction() as transaction:
        life.touch(transaction, incident_id, RULE, desk.now, "worse", severity="critical")
    assert told(desk, incident_id) == []


def test_a_step_of_a_person_is_in_the_activity_and_in_the_audit(desk: Desk) -> None:
    incident_id = an_incident(desk)
    change(desk, incident_id, IncidentState.RESOLVED, ANN)
    (entry,) = desk.database.fetch("SELECT * FROM incident_activity WHERE incident_id = %(id)s", {"id": incident_id})
    assert (entry["who"], entry["action"], entry["comment"], entry["change_seq"]) == ("ann", "decide", "because", 2)
    assert entry["before"]["state"] == "open" and entry["after"]["state"] == "resolved"
    (audited,) = desk.database.fetch("SELECT * FROM audit WHERE object_id = %(id)s", {"id": str(incident_id)})
    assert (audited["who"], audited["via"], audited["roles"]) == ("ann", "cli", ["operator"])
    assert audited["before"] == entry["before"] and audited["after"] == entry["after"]


# --- what people do


def test_from_a_failure_to_its_end_and_back(desk: Desk) -> None:
    end_jobs(desk.database, task=None)
    store = IncidentStore(desk.database)
    store.ingest_ended_jobs()
    (row,) = desk.database.fetch("SELECT incident_id FROM incidents")
    incident_id = row["incident_id"]
    taken = store.acknowledge(incident_id, "ann", "looking")
    assert (taken["state"], taken["owner"]) == ("acknowledged", "ann")
    over = store.resolve(incident_id, "ann", "new disk", reason="fixed")
    assert (over["state"], over["resolution"], over["resolved_by"]) == ("resolved", "fixed: new disk", "ann")
    again = store.reopen(incident_id, "bob")
    assert (again["state"], again["owner"], again["held_by"]) == ("reopened", "", "bob")
    assert again["reopened_count"] == 1 and again["resolution"] == ""
    activity = desk.database.fetch("SELECT who, action, comment FROM incident_activity ORDER BY activity_id")
    assert [tuple(row.values()) for row in activity][1:] == [
        ("ann", "acknowledge", "looking"),
        ("ann", "resolve", "fixed: new disk"),
        ("bob", "reopen", ""),
    ]


def test_what_is_given_back_is_open_and_nobodys(desk: Desk) -> None:
    incident_id = an_incident(desk)
    desk.store.acknowledge(incident_id, "ann")
    row = desk.store.reopen(incident_id, "ann")
    assert (row["state"], row["owner"], row["held_by"], row["reopened_count"]) == ("open", "", "", 0)


def test_a_candidate_is_opened_by_hand(desk: Desk) -> None:
    incident_id = an_incident(desk, "candidate")
    row = desk.store.reopen(incident_id, "ann")
    assert (row["state"], row["opened_by"], row["opened_time"]) == ("open", "ann", desk.now)
    assert [one["what"] for one in told(desk, incident_id)] == ["opened"]


def test_an_incident_with_a_newer_twin_cannot_be_reopened(desk: Desk) -> None:
    first = an_incident(desk, "resolved", fingerprint="twin")
    second = an_incident(desk, fingerprint="twin")
    with pytest.raises(Conflict, match="newer one") as refused:
        desk.store.reopen(first, "ann")
    assert refused.value.field == "incident_id" and refused.value.remedy
    assert row_of(desk, first)["state"] == "resolved" and row_of(desk, second)["state"] == "open"


def test_an_incident_that_was_merged_away_cannot_be_reopened(desk: Desk) -> None:
    first, second = an_incident(desk), an_incident(desk)
    desk.store.merge(first, second, "ann")
    with pytest.raises(Conflict, match=f"part of incident {second}"):
        desk.store.reopen(first, "ann")


def test_somebody_is_asked_and_nobody_is(desk: Desk) -> None:
    incident_id = an_incident(desk)
    assert desk.store.assign(incident_id, " bob ", "ann", "please")["assigned_to"] == "bob"
    assert [one["what"] for one in told(desk, incident_id)] == ["assigned"]
    assert desk.store.assign(incident_id, "", "ann")["assigned_to"] == ""
    assert len(told(desk, incident_id)) == 1


def test_a_persons_severity_holds_until_it_is_released(desk: Desk) -> None:
    incident_id = an_incident(desk, severity="error")
    assert desk.store.set_severity(incident_id, "critical", "ann")["held_by"] == "ann"
    desk.store.set_severity(incident_id, "warning", "ann")
    assert [one["what"] for one in told(desk, incident_id)] == ["worse"]
    released = desk.store.release(incident_id, "bob")
    assert (released["severity"], released["held_by"]) == ("warning", "")
    with pytest.raises(InvalidInput) as refused:
        desk.store.set_severity(incident_id, "dreadful", "ann")  # type: ignore[arg-type]
    assert refused.value.field == "severity"


def test_what_a_central_trouble_explains_stands_for_itself_for_good_once_a_person_says_so(desk: Desk) -> None:
    central = an_incident(desk)
    one, other = (an_incident(desk, inhibited_by=central) for _ in range(2))
    released = desk.store.release(one, "ann")
    assert (released["inhibited_by"], released["held_by"]) == (None, "ann")
    taken = desk.store.acknowledge(other, "ann")
    assert (taken["inhibited_by"], taken["owner"]) == (None, "ann")


def test_links_are_web_addresses(desk: Desk) -> None:
    incident_id = an_incident(desk)
    row = desk.store.set_links(incident_id, [{"title": "ticket\x1b[2J", "url": "https://tickets.example/7"}], "ann")
    assert row["links"] == [{"title": "ticket", "url": "https://tickets.example/7"}]
    for url in ("javascript:alert(1)", "ftp://x", "https://a b", "https://x\"onclick='", ""):
        with pytest.raises(InvalidInput) as refused:
            desk.store.set_links(incident_id, [{"title": "", "url": url}], "ann")
        assert refused.value.field == "links.0.url"
    with pytest.raises(InvalidInput):
        desk.store.set_links(incident_id, [{"url": "https://x"}] * 21, "ann")
    assert desk.store.set_links(incident_id, [], "ann")["links"] == []


def test_a_comment_says_something(desk: Desk) -> None:
    incident_id = an_incident(desk, "resolved")
    desk.store.comment(incident_id, "ann", "it was the switch")
    with pytest.raises(InvalidInput):
        desk.store.comment(incident_id, "ann", "  ")
    assert told(desk, incident_id) == [] and row_of(desk, incident_id)["change_seq"] == 1


@pytest.mark.parametrize(
    "step",
    [
        lambda store, number: store.assign(number, "bob", "ann"),
        lambda store, number: store.hold(number, "ann"),
        lambda store, number: store.release(number, "ann"),
        lambda store, number: store.set_severity(number, "critical", "ann"),
    ],
)
def test_of_what_is_over_nothing_is_decided(desk: Desk, step: Callable[[IncidentStore, int], Any]) -> None:
    with pytest.raises(Conflict, match="is resolved"):
        step(desk.store, an_incident(desk, "resolved"))
    with pytest.raises(UnknownObject):
        step(desk.store, 999_999_999)


def test_an_acknowledged_incident_goes_on_collecting(desk: Desk) -> None:
    incident_id = desk.opened("a")
    desk.store.acknowledge(incident_id, "ann")
    assert desk.opened("a") == incident_id
    assert (desk.incident("a")["state"], desk.incident("a")["job_count"]) == ("acknowledged", 2)


# --- whatever happens


_STEPS: dict[str, Callable[[Desk, int], Any]] = {
    "acknowledge": lambda desk, number: desk.store.acknowledge(number, "ann"),
    "resolve": lambda desk, number: desk.store.resolve(number, "ann"),
    "reopen": lambda desk, number: desk.store.reopen(number, "bob"),
    "silence": lambda desk, number: desk.store.silence(number, "time", desk.now + timedelta(hours=1), "ann"),
    "silence until fixed": lambda desk, number: desk.store.silence(number, "fixed", None, "ann"),
    "hold": lambda desk, number: desk.store.hold(number, "ann"),
    "release": lambda desk, number: desk.store.release(number, "ann"),
    "assign": lambda desk, number: desk.store.assign(number, "bob", "ann"),
    "critical": lambda desk, number: desk.store.set_severity(number, "critical", "ann"),
    "rule resolves": lambda desk, number: change(desk, number, IncidentState.RESOLVED, RULE),
    "rule reopens": lambda desk, number: change(desk, number, IncidentState.REOPENED, RULE),
    "time": lambda desk, number: desk.wait(minutes=40),
}


@settings(max_examples=40)
@given(steps=st.lists(st.sampled_from(sorted(_STEPS)), max_size=12))
def test_the_history_tells_how_it_came_to_be_as_it_is(shared_database: Database, steps: list[str]) -> None:
    desk = Desk(shared_database)
    incident_id = an_incident(desk)
    held = ""
    for step in steps:
        before = row_of(desk, incident_id)
        try:
            _STEPS[step](desk, incident_id)
        except PandaError:
            assert row_of(desk, incident_id) == before, step
        if step.startswith("rule") and before["held_by"]:
            assert row_of(desk, incident_id)["state"] == before["state"]
        held = row_of(desk, incident_id)["held_by"]
    row = row_of(desk, incident_id)
    changes = desk.database.fetch(
        "SELECT * FROM incident_changes WHERE incident_id = %(id)s ORDER BY change_seq", {"id": incident_id}
    )
    assert [one["change_seq"] for one in changes] == list(range(2, row["change_seq"] + 1))
    states = ["open", *(one["state"] for one in changes)]
    assert [one["previous_state"] for one in changes] == states[:-1]
    assert (row["state"], row["held_by"]) == (states[-1], held)
    live = desk.database.fetch(
        "SELECT 1 FROM silences WHERE incident_id = %(id)s AND end_time IS NULL", {"id": incident_id}
    )
    desk.wait(seconds=1)
    assert (row["state"] == "silenced") <= bool(live)
    assert row["resolved_time"] is None or row["state"] == "resolved"
    _replayed = _replay(desk, incident_id)
    assert _replayed == {name: row_of(desk, incident_id)[name] for name in _replayed}


def _replay(desk: Desk, incident_id: int) -> dict[str, Any]:
    """State, owner, severity and hold as the activity says that they became."""
    values = {"state": "open", "owner": "", "severity": "error", "held_by": "", "assigned_to": ""}
    for entry in desk.database.fetch(
        "SELECT before, after FROM incident_activity WHERE incident_id = %(id)s ORDER BY activity_id",
        {"id": incident_id},
    ):
        for name in values.keys() & entry["after"].keys():
            assert entry["before"][name] == values[name], name
            values[name] = entry["after"][name]
    return values
