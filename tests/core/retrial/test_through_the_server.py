"""Rules at work where jobs end: tasks that are submitted, brokered, failed, and made again."""

from __future__ import annotations

from typing import Any

import pytest

from core.clock import utc_now
from core.database import Database, Transaction
from core.database.connection import Transaction as RealTransaction
from core.monitor.job import job_detail
from core.monitor.tasks import task_detail
from core.retrial.applying import apply_rules
from core.states import JobStatus
from core.taskbuffer.endings import Ending, JobError, end_jobs
from core.taskengine.making.generation import generate_jobs
from core.tasks import submit_task
from tests.core.retrial.failing import add_class, add_rule, log_of, no_rules
from tests.core.taskengine.rows import insert_task
from tests.core.taskengine.submitting import accept, captured, prepare, row_of_task, task_files
from tests.support.builders import jobs_of_task, live, put_into, status_of


@pytest.fixture
def site(database: Database) -> Database:
    prepare(database)
    no_rules(database)
    return database


def fail(database: Database, panda_id: int, code: int = 1305, **columns: Any) -> None:
    """A job that a pilot had ends as failed, as the adder ends it."""
    put_into(database, panda_id, JobStatus.HOLDING, pilot_error_code=code, **columns)
    with database.transaction() as transaction:
        assert end_jobs(transaction, [Ending(panda_id, JobStatus.FAILED, "its payload failed")]) == [panda_id]


def generate(database: Database, task_id: int) -> list[int]:
    """The jobs that the generator makes now."""
    with database.transaction() as transaction:
        return generate_jobs(transaction, task_id)


def one_job(database: Database, **changes: Any) -> tuple[int, int]:
    """A task of one job."""
    task_id = accept(database, captured("njobs", nEvents=1, nFiles=1, **changes))
    for panda_id in jobs_of_task(database, task_id)[1:]:
        with database.transaction() as transaction:
            put_into(database, panda_id, JobStatus.HOLDING)
            end_jobs(transaction, [Ending(panda_id, JobStatus.FINISHED, "done")])
    return task_id, jobs_of_task(database, task_id)[0]


def test_a_memory_error_is_tried_again_with_more(site):
    add_rule(site, "increase_memory", 1212)
    task_id, first = one_job(site, ramCount=1000, ramCountUnit="MBPerCore")
    fail(site, first, 1212)
    [second] = generate(site, task_id)
    row = live(site, second)
    assert (row["parent_id"], row["attempt_nr"], row["min_ram_mb"]) == (first, 2, 2000)
    fail(site, second, 1212)
    [third] = generate(site, task_id)
    assert live(site, third)["min_ram_mb"] == 3000
    retries = job_detail(site, first, utc_now())["retries"]
    assert retries["sentence"] == f"attempt 1 of 10; tried again with 2000 MB as job {second}"
    assert job_detail(site, second, utc_now())["retries"]["sentence"] == (
        f"attempt 2 of 10; 2 of 5 failures; tried again with 3000 MB as job {third}"
    )
    assert job_detail(site, third, utc_now())["retries"]["sentence"] == "attempt 3 of 10; 2 of 5 failures"
    assert [deed["action"] for deed in retries["deeds"]] == ["increase_memory"]
    assert [row["panda_id"] for row in retries["next"]] == [second]
    [summary] = task_detail(site, task_id, utc_now())["retries"]
    assert (summary["action"], summary["n_matched"], summary["n_acted"]) == ("increase_memory", 2, 2)


def test_a_hopeless_task_stops_at_the_limit_of_a_rule(site):
    add_rule(site, "limit_retry", parameters={"maxAttempt": 2})
    task_id, first = one_job(site, maxFailure=10)
    fail(site, first)
    [second] = generate(site, task_id)
    fail(site, second)
    assert generate(site, task_id) == []
    assert row_of_task(site, task_id)["status"] in ("failed", "finished")
    sentence = job_detail(site, second, utc_now())["retries"]["sentence"]
    assert sentence == "attempt 2 of 2; 2 of 10 failures; not tried again: its attempts are used up"


def test_no_retry_ends_the_input_at_once(site):
    add_rule(site, "no_retry")
    task_id, first = one_job(site)
    fail(site, first)
    assert generate(site, task_id) == []
    assert [row["status"] for row in task_files(site, task_id)].count("failed") == 1


def test_faults_of_the_system_do_not_count_as_long_as_attempts_last(site):
    add_class(site, 1305)
    task_id, job = one_job(site, maxAttempt=5, maxFailure=2)
    for attempt in range(1, 5):
        fail(site, job)
        [job] = generate(site, task_id)
        assert live(site, job)["attempt_nr"] == attempt + 1
    fail(site, job)
    assert generate(site, task_id) == []


