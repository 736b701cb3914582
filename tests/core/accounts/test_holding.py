"""What is beyond the limits of a user or group waits, and goes on under 90 %: apart from what paused tasks hold."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

import pytest

from core.accounts.limits import Account, set_limits
from core.agents.account_keeper import AccountKeeper
from core.database import Database
from core.taskbuffer import user_caps
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
    submit,
)
from tests.support.today import now_within_a_day

ALICE, HIGGS = Account("user", "alice"), Account("group", "higgs")
NOW = datetime.now(UTC)


@pytest.fixture(autouse=True)
def today(monkeypatch):
    """Tests are collected long before they run: the day may be another by then."""
    monkeypatch.setattr(f"{__name__}.NOW", now_within_a_day())


@pytest.fixture
def site(shared_database: Database):
    make_queue(shared_database)
    yield shared_database
    for table in ("jobs_live", "tasks", "account_limits", "account_holds", "usage_days", "agent_runs"):
        shared_database.execute(f"DELETE FROM {table}")


def keeper_of(database: Database, now: datetime | None = None, **settings: int | str) -> AccountKeeper:
    return AccountKeeper(database, AccountSettings(**settings), 10, clock=lambda: now or datetime.now(UTC))


def keep(database: Database, now: datetime | None = None, **settings: int | str) -> None:
    keeper_of(database, now, **settings).cycle()


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


def test_a_ban_holds_what_the_user_submitted_for_a_group_and_nobody_else_s(site):
    for_group = activate(site, 2, working_group="higgs", prod_source_label="managed")
    of_bob = activate(site, 1, user="bob", working_group="higgs", prod_source_label="managed")
    alone, defined = activate(site, 1), submit(site, 1, working_group="higgs")
    decide(site, ALICE, banned_until=NOW + timedelta(hours=1), reason="mines coins")
    keep(site)
    assert statuses(site, for_group + alone) == ["throttled"] * 3
    assert statuses(site, of_bob) == ["activated"]
    reason = site.fetch_one("SELECT reason FROM job_history ORDER BY history_id DESC LIMIT 1") or {}
    assert reason["reason"].startswith("userCap: user alice is banned until")
    while broker(site):
        pass
    assert statuses(site, defined) == ["throttled"], "what becomes ready meanwhile is held at once"
    keep(site)
    assert statuses(site, for_group + alone + defined) == ["throttled"] * 4, (
        "the group lets nothing go that the ban holds"
    )
    keep(site, now=NOW + timedelta(hours=2))
    assert statuses(site, for_group + alone + defined) == ["activated"] * 4
    assert not site.fetch("SELECT 1 FROM account_holds")


def test_the_end_of_a_ban_leaves_what_the_group_s_cap_holds(site):
    decide(site, HIGGS, max_running_jobs=1)
    running = start(site, 1, user="bob", working_group="higgs", prod_source_label="managed")
    waiting = activate(site, 1, working_group="higgs", prod_source_label="managed")
    decide(site, ALICE, banned_until=NOW + timedelta(hours=1), reason="mines coins")
    keep(site)
    keep(site, now=NOW + timedelta(hours=2))
    assert statuses(site, waiting) == ["throttled"]
    end(site, running)
    keep(site, now=NOW + timedelta(hours=2))
    assert statuses(site, waiting) == ["activated"]


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


def test_what_is_activated_while_its_account_is_held_never_comes_before_a_pilot(site):
    running = start(site, 2)
    keep(site, max_running_jobs=2)
    late = activate(site, 3)
    assert statuses(site, late) == ["throttled"] * 3 and acquire(site) == []
    assert history_of(site, late[0])[-2:] == ["activated", "throttled"]
    assert live(site, late[0])["job_sub_status"] == "userCap"
    assert statuses(site, activate(site, 1, user="bob")) == ["activated"]
    assert statuses(site, activate(site, 1, prod_source_label="managed")) == ["activated"], "nobody decided about that"
    end(site, running)
    keep(site, max_running_jobs=2)
    assert statuses(site, late) == ["activated"] * 2 + ["throttled"]
    assert statuses(site, activate(site, 1)) == ["activated"]


def test_all_work_is_held_at_once_of_whom_somebody_decided_about(site):
    defined = submit(site, 1, prod_source_label="managed") + submit(site, 1, working_group="higgs")
    decide(site, ALICE, banned_until=NOW + timedelta(hours=1), reason="mines coins")
    keep(site)
    while broker(site):
        pass
    assert statuses(site, defined) == ["throttled", "throttled"], "also what counts for a group"


def test_a_task_that_is_resumed_while_its_owner_is_held_stays_held(site, capped_task):
    jobs = jobs_of_task(site, capped_task)
    command(site, "pause", capped_task)
    keep(site, max_running_jobs=1)
    assert {live(site, panda_id)["job_sub_status"] for panda_id in jobs} == {""}
    command(site, "resume", capped_task)
    assert statuses(site, jobs) == ["throttled"] * 3
    assert {live(site, panda_id)["job_sub_status"] for panda_id in jobs} == {"userCap"}


def test_what_is_let_go_does_not_pile_up_where_nothing_starts(site):
    make_queue(site, "OTHER")
    running = start(site, 10)
    here, elsewhere = activate(site, 4, current_priority=900), activate(site, 4, queue="OTHER", current_priority=800)
    keep(site, max_running_jobs=10)
    end(site, running[:2])
    keep(site, max_running_jobs=10)
    assert statuses(site, here) == ["activated"] * 2 + ["throttled"] * 2, "the best, as many as there is room for"
    assert statuses(site, elsewhere) == ["throttled"] * 4
    for _ in range(3):
        keep(site, max_running_jobs=10)
    assert statuses(site, here) == ["activated"] * 2 + ["throttled"] * 2, "they have not started"
    assert statuses(site, elsewhere) == ["activated"] * 2 + ["throttled"] * 2


def test_many_jobs_are_held_in_several_rounds_the_best_first(site, monkeypatch):
    monkeypatch.setattr(user_caps, "_MOST_AT_ONCE", 4)
    monkeypatch.setattr(user_caps, "_BATCH", 3)
    start(site, 1)
    low, high = activate(site, 3, current_priority=500), activate(site, 3, current_priority=900)
    keeper = keeper_of(site, max_running_jobs=1)
    assert keeper.cycle() == 1, "there is more to hold at once"
    assert statuses(site, high) == ["throttled"] * 3 and statuses(site, low) == ["throttled"] + ["activated"] * 2
    assert keeper.cycle() == 0
    assert statuses(site, low) == ["throttled"] * 3


@pytest.mark.parametrize(("limits", "pause_s"), [({"max_running_jobs": 8}, 2), ({"max_running_cores": 8}, 2), ({}, 10)])
def test_who_comes_close_to_a_cap_is_looked_at_more_often(site, limits, pause_s):
    start(site, 4)
    keeper = keeper_of(site, **limits)
    keeper.cycle()
    assert keeper.period_s == pytest.approx(pause_s, abs=1.9), "longer only while looking takes long"
    assert not site.fetch("SELECT 1 FROM account_holds")
