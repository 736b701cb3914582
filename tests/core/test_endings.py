"""The only way out of the live table: once, with history and counters, and without deadlocks."""

from __future__ import annotations

import random
import threading

import pytest

from core.database import Database
from core.dispatch.workers import fail_jobs_of_worker
from core.states import FINAL_JOB_STATUSES, JOB_TRANSITIONS, TASK_TRANSITIONS, JobStatus, TaskStatus
from core.taskbuffer.endings import ERROR_COMPONENTS, Ending, JobError, end_jobs
from core.taskbuffer.killing import Killer, kill_jobs
from tests.support.builders import (
    acquire,
    activate,
    add_up,
    archived,
    everything,
    history_of,
    jobs_of_task,
    kill_task,
    live,
    make_dataset,
    make_queue,
    make_task,
    new_job,
    put_into,
    report,
    row_of,
    submit,
)

ALICE = Killer("alice", is_manager=False)


@pytest.fixture(scope="module")
def site(shared_database: Database) -> Database:
    make_queue(shared_database)
    return shared_database


def end(database: Database, *endings: Ending) -> list[int]:
    with database.transaction() as transaction:
        return end_jobs(transaction, endings)


def task_row(database: Database, task_id: int) -> dict[str, object]:
    row = database.fetch_one("SELECT * FROM tasks WHERE jedi_task_id = %(id)s", {"id": task_id})
    assert row is not None
    return row


@pytest.mark.parametrize("target", sorted(FINAL_JOB_STATUSES))
@pytest.mark.parametrize("before", sorted(set(JobStatus) - FINAL_JOB_STATUSES))
def test_a_job_ends_along_the_table_or_not_at_all(site, before, target):
    [panda_id] = submit(site)
    put_into(site, panda_id, before)
    rows = everything(site)
    ended = end(site, Ending(panda_id, target, "because"))
    if target in JOB_TRANSITIONS[before]:
        assert ended == [panda_id]
        assert live(site, panda_id) is None
        assert row_of(site, panda_id)["job_status"] == target
        assert history_of(site, panda_id) == ["defined", target]
    else:
        assert ended == []
        assert everything(site) == rows
        end(site, Ending(panda_id, JobStatus.FAILED, "out of the way"))


def test_an_ended_job_does_not_end_again(site):
    [panda_id] = submit(site)
    assert end(site, Ending(panda_id, JobStatus.FAILED, "first")) == [panda_id]
    rows = everything(site)
    for target in FINAL_JOB_STATUSES:
        assert end(site, Ending(panda_id, target, "again")) == []
    assert everything(site) == rows


def test_the_archive_holds_what_the_live_row_held(site):
    [panda_id] = submit(site, core_count=4, job_name="kept")
    before = row_of(site, panda_id)
    end(site, Ending(panda_id, JobStatus.CLOSED, "over", "toreassign"))
    after = row_of(site, panda_id)
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"job_status", "job_sub_status", "state_change_time", "modification_time", "end_time"}


@pytest.mark.parametrize("component", ERROR_COMPONENTS)
def test_the_error_of_an_ending_goes_into_its_own_columns(site, component):
    [panda_id] = submit(site)
    end(site, Ending(panda_id, JobStatus.FAILED, "r", error=JobError(component, 77, "d\x00iag")))
    row = row_of(site, panda_id)
    codes = {name: row[f"{name}_error_code"] for name in ERROR_COMPONENTS}
    assert codes == {name: 77 if name == component else 0 for name in ERROR_COMPONENTS}
    assert row[f"{component}_error_diag"] == "diag"


def test_no_file_of_an_ended_job_is_waited_for(site):
    make_dataset(site, "late", ["a"])
    task_id = make_task(site, inputDataset="late", outputs=["o"], jobParameters="cat %IN > %OUT")
    [panda_id] = activate(site, queue="Q")
    end(site, *[Ending(job, JobStatus.FAILED, "over") for job in (panda_id, *jobs_of_task(site, task_id))])
    open_files = site.fetch("SELECT * FROM job_files WHERE status IN ('pending', 'defined')")
    assert [file for file in open_files if archived(site, file["panda_id"])] == []


ENDS = [
    (["finished", "finished"], "done"),
    (["failed", "failed"], "failed"),
    (["finished", "failed"], "finished"),
    (["finished", "cancelled"], "finished"),
    (["cancelled", "cancelled"], "failed"),
]


