"""What is beyond the limits of a user or group waits, and goes on under 90 %: apart from what paused tasks hold."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

import pytest

from core.accounts.limits import Account, set_limits
from core.agents.account_keeper import AccountKeeper
from core.database import Database
from core.taskbuffer.killing import Killer, kill_jobs
from core.taskengine.commands.locking import Issuer
from core.taskengine.commands.table import run_command
from core.workload_settings import AccountSettings
from tests.core.accounts.test_priorities import use
from tests.support.builders import (
    acquire,
    activate,
    broker,
    history_of,
    jobs_of_task,
    live,
    make_queue,
    make_task,
    start,
    status_of,
)

ALICE, HIGGS = Account("user", "alice"), Account("group", "higgs")
NOW = datetime.now(UTC)


@pytest.fixture
def site(shared_database: Database):
    make_queue(shared_database)
    yield shared_database
    for table in ("jobs_live", "tasks", "account_limits", "usage_days", "agent_runs"):
        shared_database.execute(f"DELETE FROM {table}")


def keep(database: Database, now: datetime | None = None, **settings: int | str) -> None:
    AccountKeeper(database, AccountSettings(**settings), 1, clock=lambda: now or datetime.now(UTC)).cycle()


def decide(database: Database, account: Account, **limits: object) -> None:
    set_limits(database, account, limits, who="op", now=NOW)


def statuses(database: Database, panda_ids: list[int]) -> list[str]:
    return [status_of(database, panda_id) for panda_id in panda_ids]


def end(database: Database, panda_ids: list[int]) -> None:
    assert all(kill_jobs(database, panda_ids, Killer("op", is_manager=True), 9))


def test_waiting_jobs_are_held_at_the_cap_and_released_below_nine_tenths(site, caplog):
    running = start(site, 10)
    waiting = activate(site, 4)
    others = activate(site, 2, user="bob")
    with caplog.at_level(logging.WARNING, logger="panda.account_keeper"):
        keep(site, max_running_jobs=10)
    assert "userCap: user alice has 10 of 10 running jobs; 4 jobs held" in caplog.text
    assert caplog.records[0].component == "account_keeper"
    assert statuses(site, waiting) == ["throttled"] * 4 and statuses(site, others) == ["activated"] * 2
    assert live(site, waiting[0])["job_sub_status"] == "userCap"
    reason = site.fetch_one(
        "SELECT reason FROM job_history WHERE panda_id = %(id)s ORDER BY 1 DESC", {"id": waiting[0]}
    )
    assert reason == {"reason": "userCap: user alice has 10 of 10 running jobs"}
    end(site, running[:1])
    keep(site, max_running_jobs=10)
    assert statuses(site, waiting) == ["throttled"] * 4, "9 of 10 is not below 90 %"
    end(site, running[1:2])
    keep(site, max_running_jobs=10)
    assert statuses(site, waiting) == ["activated"] * 2 + ["throttled"] * 2, "as many as there is room for"
    assert history_of(site, waiting[0])[-3:] == ["activated", "throttled", "activated"]
    assert live(site, waiting[0])["job_sub_status"] == ""


def test_cores_count_too(site):
    running = start(site, 2, core_count=8)
    waiting = activate(site, 3, core_count=8)
    keep(site, max_running_cores=16)
    assert statuses(site, waiting) == ["throttled"] * 3
    end(site, running[:1])
    keep(site, max_running_cores=16)
    assert statuses(site, waiting) == ["activated", "throttled", "throttled"]


def test_a_group_has_a_cap_of_its_own(site):
    decide(site, HIGGS, max_running_jobs=2)
    start(site, 2, user="alice", working_group="higgs", prod_source_label="managed")
    in_group = activate(site, 2, user="bob", working_group="higgs", prod_source_label="managed")
    alone = activate(site, 2, user="alice")
    keep(site)
    assert statuses(site, in_group) == ["throttled"] * 2
    assert statuses(site, alone) == ["activated"] * 2


def test_production_is_not_capped_unless_somebody_decided_so(site):
    start(site, 3, prod_source_label="managed")
    waiting = activate(site, 1, prod_source_label="managed")
    keep(site, max_running_jobs=2)
    assert statuses(site, waiting) == ["activated"]
    decide(site, ALICE, boost_priority=1500, boost_until=NOW + timedelta(days=1), reason="conference")
    keep(site, max_running_jobs=2)
    assert statuses(site, waiting) == ["activated"]
    decide(site, ALICE, max_running_jobs=3)
    keep(site, max_running_jobs=2)
    assert statuses(site, waiting) == ["throttled"]


def test_a_ban_holds_what_waits_until_it_ends(site):
    waiting = activate(site, 2)
    decide(site, ALICE, banned_until=NOW + timedelta(hours=1), reason="mines coins")
    keep(site)
    assert statuses(site, waiting) == ["throttled"] * 2
    keep(site, now=NOW + timedelta(hours=2))
    assert statuses(site, waiting) == ["activated"] * 2


def test_a_used_quota_in_mode_hold_holds_until_midnight(site):
    waiting = activate(site, 1)
    use(site, NOW, hours=5)
    decide(site, ALICE, cpu_hours_1d=5, quota_mode="hold")
    keep(site)
    midnight = f"{NOW + timedelta(days=1):%Y-%m-%d} 00:00 UTC"
    row = site.fetch_one(
        "SELECT reason FROM job_history WHERE job_status = 'throttled' ORDER BY history_id DESC LIMIT 1"
    )
    assert row == {"reason": f"userCap: user alice has used 5.0 of 5 CPU hours in 1 day, held until {midnight}"}
    keep(site, now=NOW + timedelta(days=1))
    assert statuses(site, waiting) == ["activated"]


def command(database: Database, name: str, task_id: int) -> None:
    assert run_command(database, name, task_id, Issuer("alice")).is_accepted


@pytest.fixture
def capped_task(site):
    """A task of three jobs that wait, of a user who is at the cap of one running job."""
    task_id = make_task(site, nJobs=3)
    while broker(site):
        pass
    start(site, 1)
    return task_id


def test_resuming_a_task_leaves_alone_what_the_cap_holds(site, capped_task):
    jobs = jobs_of_task(site, capped_task)
    keep(site, max_running_jobs=1)
    command(site, "pause", capped_task)
    command(site, "resume", capped_task)
    assert statuses(site, jobs) == ["throttled"] * 3
    assert acquire(site) == []
    end(site, [row["panda_id"] for row in site.fetch("SELECT panda_id FROM jobs_live WHERE job_status = 'running'")])
    keep(site, max_running_jobs=1)
    assert statuses(site, jobs) == ["activated", "throttled", "throttled"]


def test_the_cap_does_not_let_go_what_a_pause_holds(site, capped_task):
    jobs = jobs_of_task(site, capped_task)
    command(site, "pause", capped_task)
    keep(site, max_running_jobs=1)
    keep(site, max_running_jobs=100)
    assert statuses(site, jobs) == ["throttled"] * 3
    command(site, "resume", capped_task)
    assert statuses(site, jobs) == ["activated"] * 3


def test_what_the_cap_held_waits_for_the_pause_that_came_after(site, capped_task):
    jobs = jobs_of_task(site, capped_task)
    keep(site, max_running_jobs=1)
    command(site, "pause", capped_task)
    keep(site, max_running_jobs=100)
    assert statuses(site, jobs) == ["throttled"] * 3
    assert {live(site, panda_id)["job_sub_status"] for panda_id in jobs} == {""}
    command(site, "resume", capped_task)
    assert statuses(site, jobs) == ["activated"] * 3
