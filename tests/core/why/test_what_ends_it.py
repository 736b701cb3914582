"""What is promised is kept: the time and the end that a reason names are those that the watchdog brings, and an agent that
does not work promises nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from core.agents.watchdog import Watchdog
from core.clock import utc_now
from core.configuration import Timeouts
from core.database import Database
from core.dispatch.acquire import SlotOffer
from core.dispatch.contacts import ContactBook
from core.queues import set_queue
from core.states import FINAL_JOB_STATUSES, JobStatus, TaskStatus
from core.taskengine.commands.locking import Issuer
from core.taskengine.commands.table import run_command
from core.taskengine.status import change_status
from tests.core.monitor.rows import insert
from tests.core.why.asking import about_job, about_task, first
from tests.support.builders import (
    activate,
    broker,
    jobs_of_task,
    make_queue,
    make_task,
    put_into,
    row_of,
    start,
    submit,
)


def rests(database: Database, agent: str) -> None:
    """The agent ran five minutes ago, and should have run again then."""
    past = utc_now() - timedelta(minutes=5)
    insert(database, "agent_runs", [{"name": agent, "last_run": past, "next_run": past}])


def shifted(database: Database, panda_id: int, by: timedelta) -> None:
    """All times of a job, as if it had come so much earlier."""
    times = ("creation_time", "state_change_time", "modification_time", "start_time")
    changes = ", ".join(f"{name} = {name} - %(by)s" for name in times)
    database.execute(f"UPDATE jobs_live SET {changes} WHERE panda_id = %(id)s", {"by": by, "id": panda_id})


SITUATIONS: dict[str, Callable[[Database], tuple[str, dict[str, Any]]]] = {
    "a user's defined job": lambda _: ("defined", {}),
    "a direct production job": lambda _: ("defined", {"prod_source_label": "managed"}),
    "assigned": lambda _: ("assigned", {"prod_source_label": "managed"}),
    "activated": lambda _: ("activated", {}),
    "urgent, at a queue in test": lambda database: (
        (set_queue(database, "Q", {"status": "test"}) and "") or "activated",
        {"prod_source_label": "managed", "current_priority": 900},
    ),
    "throttled": lambda _: ("throttled", {}),
    "pending": lambda _: ("pending", {"prod_source_label": "managed"}),
    "waiting": lambda _: ("waiting", {}),
    "sent": lambda _: ("sent", {}),
    "starting": lambda _: ("starting", {}),
    "running": lambda _: ("running", {}),
    "holding, a user's": lambda _: ("holding", {}),
    "holding, production": lambda _: ("holding", {"prod_source_label": "managed", "current_priority": 100}),
    "holding, left on the node": lambda _: (
        "holding",
        {"prod_source_label": "managed", "current_priority": 100, "pilot_error_code": 1137},
    ),
    "merging": lambda _: ("merging", {"prod_source_label": "managed", "current_priority": 100}),
    "transferring, a user's": lambda _: ("transferring", {}),
    "transferring, urgent": lambda _: ("transferring", {"prod_source_label": "managed", "current_priority": 900}),
    "transferring": lambda _: ("transferring", {"prod_source_label": "managed", "current_priority": 100}),
}


@pytest.mark.parametrize("situation", SITUATIONS)
def test_the_watchdog_ends_it_when_and_as_was_said(database, situation):
    make_queue(database)
    (panda_id,) = submit(database)
    status, columns = SITUATIONS[situation](database)
    put_into(database, panda_id, status, computing_site="Q", **columns)
    reason = about_job(database, panda_id)["reason"]
    left: timedelta = reason["next_time"] - utc_now()
    assert left > timedelta(minutes=20)
    watchdog = Watchdog(database, Timeouts(), 1)
    shifted(database, panda_id, left - timedelta(seconds=60))
    watchdog.cycle()
    assert row_of(database, panda_id)["job_status"] == status
    assert abs(about_job(database, panda_id)["reason"]["next_time"] - utc_now()) < timedelta(seconds=90)
    shifted(database, panda_id, timedelta(seconds=61))
    watchdog.cycle()
    ended = row_of(database, panda_id)["job_status"]
    assert ended in FINAL_JOB_STATUSES
    assert {"closed": "it is closed", "failed": "it fails", "cancelled": "it is cancelled"}[ended] in reason[
        "next_step"
    ]


@pytest.mark.parametrize(
    ("queue", "status"),
    [({"status": "paused"}, "activated"), ({"parameters": {"disableReassign": True}}, "assigned")],
)
def test_a_queue_that_keeps_its_jobs_is_not_said_to_lose_them(database, queue, status):
    make_queue(database)
    (panda_id,) = submit(database)
    set_queue(database, "Q", queue)
    put_into(database, panda_id, status, computing_site="Q")
    reason = about_job(database, panda_id)["reason"]
    in_a_week = row_of(database, panda_id)["creation_time"] + timedelta(days=7)
    assert reason["next_time"] == (None if "status" in queue else in_a_week)
    assert reason["next_step"]
    if "status" in queue:
        assert (reason["id"], "closed" in reason["next_step"]) == ("queue_closed", False)


def test_a_direct_job_is_not_said_to_be_made_anew(database):
    make_queue(database)
    (direct,) = activate(database)
    (of_task,) = jobs_of_task(database, make_task(database))
    put_into(database, of_task, "activated", computing_site="Q")
    assert "it is closed, and nothing takes its place" in about_job(database, direct)["reason"]["next_step"]
    assert "it is closed, and its input goes into another job" in about_job(database, of_task)["reason"]["next_step"]


def test_brokerage_that_rests_comes_before_what_it_found_last(database):
    make_queue(database, max_ram_mb=1000)
    (panda_id,) = submit(database, queue="", min_ram_mb=6000)
    broker(database)
    assert first(about_job(database, panda_id))[0] == "no_queue"
    rests(database, "setupper")
    answer = about_job(database, panda_id)
    assert [answer["reason"]["id"], *(reason["id"] for reason in answer["also"])] == ["setupper_rests", "no_queue"]
    for reason in (answer["reason"], *answer["also"]):
        assert "every few seconds" not in reason["next_step"]
        assert "nothing, until the agents run again" in reason["next_step"]


@pytest.mark.parametrize(
    ("agent", "status", "identity"),
    [
        ("feeder", TaskStatus.REGISTERED, "not_parsed"),
        ("feeder", TaskStatus.DEFINED, "being_listed"),
        ("scouts", TaskStatus.SCOUTING, "scouting"),
        ("generator", TaskStatus.READY, "being_made"),
        ("task_watchdog", TaskStatus.PENDING, "pending"),
        ("task_watchdog", TaskStatus.THROTTLED, "throttled"),
    ],
)
def test_a_task_whose_agent_rests_is_the_operators_to_mend(database, agent, status, identity):
    make_queue(database)
    task = make_task(database)
    database.execute("DELETE FROM jobs_live WHERE jedi_task_id = %(id)s", {"id": task})
    database.execute("UPDATE task_files SET status = 'ready' WHERE jedi_task_id = %(id)s", {"id": task})
    database.execute(
        "UPDATE tasks SET status = %(status)s, n_jobs = 0, generate_at = clock_timestamp() WHERE jedi_task_id = %(id)s",
        {"id": task, "status": str(status)},
    )
    working = about_task(database, task)["reason"]
    assert (working["id"], working["numbers"].get("agent")) == (identity, None)
    rests(database, agent)
    resting = about_task(database, task)["reason"]
    assert (resting["id"], resting["responsible"], resting["numbers"]["agent"]) == (identity, "operators", agent)
    assert (resting["next_step"], resting["next_time"]) == ("nothing, until the agents run again", None)


@pytest.mark.parametrize(
    ("agent", "status", "identity"),
    [("activator", "assigned", "input_arrived"), ("adder", "holding", "outputs"), ("releaser", "pending", "build_job")],
)
def test_a_job_whose_agent_rests_is_the_operators_to_mend(database, agent, status, identity):
    make_queue(database)
    (panda_id,) = jobs_of_task(database, make_task(database))
    put_into(database, panda_id, status, computing_site="Q")
    assert about_job(database, panda_id)["reason"]["responsible"] == "system"
    rests(database, agent)
    reason = about_job(database, panda_id)["reason"]
    assert (reason["id"], reason["responsible"], reason["numbers"]["agent"]) == (identity, "operators", agent)


def silent(database: Database, panda_id: int, minutes: float) -> None:
    database.execute(
        "UPDATE jobs_live SET modification_time = clock_timestamp() - %(by)s WHERE panda_id = %(id)s",
        {"id": panda_id, "by": timedelta(minutes=minutes)},
    )


def test_a_pilot_that_is_silent_comes_before_that_it_runs(database):
    make_queue(database)
    (panda_id,) = start(database)
    silent(database, panda_id, 20)
    assert first(about_job(database, panda_id))[0] == "running"
    silent(database, panda_id, 45)
    answer = about_job(database, panda_id)
    identity, sentence = first(answer)
    assert (identity, answer["reason"]["responsible"]) == ("silent", "site")
    assert sentence.startswith("Its pilot at Q has not been heard of for 45 min")
    assert "it fails: lost heartbeat" in answer["reason"]["next_step"]
    assert [reason["id"] for reason in answer["also"]] == ["running"]


def test_a_job_whose_worker_was_killed_says_so_early(database):
    make_queue(database)
    (panda_id,) = start(database)
    worker = {"harvester_id": "H", "worker_id": 7, "computing_site": "Q"}
    said = {"status": "cancelled", "diag_message": "removed by the batch system"}
    insert(database, "harvester_workers", [{**worker, **said}])
    insert(database, "harvester_worker_jobs", [{"harvester_id": "H", "worker_id": 7, "panda_id": panda_id}])
    silent(database, panda_id, 10)
    identity, sentence = first(about_job(database, panda_id))
    assert identity == "silent"
    assert sentence.endswith("Worker 7 of H, which has it, is cancelled: removed by the batch system.")


def test_a_job_that_has_only_just_become_ready_is_nobody_s_fault(database):
    make_queue(database)
    ContactBook(period_s=0).note(database, SlotOffer("Q"), 0)
    (panda_id,) = activate(database)
    answer = about_job(database, panda_id)
    identity, sentence = first(answer)
    assert (identity, answer["reason"]["responsible"]) == ("no_pilot", "system")
    assert "since it is ready, for less than a second; the last one asked at " in sentence
    shifted(database, panda_id, timedelta(minutes=10))
    contacts = "UPDATE queue_contacts SET last_request_time = last_request_time - interval '20 minutes'"
    database.execute(contacts)
    assert about_job(database, panda_id)["reason"]["responsible"] == "site"


def chain(database: Database) -> tuple[int, int, int]:
    """A parent, its child and the child of that, each waiting for the one before."""
    parent, child, grandchild = (make_task(database, taskName=name) for name in ("one", "two", "three"))
    for task, of in ((child, parent), (grandchild, child)):
        database.execute("DELETE FROM jobs_live WHERE jedi_task_id = %(id)s", {"id": task})
        database.execute(
            "UPDATE tasks SET parent_tid = %(of)s, n_jobs = 0 WHERE jedi_task_id = %(id)s", {"of": of, "id": task}
        )
        marker = {"name": "parent", "stream": "PARENT", "type": "parent", "status": "mutable"}
        insert(database, "task_datasets", [{"jedi_task_id": task, **marker}])
        with database.transaction() as transaction:
            change_status(transaction, task, TaskStatus.PENDING, who="task engine", reason="waits for its parent")
    return parent, child, grandchild


def test_the_child_of_a_child_names_the_end_of_the_chain(database):
    make_queue(database)
    parent, child, grandchild = chain(database)
    assert run_command(database, "pause", parent, Issuer("alice")).is_accepted
    answer = about_task(database, grandchild)
    assert first(answer) == (
        "waits_for_parent",
        f"It waits for its parent, task {child}, which is pending (0 of 1 file done). That waits in turn, at the end of "
        f"the chain for task {parent}, which is paused.",
    )
    assert answer["reason"]["responsible"] == "user"
    assert answer["reason"]["advice"] == [f"see why that one does not run: panda why {parent}"]
    assert first(about_task(database, child))[1].endswith(f"task {parent}, which is paused (0 of 1 file done).")


@pytest.mark.parametrize(
    ("status", "says", "responsible"),
    [("failed", "ends it within seconds", "user"), ("broken", "ends it", "user"), ("done", "reads within", "system")],
)
def test_a_parent_that_is_over_is_waited_for_no_more(database, status, says, responsible):
    make_queue(database)
    parent, child, _ = chain(database)
    database.execute("UPDATE tasks SET status = %(s)s WHERE jedi_task_id = %(id)s", {"s": status, "id": parent})
    reason = about_task(database, child)["reason"]
    assert (reason["id"], reason["responsible"]) == ("waits_for_parent", responsible)
    assert says in reason["next_step"]


def test_a_clock_that_is_behind_makes_no_negative_times(database):
    make_queue(database)
    (panda_id,) = start(database)
    behind: datetime = utc_now() - timedelta(minutes=10)
    for status in JobStatus:
        if status not in FINAL_JOB_STATUSES:
            put_into(database, panda_id, status, computing_site="Q")
            answer = about_job(database, panda_id, behind)
            assert " -" not in answer["reason"]["sentence"]
            assert answer["reason"]["numbers"].get("age_s", 0) >= 0
            assert answer["start"] is None or answer["start"]["waited_s"] >= 0


@pytest.mark.parametrize("status", [TaskStatus.READY, TaskStatus.RUNNING, TaskStatus.SCOUTED])
def test_a_task_without_files_to_use_and_without_jobs_says_that_it_ends(database, status):
    make_queue(database)
    task = make_task(database)
    database.execute("DELETE FROM jobs_live WHERE jedi_task_id = %(id)s", {"id": task})
    database.execute("UPDATE task_files SET status = 'failed' WHERE jedi_task_id = %(id)s", {"id": task})
    database.execute(
        "UPDATE tasks SET status = %(s)s, n_jobs = 0, n_files_failed = 1 WHERE jedi_task_id = %(id)s",
        {"s": str(status), "id": task},
    )
    answer = about_task(database, task)
    assert first(answer) == (
        "nothing_left",
        "Of its 1 file none waits for a job and none is in one: 0 done, 1 failed.",
    )
