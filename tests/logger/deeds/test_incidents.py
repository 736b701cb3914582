"""Actions on incidents: preview, confirmation, audit, and an undo that puts back every column."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from core.database import Database
from core.errors import InvalidInput, NotAllowed, UnknownObject
from logger import life
from logger.deeds import deed_row, undo
from logger.deeds.base import NotUndoable, Superseded
from logger.deeds.loops import DeedWorker
from logger.life import Act
from tests.logger.deeds.builders import (
    ALICE,
    OLGA,
    OTTO,
    HeldClock,
    audit_of,
    counts_of,
    do,
    incident,
    look,
    make_incident,
    settled,
)

_SILENCE = {"until_kind": "doubles"}
CASES: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("acknowledge", {}, {}, "acknowledged"),
    ("acknowledge", {}, {"state": "acknowledged", "owner": "ann", "severity": "critical"}, "acknowledged"),
    ("assign", {"who": "ann"}, {"assigned_to": "bob"}, "open"),
    ("assign", {"who": ""}, {"assigned_to": "bob"}, "open"),
    ("silence", _SILENCE, {}, "silenced"),
    ("silence", {"until_kind": "time", "until": "18:00"}, {"state": "acknowledged", "owner": "ann"}, "silenced"),
    ("silence", {"until_kind": "shift"}, {"state": "reopened", "reopened_count": 2, "held_by": "ann"}, "silenced"),
    ("resolve", {}, {}, "resolved"),
    ("resolve", {"ending": "fixed"}, {"state": "acknowledged", "owner": "ann", "inhibited_by": 7}, "resolved"),
    ("acknowledge", {}, {"inhibited_by": 7}, "acknowledged"),
    ("acknowledge", {}, {"state": "silenced", "held_by": "ann"}, "acknowledged"),
    ("reopen", {}, {"state": "silenced", "held_by": "ann"}, "open"),
    ("reopen", {}, {"state": "resolved", "resolution": "fixed", "resolved_by": "ann", "owner": "bob"}, "reopened"),
    ("reopen", {}, {"state": "acknowledged", "owner": "ann"}, "open"),
]


@pytest.fixture
def clock() -> HeldClock:
    return HeldClock()


@pytest.mark.parametrize(("action", "parameters", "columns", "state"), CASES)
def test_an_action_is_done_written_down_and_undone_to_the_last_column(
    shared_database: Database,
    clock: HeldClock,
    action: str,
    parameters: dict[str, Any],
    columns: dict[str, Any],
    state: str,
) -> None:
    key = make_incident(shared_database, **columns)
    before = incident(shared_database, key)
    made = look(shared_database, action, OLGA, clock, parameters, incidents=[key], reason="I saw it")
    assert made.target_count == 1 and made.inverse and counts_of(made)["incidents"] == 1
    assert incident(shared_database, key) == before  # a preview changes nothing
    deed = do(shared_database, action, OLGA, clock, parameters, incidents=[key], reason="I saw it")
    assert (deed["state"], deed["incident_id"], deed["who"], deed["via"]) == ("done", key, "olga", "cli")
    after = incident(shared_database, key)
    assert after["state"] == state and settled(after) != settled(before)

    (row,) = audit_of(shared_database, "incident", key)
    assert (row["who"], row["action"], row["deed_id"]) == ("olga", action, deed["deed_id"])
    assert row["reason"].endswith("I saw it")
    assert row["before"] and row["after"] and row["roles"] == ["operator"]
    (of_deed,) = audit_of(shared_database, "deed", deed["deed_id"])
    assert of_deed["action"] == action and of_deed["after"]["done"] == 1

    undone = undo(shared_database, deed["deed_id"], OTTO, "", clock)
    assert settled(incident(shared_database, key)) == settled(before)
    assert undone["action"] == "undo" and undone["who"] == "otto"
    assert audit_of(shared_database, "incident", key)[-1]["action"] == f"undo {action}"
    assert not shared_database.fetch(
        "SELECT 1 FROM silences WHERE incident_id = %(id)s AND end_time IS NULL", {"id": key}
    )
    with pytest.raises(NotUndoable, match="was undone by otto"):
        undo(shared_database, deed["deed_id"], OTTO, "", clock)


def test_a_resolved_incident_that_was_silenced_is_silent_again_after_the_undo(
    shared_database: Database, clock: HeldClock
) -> None:
    key = make_incident(shared_database)
    do(shared_database, "silence", OLGA, clock, {"until_kind": "second_queue"}, incidents=[key])
    silences = "SELECT * FROM silences WHERE incident_id = %(id)s ORDER BY silence_id"
    rows, before = shared_database.fetch(silences, {"id": key}), incident(shared_database, key)
    deed = do(shared_database, "resolve", OTTO, clock, incidents=[key])
    assert shared_database.fetch(silences, {"id": key})[0]["end_time"] is not None
    undo(shared_database, deed["deed_id"], OTTO, "", clock)
    assert shared_database.fetch(silences, {"id": key}) == rows
    assert settled(incident(shared_database, key)) == settled(before)


def test_a_silence_in_the_place_of_another_gives_that_one_back(shared_database: Database, clock: HeldClock) -> None:
    key = make_incident(shared_database)
    do(shared_database, "silence", OTTO, clock, {"until_kind": "second_queue"}, incidents=[key])
    live = "SELECT * FROM silences WHERE incident_id = %(id)s AND end_time IS NULL"
    first, before = shared_database.fetch(live, {"id": key}), incident(shared_database, key)
    clock.advance(60)
    deed = do(shared_database, "silence", OLGA, clock, {"until": "3h"}, incidents=[key])
    assert incident(shared_database, key)["held_by"] == "olga" and shared_database.fetch(live, {"id": key}) != first
    undo(shared_database, deed["deed_id"], OLGA, "", clock)
    assert shared_database.fetch(live, {"id": key}) == first
    assert settled(incident(shared_database, key)) == settled(before)


def test_what_somebody_changed_later_is_not_undone_and_is_named(shared_database: Database, clock: HeldClock) -> None:
    key = make_incident(shared_database)
    deed = do(shared_database, "acknowledge", OLGA, clock, incidents=[key])
    do(shared_database, "resolve", OTTO, clock, incidents=[key])
    later = incident(shared_database, key)
    with pytest.raises(Superseded, match="resolve by otto"):
        undo(shared_database, deed["deed_id"], OLGA, "", clock)
    assert incident(shared_database, key) == later


def test_a_comment_or_a_worse_severity_does_not_keep_an_acknowledgement_from_being_undone(
    shared_database: Database, clock: HeldClock
) -> None:
    key = make_incident(shared_database)
    deed = do(shared_database, "acknowledge", OLGA, clock, incidents=[key])
    with shared_database.transaction() as transaction:
        life.touch(transaction, key, Act("ann", "comment", "seen"), clock())
        life.touch(transaction, key, Act("rule", "worse", is_automatic=True), clock(), "worse", severity="critical")
    undo(shared_database, deed["deed_id"], OLGA, "", clock)
    row = incident(shared_database, key)
    assert (row["state"], row["severity"], row["owner"]) == ("open", "critical", "")


def test_the_same_thing_done_again_by_the_same_person_counts_as_later(
    shared_database: Database, clock: HeldClock
) -> None:
    key = make_incident(shared_database)
    deed = do(shared_database, "assign", OLGA, clock, {"who": "ann"}, incidents=[key])
    do(shared_database, "assign", OTTO, clock, {"who": "bob"}, incidents=[key])
    do(shared_database, "assign", OTTO, clock, {"who": "ann"}, incidents=[key])
    with pytest.raises(Superseded, match="assign by otto"):
        undo(shared_database, deed["deed_id"], OLGA, "", clock)


def test_a_preview_says_whose_they_are_and_what_is_left_alone(shared_database: Database, clock: HeldClock) -> None:
    mine = make_incident(shared_database, state="acknowledged", owner="olga")
    anns = make_incident(shared_database, state="acknowledged", owner="ann")
    over = make_incident(shared_database, state="resolved")
    free = make_incident(shared_database, last_seen=clock())
    made = look(shared_database, "acknowledge", OLGA, clock, incidents=[mine, anns, over, free])
    counts = counts_of(made)
    assert counts["incidents"] == 2 and counts["of_others"] == 1 and made.refused_count == 2
    assert any("ann" in one.sentence for one in made.consequences)
    assert {target.key: target.refusal for target in made.targets if target.refusal} == {
        str(mine): "is yours already",
        str(over): "is resolved",
    }
    deed = do(shared_database, "acknowledge", OLGA, clock, incidents=[mine, anns, over, free])
    assert deed["state"] == "partly" and deed["result"]["done"] == 2 and deed["result"]["refused"] == 2


def test_those_that_a_filter_finds_are_the_set(shared_database: Database, clock: HeldClock) -> None:
    keys = [make_incident(shared_database, component="filtered") for _ in range(3)]
    make_incident(shared_database, component="filtered", state="resolved")
    made = look(shared_database, "assign", OLGA, clock, {"who": "ann"}, filter=[("component", "filtered")])
    assert [int(target.key) for target in made.targets] == keys
    with pytest.raises(InvalidInput, match="nothing is chosen by this"):
        look(shared_database, "resolve", OLGA, clock, filter=[("componnent", "filtered")])
    with pytest.raises(InvalidInput):
        look(shared_database, "resolve", OLGA, clock, filter=[("hours", "3")])


def test_resolving_what_still_fails_is_said(shared_database: Database, clock: HeldClock) -> None:
    key = make_incident(shared_database, last_seen=clock())
    values = {"id": key, "bin": clock() - timedelta(minutes=2)}
    shared_database.execute("INSERT INTO incident_bins VALUES (%(id)s, %(bin)s, 12)", values)
    assert counts_of(look(shared_database, "resolve", OLGA, clock, incidents=[key]))["still_failing"] == 1


def test_an_incident_with_a_newer_twin_is_not_reopened(shared_database: Database, clock: HeldClock) -> None:
    old = make_incident(shared_database, fingerprint="v2:twin", state="resolved")
    make_incident(shared_database, fingerprint="v2:twin")
    with pytest.raises(InvalidInput, match="newer one"):
        look(shared_database, "reopen", OLGA, clock, incidents=[old])


def test_an_incident_that_was_merged_is_not_reopened(shared_database: Database, clock: HeldClock) -> None:
    old = make_incident(shared_database, state="resolved", merged_into=7)
    with pytest.raises(InvalidInput, match="is part of incident 7"):
        look(shared_database, "reopen", OLGA, clock, incidents=[old])


def test_a_resolution_says_how_it_ended(shared_database: Database, clock: HeldClock) -> None:
    key = make_incident(shared_database)
    do(shared_database, "resolve", OLGA, clock, {"ending": "duplicate"}, incidents=[key], reason="of 12")
    row = incident(shared_database, key)
    assert (row["resolution"], row["resolved_by"]) == ("a duplicate: of 12", "olga")


def test_an_undo_of_a_resolution_is_refused_when_the_trouble_has_a_new_incident(
    shared_database: Database, clock: HeldClock
) -> None:
    old = make_incident(shared_database, fingerprint="v2:came back")
    deed = do(shared_database, "resolve", OLGA, clock, incidents=[old])
    make_incident(shared_database, fingerprint="v2:came back")
    with pytest.raises(Exception, match="newer one"):
        undo(shared_database, deed["deed_id"], OLGA, "", clock)
    assert incident(shared_database, old)["state"] == "resolved"


def test_many_incidents_at_once_are_one_deed_and_one_undo(shared_database: Database, clock: HeldClock) -> None:
    keys = [make_incident(shared_database) for _ in range(250)]
    before = [settled(incident(shared_database, key)) for key in keys]
    begun = do(shared_database, "acknowledge", OLGA, clock, incidents=keys)
    DeedWorker(shared_database, clock).cycle()  # on a busy machine the request leaves some of them
    deed = deed_row(shared_database, begun["deed_id"])
    assert deed["state"] == "done" and deed["result"]["done"] == 250
    undo(shared_database, deed["deed_id"], OLGA, "", clock)
    assert [settled(incident(shared_database, key)) for key in keys] == before


def test_too_many_incidents_are_refused_with_the_limit_that_holds_for_them(
    shared_database: Database, clock: HeldClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("logger.deeds.incidents.MOST_INCIDENTS", 2)
    keys = [make_incident(shared_database, component="crowd") for _ in range(3)]
    assert look(shared_database, "acknowledge", OLGA, clock, incidents=keys[:2])
    with pytest.raises(InvalidInput, match="more than 2 incidents"):
        look(shared_database, "acknowledge", OLGA, clock, filter=[("component", "crowd")])


def test_who_is_no_operator_may_not(shared_database: Database, clock: HeldClock) -> None:
    key = make_incident(shared_database)
    with pytest.raises(NotAllowed, match="role admin or operator"):
        look(shared_database, "resolve", ALICE, clock, incidents=[key])
    deed = do(shared_database, "resolve", OLGA, clock, incidents=[key])
    with pytest.raises(NotAllowed):
        undo(shared_database, deed["deed_id"], ALICE, "", clock)


def test_what_makes_no_sense_is_refused_by_name(shared_database: Database, clock: HeldClock) -> None:
    key = make_incident(shared_database)
    with pytest.raises(InvalidInput, match=r"parameters\.until_kind"):
        look(shared_database, "silence", OLGA, clock, {"until_kind": "never"}, incidents=[key])
    with pytest.raises(InvalidInput, match="has passed"):
        look(shared_database, "silence", OLGA, clock, {"until": "2020-01-01T00:00"}, incidents=[key])
    with pytest.raises(InvalidInput, match=r"parameters\.comment"):
        look(shared_database, "resolve", OLGA, clock, {"comment": "x"}, incidents=[key])
    with pytest.raises(InvalidInput, match="of which incidents"):
        look(shared_database, "resolve", OLGA, clock)
    with pytest.raises(InvalidInput, match="there is no action"):
        look(shared_database, "explode", OLGA, clock, incidents=[key])
    with pytest.raises(UnknownObject):
        look(shared_database, "resolve", OLGA, clock, incidents=[10**12])
