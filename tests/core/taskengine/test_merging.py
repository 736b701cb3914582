"""Outputs of a task's jobs become few: merge jobs come when enough is there or nothing more will, and end the task."""

from __future__ import annotations

import pytest

from core.agents.generator import Generator
from core.configuration import Settings
from core.database import Database, Row
from core.states import JobStatus
from core.taskbuffer.endings import Ending, JobError, end_jobs
from core.taskengine.commands.locking import Issuer
from core.taskengine.commands.table import run_command
from tests.core.taskengine.submitting import accept, captured, jobs, prepare, row_of_task, texts
from tests.support.builders import acquire, add_up, broker, jobs_of_task, outputs_of, report_finished, row_of

RUNS = 4


@pytest.fixture
def site(database: Database) -> Database:
    prepare(database)
    return database


def generate(database: Database) -> int:
    settings = Settings()
    agent, made = Generator(database, settings.generation, settings.tasks, 1.0), 0
    while done := agent.cycle():
        made += done
    return made


def submit(database: Database, **changes: object) -> int:
    return accept(database, captured("merge", nEvents=RUNS, site="Q", **changes))


def finish(database: Database, panda_ids: list[int]) -> None:
    broker(database)
    while acquire(database, "Q", job_count=50):
        pass
    for panda_id in panda_ids:
        report_finished(database, panda_id)
    add_up(database)


def fail(database: Database, panda_id: int, error: JobError = JobError("exe", 3, "boom")) -> None:  # noqa: B008
    broker(database)
    while acquire(database, "Q", job_count=50):
        pass
    with database.transaction() as transaction:
        end_jobs(transaction, [Ending(panda_id, JobStatus.FAILED, "test", error=error)])


def merges_of(database: Database, task_id: int) -> list[Row]:
    return [row for row in jobs(database, task_id) if row["processing_type"] == "pmerge"]


def test_run_jobs_of_a_merging_task_make_transient_files(site):
    task_id = submit(site)
    (first, *_) = jobs_of_task(site, task_id)
    assert outputs_of(site, first)[0] == f"panda.um.user.testuser.{task_id}._000001.out.txt"
    assert f"'panda.um.user.testuser.{task_id}._000001.out.txt'" in texts(site, task_id)[0]


def test_one_job_merges_what_all_made_when_the_last_has_ended(site):
    task_id = submit(site)
    runs = jobs_of_task(site, task_id)
    finish(site, runs[:-1])
    assert generate(site) == 0
    assert merges_of(site, task_id) == []
    finish(site, runs[-1:])
    assert row_of_task(site, task_id)["status"] == "running"
    assert generate(site) == 1
    assert row_of_task(site, task_id)["status"] == "merging"
    (merge,) = merges_of(site, task_id)
    assert (merge["transformation"], merge["current_priority"], merge["special_handling"]) == (
        "runMerge-00-00-02",
        5000,
        "merge",
    )
    names = ",".join(f"panda.um.user.testuser.{task_id}._{serial:06d}.out.txt" for serial in range(1, RUNS + 1))
    text = texts(site, task_id)[-1]
    assert text == (
        "-r . -a jobO.captured.tar.gz --sourceURL http://127.0.0.1:28443 "
        f"{names}:user.testuser.{task_id}._{RUNS + 1:06d}.out.txt"
    )
    finish(site, [merge["panda_id"]])
    task = row_of_task(site, task_id)
    assert (task["status"], task["n_files_finished"], task["n_finished"]) == ("done", RUNS, RUNS + 1)


def test_full_merge_jobs_do_not_wait_for_the_rest(site):
    task_id = submit(site, nFilesPerMergeJob=2)
    runs = jobs_of_task(site, task_id)
    finish(site, runs[:3])
    assert generate(site) == 1
    finish(site, [*runs[3:], merges_of(site, task_id)[0]["panda_id"]])
    assert row_of_task(site, task_id)["status"] == "running"
    assert generate(site) == 1
    _first, second = merges_of(site, task_id)
    assert second["n_input_data_files"] == 2
    finish(site, [second["panda_id"]])
    assert row_of_task(site, task_id)["status"] == "done"


