"""A database that a release before the task engine left in the middle of its work is taken over: nothing is lost, all goes on.

released_0002.json is what commit 5c13071 had in its tables: tasks that are done, failed, half through, being killed, with a
verdict that nobody has looked at yet, and waiting; jobs live and archived.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from core.database import Database, Row
from core.monitor.job import job_detail
from core.taskbuffer.killing import Killer
from core.taskengine.commands.locking import Issuer
from core.taskengine.commands.table import run_command
from tests.core.upgrading.released import released, upgraded_from
from tests.support.builders import (
    acquire,
    add_up,
    broker,
    everything,
    jobs_of_task,
    kill_task,
    make_task,
    report,
    report_finished,
    status_of,
)

RELEASED = released("0002")
TASKS = {row["task_name"]: row["jedi_task_id"] for row in RELEASED["tables"]["tasks"]}


@pytest.fixture
def upgraded(postgres_url: str) -> Iterator[Database]:
    """The database of that release, migrated to this one."""
    with upgraded_from(postgres_url, "0002") as database:
        yield database


def task(database: Database, name: str) -> Row:
    row = database.fetch_one("SELECT * FROM tasks WHERE jedi_task_id = %(id)s", {"id": TASKS[name]})
    assert row is not None
    return row


def run_all(database: Database) -> None:
    """Brokerage, pilots that succeed, the adder, until nothing is left to do."""
    while broker(database):
        pass
    while taken := acquire(database, job_count=100):
        for entry in taken:
            report(database, entry.job["panda_id"], "running")
            report_finished(database, entry.job["panda_id"])
    add_up(database)


def test_nothing_is_lost_and_what_ended_is_shown_as_before(upgraded):
    after = everything(upgraded)
    for table, rows in RELEASED["tables"].items():
        if table in after:
            assert len(after[table]) == len(rows), table
    for row in RELEASED["tables"]["jobs_archive"]:
        shown = job_detail(upgraded, row["panda_id"], datetime.now(UTC))["job"]
        assert (shown["job_status"], shown["trans_exit_code"]) == (row["job_status"], row.get("trans_exit_code"))
    assert {name: task(upgraded, name)["status"] for name in ("done", "failed")} == {"done": "done", "failed": "failed"}
    counts = {name: _files(task(upgraded, name)) for name in TASKS}
    assert (counts["done"], counts["failed"], counts["half"], counts["waiting"]) == (
        (4, 4, 0),
        (2, 0, 2),
        (3, 1, 1),
        (4, 0, 0),
    )


def _files(row: Row) -> tuple[int, int, int]:
    return row["n_files"], row["n_files_finished"], row["n_files_failed"]


def test_jobs_under_way_go_on_and_their_tasks_end_as_their_counts_say(upgraded):
    for row in upgraded.fetch("SELECT panda_id, jedi_task_id FROM jobs_live WHERE job_status = 'running'"):
        if row["jedi_task_id"] == TASKS["dying"]:
            assert report(upgraded, row["panda_id"], "running") == "tobekilled"
            report(upgraded, row["panda_id"], "failed", pilot_error_code=1144)
        else:
            report_finished(upgraded, row["panda_id"])
    run_all(upgraded)
    ended = {name: task(upgraded, name)["status"] for name in TASKS}
    assert ended == {
        "done": "done",
        "half": "finished",
        "waiting": "done",
        "failed": "failed",
        "dying": "aborted",
        "verdict": "done",
        "undefined": "done",
    }
    assert upgraded.fetch("SELECT panda_id FROM jobs_live") == []
    for name, task_id in TASKS.items():
        row = task(upgraded, name)
        assert row["n_jobs"] == row["n_finished"] + row["n_failed"] + row["n_cancelled"], name
        assert row["n_jobs"] == len(jobs_of_task(upgraded, task_id)), name


def test_what_failed_before_is_done_again_and_what_finished_is_not(upgraded):
    alice = Issuer("alice")
    for name, made in (("failed", 2), ("half", 1), ("done", 0)):
        before = jobs_of_task(upgraded, TASKS[name])
        command_name = "incexec" if name == "done" else "retry"
        assert run_command(upgraded, command_name, TASKS[name], alice).is_accepted
        assert len(jobs_of_task(upgraded, TASKS[name])) == len(before) + made, name
    for row in upgraded.fetch("SELECT panda_id FROM jobs_live WHERE job_status = 'running'"):
        report_finished(upgraded, row["panda_id"])
    run_all(upgraded)
    assert {task(upgraded, name)["status"] for name in ("done", "failed", "half", "waiting")} == {"done"}
    # every piece of a task wrote an output under a name of its own
    names = upgraded.fetch(
        "SELECT f.dataset_id FROM files f JOIN datasets d USING (dataset_id) WHERE d.kind = 'output'"
    )
    assert (
        len(names)
        == sum(len(jobs_of_task(upgraded, TASKS[name])) for name in ("done", "half", "waiting", "verdict")) - 1
    )


def test_tasks_of_before_obey_commands_and_new_ones_stand_beside_them(upgraded):
    assert kill_task(upgraded, TASKS["waiting"], Killer("alice", False)) == 2
    assert task(upgraded, "waiting")["status"] == "aborted"
    new = make_task(upgraded, inputDataset="user.alice.in", outputs=["o"], jobParameters="wc < %IN > %OUT")
    assert new > max(TASKS.values())
    run_all(upgraded)
    assert [status_of(upgraded, panda_id) for panda_id in jobs_of_task(upgraded, new)] == ["finished"] * 4
