"""Constructed situations of tasks, made by the functions the server uses: the first reason is the right one."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.accounts.limits import Account, set_limits
from core.clock import utc_now
from core.database import Database
from core.errors import UnknownObject
from core.queues import set_endpoint
from core.states import TaskStatus
from core.taskengine.commands.locking import Issuer
from core.taskengine.commands.table import run_command
from core.taskengine.status import change_status
from tests.core.monitor.rows import insert
from tests.core.taskengine.submitting import accept
from tests.core.taskengine.test_events import read_from
from tests.core.why.asking import about_task, first
from tests.support.builders import (
    acquire,
    add_up,
    broker,
    jobs_of_task,
    make_dataset,
    make_queue,
    make_task,
    report,
    report_finished,
    row_of,
)


@pytest.fixture
def site(database: Database) -> Database:
    make_queue(database)
    return database


def bring(database: Database, task: int, status: TaskStatus, reason: str = "a test", **columns: object) -> None:
    with database.transaction() as transaction:
        change_status(transaction, task, status, who="task engine", reason=reason)
    for name, value in columns.items():
        database.execute(
            f"UPDATE tasks SET {name} = %(value)s WHERE jedi_task_id = %(id)s", {"value": value, "id": task}
        )


def test_a_task_that_was_only_accepted(site):
    task = make_task(site)
    site.execute("UPDATE tasks SET status = 'registered' WHERE jedi_task_id = %(id)s", {"id": task})
    assert first(about_task(site, task))[0] == "not_parsed"


def test_a_child_names_its_parent(site):
    parent = make_task(site, taskName="parent")
    child = make_task(site, taskName="child")
    site.execute("DELETE FROM jobs_live WHERE jedi_task_id = %(id)s", {"id": child})
    site.execute(
        "UPDATE tasks SET parent_tid = %(parent)s, n_jobs = 0 WHERE jedi_task_id = %(id)s",
        {"parent": parent, "id": child},
    )
    insert(
        site,
        "task_datasets",
        [{"jedi_task_id": child, "name": "parent", "stream": "PARENT", "type": "parent", "status": "mutable"}],
    )
    bring(site, child, TaskStatus.PENDING, "waits for its parent")
    answer = about_task(site, child)
    identity, sentence = first(answer)
    assert identity == "waits_for_parent"
    assert sentence == f"It waits for its parent, task {parent}, which is ready (0 of 1 file done)."


def test_a_task_that_waits_for_a_dataset_says_for_which(site):
    parameters = read_from("user.testuser.nowhere", "waits", waitInput=True)
    answer = about_task(site, accept(site, parameters))
    identity, sentence = first(answer)
    assert identity == "waits_for_input"
    assert sentence == "It has no work now: waiting for dataset 'user.testuser.nowhere' to be registered."


def test_input_that_is_being_listed_is_counted(site):
    make_dataset(site, "in", [f"f{n}" for n in range(7)], at=["Q_DISK"])
    task = make_task(site, inputDataset="in")
    site.execute("DELETE FROM task_files WHERE jedi_task_id = %(id)s AND position > 3", {"id": task})
    site.execute("UPDATE task_datasets SET n_files = 3 WHERE jedi_task_id = %(id)s AND type = 'input'", {"id": task})
    site.execute("UPDATE tasks SET status = 'defined' WHERE jedi_task_id = %(id)s", {"id": task})
    answer = about_task(site, task)
    assert first(answer) == ("being_listed", "Its input is being listed: 3 of 7 files so far.")


def test_a_staging_task_counts_what_has_come_from_tape(site):
    set_endpoint(site, "TAPE", mover="cp", path="/tape", kind="tape")
    make_dataset(site, "in", [f"f{n}" for n in range(5)], at=["TAPE"])
    task = make_task(site, inputDataset="in")
    site.execute(
        "UPDATE data_carousel_requests SET n_files = 5, n_staged = 2, source_endpoint = 'TAPE', status = 'staging'"
    )
    answer = about_task(site, task)
    assert first(answer)[0] == "waits_for_tape"
    assert "2 of 5 files have arrived" in answer["reason"]["sentence"]
    assert "from TAPE to a disk to be chosen" in answer["reason"]["sentence"]


def test_a_paused_task_names_who_and_since_when(site):
    task = make_task(site)
    assert run_command(site, "pause", task, Issuer("alice")).is_accepted
    answer = about_task(site, task)
    identity, sentence = first(answer)
    assert identity == "paused"
    assert sentence.startswith("It was paused by alice at ")
    assert any("resume" in line for line in answer["reason"]["advice"])


def test_an_exhausted_task_says_why_and_when_it_is_closed(site):
    task = make_task(site)
    bring(site, task, TaskStatus.EXHAUSTED, error_dialog="memory leak")
    answer = about_task(site, task)
    assert first(answer)[0] == "exhausted"
    assert answer["reason"]["sentence"].endswith("memory leak.")
    left = answer["reason"]["next_time"] - utc_now()
    assert timedelta(hours=47) < left <= timedelta(hours=48)


def test_a_pending_task_says_until_when_with_the_funnel(site):
    task = make_task(site, site="", ramCount=5000)
    site.execute("DELETE FROM jobs_live WHERE jedi_task_id = %(id)s", {"id": task})
    site.execute("UPDATE tasks SET n_jobs = 0 WHERE jedi_task_id = %(id)s", {"id": task})
    site.execute("UPDATE queues SET max_ram_mb = 2000")
    again = utc_now() + timedelta(minutes=40)
    bring(site, task, TaskStatus.PENDING, error_dialog="no queue for it", next_try_time=again)
    answer = about_task(site, task)
    identity, sentence = first(answer)
    assert (identity, answer["reason"]["next_time"]) == ("pending", again)
    assert f"{again:%H:%M}" in sentence and "no queue for it" in sentence
    brokerage = answer["brokerage"]
    assert (brokerage["binding_step"], brokerage["sentence"]) == (
        "memory",
        "Accepted by 0 of 1 queue; with 2000 MB by 1.",
    )


def test_a_throttled_task_says_the_cap(site):
    task = make_task(site)
    bring(site, task, TaskStatus.RUNNING)
    bring(site, task, TaskStatus.THROTTLED, error_dialog="alice runs 10000 of 10000 jobs")
    answer = about_task(site, task)
    assert first(answer)[0] == "throttled"
    assert answer["reason"]["responsible"] == "user"
    assert "alice runs 10000 of 10000 jobs; 1 job is under way" in answer["reason"]["sentence"]


def test_a_user_at_the_cap_gets_no_further_jobs(site):
    make_dataset(site, "in", [f"f{n}" for n in range(6)], at=["Q_DISK"])
    task = make_task(site, inputDataset="in", nFilesPerJob=1)
    site.execute("UPDATE task_files SET status = 'ready' WHERE jedi_task_id = %(id)s AND position = 6", {"id": task})
    set_limits(site, Account("user", "alice"), {"max_running_jobs": 2}, who="op", now=utc_now())
    answer = about_task(site, task)
    identity, sentence = first(answer)
    assert identity == "cap_reached"
    assert sentence == "No further jobs are made of it: user alice has 6 queued jobs, 4 are allowed."
    assert answer["reason"]["numbers"]["limit"] == 4


def test_a_banned_user_s_held_task_names_the_ban(site):
    task = make_task(site)
    bring(site, task, TaskStatus.RUNNING)
    bring(site, task, TaskStatus.THROTTLED)
    until = utc_now() + timedelta(days=1)
    account = Account("user", "alice")
    set_limits(site, account, {"banned_until": until, "reason": "stolen key"}, who="op", now=utc_now())
    answer = about_task(site, task)
    assert (first(answer)[0], answer["reason"]["responsible"]) == ("banned", "operators")
    assert "stolen key" in answer["reason"]["sentence"]
    assert answer["also"][0]["id"] == "throttled"


def test_a_full_lane_has_its_numbers(site):
    task = make_task(site)
    site.execute("UPDATE tasks SET gshare = 'prod', status = 'running' WHERE jedi_task_id = %(id)s", {"id": task})
    site.execute("UPDATE jobs_live SET gshare = 'prod'")
    site.execute("UPDATE task_files SET status = 'ready' WHERE jedi_task_id = %(id)s", {"id": task})
    row = {
        "gshare": "prod",
        "computing_site": "Q",
        "resource_type": row_of(site, jobs_of_task(site, task)[0])["resource_type"],
    }
    insert(site, "share_usage", [{**row, "queued_jobs": 2500, "executing_jobs": 100}])
    answer = about_task(site, task)
    assert first(answer)[0] == "lane_full"
    numbers = answer["reason"]["numbers"]
    assert (numbers["queued"], numbers["running"], numbers["limit"]) == (2500, 100, 2000)


def test_a_scouting_task_counts_its_scouts(site):
    make_dataset(site, "in", [f"f{n}" for n in range(4)], at=["Q_DISK"])
    task = make_task(site, inputDataset="in", nFilesPerJob=1)
    while broker(site):
        pass
    site.execute("UPDATE jobs_live SET special_handling = 'scout'")
    site.execute("UPDATE tasks SET status = 'scouting' WHERE jedi_task_id = %(id)s", {"id": task})
    (taken,) = acquire(site)
    report_finished(site, taken.job["panda_id"])
    add_up(site)
    site.execute("UPDATE tasks SET status = 'scouting' WHERE jedi_task_id = %(id)s", {"id": task})
    answer = about_task(site, task)
    assert first(answer)[0] == "scouting"
    numbers = answer["reason"]["numbers"]
    assert (numbers["scouts"], numbers["ended"], numbers["finished"], numbers["missing"]) == (4, 1, 1, 1)


def test_a_task_whose_jobs_wait_says_what_the_first_one_waits_for(site):
    make_dataset(site, "in", [f"f{n}" for n in range(3)], at=["Q_DISK"])
    task = make_task(site, inputDataset="in", nFilesPerJob=1)
    while broker(site):
        pass
    answer = about_task(site, task)
    identity, sentence = first(answer)
    assert (identity, answer["reason"]["numbers"]["jobs"]) == ("no_pilot", 3)
    assert sentence.startswith("3 of 3 jobs under way are activated. Job ")
    assert answer["panda_id"] == jobs_of_task(site, task)[0]


def test_a_task_that_runs_and_what_failed_in_it(site):
    make_dataset(site, "in", [f"f{n}" for n in range(3)], at=["Q_DISK"])
    task = make_task(site, inputDataset="in", nFilesPerJob=1)
    while broker(site):
        pass
    one, two = (acquire(site)[0].job["panda_id"] for _ in range(2))
    report(site, one, "failed", exe_error_code=65, exe_error_diag="segmentation fault")
    report(site, two, "running")
    add_up(site)
    answer = about_task(site, task)
    assert first(answer)[0] == "running"
    (failed,) = [reason for reason in answer["also"] if reason["id"] == "failed_attempts"]
    assert failed["numbers"]["error"].startswith("exe:65")
    assert failed["responsible"] == "user"
    assert failed["sentence"] == "1 job of it failed with exe:65. 1 file given up."


def test_a_task_that_ended(site):
    task = make_task(site)
    while broker(site):
        pass
    report_finished(site, acquire(site)[0].job["panda_id"])
    add_up(site)
    answer = about_task(site, task)
    assert first(answer)[0] == "ended"
    assert "1 of 1 file done, 0 failed" in answer["reason"]["sentence"]
    assert (answer["brokerage"], answer["start"]) == (None, None)


def test_a_task_that_is_killed_while_a_pilot_has_its_job(site):
    task = make_task(site)
    while broker(site):
        pass
    acquire(site)
    assert run_command(site, "kill", task, Issuer("alice")).is_accepted
    assert first(about_task(site, task))[0] == "closing"


def test_a_child_that_was_killed_with_its_parent_says_so(site):
    parent = make_task(site, taskName="parent to be killed")
    child = make_task(site, taskName="child to be killed")
    site.execute(
        "UPDATE tasks SET parent_tid = %(parent)s, error_dialog = 'waiting for the parent task' WHERE jedi_task_id = %(id)s",
        {"parent": parent, "id": child},
    )
    assert run_command(site, "kill", parent, Issuer("alice")).is_accepted
    sentence = about_task(site, child)["reason"]["sentence"]
    assert sentence.startswith("It ended as aborted at ")
    assert f"its parent, task {parent}, was killed by alice" in sentence and "waiting" not in sentence
    assert "killed by alice" in about_task(site, parent)["reason"]["sentence"]


def test_missing_input_is_named(site):
    task = make_task(site)
    site.execute("DELETE FROM jobs_live WHERE jedi_task_id = %(id)s", {"id": task})
    site.execute("UPDATE tasks SET n_jobs = 0, status = 'ready' WHERE jedi_task_id = %(id)s", {"id": task})
    site.execute(
        "UPDATE task_files SET status = 'missing', lfn = 'lost.root' WHERE jedi_task_id = %(id)s", {"id": task}
    )
    answer = about_task(site, task)
    assert (first(answer)[0], answer["reason"]["responsible"]) == ("input_missing", "data")
    assert "lost.root" in answer["reason"]["sentence"]


def test_every_state_of_a_task_has_an_answer(site):
    task = make_task(site)
    for status in TaskStatus:
        site.execute("UPDATE tasks SET status = %(s)s WHERE jedi_task_id = %(id)s", {"s": status.value, "id": task})
        assert about_task(site, task)["reason"], status


def test_a_task_that_is_not_there(database):
    with pytest.raises(UnknownObject) as refused:
        about_task(database, 10_000_000)
    assert refused.value.field == "jedi_task_id" and refused.value.remedy