def test_a_merge_that_fails_is_tried_again(site):
    task_id = submit(site)
    finish(site, jobs_of_task(site, task_id))
    generate(site)
    fail(site, merges_of(site, task_id)[0]["panda_id"])
    assert generate(site) == 1
    first, second = merges_of(site, task_id)
    assert (second["parent_id"], second["attempt_nr"]) == (first["panda_id"], 2)
    finish(site, [second["panda_id"]])
    assert row_of_task(site, task_id)["status"] == "done"


def test_without_any_merged_output_the_task_has_failed_and_a_retry_merges_again(site):
    task_id = submit(site)
    finish(site, jobs_of_task(site, task_id))
    for _ in range(3):
        generate(site)
        fail(site, merges_of(site, task_id)[-1]["panda_id"])
    assert row_of_task(site, task_id)["status"] == "failed"
    assert run_command(site, "retry", task_id, Issuer("Test User")).is_accepted
    generate(site)
    finish(site, [merges_of(site, task_id)[-1]["panda_id"]])
    assert row_of_task(site, task_id)["status"] == "done"
    assert len(jobs_of_task(site, task_id)) == RUNS + 4


def test_what_a_failed_run_job_did_not_make_is_not_merged(site):
    task_id = submit(site, maxFailure=1)
    first, *others = jobs_of_task(site, task_id)
    fail(site, first)
    finish(site, others)
    generate(site)
    (merge,) = merges_of(site, task_id)
    assert merge["n_input_data_files"] == RUNS - 1
    finish(site, [merge["panda_id"]])
    assert row_of_task(site, task_id)["status"] == "finished"


def test_a_killed_task_merges_nothing(site):
    task_id = submit(site)
    runs = jobs_of_task(site, task_id)
    finish(site, runs[:2])
    assert run_command(site, "kill", task_id, Issuer("Test User")).is_accepted
    generate(site)
    assert merges_of(site, task_id) == []


def test_a_task_done_once_more_merges_once_more(site):
    task_id = submit(site)
    finish(site, jobs_of_task(site, task_id))
    generate(site)
    finish(site, [merges_of(site, task_id)[-1]["panda_id"]])
    assert run_command(site, "reactivate", task_id, Issuer("Test User")).is_accepted
    generate(site)
    again = [panda_id for panda_id in jobs_of_task(site, task_id) if row_of(site, panda_id)["job_status"] == "defined"]
    assert len(again) == RUNS
    finish(site, again)
    generate(site)
    _first, second = merges_of(site, task_id)
    assert second["n_input_data_files"] == RUNS
    finish(site, [second["panda_id"]])
    assert row_of_task(site, task_id)["status"] == "done"


def test_a_merge_that_runs_out_of_memory_is_tried_again_with_more(site):
    task_id = submit(site)
    finish(site, jobs_of_task(site, task_id))
    generate(site)
    fail(site, merges_of(site, task_id)[0]["panda_id"], JobError("pilot", 1223, "payload exceeded maximum memory"))
    generate(site)
    assert [merge["min_ram_mb"] for merge in merges_of(site, task_id)] == [0, 1000]


def test_what_waits_to_be_merged_is_looked_at_though_run_jobs_were_made_meanwhile(site):
    task_id = submit(site, nFilesPerMergeJob=1)
    first, *_ = jobs_of_task(site, task_id)
    finish(site, [first])
    # before the generator comes by somebody has the other jobs made anew
    assert run_command(site, "reassign", task_id, Issuer("carol", is_production=True), site="Q_A").is_accepted
    assert merges_of(site, task_id) == []
    assert generate(site) == 1
    assert len(merges_of(site, task_id)) == 1
