"""A task of more files than fit in one statement is opened again page by page, each file once, whatever comes between."""

from __future__ import annotations

import pytest

from core.agents.feeder import Feeder
from core.agents.task_watchdog import TaskWatchdog
from core.database import Database
from core.taskengine.commands.table import run_command
from core.taskengine.making import reopened
from core.workload_settings import GenerationSettings, TaskTimes
from tests.core.taskengine.rows import file_statuses, history, task_row
from tests.core.taskengine.test_commands_reopening import ALICE, CAROL, ended, finish_all, inputs_of, new_jobs
from tests.support.builders import make_queue


@pytest.fixture
def site(database: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    monkeypatch.setattr(reopened, "FILES_PER_PAGE", 2)
    make_queue(database)
    return database


def feed(database: Database) -> int:
    """A cycle of a feeder that has just been started."""
    return Feeder(database, GenerationSettings(), 1).cycle()


def markers(database: Database, task_id: int) -> int:
    rows = database.fetch(
        "SELECT 1 FROM task_datasets WHERE jedi_task_id = %(id)s AND type = 'reopened'", {"id": task_id}
    )
    return len(rows)


def test_a_retry_opens_the_rest_page_by_page_and_each_file_once(site):
    task_id, old = ended(site, "xfxxxx")
    assert run_command(site, "retry", task_id, ALICE).is_accepted
    assert task_row(site, task_id)["status"] == "defined"
    assert file_statuses(site, task_id) == ["ready", "finished", "failed", "failed", "failed", "failed"]
    assert new_jobs(site, task_id, old) == []
    assert feed(site) == 1
    assert file_statuses(site, task_id).count("ready") == 3
    assert feed(site) == 1 and feed(site) == 0
    assert markers(site, task_id) == 0
    row = task_row(site, task_id)
    assert (row["status"], row["n_files"], row["n_files_finished"], row["n_files_failed"]) == ("ready", 6, 1, 0)
    assert [inputs_of(site, panda_id) for panda_id in new_jobs(site, task_id, old)] == [[n] for n in "02345"]
    finish_all(site, task_id)
    assert task_row(site, task_id)["status"] == "done"
    assert ("rerefine", "defined") in history(site, task_id)


@pytest.mark.parametrize(("keep", "attempt"), [(False, 1), (True, 2)])
def test_a_reactivation_opens_what_is_finished_too(site, keep, attempt):
    task_id, old = ended(site, "fffxx")
    run_command(site, "reactivate", task_id, CAROL, keep_attempt_nr=keep)
    while feed(site):
        pass
    fresh = new_jobs(site, task_id, old)
    assert [inputs_of(site, panda_id) for panda_id in fresh] == [[n] for n in "01234"]
    files = site.fetch("SELECT attempt_nr FROM task_files WHERE jedi_task_id = %(id)s", {"id": task_id})
    assert [row["attempt_nr"] for row in files] == [attempt] * 5
    finish_all(site, task_id)
    assert task_row(site, task_id)["status"] == "done"


def test_nobody_takes_a_task_that_is_being_opened_for_stranded(site):
    task_id, _ = ended(site, "xxxxx")
    run_command(site, "retry", task_id, ALICE)
    site.execute("UPDATE tasks SET modification_time = modification_time - interval '2 days'")
    TaskWatchdog(site, TaskTimes(), 1).cycle()
    assert task_row(site, task_id)["status"] == "defined" and markers(site, task_id) == 1


def test_what_live_jobs_have_is_not_waited_for_nor_done_twice(site):
    task_id, old = ended(site, "ffffr")
    run_command(site, "reactivate", task_id, CAROL)
    assert markers(site, task_id) == 0
    assert [inputs_of(site, panda_id) for panda_id in new_jobs(site, task_id, old)] == [[n] for n in "0123"]


def test_a_kill_in_between_ends_it_and_a_later_command_begins_anew(site):
    task_id, old = ended(site, "fxxxx")
    run_command(site, "reactivate", task_id, CAROL)
    assert run_command(site, "kill", task_id, ALICE).is_accepted
    assert task_row(site, task_id)["status"] == "aborted"
    assert run_command(site, "incexec", task_id, ALICE).is_accepted
    while feed(site):
        pass
    assert markers(site, task_id) == 0
    finish_all(site, task_id)
    row = task_row(site, task_id)
    assert (row["status"], row["n_files_finished"]) == ("done", 5)
    # the kill left the first file, which had been opened, to be done again
    assert sorted(inputs_of(site, panda_id) for panda_id in new_jobs(site, task_id, old)) == [[n] for n in "01234"]


def test_a_retry_under_way_leaves_alone_what_was_never_tried(site):
    task_id, _ = ended(site, "xrr")
    limits = "SELECT max_attempt FROM task_files WHERE jedi_task_id = %(id)s ORDER BY file_id"
    before = [row["max_attempt"] for row in site.fetch(limits, {"id": task_id})]
    untried = "UPDATE task_files SET status = 'ready', attempt_nr = 0, panda_id = NULL WHERE file_id = ("
    site.execute(f"{untried} SELECT max(file_id) FROM task_files WHERE jedi_task_id = %(id)s)", {"id": task_id})
    run_command(site, "retry", task_id, ALICE)
    after = [row["max_attempt"] for row in site.fetch(limits, {"id": task_id})]
    assert after == [before[0] + 5, before[1] + 5, before[2]]
