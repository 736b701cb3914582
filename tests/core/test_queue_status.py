"""Queues leave and come back by their test jobs; what a person set stays, and every change can be read."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.agents.queue_tester import QueueTester
from core.database import Database
from core.queue_status import AUTOMATON, PERSON, judge, status_history
from core.queues import set_queue
from core.states import JobStatus
from core.taskbuffer.endings import Ending, end_jobs
from core.workload_settings import QueueTestSettings
from tests.support.builders import make_queue

SETTINGS = QueueTestSettings(failures=3, successes=2)


@pytest.fixture
def site(database: Database) -> Database:
    make_queue(database, "Q")
    make_queue(database, "R")
    return database


_MAKE = """
INSERT INTO jobs_live (panda_id, job_status, computing_site, prod_source_label)
VALUES (nextval('panda_id_seq'), %(status)s, %(queue)s, %(label)s) RETURNING panda_id
"""


def ended(database: Database, *outcomes: str, queue: str = "Q", label: str = "prod_test") -> None:
    """Jobs that end so, one after the other."""
    for outcome in outcomes:
        status = {"finished": "holding", "failed": "running", "cancelled": "running", "closed": "activated"}[outcome]
        with database.transaction() as transaction:
            row = transaction.fetch_one(_MAKE, {"queue": queue, "label": label, "status": status})
            end_jobs(transaction, [Ending(row["panda_id"], JobStatus(outcome), "test")])


def look(database: Database, settings: QueueTestSettings = SETTINGS) -> dict[str, tuple[str, str]]:
    QueueTester(database, settings, 1).cycle()
    rows = database.fetch("SELECT queue_name, status, status_set_by FROM queues ORDER BY 1")
    return {row["queue_name"]: (row["status"], row["status_set_by"]) for row in rows}


def test_failing_test_jobs_put_a_queue_into_test_and_good_ones_bring_it_back(site, caplog):
    ended(site, "finished", "failed", "failed")
    assert look(site)["Q"] == ("online", "")
    ended(site, "failed")
    with caplog.at_level(logging.WARNING, logger="panda.queue_tester"):
        assert look(site) == {"Q": ("test", AUTOMATON), "R": ("online", "")}
    assert "queue Q: online -> test: its last 3 test jobs failed" in caplog.text
    assert look(site)["Q"] == ("test", AUTOMATON)
    ended(site, "finished", "failed", "finished")
    assert look(site)["Q"] == ("test", AUTOMATON)
    ended(site, "finished")
    assert look(site)["Q"] == ("online", "")
    assert [
        (row["previous_status"], row["status"], row["who"], row["reason"]) for row in status_history(site, "Q")
    ] == [
        ("test", "online", "queue_tester", "its last 2 test jobs finished"),
        ("online", "test", "queue_tester", "its last 3 test jobs failed"),
    ]
    assert all(row["is_automatic"] for row in status_history(site, "Q"))


def test_what_ended_before_the_last_change_says_nothing_any_more(site):
    ended(site, "failed", "failed", "failed")
    look(site)
    ended(site, "finished", "finished")
    assert look(site)["Q"] == ("online", "")
    ended(site, "failed", "failed")
    assert look(site)["Q"] == ("online", "")
    ended(site, "failed")
    assert look(site)["Q"][0] == "test"


@pytest.mark.parametrize("label", ["test", "prod_test", "ptest", "rc_test", "rc_test2", "rc_alrb"])
def test_every_label_of_test_jobs_counts(site, label):
    ended(site, *["failed"] * 3, label=label)
    assert look(site)["Q"][0] == "test"


def test_other_jobs_killed_ones_and_old_ones_do_not_count(site):
    ended(site, *["failed"] * 5, label="user")
    ended(site, *["failed"] * 5, label="managed")
    ended(site, *["cancelled"] * 5)
    ended(site, *["closed"] * 5)
    ended(site, *["failed"] * 2)
    assert look(site)["Q"] == ("online", "")
    ended(site, "failed")
    assert look(site, QueueTestSettings(window_s=0.001))["Q"] == ("online", "")


@pytest.mark.parametrize("status", ["online", "offline", "test", "brokeroff", "paused"])
def test_a_persons_word_stays_whatever_the_test_jobs_say(site, status):
    set_queue(site, "Q", {"status": status}, who="olga", reason="downtime")
    for outcome in ("failed", "finished"):
        ended(site, *[outcome] * 5)
        assert look(site)["Q"] == (status, PERSON)
    [change] = status_history(site, "Q")
    assert (change["who"], change["reason"], change["is_automatic"]) == ("olga", "downtime", False)


def test_a_person_overrules_the_automaton(site):
    ended(site, *["failed"] * 3)
    look(site)
    set_queue(site, "Q", {"status": "online"}, who="olga", reason="the tests are broken")
    ended(site, *["failed"] * 3)
    assert look(site)["Q"] == ("online", PERSON)


def test_a_queue_that_is_given_back_is_judged_by_what_comes_then(site):
    set_queue(site, "Q", {"status": "online"}, who="olga")
    ended(site, *["failed"] * 3)
    row = set_queue(site, "Q", {}, who="olga", is_released=True)
    assert row["status_set_by"] == ""
    assert look(site)["Q"] == ("online", "")
    ended(site, *["failed"] * 3)
    assert look(site)["Q"] == ("test", AUTOMATON)


def test_a_queue_in_test_that_is_given_back_comes_back_by_its_test_jobs(site):
    set_queue(site, "Q", {"status": "test"}, who="olga", reason="new hardware")
    ended(site, "finished", "finished")
    assert look(site)["Q"] == ("test", PERSON)
    set_queue(site, "Q", {}, who="olga", is_released=True)
    assert look(site)["Q"] == ("test", AUTOMATON)
    ended(site, "finished", "finished")
    assert look(site)["Q"] == ("online", "")


def test_other_attributes_say_nothing_about_the_status(site):
    set_queue(site, "Q", {"max_ram_mb": 4000}, who="olga")
    assert status_history(site, "Q") == []
    assert look(site)["Q"] == ("online", "")


@given(
    st.sampled_from(["online", "offline", "test", "brokeroff", "paused"]),
    st.sampled_from(["", PERSON, AUTOMATON]),
    st.lists(st.booleans(), max_size=8),
)
def test_the_automaton_moves_only_between_online_and_its_own_test(status, set_by, results):
    verdict = judge("Q", status, set_by, results, SETTINGS)
    if verdict is None:
        return
    assert set_by != PERSON
    assert (status, verdict.status) in {("online", "test"), ("test", "online")}
    assert status == "online" or set_by == AUTOMATON
    assert results[:2] == ([True, True] if verdict.status == "online" else [False, False])
