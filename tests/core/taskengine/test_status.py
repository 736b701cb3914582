"""The one function that changes the status of a task, against every pair of states."""

from __future__ import annotations

import pytest

from core.database import Database
from core.errors import IllegalTransition, UnknownObject
from core.states import FINAL_TASK_STATUSES, TASK_HOLDS, TASK_TRANSITIONS, TaskStatus
from core.taskengine.status import change_status, final_status
from tests.core.taskengine.rows import history, insert_task, task_row


def put(database: Database, task_id: int, status: TaskStatus, old_status: str = "") -> None:
    database.execute(
        "UPDATE tasks SET status = %(status)s, old_status = %(old)s WHERE jedi_task_id = %(id)s",
        {"id": task_id, "status": status, "old": old_status},
    )


def stop_between(current: str, target: str) -> str:
    """What upstream's agents do in two steps (server-api.md 5.7) stands in the history as two."""
    if target in ("done", "finished", "failed"):
        return {"finishing": "passed", "prepared": "", "passed": ""}.get(current, "prepared")
    if current == "toreassign" and target not in ("reassigning", "aborting", "finishing"):
        return "reassigning"
    return "toabort" if (current, target) == ("aborting", "aborted") else ""


@pytest.mark.parametrize("current", TaskStatus)
def test_exactly_the_steps_of_the_table_are_taken_and_written_down(shared_database, current):
    task_id = insert_task(shared_database)
    steps: list[tuple[str, str]] = []
    for target in TaskStatus:
        put(shared_database, task_id, current)
        before = task_row(shared_database, task_id)
        if target in TASK_TRANSITIONS[current]:
            with shared_database.transaction() as transaction:
                came_from = change_status(transaction, task_id, target, who="alice", reason="test")
            row = task_row(shared_database, task_id)
            assert (came_from, row["status"]) == (current, target)
            assert (row["end_time"] is not None) is (target in FINAL_TASK_STATUSES)
            assert row["modification_time"] > before["modification_time"]
            stop = stop_between(current.value, target.value)
            steps += [(current.value, stop), (stop, target.value)] if stop else [(current.value, target.value)]
        elif target is not current:
            with pytest.raises(IllegalTransition), shared_database.transaction() as transaction:
                change_status(transaction, task_id, target, who="alice", reason="test")
            assert task_row(shared_database, task_id) == before
    assert history(shared_database, task_id) == steps


def test_who_and_why_are_written_down_without_what_the_database_cannot_hold(shared_database):
    task_id = insert_task(shared_database)
    with shared_database.transaction() as transaction:
        change_status(transaction, task_id, TaskStatus.PAUSED, who="al\x00ice", reason="lunch " * 200)
    row = shared_database.fetch("SELECT * FROM task_history WHERE jedi_task_id = %(id)s", {"id": task_id})[0]
    assert row["who"] == "alice"
    assert row["reason"].startswith("lunch lunch")
    assert len(row["reason"]) == 500


def test_a_hold_remembers_where_to_go_back_to_and_a_second_one_keeps_it(shared_database):
    for hold in TASK_HOLDS:
        task_id = insert_task(shared_database, status="running")
        with shared_database.transaction() as transaction:
            change_status(transaction, task_id, hold, who="alice", reason="test")
        assert task_row(shared_database, task_id)["old_status"] == "running"
        if hold is not TaskStatus.PAUSED:
            with shared_database.transaction() as transaction:
                change_status(transaction, task_id, TaskStatus.PAUSED, who="alice", reason="test")
            assert task_row(shared_database, task_id)["old_status"] == "running"
        with shared_database.transaction() as transaction:
            change_status(transaction, task_id, TaskStatus.RUNNING, who="alice", reason="test")
        assert task_row(shared_database, task_id)["old_status"] == ""


def test_a_task_that_is_there_already_stays_as_it_is(shared_database):
    task_id = insert_task(shared_database, status="finishing")
    before = task_row(shared_database, task_id)
    with shared_database.transaction() as transaction:
        assert change_status(transaction, task_id, TaskStatus.FINISHING, who="a", reason="r") is TaskStatus.FINISHING
    assert (task_row(shared_database, task_id), history(shared_database, task_id)) == (before, [])


def test_a_task_that_does_not_exist_is_named(shared_database):
    with pytest.raises(UnknownObject) as refused, shared_database.transaction() as transaction:
        change_status(transaction, 5, TaskStatus.PAUSED, who="alice", reason="test")
    assert refused.value.field == "task_id"


@pytest.mark.parametrize(
    ("files", "finished", "parent", "end"),
    [
        (4, 4, "", "done"),
        (4, 3, "", "finished"),
        (4, 0, "", "failed"),
        (0, 0, "", "failed"),
        (4, 4, "done", "done"),
        (4, 4, "finished", "finished"),
        (4, 4, "running", "finished"),
        (4, 4, "failed", "failed"),
        (4, 4, "aborted", "failed"),
        (4, 4, "broken", "failed"),
    ],
)
def test_files_and_parent_decide_how_a_task_ends(files, finished, parent, end):
    assert final_status(files, finished, parent) == end


@pytest.mark.parametrize("begins", [TaskStatus.SCOUTING, TaskStatus.RUNNING])
def test_a_task_begins_once_with_its_scouts_or_its_first_jobs(shared_database, begins):
    task_id = insert_task(shared_database, status="ready")
    with shared_database.transaction() as transaction:
        change_status(transaction, task_id, begins, who="task engine", reason="test")
    began = task_row(shared_database, task_id)["start_time"]
    assert began is not None
    with shared_database.transaction() as transaction:
        for status in (TaskStatus.PAUSED, begins):
            change_status(transaction, task_id, status, who="alice", reason="test")
    assert task_row(shared_database, task_id)["start_time"] == began
