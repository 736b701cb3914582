"""Tasks most of whose work fails are stopped with the reason, and go on from there when a person says so."""

from __future__ import annotations

from typing import Any

import pytest

from core.accounts.usage import account_usage
from core.agents.task_watchdog import TaskWatchdog
from core.clock import utc_now
from core.database import Database, Row
from core.monitor.tasks import task_detail
from core.taskengine.commands.locking import Issuer
from core.taskengine.commands.table import run_command
from core.workload_settings import GuardSettings, TaskTimes
from tests.core.taskengine.rows import history, task_row
from tests.support.builders import (
    acquire,
    activate,
    add_up,
    make_dataset,
    make_queue,
    make_task,
    report,
    report_finished,
)
from tests.support.system import eventually

GUARDS = GuardSettings(
    max_failed_fraction=0.75,
    failed_fraction_least_jobs=3,
    max_failed_power_hours=100,
    pause_after_jobs=4,
    pause_least_files=3,
)
CAROL = Issuer("carol", is_production=True)


@pytest.fixture
def site(database: Database) -> Database:
    make_queue(database)
    make_dataset(database, "in", [f"f{number:02}" for number in range(12)], at=["Q_DISK"])
    return database


def watch(database: Database) -> int:
    return TaskWatchdog(database, TaskTimes(), 1, guards=GUARDS, stranded_s=1e9).cycle()


def task(database: Database, **parameters: Any) -> int:
    """One job a file, each of which may fail once."""
    return make_task(database, inputDataset="in", **{"nFilesPerJob": 1, "maxFailure": 1, **parameters})


def end(database: Database, task_id: int, *, failed: int = 0, finished: int = 0, hours: float = 0.0) -> None:
    """So many of its jobs end; each that fails had run for so long."""
    activate(database, 0)
    taken = acquire(database, job_count=failed + finished, jedi_task_id=task_id)
    assert len(taken) == failed + finished
    for place, entry in enumerate(taken):
        panda_id = entry.job["panda_id"]
        report(database, panda_id, "running")
        if place < finished:
            report_finished(database, panda_id)
            continue
        database.execute(
            "UPDATE jobs_live SET start_time = clock_timestamp() - make_interval(secs => %(age)s) WHERE panda_id = %(id)s",
            {"id": panda_id, "age": hours * 3600},
        )
        report(database, panda_id, "failed", pilot_error_code=1305, pilot_error_diag="no such method")
    add_up(database)


def test_a_task_of_a_user_most_of_whose_jobs_fail_is_exhausted_with_the_reason(site):
    task_id = task(site)
    end(site, task_id, failed=3, finished=1)
    assert (watch(site), task_row(site, task_id)["status"]) == (0, "running"), "three of four are not more than 75 %"
    end(site, task_id, failed=1)
    assert watch(site) == 1
    row = task_row(site, task_id)
    assert (row["status"], row["generate_at"]) == ("exhausted", None)
    assert row["error_dialog"] == "4 of the 5 jobs that ended have failed, more than 75 %: see why before it goes on"
    assert watch(site) == 0


def test_few_failures_stop_nothing(site):
    task_id = task(site)
    end(site, task_id, failed=2)
    assert (watch(site), task_row(site, task_id)["status"]) == (0, "running")


def test_whoever_lets_it_go_on_has_read_why(site):
    task_id = task(site)
    end(site, task_id, failed=4)
    watch(site)
    assert run_command(site, "retry", task_id, CAROL).is_accepted
    end(site, task_id, failed=2)
    assert watch(site) == 0, "it is counted from there"
    end(site, task_id, failed=1)
    assert watch(site) == 1
    assert "3 of the 3 jobs" in task_row(site, task_id)["error_dialog"]


def cost_after(database: Database, jobs: int) -> Row:
    """What a task has used, once so many ended jobs are counted."""
    counted = "SELECT sum(jobs_finished + jobs_failed) AS n FROM usage_days"
    eventually(
        lambda: (account_usage(database), database.fetch(counted)[0]["n"])[1] == jobs, what="the jobs are counted"
    )
    [row] = database.fetch("SELECT * FROM task_costs")
    return row


def test_a_task_whose_failures_cost_too_much_is_stopped(site):
    task_id = task(site)
    end(site, task_id, failed=1, finished=5, hours=6)
    assert cost_after(site, 6)["failed_power_s"] == pytest.approx(60 * 3600, abs=600)
    assert watch(site) == 0
    end(site, task_id, failed=1, hours=6)
    cost = cost_after(site, 7)
    assert cost["failed_wall_core_s"] == pytest.approx(12 * 3600, abs=60)
    assert cost["failed_power_s"] == pytest.approx(120 * 3600, abs=600)
    shown = task_detail(site, task_id, utc_now())["cost"]
    assert shown["failed_core_hours"] == pytest.approx(12, abs=0.02)
    assert shown["core_hours"] == pytest.approx(12, abs=0.02), "what finished had run for a moment"
    assert watch(site) == 1
    assert "have used 120 normalised hours, 100 are allowed" in task_row(site, task_id)["error_dialog"]


def test_production_that_is_far_and_has_much_left_is_paused(site):
    task_id = task(site, prodSourceLabel="managed")
    end_managed(site, task_id, failed=4)
    assert watch(site) == 1
    row = task_row(site, task_id)
    assert (row["status"], history(site, task_id)[-1]) == ("paused", ("running", "paused"))
    assert "4 of the 4 jobs" in row["error_dialog"]
    held = site.fetch("SELECT DISTINCT job_status FROM jobs_live WHERE jedi_task_id = %(id)s", {"id": task_id})
    assert [row["job_status"] for row in held] == ["throttled"]
    assert run_command(site, "resume", task_id, CAROL).is_accepted
    assert (watch(site), task_row(site, task_id)["status"]) == (0, "running")


def end_managed(database: Database, task_id: int, *, failed: int) -> None:
    activate(database, 0)
    for entry in acquire(database, label="managed", job_count=failed, jedi_task_id=task_id):
        report(database, entry.job["panda_id"], "running")
        report(database, entry.job["panda_id"], "failed", pilot_error_code=1305, pilot_error_diag="no such method")
    add_up(database)
