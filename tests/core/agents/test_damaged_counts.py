"""A task whose counts somebody damaged: its jobs cannot be ended, and those of all others are."""

from __future__ import annotations

import logging

import pytest

from core.agents.adder import Adder
from core.agents.rebroker import Rebroker
from core.agents.releaser import Releaser
from core.agents.watchdog import Watchdog
from core.configuration import Timeouts
from core.database import Database
from core.shares.usage import refresh
from core.taskbuffer.killing import Killer, kill_jobs
from core.workload_settings import RebrokerageSettings
from tests.core.taskengine.rows import task_row
from tests.core.taskengine.submitting import accept, captured, prepare
from tests.support.builders import (
    acquire,
    activate,
    broker,
    jobs_of_task,
    make_older,
    make_queue,
    make_task,
    put_into,
    report,
    report_finished,
    status_of,
    submit,
)


def damaged(database: Database, jobs: int) -> list[int]:
    task_id = make_task(database, site="", nJobs=jobs, maxAttempt=3)
    broker(database)
    database.execute(f"UPDATE tasks SET n_cancelled = {2**63 - 1} WHERE jedi_task_id = %(id)s", {"id": task_id})
    return jobs_of_task(database, task_id)


def test_the_watchdog_goes_on_with_its_other_rules(database: Database, caplog: pytest.LogCaptureFixture):
    make_queue(database)
    [stuck] = damaged(database, 1)
    put_into(database, stuck, "throttled")
    [silent] = submit(database)
    put_into(database, silent, "sent")
    for panda_id in (stuck, silent):
        make_older(database, panda_id, "state_change_time", 30 * 86_400)
    with caplog.at_level(logging.ERROR):
        assert Watchdog(database, Timeouts(), 1).cycle() == 1
    assert (status_of(database, stuck), status_of(database, silent)) == ("throttled", "failed")
    assert "throttled too long" in caplog.text


def test_the_watchdog_ends_the_others_of_the_same_rule(database: Database, caplog: pytest.LogCaptureFixture):
    make_queue(database)
    stuck, others = damaged(database, 3), submit(database, 3)
    for panda_id in (*stuck, *others):
        put_into(database, panda_id, "throttled")
        make_older(database, panda_id, "state_change_time", 30 * 86_400)
    watchdog = Watchdog(database, Timeouts(), 1)
    assert watchdog.cycle() == 3
    assert {status_of(database, panda_id) for panda_id in others} == {"closed"}
    assert [status_of(database, panda_id) for panda_id in stuck] == ["throttled"] * 3
    assert f"job {stuck[0]} cannot be ended" in caplog.text
    caplog.clear()
    assert watchdog.cycle() == 0
    assert caplog.text == ""


def test_run_jobs_behind_the_build_job_of_a_damaged_task_hold_up_nobody(
    database: Database, caplog: pytest.LogCaptureFixture
):
    prepare(database)
    first, second, parent = (accept(database, captured("build", taskName=f"t{number}/")) for number in range(3))
    child = make_task(database)
    database.execute(
        "INSERT INTO task_datasets (jedi_task_id, name, stream, type, status) "
        "VALUES (%(id)s, 'parent', 'PARENT', 'parent', 'mutable')",
        {"id": child},
    )
    statement = "UPDATE tasks SET parent_tid = %(parent)s, status = 'ready' WHERE jedi_task_id = %(id)s"
    database.execute(statement, {"parent": parent, "id": child})
    database.execute("UPDATE tasks SET status = 'aborted' WHERE jedi_task_id = %(id)s", {"id": parent})
    database.execute(f"UPDATE tasks SET n_cancelled = {2**63 - 2} WHERE jedi_task_id = %(id)s", {"id": first})
    builds = [jobs_of_task(database, task_id)[0] for task_id in (first, second)]
    kill_jobs(database, builds, Killer("carol", True))
    Releaser(database, 1).cycle()
    waiting, gone = ([status_of(database, job) for job in jobs_of_task(database, task)[1:]] for task in (first, second))
    assert set(waiting) == {"pending"}
    assert set(gone) == {"cancelled"}
    assert task_row(database, child)["status"] == "finishing"
    assert f"task {first}: its jobs cannot follow" in caplog.text


def test_rebrokerage_relieves_the_other_shares(database: Database):
    make_queue(database, "Q")
    stuck = damaged(database, 8)
    task_id = make_task(database, site="", nJobs=8, maxAttempt=3)
    broker(database)
    others = jobs_of_task(database, task_id)
    for share, panda_ids in (("A", stuck), ("B", others)):
        for panda_id in panda_ids:
            put_into(database, panda_id, "activated", computing_site="Q", gshare=share)
    make_queue(database, "FREE")
    refresh(database)
    Rebroker(database, RebrokerageSettings(min_queued=5), 1).cycle()
    assert {status_of(database, panda_id) for panda_id in stuck} == {"activated"}
    assert "closed" in {status_of(database, panda_id) for panda_id in others}


def test_the_adder_ends_the_jobs_of_other_tasks_and_says_whose_it_cannot(
    database: Database, caplog: pytest.LogCaptureFixture
):
    make_queue(database)
    [stuck] = damaged(database, 1)
    sound = activate(database, 3)
    for _ in range(4):
        acquire(database)
    for panda_id in (stuck, *sound):
        report(database, panda_id, "running")
        report_finished(database, panda_id)
    adder = Adder(database, 1)
    with caplog.at_level(logging.ERROR):
        assert [adder.cycle(), adder.cycle()] == [3, 0]
    assert status_of(database, stuck) == "holding"
    assert {status_of(database, panda_id) for panda_id in sound} == {"finished"}
    [told] = [record for record in caplog.records if record.name == "panda.adder"]
    assert getattr(told, "panda_id", None) == stuck and told.exc_info