@pytest.mark.parametrize(("ends", "status"), ENDS, ids=["-".join(ends) for ends, _ in ENDS])
def test_the_last_job_decides_how_its_task_ends(site, ends, status):
    task_id = make_task(site, nJobs=2)
    panda_ids = jobs_of_task(site, task_id)
    for panda_id in panda_ids:
        put_into(site, panda_id, "holding")
    assert end(site, Ending(panda_ids[0], JobStatus(ends[0]), "r"))
    assert task_row(site, task_id)["status"] == "running"
    assert task_row(site, task_id)["end_time"] is None
    assert end(site, Ending(panda_ids[1], JobStatus(ends[1]), "r"))
    row = task_row(site, task_id)
    assert row["status"] == status
    assert row["end_time"] is not None
    counted = (row["n_finished"], row["n_failed"], row["n_cancelled"])
    assert counted == (ends.count("finished"), ends.count("failed"), ends.count("cancelled") + ends.count("closed"))
    assert TaskStatus(status) in TASK_TRANSITIONS[TaskStatus.RUNNING]


def test_all_jobs_of_a_task_in_one_batch_count_each(site):
    task_ids = [make_task(site, nJobs=30) for _ in range(3)]
    panda_ids = [panda_id for task_id in task_ids for panda_id in jobs_of_task(site, task_id)]
    # in any order, and one of them twice
    mixed = random.Random(1).sample(panda_ids, len(panda_ids)) + panda_ids[:1]
    assert sorted(end(site, *[Ending(panda_id, JobStatus.FAILED, "r") for panda_id in mixed])) == panda_ids
    for task_id in task_ids:
        row = task_row(site, task_id)
        assert (row["status"], row["n_failed"], row["n_jobs"]) == ("failed", 30, 30)


def test_a_killed_task_is_aborted_when_its_last_job_has_gone(site):
    task_id = make_task(site, nJobs=3)
    activate(site, 0)
    taken = acquire(site, jedi_task_id=task_id)[0].job["panda_id"]
    report(site, taken, "running")
    assert kill_task(site, task_id, ALICE) == 3
    row = task_row(site, task_id)
    assert (row["status"], row["n_cancelled"]) == ("aborting", 2)
    report(site, taken, "failed", pilot_error_code=1144)
    add_up(site)
    row = task_row(site, task_id)
    assert (row["status"], row["n_cancelled"]) == ("aborted", 3)


def test_endings_that_meet_neither_deadlock_nor_count_twice(database: Database):
    """Kills of jobs and tasks, dying workers, the adder and late verdicts, all over the same jobs of the same tasks."""
    make_queue(database)
    task_ids = [make_task(database, nJobs=40) for _ in range(4)]
    while activate(database, 0):
        pass
    taken = acquire(database, job_count=100, worker_id="w1")
    panda_ids = [panda_id for task_id in task_ids for panda_id in jobs_of_task(database, task_id)]
    for entry in taken[:60]:
        report(database, entry.job["panda_id"], "failed", pilot_error_code=1305)
    choice = random.Random(7)
    errors: list[BaseException] = []
    begin = threading.Barrier(10)

    def in_thread(work) -> threading.Thread:
        def run() -> None:
            try:
                begin.wait()
                work()
            except BaseException as error:  # noqa: BLE001  (shown by the test)
                errors.append(error)

        return threading.Thread(target=run)

    def kill_some(seed: int) -> None:
        mixed = random.Random(seed).sample(panda_ids, len(panda_ids))
        for position in range(0, len(mixed), 20):
            kill_jobs(database, mixed[position : position + 20], ALICE, 9)

    def report_some() -> None:
        for entry in choice.sample(taken, len(taken)):
            report(database, entry.job["panda_id"], "failed", pilot_error_code=1305)

    threads = [in_thread(lambda seed=seed: kill_some(seed)) for seed in range(3)]
    threads += [in_thread(lambda task_id=task_id: kill_task(database, task_id, ALICE)) for task_id in task_ids]
    threads += [in_thread(lambda: add_up(database)), in_thread(report_some)]
    threads += [in_thread(lambda: fail_jobs_of_worker(database, "w1", "gone"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # a task may have ended already when its kill comes; nothing else may go wrong
    assert [error for error in errors if "Command rejected" not in str(error)] == []
    kill_jobs(database, panda_ids, ALICE, 9)
    assert all(archived(database, panda_id) and not live(database, panda_id) for panda_id in panda_ids)
    ended = database.fetch(
        "SELECT panda_id, count(*) AS n FROM job_history WHERE job_status = ANY(%(final)s) GROUP BY 1 HAVING count(*) > 1",
        {"final": sorted(FINAL_JOB_STATUSES)},
    )
    assert ended == []
    for task_id in task_ids:
        row = task_row(database, task_id)
        statuses = [row_of(database, panda_id)["job_status"] for panda_id in jobs_of_task(database, task_id)]
        assert (row["n_failed"], row["n_cancelled"]) == (statuses.count("failed"), statuses.count("cancelled"))
        assert row["status"] in ("aborted", "failed")


def test_a_job_outside_tasks_counts_nowhere(site):
    [panda_id] = submit(site)
    before = site.fetch("SELECT * FROM tasks ORDER BY 1")
    end(site, Ending(panda_id, JobStatus.FAILED, "r"))
    assert site.fetch("SELECT * FROM tasks ORDER BY 1") == before
    assert new_job().jedi_task_id is None
