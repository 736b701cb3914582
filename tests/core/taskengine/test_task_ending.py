"""Files and counts follow the jobs that end; the last job ends the task (server-api.md 5.6, 5.7)."""

from __future__ import annotations

import pytest

from core.database import Database
from core.taskbuffer.killing import Killer, kill_jobs
from core.taskengine.commands.changing import increase_attempts
from tests.core.taskengine.submitting import (
    accept,
    captured,
    history,
    jobs,
    place,
    prepare,
    row_of_task,
    run,
    task_files,
)
from tests.support.builders import add_up, report

OWNER = Killer("Test User", False)


@pytest.fixture
def site(database: Database) -> Database:
    prepare(database)
    return database


def fail(database: Database, panda_id: int) -> None:
    database.execute("UPDATE jobs_live SET job_status = 'running' WHERE panda_id = %(id)s", {"id": panda_id})
    report(database, panda_id, "failed", pilot_error_code=1305)
    add_up(database)


@pytest.mark.parametrize(
    ("ends", "status"),
    [
        ("fff", "done"),
        ("ffx", "finished"),
        ("fxc", "finished"),
        ("xxx", "failed"),
        ("ccc", "failed"),
        ("ffc", "finished"),
    ],
)
def test_the_last_job_decides(site, ends, status):
    task_id = accept(site, captured("njobs", disableAutoRetry=True))
    place(site)
    for end, job in zip(ends, jobs(site, task_id), strict=True):
        assert row_of_task(site, task_id)["status"] == "running"
        act = {"f": run, "x": fail, "c": lambda database, panda_id: kill_jobs(database, [panda_id], OWNER)}[end]
        act(site, job["panda_id"])
    row = row_of_task(site, task_id)
    assert row["status"] == status
    assert (row["n_finished"], row["n_failed"], row["n_cancelled"]) == tuple(ends.count(end) for end in "fxc")
    assert (row["n_files"], row["n_files_finished"], row["n_files_failed"]) == (3, ends.count("f"), ends.count("x"))
    assert row["end_time"] is not None
    assert history(site, task_id) == ["registered", "ready", "running", "prepared", status]
    words = {"f": "finished", "x": "failed", "c": "cancelled"}
    rows = task_files(site, task_id)
    assert [file["status"] for file in rows] == [words[end] for end in ends]
    assert [file["failed_attempt"] for file in rows] == [int(end == "x") for end in ends]
    assert {file["attempt_nr"] for file in rows} == {1}


def test_all_files_of_a_job_share_its_fate(site):
    task_id = accept(site, captured("files", disableAutoRetry=True))
    place(site)
    first, second, third = (job["panda_id"] for job in jobs(site, task_id))
    run(site, first)
    fail(site, second)
    row = row_of_task(site, task_id)
    assert (row["n_files_finished"], row["n_files_failed"], row["n_files"], row["status"]) == (2, 2, 5, "running")
    assert [file["status"] for file in task_files(site, task_id)] == ["finished"] * 2 + ["failed"] * 2 + ["running"]
    run(site, third)
    assert row_of_task(site, task_id)["status"] == "finished"


@pytest.mark.parametrize(("end", "status"), [("f", "done"), ("x", "failed")])
def test_a_task_that_is_being_finished_ends_by_its_counts(site, end, status):
    task_id = accept(site, captured("single"))
    place(site)
    site.execute("UPDATE tasks SET status = 'finishing' WHERE jedi_task_id = %(id)s", {"id": task_id})
    [job] = jobs(site, task_id)
    {"f": run, "x": fail}[end](site, job["panda_id"])
    assert row_of_task(site, task_id)["status"] == status


@pytest.mark.parametrize(("last", "end"), [("finished", "done"), ("failed", "exhausted")])
def test_nothing_of_a_hold_is_left_when_the_last_job_ends_the_task(site, last, end):
    task_id = accept(site, captured("njobs", useExhausted=True, maxAttempt=1))
    place(site)
    first, *others = [job["panda_id"] for job in jobs(site, task_id)]
    run(site, *others)
    # held since long, to be tried again in a moment: an exhausted task would be finished for nobody then
    site.execute(
        "UPDATE tasks SET status = 'pending', old_status = 'running', next_try_time = clock_timestamp(), "
        "frozen_time = clock_timestamp() - interval '8 days' WHERE jedi_task_id = %(id)s",
        {"id": task_id},
    )
    if last == "finished":
        run(site, first)
    else:
        fail(site, first)
    row = row_of_task(site, task_id)
    assert (row["status"], row["old_status"], row["next_try_time"]) == (end, "", None)
    assert (row["frozen_time"] is None) == (end == "done")
    assert increase_attempts(site, task_id, 1)[0] == 2, "an ended task is not under way, whatever it was held in"
