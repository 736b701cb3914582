"""Tasks that wait have an end that people see; goals end tasks; what was lost sight of is found."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest

from core.agents.task_watchdog import TaskWatchdog
from core.clock import utc_now
from core.database import Database
from core.queues import set_queue
from core.taskengine.commands.locking import Issuer
from core.taskengine.commands.table import run_command
from core.workload_settings import TaskTimes
from tests.core.taskengine.rows import file_statuses, history, insert_files, insert_task, task_row
from tests.support.builders import (
    acquire,
    activate,
    broker,
    everything,
    jobs_of_task,
    make_queue,
    make_task,
    put_into,
    status_of,
)

TIMES = TaskTimes()
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def site(shared_database: Database) -> Database:
    make_queue(shared_database)
    return shared_database


@pytest.fixture(autouse=True)
def no_tasks_of_others(site: Database) -> None:
    site.execute(
        "UPDATE tasks SET status = 'aborted' WHERE status NOT IN ('done', 'finished', 'failed', 'broken', 'aborted')"
    )


def watch(database: Database, **how: float) -> int:
    return TaskWatchdog(database, TIMES, 1, **{"stranded_s": 0.0, **how}).cycle()


def due_in(database: Database, task_id: int) -> float:
    """Seconds from now until the task is looked at."""
    return float((task_row(database, task_id)["next_try_time"] - utc_now()).total_seconds())


@pytest.mark.parametrize(("priority", "wait_s"), [(1000, 600), (950, 600), (949, 1800), (900, 1800), (899, 3600)])
def test_a_pending_task_is_told_when_it_is_tried_again(site, priority, wait_s):
    task_id = insert_task(site, status="pending", old_status="ready", current_priority=priority)
    assert watch(site) == 0
    assert due_in(site, task_id) == pytest.approx(wait_s, abs=60)
    assert task_row(site, task_id)["frozen_time"] is not None
    # nothing happens before
    assert watch(site) == 0
    assert task_row(site, task_id)["status"] == "pending"


@pytest.mark.parametrize("status", ["pending", "throttled"])
def test_a_task_that_waited_long_enough_goes_on_where_it_was(site, status):
    task_id = insert_task(site, status=status, old_status="running", next_try_time=utc_now() - DAY)
    assert watch(site) == 1
    row = task_row(site, task_id)
    assert (row["status"], row["old_status"], row["next_try_time"]) == ("running", "", None)
    assert row["generate_at"] is not None
    assert history(site, task_id) == [(status, "running")]


def test_a_task_that_no_job_came_of_for_a_week_is_exhausted_and_says_why(site):
    frozen = utc_now() - 8 * DAY
    task_id = insert_task(
        *(site,),
        status="pending",
        old_status="ready",
        next_try_time=utc_now() - DAY,
        frozen_time=frozen,
        error_dialog="no queue",
    )
    assert watch(site) == 1
    assert task_row(site, task_id)["status"] == "exhausted"
    reason = site.fetch("SELECT reason FROM task_history WHERE jedi_task_id = %(id)s", {"id": task_id})[0]["reason"]
    assert reason == "no job could be made for 7 days: no queue"


def grow_old(database: Database, task_id: int, days: float) -> None:
    """Move everything that was written down about a task into the past."""
    age = {"id": task_id, "days": days}
    for table, column in (("tasks", "creation_time"), ("task_history", "time"), ("brokerage_decisions", "time")):
        database.execute(
            f"UPDATE {table} SET {column} = {column} - make_interval(secs => 86400 * %(days)s) WHERE jedi_task_id = %(id)s",
            age,
        )


def task_without_queue(database: Database, **parameters: object) -> int:
    task_id = make_task(database, site="", nJobs=2, ramCount=10**6, **parameters)
    set_queue(database, "Q", {"max_ram_mb": 2000})
    broker(database)
    return task_id


@pytest.mark.parametrize(("days", "status"), [(6.9, "ready"), (7.1, "exhausted")])
def test_a_task_none_of_whose_jobs_finds_a_queue_for_a_week_is_exhausted_and_says_why(site, days, status):
    task_id = task_without_queue(site)
    grow_old(site, task_id, days)
    assert watch(site) == (status == "exhausted")
    row = task_row(site, task_id)
    assert row["status"] == status
    if status == "exhausted":
        assert row["error_dialog"].startswith(
            "no queue took any of its jobs for 7 days: no queue is left after 'the queue"
        )
        assert "allows 2000 MB, the job needs 1000000 MB" in row["error_dialog"]
        assert watch(site) == 0


@pytest.mark.parametrize("event", ["one has a queue", "one had a queue", "it was resumed", "brokerage failed"])
def test_a_task_that_may_find_a_queue_is_not(site, event):
    task_id = task_without_queue(site)
    grow_old(site, task_id, 8)
    panda_id = jobs_of_task(site, task_id)[0]
    if event == "one has a queue":
        put_into(site, panda_id, "assigned")
    elif event == "one had a queue":
        site.execute("INSERT INTO brokerage_decisions (jedi_task_id, chosen) VALUES (%(id)s, 'Q')", {"id": task_id})
    elif event == "it was resumed":
        carol = Issuer("carol", is_production=True)
        assert run_command(site, "pause", task_id, carol).is_accepted
        assert run_command(site, "resume", task_id, carol).is_accepted
        broker(site)
    else:
        put_into(site, panda_id, "defined", brokerage_error_code=102)
    assert watch(site) == 0
    assert task_row(site, task_id)["status"] == "ready"


def test_a_child_waits_for_its_parent_as_long_as_that_works(site):
    task_id = insert_task(site, status="pending", old_status="ready", frozen_time=utc_now() - 9 * DAY)
    insert_files(site, task_id, [], type="parent", status="mutable", is_master=False)
    assert watch(site) == 0
    row = task_row(site, task_id)
    assert (row["status"], row["next_try_time"]) == ("pending", None)


def test_an_exhausted_task_waits_two_days_for_a_person_and_is_finished_then(site):
    task_id = insert_task(site, status="exhausted", n_files=2, n_files_finished=1)
    insert_files(site, task_id, ["finished", "ready"])
    assert watch(site) == 0
    assert due_in(site, task_id) == pytest.approx(48 * 3600, abs=60)
    site.execute("UPDATE tasks SET next_try_time = clock_timestamp() WHERE jedi_task_id = %(id)s", {"id": task_id})
    assert watch(site) == 1
    assert history(site, task_id) == [("exhausted", "finishing"), ("finishing", "passed"), ("passed", "finished")]
    assert file_statuses(site, task_id) == ["finished", "cancelled"]


@pytest.mark.parametrize("where", ["parameters", "split_rule"])
def test_an_exhausted_task_that_wants_a_person_waits_for_one(site, where):
    task_id = insert_task(site, status="exhausted", **{where: {"disableAutoFinish": True}})
    assert watch(site) == 0
    row = task_row(site, task_id)
    assert (row["status"], row["next_try_time"]) == ("exhausted", None)


def test_a_goal_that_is_reached_ends_the_task_with_what_is_done(site):
    task_id = insert_task(site, goal=800, n_files=10, n_files_finished=8, generate_at=utc_now() + DAY)
    insert_files(site, task_id, ["finished"] * 8 + ["failed", "ready"])
    missed = insert_task(site, goal=900, n_files=10, n_files_finished=8, generate_at=utc_now() + DAY)
    insert_files(site, missed, ["finished"] * 8 + ["failed", "ready"])
    assert watch(site) == 1
    assert task_row(site, task_id)["status"] == "finished"
    assert task_row(site, missed)["status"] == "running"


def test_the_goal_of_a_task_whose_input_is_still_listed_is_not_known(site):
    task_id = insert_task(site, goal=500, n_files=2, n_files_finished=1, generate_at=utc_now() + DAY)
    insert_files(site, task_id, ["finished", "ready"], status="toupdate")
    assert watch(site) == 0
    assert task_row(site, task_id)["status"] == "running"


def test_jobs_that_pilots_have_are_waited_for_when_a_goal_is_reached(site):
    task_id = make_task(site, goal=50, nJobs=2)
    while broker(site):
        pass
    [taken] = acquire(site, jedi_task_id=task_id)
    site.execute("UPDATE tasks SET goal = 500, n_files_finished = 1 WHERE jedi_task_id = %(id)s", {"id": task_id})
    assert watch(site) >= 1
    assert task_row(site, task_id)["status"] == "finishing"
    assert [status_of(site, job) for job in jobs_of_task(site, task_id)] == ["sent", "closed"]
    assert taken.job["panda_id"] == jobs_of_task(site, task_id)[0]


def test_ready_input_that_nobody_looks_at_is_found(site):
    task_id = insert_task(site)
    insert_files(site, task_id, ["finished", "ready"])
    assert watch(site) == 1
    assert task_row(site, task_id)["generate_at"] is not None
    assert watch(site) == 0


def test_a_time_to_look_that_a_wrong_clock_wrote_keeps_no_task_waiting(site):
    running, aborting = (insert_task(site, status=status, n_files=1) for status in ("running", "aborting"))
    for task_id in (running, aborting):
        insert_files(site, task_id, ["ready"])
    site.execute("UPDATE tasks SET generate_at = clock_timestamp() + interval '10 years' WHERE generate_at IS NULL")
    assert watch(site) == 2
    assert task_row(site, running)["generate_at"] <= utc_now()
    assert task_row(site, aborting)["status"] == "aborted"
    later = insert_task(site, status="running", n_files=1)
    insert_files(site, later, ["ready"])
    site.execute("UPDATE tasks SET generate_at = clock_timestamp() + interval '1 minute'")
    assert watch(site) == 0


@pytest.mark.parametrize("status", ["pending", "throttled", "exhausted"])
def test_a_wait_whose_end_a_wrong_clock_wrote_gets_another(site, status):
    task_id = insert_task(site, status=status, old_status="ready", next_try_time=utc_now() + timedelta(days=3650))
    assert watch(site) == 0
    assert task_row(site, task_id)["next_try_time"] < utc_now() + 3 * DAY
    assert task_row(site, task_id)["status"] == status


def test_a_task_that_is_still_listed_is_the_feeders(site):
    task_id = insert_task(site, status="defined")
    insert_files(site, task_id, ["ready"], status="toupdate")
    assert watch(site) == 0
    assert task_row(site, task_id)["generate_at"] is None


def test_scouts_hold_back_the_rest_on_purpose(site):
    task_id = insert_task(site, status="scouting")
    insert_files(site, task_id, ["running", "ready"])
    activate(site, jedi_task_id=task_id)
    assert watch(site) == 0
    assert task_row(site, task_id)["generate_at"] is None


def test_a_task_without_jobs_and_input_ends_by_its_counts_and_people_hear_of_it(site, caplog):
    task_id = insert_task(site, n_files=2, n_files_finished=1)
    insert_files(site, task_id, ["finished", "failed"])
    closing = insert_task(site, status="aborting")
    young = insert_task(site, status="finishing")
    insert_files(site, young, ["finished"])
    with caplog.at_level(logging.ERROR):
        assert watch(site, stranded_s=0.0) == 3
    assert task_row(site, task_id)["status"] == "finished"
    assert task_row(site, closing)["status"] == "aborted"
    record = next(record for record in caplog.records if getattr(record, "jedi_task_id", None) == task_id)
    assert "had nothing left to do: it is finished now" in record.getMessage()
    assert watch(site, stranded_s=0.0) == 0


def test_what_is_young_is_left_alone(site):
    task_id = insert_task(site, status="aborting")
    assert watch(site, stranded_s=600.0) == 0
    assert task_row(site, task_id)["status"] == "aborting"


def test_files_at_jobs_that_are_gone_are_processed_again(site):
    task_id = insert_task(site, n_files=2)
    insert_files(site, task_id, ["finished", "running"])
    assert watch(site, stranded_s=0.0) == 1
    assert file_statuses(site, task_id) == ["finished", "ready"]
    assert task_row(site, task_id)["generate_at"] is not None


def test_ended_tasks_are_left_alone(site):
    for status in ("done", "finished", "failed", "aborted", "broken"):
        task_id = insert_task(site, status=status, next_try_time=utc_now() - DAY)
        insert_files(site, task_id, ["ready", "running"])
    before = everything(site)
    assert watch(site) == 0
    assert everything(site) == before
