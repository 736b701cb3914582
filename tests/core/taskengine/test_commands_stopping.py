"""Kill and finish: which jobs end, what the task becomes, what is left for a retry."""

from __future__ import annotations

import pytest

from core.database import Database
from core.taskengine.commands.locking import Issuer
from core.taskengine.commands.table import run_command
from tests.core.taskengine.rows import file_statuses, history, task_row
from tests.support.builders import (
    acquire,
    activate,
    add_up,
    jobs_of_task,
    live,
    make_dataset,
    make_queue,
    make_task,
    report,
    report_finished,
    row_of,
    status_of,
)

ALICE = Issuer("alice")


@pytest.fixture(scope="module")
def site(shared_database: Database) -> Database:
    make_queue(shared_database)
    make_dataset(shared_database, "four", ["a", "b", "c", "d"], at=["Q_DISK"])
    return shared_database


def started(database: Database, running: int = 0, finished: int = 0, **parameters: object) -> tuple[int, list[int]]:
    """A task of four files, one per job: some running, the first of them finished, the rest activated."""
    task_id = make_task(database, inputDataset="four", **parameters)
    activate(database, 0)
    panda_ids = jobs_of_task(database, task_id)
    if running:
        assert len(acquire(database, job_count=running, jedi_task_id=task_id)) == running
        for panda_id in panda_ids[:running]:
            report(database, panda_id, "running")
        for panda_id in panda_ids[:finished]:
            report_finished(database, panda_id)
        add_up(database)
    return task_id, panda_ids


def test_a_kill_ends_what_waits_at_once_and_what_runs_with_its_pilots_report(site):
    task_id, panda_ids = started(site, running=1)
    outcome = run_command(site, "kill", task_id, ALICE)
    assert outcome.message.endswith("in a few minutes (4 jobs are told to end)")
    assert task_row(site, task_id)["status"] == "aborting"
    assert [status_of(site, panda_id) for panda_id in panda_ids] == ["running", *["cancelled"] * 3]
    row = row_of(site, panda_ids[1])
    assert (row["task_buffer_error_code"], row["job_sub_status"]) == (100, "")
    assert row["task_buffer_error_diag"].endswith(f"(code 50): task {task_id}: killed by alice")
    assert report(site, panda_ids[0], "running") == "tobekilled"
    report(site, panda_ids[0], "failed", pilot_error_code=1144)
    add_up(site)
    row = task_row(site, task_id)
    assert (row["status"], row["n_cancelled"], row["end_time"] is not None) == ("aborted", 4, True)
    assert history(site, task_id)[-3:] == [("running", "aborting"), ("aborting", "toabort"), ("toabort", "aborted")]
    assert set(file_statuses(site, task_id)) == {"cancelled"}


def test_a_task_without_running_jobs_is_aborted_at_once(site):
    task_id, panda_ids = started(site)
    run_command(site, "kill", task_id, ALICE)
    assert task_row(site, task_id)["status"] == "aborted"
    assert {status_of(site, panda_id) for panda_id in panda_ids} == {"cancelled"}
    assert run_command(site, "kill", task_id, ALICE).code == 4


def test_a_kill_takes_the_tasks_that_hang_on_it_along(site):
    (parent, _), (child, _), (grandchild, _), (other, _) = (started(site) for _ in range(4))
    for task_id, parent_tid in ((child, parent), (grandchild, child)):
        site.execute("UPDATE tasks SET parent_tid = %(p)s WHERE jedi_task_id = %(t)s", {"p": parent_tid, "t": task_id})
    run_command(site, "kill", parent, ALICE)
    assert [task_row(site, task_id)["status"] for task_id in (parent, child, grandchild, other)] == [
        *("aborted", "aborted", "aborted"),
        "running",
    ]
    reason = site.fetch(
        "SELECT reason FROM task_history WHERE jedi_task_id = %(id)s AND status = 'aborting'", {"id": child}
    )
    assert reason[0]["reason"] == f"its parent, task {parent}, was killed by alice"


@pytest.mark.parametrize(("finished", "end"), [(0, "failed"), (1, "finished"), (2, "finished")])
def test_a_hard_finish_ends_everything_at_once_by_what_is_there(site, finished, end):
    task_id, panda_ids = started(site, running=2, finished=finished)
    assert run_command(site, "finish", task_id, ALICE).is_accepted
    row = task_row(site, task_id)
    assert (row["status"], row["n_files"], row["n_files_finished"]) == (end, 4, finished)
    assert all(live(site, panda_id) is None for panda_id in panda_ids)
    assert file_statuses(site, task_id) == ["finished"] * finished + ["cancelled"] * (4 - finished)
    assert history(site, task_id)[-3:] == [("running", "finishing"), ("finishing", "passed"), ("passed", end)]
    if finished < 2:
        # the pilot hears it with its next report
        assert report(site, panda_ids[1], "running") == "tobekilled"


def test_a_soft_finish_closes_what_waits_and_lets_run_what_runs(site):
    task_id, panda_ids = started(site, running=2, finished=1)
    assert run_command(site, "finish", task_id, ALICE, soft=True).message.endswith("(2 jobs are ended)")
    assert [status_of(site, panda_id) for panda_id in panda_ids] == ["finished", "running", "closed", "closed"]
    assert row_of(site, panda_ids[2])["job_sub_status"] == "taskdone"
    assert task_row(site, task_id)["status"] == "finishing"
    assert report(site, panda_ids[1], "running") is None
    report_finished(site, panda_ids[1])
    add_up(site)
    row = task_row(site, task_id)
    assert (row["status"], row["n_files_finished"]) == ("finished", 2)


def test_a_soft_finish_can_be_made_hard(site):
    task_id, _ = started(site, running=1)
    run_command(site, "finish", task_id, ALICE, soft=True)
    assert task_row(site, task_id)["status"] == "finishing"
    run_command(site, "finish", task_id, ALICE)
    assert task_row(site, task_id)["status"] == "failed"


def test_a_finishing_task_can_be_killed(site):
    task_id, _ = started(site, running=1)
    run_command(site, "finish", task_id, ALICE, soft=True)
    run_command(site, "kill", task_id, ALICE)
    assert task_row(site, task_id)["status"] == "aborting"


def test_a_task_that_has_no_jobs_yet_is_closed_at_once(site):
    task_id, _ = started(site)
    site.execute("UPDATE tasks SET status = 'pending' WHERE jedi_task_id = %(id)s", {"id": task_id})
    site.execute("DELETE FROM jobs_live WHERE jedi_task_id = %(id)s", {"id": task_id})
    run_command(site, "finish", task_id, ALICE)
    assert task_row(site, task_id)["status"] == "failed"
