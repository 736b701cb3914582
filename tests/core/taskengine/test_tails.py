"""The last jobs of production tasks are hurried, those of others are not."""

from __future__ import annotations

from typing import Any

import pytest

from core.agents.task_watchdog import TaskWatchdog
from core.database import Database
from core.taskengine.commands.changing import change_priority
from core.taskengine.tails import hurry
from core.workload_settings import TailSettings, TaskTimes
from tests.core.shares.conftest import plant
from tests.core.taskengine.rows import task_row
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

TAILS = TailSettings(done=0.5, most_jobs=2)


@pytest.fixture
def site(database: Database) -> Database:
    make_queue(database)
    make_dataset(database, "in", [f"f{number}" for number in range(6)], at=["Q_DISK"])
    return database


def watch(database: Database, tails: TailSettings = TAILS) -> int:
    return TaskWatchdog(database, TaskTimes(), 1, tails=tails, stranded_s=1e9).cycle()


def task(database: Database, label: str = "managed", finished: int = 4, **parameters: Any) -> int:
    """A task of six jobs, some of which have finished."""
    known = {"inputDataset": "in", "nFilesPerJob": 1, "prodSourceLabel": label, **parameters}
    task_id = make_task(database, **known)
    activate(database, 0)
    for job in acquire(database, job_count=finished, jedi_task_id=task_id, label=label) if finished else []:
        report(database, job.job["panda_id"], "running")
        report_finished(database, job.job["panda_id"])
    add_up(database)
    assert task_row(database, task_id)["n_finished"] == finished
    change_priority(database, task_id, 500)
    return task_id


def standing(database: Database, task_id: int) -> tuple[Any, ...]:
    """Priority and share of a task, and of its jobs that wait."""
    row = task_row(database, task_id)
    jobs = database.fetch(
        "SELECT DISTINCT current_priority, gshare FROM jobs_live WHERE jedi_task_id = %(id)s ORDER BY 1",
        {"id": task_id},
    )
    return row["current_priority"], row["gshare"], [(job["current_priority"], job["gshare"]) for job in jobs]


def test_a_production_task_of_which_little_is_left_is_hurried_once(site):
    task_id = task(site)
    assert watch(site) == 1
    assert standing(site, task_id) == (900, "", [(900, "")])
    assert watch(site) == 0


@pytest.mark.parametrize(
    ("label", "finished", "changes"),
    [
        ("user", 4, {}),
        ("managed", 3, {}),
        ("managed", 4, {"most_jobs": 1}),
        ("managed", 4, {"priority": 0}),
        ("managed", 4, {"priority": 500}),
    ],
    ids=["of a user", "too early", "too many jobs", "turned off", "urgent enough"],
)
def test_others_are_left_alone(site, label, finished, changes):
    task_id = task(site, label, finished)
    before = standing(site, task_id)
    assert watch(site, TAILS.model_copy(update=changes)) == 0
    assert standing(site, task_id) == before


def test_jobs_are_reckoned_from_what_is_in_one(site):
    make_dataset(site, "twelve", [f"g{number:02}" for number in range(12)], at=["Q_DISK"])
    task_id = task(site, inputDataset="twelve", nFilesPerJob=2)
    assert watch(site) == 1, "four files are two jobs"
    assert standing(site, task_id)[0] == 900


def test_what_waits_goes_to_the_share_for_it(site):
    plant(site, {"name": "Express", "value": 10, "prod_source_label": "install"}, {"name": "all", "value": 90})
    task_id = task(site)
    with site.transaction() as transaction:
        said = hurry(transaction, task_id, TAILS)
    assert said is not None and said.endswith("in the share Express")
    assert standing(site, task_id) == (900, "Express", [(900, "Express")])


def test_a_tree_without_that_share_keeps_the_task_where_it_is(site):
    plant(site, {"name": "all", "value": 100})
    task_id = task(site)
    assert watch(site) == 1
    assert standing(site, task_id) == (900, "all", [(900, "all")])


def test_a_task_that_follows_its_input_has_more_to_come(site):
    task_id = task(site)
    site.execute(
        "INSERT INTO task_datasets (jedi_task_id, name, stream, type, status) "
        "VALUES (%(id)s, 'p', 'PARENT', 'parent', 'mutable')",
        {"id": task_id},
    )
    assert watch(site) == 0
