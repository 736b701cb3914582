"""A statement that is cancelled, or rows that nobody can count any more: the task it concerns waits, no other does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from core.agents.feeder import Feeder
from core.agents.generator import Generator
from core.database import Database
from core.taskengine.parents import follow_parents
from core.workload_settings import GenerationSettings, TaskTimes
from tests.core.taskengine.submitting import accept, captured, jobs, place, prepare, row_of_task, run
from tests.core.taskengine.test_parents import child_of
from tests.support.builders import make_dataset, make_queue, make_task


@pytest.fixture
def hasty(database_url: str) -> Iterator[Database]:
    """A door whose statements are cancelled when they wait for a moment."""
    door = Database(database_url, statement_timeout_ms=200)
    yield door
    door.close()


@pytest.fixture
def task_id(database: Database) -> int:
    make_queue(database, "Q")
    make_dataset(database, "big", [f"f{number}" for number in range(8)], at=["Q_DISK"])
    return make_task(database, inputDataset="big", nFilesPerJob=1)


def test_input_that_cannot_be_read_now_is_read_later(database: Database, hasty: Database, task_id: int):
    database.execute("UPDATE tasks SET status = 'defined'")
    database.execute("UPDATE task_datasets SET status = 'toupdate', feed_cursor = 0")
    with database.transaction() as other:
        other.execute("LOCK TABLE files IN ACCESS EXCLUSIVE MODE")
        Feeder(hasty, GenerationSettings(), 1).cycle()
    row = row_of_task(database, task_id)
    assert (row["status"], row["old_status"]) == ("pending", "defined")
    assert "could not be read" in row["error_dialog"]
    assert row["next_try_time"] is not None


def test_jobs_that_cannot_be_made_now_are_made_a_little_later(database: Database, hasty: Database, task_id: int):
    database.execute("UPDATE tasks SET generate_at = clock_timestamp()")
    with database.transaction() as other:
        other.execute("LOCK TABLE task_files IN ACCESS EXCLUSIVE MODE")
        Generator(hasty, GenerationSettings(), TaskTimes(), 1).cycle()
        [due] = hasty.fetch("SELECT generate_at > clock_timestamp() AS is_later FROM tasks")
    assert due["is_later"]
    assert (row_of_task(database, task_id)["status"], row_of_task(database, task_id)["error_dialog"]) == ("ready", "")


def test_a_child_that_cannot_be_counted_hides_no_other(database: Database):
    prepare(database)
    parent = accept(database, captured("njobs"))
    damaged, sound = (
        child_of(database, parent, waits=True, taskName=f"user.testuser.{name}/") for name in ("damaged", "sound")
    )
    database.execute(f"UPDATE tasks SET n_input_files = {2**63 - 1} WHERE jedi_task_id = %(id)s", {"id": damaged})
    place(database)
    run(database, *(job["panda_id"] for job in jobs(database, parent)))
    follow_parents(database)
    assert len(jobs(database, sound)) == 3
    row = row_of_task(database, damaged)
    assert row["status"] == "broken"
    assert "error of the system" in row["error_dialog"]


def test_a_parent_whose_output_cannot_be_read_now_is_followed_later(database: Database, hasty: Database):
    prepare(database)
    parent = accept(database, captured("njobs"))
    child = child_of(database, parent, waits=True)
    place(database)
    run(database, *(job["panda_id"] for job in jobs(database, parent)))
    with database.transaction() as other:
        other.execute("LOCK TABLE files IN ACCESS EXCLUSIVE MODE")
        assert follow_parents(hasty) == 0
    assert row_of_task(database, child)["status"] == "pending"
    assert follow_parents(hasty) == 1
    assert len(jobs(database, child)) == 3