def test_errors_of_the_server_are_judged_too(site):
    site.execute(
        """INSERT INTO error_classes (error_source, error_code, error_class) VALUES ('job_dispatcher', 100, 'system')"""
    )
    _, job = one_job(site, maxFailure=1)
    put_into(site, job, JobStatus.RUNNING)
    error = JobError("job_dispatcher", 100, "lost heartbeat")
    with site.transaction() as transaction:
        end_jobs(transaction, [Ending(job, JobStatus.FAILED, "lost heartbeat", error=error)])
    assert [row["effect"] for row in log_of(site, job)] == ["this failure does not count: 2 are allowed now"]
    retries = job_detail(site, job, utc_now())["retries"]
    assert retries["error_class"] == "system"
    assert retries["sentence"] == "attempt 1 of 10; 1 of 2 failures; will be tried again"


def test_jobs_that_do_not_fail_and_jobs_without_a_task_are_left_alone(site):
    add_rule(site, "no_retry")
    _, job = one_job(site)
    put_into(site, job, JobStatus.HOLDING)
    with site.transaction() as transaction:
        end_jobs(transaction, [Ending(job, JobStatus.FINISHED, "done")])
    assert status_of(site, job) == "finished"
    assert site.fetch("SELECT 1 FROM retry_log") == []


def test_thousands_of_jobs_that_fail_together_take_a_few_statements(site, monkeypatch):
    add_rule(site, "increase_memory", 1212)
    add_rule(site, "limit_retry", 1212, error_diag="node [0-9]+ ", parameters={"maxAttempt": 5})
    add_class(site, 1212, error_diag="node 1")
    tasks = [insert_task(site, n_files=2500) for _ in range(2)]
    site.execute(
        """INSERT INTO jobs_archive (panda_id, jedi_task_id, job_index, job_status, state_change_time, pilot_error_code,
                                     pilot_error_diag)
           SELECT nextval('panda_id_seq'), %(first)s + n %% 2, n, 'failed', clock_timestamp(), 1212, 'node ' || n || ' is full'
           FROM generate_series(1, 5000) n""",
        {"first": tasks[0]},
    )
    site.execute(
        """INSERT INTO task_files (jedi_task_id, dataset_id, position, status, panda_id, attempt_nr, max_attempt)
           SELECT jedi_task_id, 1, job_index, 'running', panda_id, 1, 10 FROM jobs_archive"""
    )
    failed = site.fetch("SELECT panda_id, jedi_task_id FROM jobs_archive")
    statements: list[str] = []
    for name in ("fetch", "execute"):
        real = getattr(RealTransaction, name)

        def counted(self: Transaction, statement: str, parameters: Any = None, real: Any = real) -> Any:
            statements.append(statement)
            return real(self, statement, parameters)

        monkeypatch.setattr(RealTransaction, name, counted)
    with site.transaction() as transaction:
        apply_rules(transaction, failed)
    assert len(statements) < 25, statements
    rows = site.fetch("SELECT max_attempt, max_failure, ram_mb, count(*) AS n FROM task_files GROUP BY 1, 2, 3")
    assert [tuple(row.values()) for row in rows] == [(5, 4, 1000, 5000)]
    assert site.fetch("SELECT count(*) AS n FROM retry_log WHERE has_acted")[0]["n"] == 10_000
    assert {row["ram_count"] for row in site.fetch("SELECT ram_count FROM tasks")} == {1000}


def test_what_fails_with_too_much_input_is_tried_again_in_smaller_jobs(site):
    add_rule(site, "reduce_input_per_job", 1168)
    task_id = accept(site, captured("files", nFilesPerJob=None, nMaxFilesPerJob=4))
    first = jobs_of_task(site, task_id)[0]
    assert [row["panda_id"] for row in task_files(site, task_id)].count(first) == 4
    fail(site, first, 1168)
    again = generate(site, task_id)
    assert [[row["panda_id"] for row in task_files(site, task_id)].count(job) for job in again] == [2, 2]


def test_a_payload_of_panda_run_that_wants_memory_gets_another_try(site):
    """`panda run` allows no failure; that one is not the payload's."""
    add_rule(site, "increase_memory", 1212)
    task_id = submit_task(
        site, {"taskName": "count", "jobParameters": "true", "site": "Q"}, user_name="alice", vo="testvo"
    )
    [first] = jobs_of_task(site, task_id)
    fail(site, first, 1212, max_rss_kb=1_500_000)
    [second] = generate(site, task_id)
    assert (live(site, second)["min_ram_mb"], live(site, second)["attempt_nr"]) == (2000, 2)
