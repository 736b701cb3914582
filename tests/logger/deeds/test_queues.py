"""Draining queues and giving them back: what waits there and could go, a person's word, and all columns as they were."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from core.database import Database
from core.errors import InvalidInput, UnknownObject
from core.queue_status import status_history
from core.queues import set_queue
from logger.deeds import confirm, undo
from logger.deeds.base import PreviewOutdated, Superseded
from logger.deeds.reverting import revert_due
from tests.logger.deeds.builders import OLGA, OTTO, HeldClock, audit_of, counts_of, do, look, make_incident, queue
from tests.support.builders import activate, live, make_queue, start


@pytest.fixture
def clock() -> HeldClock:
    return HeldClock()


def still(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "modification_time"}


CASES = [
    ("drain", {"until": "never"}, {}, "brokeroff"),
    ("drain", {"until": "18:00"}, {}, "brokeroff"),
    ("drain", {"until": "tests:20"}, {}, "test"),
    ("undrain", {}, {"status": "brokeroff"}, "online"),
    ("online", {}, {"status": "offline", "comment": "power cut"}, "online"),
    ("test", {}, {"comment": "new kernel"}, "test"),
    ("offline", {"until": "18:00"}, {}, "offline"),
]


@pytest.mark.parametrize(("action", "parameters", "attributes", "status"), CASES)
def test_a_status_is_set_by_a_persons_word_and_comes_back_with_its_holder(
    database: Database,
    clock: HeldClock,
    action: str,
    parameters: dict[str, Any],
    attributes: dict[str, Any],
    status: str,
) -> None:
    make_queue(database, "Q", **attributes)
    before = queue(database, "Q")
    assert before["status_set_by"] == ""
    made = look(database, action, OLGA, clock, parameters, queues=["Q"], reason="fans are broken")
    assert queue(database, "Q") == before
    deed = confirm(database, made.token, OLGA, clock)
    assert deed["state"] == "done"
    after = queue(database, "Q")
    assert (after["status"], after["status_set_by"]) == (status, "person")
    newest = status_history(database, "Q")[0]
    assert (newest["who"], newest["reason"], newest["is_automatic"]) == ("olga", "fans are broken", False)
    (row,) = audit_of(database, "queue", "Q")
    assert row["before"] == {"status": before["status"], "status_set_by": ""}
    assert row["after"] == {"status": status, "status_set_by": "person"} and row["deed_id"] == deed["deed_id"]
    undo(database, deed["deed_id"], OTTO, "repaired", clock)
    assert still(queue(database, "Q")) == still(before)
    assert status_history(database, "Q")[0]["reason"] == "repaired"
    assert [row["action"] for row in audit_of(database, "queue", "Q")] == [action, f"undo {action}"]


def test_a_drain_has_to_say_when_it_ends(database: Database, clock: HeldClock) -> None:
    make_queue(database, "Q")
    with pytest.raises(InvalidInput, match=r"parameters\.until.*say until when"):
        look(database, "drain", OLGA, clock, queues=["Q"])
    for wrong in ("", "soon", "25:00", "tests:0", "tests:5000", "2020-01-01"):
        with pytest.raises(InvalidInput, match="until"):
            look(database, "drain", OLGA, clock, {"until": wrong}, queues=["Q"])
    with pytest.raises(InvalidInput, match="gets no test jobs"):
        look(database, "offline", OLGA, clock, {"until": "tests:3"}, queues=["Q"])


def test_the_time_of_day_is_the_next_one_and_is_shown_as_a_moment(database: Database, clock: HeldClock) -> None:
    make_queue(database, "Q")
    clock.now = clock.now.replace(hour=17, minute=30)
    made = look(database, "drain", OLGA, clock, {"until": "18:00"}, queues=["Q"])
    assert made.parameters["until"] == clock.now.replace(hour=18, minute=0, second=0, microsecond=0).isoformat()
    assert "until 18:00 UTC" in made.consequences[0].sentence or "18:00 UTC" in made.consequences[0].sentence
    clock.advance(3600)
    later = look(database, "drain", OLGA, clock, {"until": "18:00"}, queues=["Q"])
    assert later.parameters["until"] > made.parameters["until"]


def test_what_waits_at_a_queue_is_movable_or_stranded_with_what_keeps_it(database: Database, clock: HeldClock) -> None:
    make_queue(database, "Q", max_ram_mb=0)
    start(database, 2, queue="Q")
    free = activate(database, 3, queue="Q", min_ram_mb=1000)
    big = activate(database, 2, queue="Q", min_ram_mb=64_000)
    pinned = activate(database, 1, queue="Q")
    database.execute("UPDATE jobs_live SET site_is_pinned = panda_id = ANY(%(ids)s)", {"ids": pinned})
    make_queue(database, "OTHER", max_ram_mb=4000)
    made = look(database, "drain", OLGA, clock, {"until": "never"}, queues=["Q"])
    counts = counts_of(made)
    assert (counts["running"], counts["activated"]) == (2, 6)
    assert (counts["movable"], counts["stranded"]) == (len(free), len(big) + len(pinned))
    stranded = next(one.sentence for one in made.consequences if one.what == "stranded")
    assert "memory" in stranded and "pinned there (1)" in stranded
    assert "OTHER" in next(one.sentence for one in made.consequences if one.what == "movable")
    # nothing was changed by asking
    assert all((live(database, job) or {})["computing_site"] == "Q" for job in free + big)


def test_a_drain_until_test_jobs_says_whether_there_are_any(database: Database, clock: HeldClock) -> None:
    make_queue(database, "Q")
    until = {"until": "tests:20"}
    none = look(database, "drain", OLGA, clock, until, queues=["Q"])
    assert "stays so until somebody sends some" in next(
        one.sentence for one in none.consequences if one.what == "no_tests"
    )
    activate(database, 3, queue="Q", prod_source_label="test")
    some = look(database, "drain", OLGA, clock, until, queues=["Q"])
    said = {one.what: one.sentence for one in some.consequences}
    assert said["tests"] == "3 test jobs there, 0 ended in the last day, 0 of them finished" and "no_tests" not in said
    assert "tests" not in counts_of(look(database, "drain", OLGA, clock, {"until": "never"}, queues=["Q"]))


def test_pilots_that_asked_a_moment_ago_are_told_before_their_hour_is_counted(
    database: Database, clock: HeldClock
) -> None:
    make_queue(database, "Q")
    clock.now = clock.now.replace(hour=17, minute=30)

    def said() -> str:
        made = look(database, "drain", OLGA, clock, {"until": "never"}, queues=["Q"])
        return next(one.sentence for one in made.consequences if one.what == "pilots")

    assert said() == "no pilot has asked there since 16:00 UTC"
    asked = {"time": clock.now - timedelta(seconds=12), "hour": clock.now.replace(minute=0, second=0, microsecond=0)}
    database.execute("INSERT INTO queue_contacts (queue_name, last_request_time) VALUES ('Q', %(time)s)", asked)
    assert said() == "a pilot asked there 12 s ago"
    database.execute(
        "INSERT INTO queue_contact_hours (queue_name, hour, request_count) VALUES ('Q', %(hour)s, 7)", asked
    )
    assert said() == "7 requests of pilots since 16:00 UTC, the last 12 s ago"


def test_queues_that_are_drained_together_are_no_place_for_each_others_jobs(
    database: Database, clock: HeldClock
) -> None:
    for name in ("A", "B"):
        make_queue(database, name)
    activate(database, 2, queue="A")
    database.execute("UPDATE jobs_live SET site_is_pinned = false")
    alone = look(database, "drain", OLGA, clock, {"until": "never"}, queues=["A"])
    assert counts_of(alone)["movable"] == 2
    both = look(database, "drain", OLGA, clock, {"until": "never"}, queues=["A", "B"])
    assert counts_of(both)["movable"] == 0 and counts_of(both)["stranded"] == 2


def test_a_queue_that_somebody_changed_meanwhile_is_another_set(database: Database, clock: HeldClock) -> None:
    make_queue(database, "Q")
    token = look(database, "drain", OLGA, clock, {"until": "never"}, queues=["Q"]).token
    set_queue(database, "Q", {"status": "offline"}, who="otto", reason="no power")
    with pytest.raises(PreviewOutdated, match="Q is offline, set by a person"):
        confirm(database, token, OLGA, clock)
    assert queue(database, "Q")["status"] == "offline"


def test_what_somebody_set_later_stays_and_is_named(database: Database, clock: HeldClock) -> None:
    make_queue(database, "Q")
    deed = do(database, "offline", OLGA, clock, queues=["Q"])
    set_queue(database, "Q", {"status": "online"}, who="otto")
    set_queue(database, "Q", {"status": "offline"}, who="otto")  # as the deed left it, but by his word
    with pytest.raises(Superseded, match="offline by otto"):
        undo(database, deed["deed_id"], OLGA, "", clock)
    assert queue(database, "Q")["status"] == "offline"


def test_the_queue_of_an_incident_is_the_one_that_is_to_blame(database: Database, clock: HeldClock) -> None:
    for name in ("Q", "R"):
        make_queue(database, name)
    key = make_incident(database, computing_site="Q", verdict="site", verdict_value="R")
    deed = do(database, "drain", OLGA, clock, {"until": "never"}, incidents=[key])
    assert deed["incident_id"] == key
    assert (queue(database, "Q")["status"], queue(database, "R")["status"]) == ("online", "brokeroff")


def test_what_is_so_already_by_a_persons_word_is_left_alone(database: Database, clock: HeldClock) -> None:
    make_queue(database, "Q")
    do(database, "offline", OLGA, clock, queues=["Q"])
    with pytest.raises(InvalidInput, match="is offline already"):
        look(database, "offline", OTTO, clock, queues=["Q"])
    with pytest.raises(UnknownObject, match="no queue 'NOWHERE'"):
        look(database, "offline", OTTO, clock, queues=["NOWHERE"])


def test_the_automaton_leaves_a_drained_queue_alone(database: Database, clock: HeldClock) -> None:
    make_queue(database, "Q", status="test")
    database.execute("UPDATE queues SET status_set_by = 'automaton'")
    deed = do(database, "test", OLGA, clock, queues=["Q"])
    assert queue(database, "Q")["status_set_by"] == "person"
    undo(database, deed["deed_id"], OLGA, "", clock)
    assert (queue(database, "Q")["status"], queue(database, "Q")["status_set_by"]) == ("test", "automaton")


def test_an_undone_change_lets_the_one_before_it_end_as_it_was_to(database: Database, clock: HeldClock) -> None:
    make_queue(database, "Q")
    began = queue(database, "Q")
    first = do(database, "drain", OLGA, clock, {"until": "1h"}, queues=["Q"])
    second = do(database, "test", OTTO, clock, {"until": "3h"}, queues=["Q"])
    revert_due(database, clock)
    state = "SELECT revert_state FROM deeds WHERE deed_id = %(deed_id)s"
    assert database.fetch(state, first)[0]["revert_state"] == "superseded"
    undo(database, second["deed_id"], OTTO, "", clock)
    assert (
        queue(database, "Q")["status"] == "brokeroff" and database.fetch(state, first)[0]["revert_state"] == "waiting"
    )
    again = audit_of(database, "deed", first["deed_id"])[-1]
    assert (again["who"], again["action"], again["after"]) == (
        "otto",
        "revert is due again",
        {"revert_state": "waiting"},
    )
    clock.advance(3700)
    assert revert_due(database, clock) == 1
    assert still(queue(database, "Q")) == still(began)


def test_of_changes_one_over_the_other_each_can_be_undone_in_turn(database: Database, clock: HeldClock) -> None:
    make_queue(database, "Q")
    began = queue(database, "Q")
    deeds = [
        do(database, action, OLGA, clock, parameters, queues=["Q"])
        for action, parameters in (("drain", {"until": "never"}), ("test", {"until": "2h"}), ("offline", {}))
    ]
    with pytest.raises(Superseded):
        undo(database, deeds[0]["deed_id"], OLGA, "", clock)
    for deed in reversed(deeds):
        undo(database, deed["deed_id"], OLGA, "", clock)
    assert still(queue(database, "Q")) == still(began)
    assert not database.fetch("SELECT 1 FROM deeds WHERE revert_state = 'waiting'")
