"""Whole tasks that wait: caps of their account, and a share that is at its target."""

from __future__ import annotations

from typing import Any

import pytest

from core.brokerage.throttle import task_class, task_throttle
from core.database import Database, Row
from tests.support.builders import make_queue, make_task, put_into, submit


@pytest.fixture
def site(database: Database) -> Database:
    make_queue(database)
    return database


def row_of_task(database: Database, **columns: Any) -> Row:
    task_id = make_task(database, **{"user": "alice", **columns.pop("parameters", {})})
    for name, value in columns.items():
        database.execute(f"UPDATE tasks SET {name} = %(v)s WHERE jedi_task_id = %(id)s", {"v": value, "id": task_id})
    database.execute("DELETE FROM jobs_live WHERE jedi_task_id = %(id)s", {"id": task_id})
    [row] = database.fetch("SELECT * FROM tasks WHERE jedi_task_id = %(id)s", {"id": task_id})
    return row


def ask(database: Database, task: Row):
    with database.transaction() as transaction:
        return task_throttle(transaction, task)


def limit(database: Database, kind: str, name: str, **limits: int) -> None:
    columns = ", ".join(limits)
    database.execute(
        f"INSERT INTO account_limits (kind, name, {columns}) VALUES (%(kind)s, %(name)s, "
        + ", ".join(f"%({one})s" for one in limits)
        + ")",
        {"kind": kind, "name": name, **limits},
    )


def running(database: Database, count: int, **job: Any) -> None:
    for panda_id in submit(database, count, **job):
        put_into(database, panda_id, "running")


def test_a_user_below_every_cap_is_not_held(site):
    task = row_of_task(site)
    limit(site, "user", "alice", max_running_jobs=3, max_running_cores=100)
    running(site, 3)
    submit(site, 6)
    running(site, 50, user="bob")
    assert ask(site, task) is None


@pytest.mark.parametrize(
    ("caps", "runs", "waits", "said"),
    [
        ({"max_running_jobs": 3}, 4, 0, ("running_jobs", 4, 3, "user alice has 4 running jobs, 3 are allowed")),
        ({"max_running_jobs": 3}, 0, 7, ("queued_jobs", 7, 6, "user alice has 7 queued jobs, 6 are allowed")),
        ({"max_running_cores": 7}, 2, 0, ("running_cores", 8, 7, "user alice has 8 running cores, 7 are allowed")),
        ({"max_running_cores": 7}, 0, 4, ("queued_cores", 16, 14, "user alice has 16 queued cores, 14 are allowed")),
    ],
)
def test_a_user_at_a_cap_is_told_which(site, caps, runs, waits, said):
    task = row_of_task(site)
    limit(site, "user", "alice", **caps)
    running(site, runs, core_count=4)
    submit(site, waits, core_count=4)
    throttle = ask(site, task)
    assert (throttle.kind, throttle.number, throttle.limit, throttle.reason) == said
    assert throttle.whose == "user alice" and throttle.next_step


def test_work_of_a_group_counts_for_the_group(site):
    task = row_of_task(site, working_group="higgs", status="running")
    limit(site, "group", "higgs", max_running_jobs=1)
    for panda_id in submit(site, 2, working_group="higgs"):
        put_into(site, panda_id, "running", jedi_task_id=task["jedi_task_id"])
    assert ask(site, task).reason == "group higgs has 2 running jobs, 1 are allowed"
    assert ask(site, row_of_task(site)) is None


def test_production_is_held_by_what_an_operator_decided_only(site):
    task = row_of_task(site, prod_source_label="managed")
    running(site, 3)
    limit(site, "default", "", max_running_jobs=2)
    assert ask(site, task) is None
    assert ask(site, row_of_task(site)).kind == "running_jobs"


@pytest.mark.parametrize(
    ("running_jobs", "mean", "done", "expected"),
    [(4, 10, 0, "A"), (5, 10, 0, "B"), (10, 10, 0, "B"), (11, 10, 0, "C"), (11, 10, 90, "S")],
)
def test_classes_of_tasks(running_jobs, mean, done, expected):
    task = {"n_files": 100, "n_files_finished": done, "n_files_failed": 0}
    assert task_class(task, running_jobs, mean) == expected


def share_tree(database: Database, executing: dict[str, float], queued: dict[str, float]) -> None:
    for position, name in enumerate(executing):
        database.execute(
            "INSERT INTO global_shares (name, value, position) VALUES (%(name)s, 50, %(position)s)",
            {"name": name, "position": position},
        )
        database.execute(
            """INSERT INTO share_usage (gshare, computing_site, resource_type, executing_power, queued_power)
               VALUES (%(name)s, 'Q', 'SCORE', %(executing)s, %(queued)s)""",
            {"name": name, "executing": executing[name], "queued": queued[name]},
        )


def test_a_share_at_its_target_holds_tasks_of_those_who_have_most(site):
    share_tree(site, {"users": 93, "production": 107}, {"users": 500, "production": 500})
    running(site, 3, gshare="users")
    running(site, 1, user="bob", gshare="users")
    throttle = ask(site, row_of_task(site, gshare="users"))
    assert (throttle.kind, throttle.whose, throttle.number, throttle.limit) == ("share", "share users", 0.93, 0.9)
    assert "of class C: its user has 3 of its jobs running, 2 is the mean" in throttle.reason
    # bob has less than the mean, and class B may go up to 95 %
    assert ask(site, row_of_task(site, gshare="users", user_name="bob")) is None
    assert ask(site, row_of_task(site, gshare="users", n_files=10, n_files_finished=9)) is None


@pytest.mark.parametrize(
    ("executing", "queued"),
    [
        ({"users": 100, "production": 100}, {"users": 50, "production": 500}),
        ({"users": 100, "production": 100}, {"users": 500, "production": 0}),
        ({"users": 80, "production": 120}, {"users": 500, "production": 500}),
    ],
    ids=["little waits", "nobody else has work", "below its target"],
)
def test_a_share_never_holds_work_that_would_leave_slots_idle(site, executing, queued):
    share_tree(site, executing, queued)
    running(site, 3, gshare="users")
    running(site, 1, user="bob", gshare="users")
    assert ask(site, row_of_task(site, gshare="users")) is None
