"""What a quota does follows its mode, and the times that are told are those that the watchdog keeps."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.accounts.limits import Account, set_limits
from core.clock import utc_now
from core.configuration import Timeouts
from core.database import Database
from core.states import JobStatus, TaskStatus
from core.taskbuffer.user_caps import Holder
from core.taskengine.status import change_status
from tests.core.monitor.rows import insert
from tests.core.why.asking import about_job, about_task, first
from tests.support.builders import activate, jobs_of_task, make_queue, make_task, put_into, row_of, start, submit
from tests.support.today import now_within_a_day

ALICE = Account("user", "alice")


@pytest.fixture
def site(database: Database) -> Database:
    """Alice has used ten times what she may in a day, and runs what she may."""
    make_queue(database)
    day = {"day": now_within_a_day().date(), "user_name": "alice", "working_group": "", "computing_site": "Q"}
    insert(database, "usage_days", [{**day, "prod_source_label": "user", "cpu_s": 36_000.0}])
    return database


def beyond_quota(database: Database, mode: str) -> None:
    limits = {"quota_mode": mode, "cpu_hours_1d": 1, "max_running_jobs": 1}
    set_limits(database, ALICE, limits, who="op", now=utc_now())


@pytest.mark.parametrize(("mode", "is_held_by_quota"), [("hold", True), ("reject", False), ("lower", False)])
def test_only_a_quota_that_holds_is_why_a_job_is_held(site, mode, is_held_by_quota):
    start(site, 1)
    [panda_id] = activate(site)
    beyond_quota(site, mode)
    Holder(site, 0.9).round(utc_now())
    assert row_of(site, panda_id)["job_status"] == "throttled"
    identity, sentence = first(about_job(site, panda_id))
    assert identity == "user_cap"
    assert ("CPU hours" in sentence) is is_held_by_quota
    assert ("1 of 1 running jobs" in sentence) is not is_held_by_quota


@pytest.mark.parametrize(("mode", "identity"), [("hold", "over_quota"), ("reject", "pending"), ("lower", "pending")])
def test_only_a_quota_that_holds_is_why_a_task_is_held(site, mode, identity):
    task_id = make_task(site)
    with site.transaction() as transaction:
        change_status(transaction, task_id, TaskStatus.PENDING, who="task engine", reason="no library")
    beyond_quota(site, mode)
    assert len(jobs_of_task(site, task_id)) == 1
    assert first(about_task(site, task_id))[0] == identity


def test_a_job_whose_input_is_registered_nowhere_is_closed_when_the_watchdog_says(site):
    [panda_id] = submit(site)
    put_into(site, panda_id, JobStatus.WAITING)
    reason = about_job(site, panda_id, timeouts=Timeouts(waiting_s=1000, defined_s=9000))["reason"]
    assert reason["id"] == "being_inserted"
    assert reason["next_time"] == row_of(site, panda_id)["state_change_time"] + timedelta(seconds=1000)
