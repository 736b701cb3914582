"""Deeds that take themselves back: by the clock, by finished test jobs, and not over what a person changed since."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest

from core.database import Database, Row
from core.errors import Conflict, InvalidInput
from core.monitor.question import read_question
from core.queue_status import judge_queues, status_history
from core.queues import set_queue
from core.workload_settings import QueueTestSettings
from logger.deeds import cancel_revert, deed_row, undo
from logger.deeds.base import NotUndoable
from logger.deeds.loops import DeedReverter
from logger.reading.deeds import DEED_GRAMMAR, deed_detail, deed_list
from tests.logger.deeds.builders import OLGA, OTTO, HeldClock, audit_of, do, look, queue
from tests.support.builders import add_up, broker, make_queue, report_finished, start, status_of, submit

_ids = itertools.count(50_000_000)

_TEST_JOB = """
INSERT INTO jobs_archive (panda_id, job_status, computing_site, prod_source_label, state_change_time, end_time)
VALUES (%(id)s, %(status)s, %(site)s, 'test', %(time)s, %(time)s)
"""


@pytest.fixture
def clock() -> HeldClock:
    return HeldClock()


def still(row: Row) -> Row:
    return {name: value for name, value in row.items() if name != "modification_time"}


def end_tests(database: Database, clock: HeldClock, site: str, *statuses: str) -> None:
    """Test jobs that end one second after each other."""
    for status in statuses:
        clock.advance(1)
        database.execute(_TEST_JOB, {"id": next(_ids), "status": status, "site": site, "time": clock()})


def test_a_drain_until_a_time_ends_then_and_not_before(database: Database, clock: HeldClock) -> None:
    make_queue(database, "Q")
    before = queue(database, "Q")
    end = clock() + timedelta(hours=2)
    deed = do(database, "drain", OLGA, clock, {"until": end.isoformat()}, queues=["Q"])
    assert (deed["revert_kind"], deed["revert_time"], deed["revert_state"]) == ("time", end, "waiting")
    reverter = DeedReverter(database, clock)
    clock.advance(7199)
    reverter.cycle()
    assert queue(database, "Q")["status"] == "brokeroff"
    clock.advance(1)
    reverter.cycle()
    assert still(queue(database, "Q")) == still(before)
    row = deed_row(database, deed["deed_id"])
    assert (row["revert_state"], row["undone_by"]) == ("done", f"revert of deed {deed['deed_id']}")
    newest = status_history(database, "Q")[0]
    assert newest["is_automatic"] and newest["who"] == f"revert of deed {deed['deed_id']}"
    assert audit_of(database, "queue", "Q")[-1]["is_automatic"]
    assert deed_row(database, row["undo_deed_id"])["state"] == "done"
    reverter.cycle()
    assert len(status_history(database, "Q")) == 2
    with pytest.raises(NotUndoable, match="was undone by revert of deed"):
        undo(database, deed["deed_id"], OLGA, "", clock)


def test_a_drain_until_tests_finish_gets_test_jobs_and_ends_with_the_last_good_one(
    database: Database, clock: HeldClock
) -> None:
    for name in ("Q", "R"):
        make_queue(database, name)
    end_tests(database, clock, "Q", "finished", "finished")  # before the deed: they say nothing
    clock.advance(1)
    deed = do(database, "drain", OLGA, clock, {"until": "tests:3"}, queues=["Q"])
    assert queue(database, "Q")["status"] == "test"
    reverter = DeedReverter(database, clock)
    end_tests(database, clock, "Q", "finished", "failed", "finished")
    end_tests(database, clock, "R", *["finished"] * 5)
    reverter.cycle()
    assert queue(database, "Q")["status"] == "test"
    end_tests(database, clock, "Q", "finished", "failed")  # three have finished, but the last one failed
    reverter.cycle()
    assert queue(database, "Q")["status"] == "test"
    end_tests(database, clock, "Q", "finished")
    reverter.cycle()
    row = queue(database, "Q")
    assert (row["status"], row["status_set_by"]) == ("online", "")
    assert "3 test jobs have finished" in status_history(database, "Q")[0]["reason"]
    assert deed_row(database, deed["deed_id"])["revert_state"] == "done"


def test_what_a_person_sets_meanwhile_wins_over_the_revert(database: Database, clock: HeldClock) -> None:
    make_queue(database, "Q")
    end = (clock() + timedelta(hours=1)).isoformat()
    deed = do(database, "drain", OLGA, clock, {"until": end}, queues=["Q"])
    set_queue(database, "Q", {"status": "offline"}, who="otto", reason="it burns")
    DeedReverter(database, clock).cycle()
    row = deed_row(database, deed["deed_id"])
    assert (row["revert_state"], row["undone_time"]) == ("superseded", None)
    (noted,) = [entry for entry in audit_of(database, "deed", deed["deed_id"]) if entry["is_automatic"]]
    assert noted["after"] == {"revert_state": "superseded"} and "Q" in noted["reason"]
    clock.advance(7200)
    DeedReverter(database, clock).cycle()
    assert queue(database, "Q")["status"] == "offline"


def test_of_several_queues_those_that_are_as_they_were_left_come_back(database: Database, clock: HeldClock) -> None:
    for name in ("A", "B", "C"):
        make_queue(database, name)
    end = (clock() + timedelta(hours=1)).isoformat()
    do(database, "offline", OLGA, clock, {"until": end}, queues=["A", "B", "C"])
    set_queue(database, "B", {"status": "test"}, who="otto")
    clock.advance(3600)
    DeedReverter(database, clock).cycle()
    assert [queue(database, name)["status"] for name in "ABC"] == ["online", "test", "online"]
    assert "B" in status_history(database, "A")[0]["reason"]
    with pytest.raises(InvalidInput, match="each has its own test jobs"):
        look(database, "drain", OLGA, clock, {"until": "tests:2"}, queues=["A", "C"])


def test_one_revert_that_fails_keeps_no_other_from_its_time(database: Database, clock: HeldClock) -> None:
    for name in ("FIRST", "SECOND"):
        make_queue(database, name)
        do(database, "drain", OLGA, clock, {"until": "1h"}, queues=[name])
    database.execute(
        "CREATE FUNCTION stuck() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'stuck'; END $$;"
        "CREATE TRIGGER stuck BEFORE UPDATE ON queues FOR EACH ROW WHEN (OLD.queue_name = 'FIRST') EXECUTE FUNCTION stuck()"
    )
    clock.advance(3601)
    DeedReverter(database, clock).cycle()
    assert [queue(database, name)["status"] for name in ("FIRST", "SECOND")] == ["brokeroff", "online"]
    database.execute("DROP TRIGGER stuck ON queues")
    DeedReverter(database, clock).cycle()
    assert queue(database, "FIRST")["status"] == "online"


def test_a_later_deed_on_the_queue_ends_the_revert_of_the_first(database: Database, clock: HeldClock) -> None:
    make_queue(database, "Q")
    first = do(database, "drain", OLGA, clock, {"until": (clock() + timedelta(hours=1)).isoformat()}, queues=["Q"])
    second = do(database, "test", OTTO, clock, {"until": (clock() + timedelta(hours=3)).isoformat()}, queues=["Q"])
    clock.advance(3601)
    DeedReverter(database, clock).cycle()
    assert deed_row(database, first["deed_id"])["revert_state"] == "superseded"
    assert queue(database, "Q")["status"] == "test"
    clock.advance(7200)
    DeedReverter(database, clock).cycle()
    # back to what otto found
    assert (queue(database, "Q")["status"], queue(database, "Q")["status_set_by"]) == ("brokeroff", "person")
    assert deed_row(database, second["deed_id"])["revert_state"] == "done"


def test_a_revert_can_be_called_off_and_an_undo_calls_it_off(database: Database, clock: HeldClock) -> None:
    for name in ("Q", "R"):
        make_queue(database, name)
    end = (clock() + timedelta(hours=1)).isoformat()
    kept = do(database, "drain", OLGA, clock, {"until": end}, queues=["Q"])
    undone = do(database, "drain", OLGA, clock, {"until": end}, queues=["R"])
    assert cancel_revert(database, kept["deed_id"], OTTO, "longer", clock)["revert_state"] == "cancelled"
    undo(database, undone["deed_id"], OTTO, "", clock)
    assert deed_row(database, undone["deed_id"])["revert_state"] == "cancelled"
    clock.advance(7200)
    DeedReverter(database, clock).cycle()
    assert (queue(database, "Q")["status"], queue(database, "R")["status"]) == ("brokeroff", "online")
    assert len(status_history(database, "R")) == 2
    with pytest.raises(Conflict, match="not waiting to be reverted"):
        cancel_revert(database, kept["deed_id"], OTTO, "", clock)
    # what stays can still be taken back by hand
    undo(database, kept["deed_id"], OLGA, "", clock)
    assert queue(database, "Q")["status"] == "online"


def test_real_test_jobs_reach_a_queue_that_is_drained_until_they_finish_and_end_that(
    database: Database, clock: HeldClock
) -> None:
    make_queue(database, "Q")
    do(database, "drain", OLGA, clock, {"until": "tests:2"}, queues=["Q"])
    work = submit(database, 1, queue="", user="alice")
    broker(database)
    assert status_of(database, work[0]) == "defined"  # no other work comes
    for done in range(2):
        # the automaton of test jobs has nothing to say here, however they end
        assert judge_queues(database, QueueTestSettings(successes=1)) == []
        assert queue(database, "Q")["status"] == "test", done
        for panda_id in start(database, 1, queue="Q", prod_source_label="test"):
            report_finished(database, panda_id)
        add_up(database)
        DeedReverter(database, clock).cycle()
    assert (queue(database, "Q")["status"], queue(database, "Q")["status_set_by"]) == ("online", "")


def progress(database: Database, clock: HeldClock, deed_id: int) -> Row | None:
    (listed,) = deed_list(database, read_question([("deed_id", str(deed_id))], DEED_GRAMMAR, clock()))["deeds"]
    assert deed_detail(database, deed_id, clock())["deed"]["revert_progress"] == listed["revert_progress"]
    shown: Row | None = listed["revert_progress"]
    return shown


def test_how_many_test_jobs_have_succeeded_is_said_where_deeds_are_listed(database: Database, clock: HeldClock) -> None:
    make_queue(database, "Q")
    end_tests(database, clock, "Q", "finished")  # before the deed
    clock.advance(1)
    deed_id = do(database, "drain", OLGA, clock, {"until": "tests:3"}, queues=["Q"])["deed_id"]
    untold = {"finished": 0, "wanted": 3, "queue": "Q", "last_failed": False}
    assert progress(database, clock, deed_id) == {**untold, "sentence": "0 of 3 test jobs succeeded"}
    end_tests(database, clock, "Q", "finished", "failed", "finished")
    assert progress(database, clock, deed_id) == {
        **{**untold, "finished": 2},
        "sentence": "2 of 3 test jobs succeeded",
    }
    end_tests(database, clock, "Q", "finished", "failed")
    shown = progress(database, clock, deed_id)
    assert shown is not None and shown["last_failed"] and shown["finished"] == 3
    assert shown["sentence"] == "3 of 3 test jobs succeeded; the last one failed, and one has to succeed after it"
    end_tests(database, clock, "Q", "finished")
    DeedReverter(database, clock).cycle()
    assert progress(database, clock, deed_id) is None


def test_what_waits_for_a_time_or_for_nothing_has_no_progress(database: Database, clock: HeldClock) -> None:
    for name, until in (("A", "2h"), ("B", "never")):
        make_queue(database, name)
        deed_id = do(database, "drain", OLGA, clock, {"until": until}, queues=[name])["deed_id"]
        assert progress(database, clock, deed_id) is None
