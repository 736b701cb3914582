"""What makes a task exhausted until a person decides, beside its scouts and its waits: retries in vain, and floods."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from core.agents.generator import Generator
from core.agents.task_watchdog import TaskWatchdog
from core.database import Database
from core.taskengine.commands.locking import Issuer
from core.taskengine.commands.table import Outcome, run_command
from core.workload_settings import GenerationSettings, GuardSettings, TaskTimes
from tests.core.taskengine.rows import file_statuses, history, task_row
from tests.support.builders import (
    acquire,
    activate,
    add_up,
    jobs_of_task,
    make_dataset,
    make_queue,
    make_task,
    put_into,
    report,
    report_finished,
    submit,
)

ALICE, CAROL = Issuer("alice"), Issuer("carol", is_production=True)
_numbers = count()


@pytest.fixture
def site(database: Database) -> Database:
    make_queue(database)
    return database


def run_all(database: Database, task_id: int, *, finishing: int = 0) -> None:
    """Pilots take what the task has: so many of its jobs finish, all others fail."""
    activate(database, 0)
    for place, entry in enumerate(acquire(database, job_count=100, jedi_task_id=task_id)):
        panda_id = entry.job["panda_id"]
        report(database, panda_id, "running")
        if place < finishing:
            report_finished(database, panda_id)
        else:
            report(database, panda_id, "failed", pilot_error_code=1305, pilot_error_diag="no such method")
    add_up(database)


def failed_task(database: Database, files: int = 3, **parameters: Any) -> int:
    """A task of so many files that all failed."""
    name = f"in{next(_numbers)}"
    make_dataset(database, name, [f"{name}.{number}" for number in range(files)], at=["Q_DISK"])
    task_id = make_task(database, inputDataset=name, **parameters)
    run_all(database, task_id)
    assert task_row(database, task_id)["status"] == "failed"
    return task_id


def retry(database: Database, task_id: int, who: Issuer = ALICE, **options: Any) -> Outcome:
    return run_command(database, "retry", task_id, who, **{"max_failed_retries": 2, **options})


def retried_in_vain(database: Database, times: int) -> int:
    """A task that was retried so often for nothing."""
    task_id = failed_task(database)
    for _ in range(times):
        assert retry(database, task_id).message.endswith("(3 jobs are made)")
        run_all(database, task_id)
    return task_id


def test_a_retry_after_retries_in_vain_exhausts_the_task_and_says_why(site):
    task_id = retried_in_vain(site, 2)
    jobs = jobs_of_task(site, task_id)
    outcome = retry(site, task_id)
    said = "its last 2 retries finished no further file, 3 files failed, most often with: no such method"
    assert (outcome.is_accepted, outcome.message.endswith(f"({said})")) == (True, True)
    row = task_row(site, task_id)
    assert (row["status"], row["error_dialog"], row["end_time"], row["generate_at"]) == ("exhausted", said, None, None)
    assert history(site, task_id)[-2:] == [("failed", "toretry"), ("toretry", "exhausted")]
    assert jobs_of_task(site, task_id) == jobs
    assert file_statuses(site, task_id) == ["failed"] * 3


def test_then_production_may_retry_and_the_next_one_in_vain_is_stopped_again(site):
    task_id = retried_in_vain(site, 2)
    retry(site, task_id)
    assert retry(site, task_id).code == 4
    assert retry(site, task_id, CAROL).message.endswith("(3 jobs are made)")
    run_all(site, task_id)
    retry(site, task_id)
    assert task_row(site, task_id)["error_dialog"].startswith("its last 3 retries finished no further file")


def test_nobody_decides_and_the_task_fails_as_before(site):
    task_id = retried_in_vain(site, 2)
    retry(site, task_id)
    watchdog = TaskWatchdog(site, TaskTimes(), 1)
    watchdog.cycle()
    site.execute("UPDATE tasks SET next_try_time = clock_timestamp()")
    watchdog.cycle()
    assert task_row(site, task_id)["status"] == "failed"
    assert file_statuses(site, task_id) == ["failed"] * 3
    retry(site, task_id)
    assert task_row(site, task_id)["status"] == "exhausted"


def test_a_retry_that_finished_a_file_was_not_in_vain(site):
    task_id = retried_in_vain(site, 1)
    retry(site, task_id)
    run_all(site, task_id, finishing=1)
    assert task_row(site, task_id)["status"] == "finished"
    assert retry(site, task_id).message.endswith("(2 jobs are made)")
    run_all(site, task_id)
    assert retry(site, task_id).message.endswith("(2 jobs are made)")
    run_all(site, task_id)
    retry(site, task_id)
    assert task_row(site, task_id)["status"] == "exhausted"


@pytest.mark.parametrize("command", ["resubmit", "reactivate"])
def test_what_failed_under_other_parameters_does_not_count(site, command):
    task_id = retried_in_vain(site, 2)
    options = {"resubmit": {"new_parameters": {"nFilesPerJob": 1}}}
    assert run_command(site, command, task_id, CAROL, **options.get(command, {})).is_accepted
    run_all(site, task_id)
    assert retry(site, task_id).message.endswith("(3 jobs are made)")


def test_production_may_say_that_limits_do_not_count(site):
    task_id = retried_in_vain(site, 2)
    assert retry(site, task_id, CAROL, ignores_limits=True).message.endswith("(3 jobs are made)")


def test_what_was_stopped_by_people_did_not_fail(site):
    task_id = failed_task(site)
    for _ in range(4):
        assert retry(site, task_id).message.endswith("(3 jobs are made)")
        run_command(site, "finish", task_id, ALICE)
        assert task_row(site, task_id)["status"] == "failed"


def queued(database: Database, jobs: int, **job: Any) -> None:
    for panda_id in submit(database, jobs, **job):
        put_into(database, panda_id, "activated")


def generate(database: Database, factor: float) -> None:
    guards = GuardSettings(max_over_queue_cap=factor)
    Generator(database, GenerationSettings(), TaskTimes(), 1, guards=guards).cycle()


def waiting_task(database: Database, **parameters: Any) -> int:
    """A task with input that no job was made of yet."""
    task_id = make_task(database, nJobs=2, **parameters)
    database.execute("DELETE FROM jobs_live WHERE jedi_task_id = %(id)s", {"id": task_id})
    database.execute("UPDATE task_files SET status = 'ready', panda_id = NULL")
    database.execute("UPDATE tasks SET n_jobs = 0, generate_at = clock_timestamp()")
    return task_id


@pytest.mark.parametrize(
    ("jobs", "cores", "status"), [(2, 1, "ready"), (3, 1, "pending"), (6, 1, "pending"), (7, 1, "exhausted")]
)
def test_a_task_of_a_user_far_over_the_queue_cap_does_not_even_wait(site, jobs, cores, status):
    # one may run, so two may be queued
    site.execute("INSERT INTO account_limits (kind, name, max_running_jobs) VALUES ('user', 'alice', 1)")
    task_id = waiting_task(site)
    queued(site, jobs, core_count=cores)
    generate(site, 3.0)
    assert task_row(site, task_id)["status"] == status


def test_the_sentence_names_user_number_and_limit_and_cores_count_too(site):
    site.execute("INSERT INTO account_limits (kind, name, max_running_cores) VALUES ('user', 'alice', 4)")
    task_id, others = waiting_task(site), waiting_task(site, user="bob")
    queued(site, 3, core_count=8)
    generate(site, 2.0)
    row = task_row(site, task_id)
    said = "user alice has 24 queued cores, more than 2 times the 8 that are allowed"
    assert (row["status"], row["error_dialog"]) == ("exhausted", said)
    [step] = site.fetch("SELECT reason FROM task_history WHERE status = 'exhausted'")
    assert step["reason"] == said
    assert task_row(site, others)["n_jobs"] == 2


def test_production_is_not_stopped_by_what_no_operator_decided(site):
    site.execute("INSERT INTO account_limits (kind, name, max_running_jobs) VALUES ('default', '', 1)")
    task_id = waiting_task(site, prodSourceLabel="managed", taskType="prod")
    queued(site, 20)
    generate(site, 1.0)
    row = task_row(site, task_id)
    assert (row["prod_source_label"], row["n_jobs"]) == ("managed", 2)
