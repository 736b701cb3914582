"""The same task name again: refused while it is active, taken up again when it has ended (client-wire.md 4.3)."""

from __future__ import annotations

import threading

import pytest

from core.database import Database
from core.taskbuffer.killing import Killer, kill_jobs
from core.taskengine.submit import Submission
from tests.core.taskengine.submitting import (
    accept,
    captured,
    files,
    history,
    jobs,
    place,
    prepare,
    row_of_task,
    run,
    send,
    task_files,
)
from tests.support.builders import everything

OWNER = Killer("Test User", False)


@pytest.fixture
def site(database: Database) -> Database:
    prepare(database)
    return database


def ended(database: Database, name: str, **changes: object) -> int:
    """A task all of whose jobs finished."""
    task_id = accept(database, captured(name, **changes))
    place(database)
    run(database, *(job["panda_id"] for job in jobs(database, task_id)))
    assert row_of_task(database, task_id)["status"] == "done"
    return task_id


def add_file(database: Database, dataset: str, lfn: str) -> None:
    database.execute(
        """WITH added AS (INSERT INTO files (dataset_id, lfn, size_bytes, checksum)
               SELECT dataset_id, %(lfn)s, 3, 'ad:0a1b2c3d' FROM datasets WHERE name = %(dataset)s RETURNING file_id)
           INSERT INTO replicas (file_id, endpoint, pfn) SELECT file_id, 'Q_DISK', '/x/' FROM added""",
        {"dataset": dataset, "lfn": lfn},
    )


def test_an_active_task_of_the_same_name_is_in_the_way(site):
    task_id = accept(site, captured("files"))
    before = everything(site)
    again = send(site, captured("files"))
    assert (again.code, again.jedi_task_id, again.is_accepted) == (2, task_id, False)
    assert again.message.startswith(
        f"jediTaskID={task_id} is in the ready state for outDS=user.testuser.files/. You can re-submit"
    )
    assert everything(site) == before


def test_a_task_that_is_only_queued_is_told_so(site):
    task_id = accept(site, captured("single"))
    site.execute("UPDATE tasks SET status = 'registered' WHERE jedi_task_id = %(id)s", {"id": task_id})
    again = send(site, captured("single"))
    assert again.code == 1
    assert again.message == (
        f"jediTaskID={task_id} is already queued for outDS=user.testuser.single/. You cannot submit duplicated tasks. "
    )


@pytest.mark.parametrize(
    "other",
    [
        {"uniqueTaskName": False},
        {"uniqueTaskName": None},
        {"taskName": "user.testuser.other/"},
        {"prodSourceLabel": "test"},
        {"vo": "other"},
    ],
    ids=str,
)
def test_another_key_is_another_task(site, other):
    first = accept(site, captured("single"))
    assert accept(site, captured("single", **other)) > first


def test_another_user_has_tasks_of_his_own(site):
    accept(site, captured("single"))
    parameters = captured("single", log=None)
    assert send(site, parameters, user_name="Bob").code == 0


def test_official_tasks_are_one_whoever_sends_them(site):
    parameters = captured("single", official=True, log=None)
    accept(site, parameters, is_production=True)
    assert send(site, parameters, user_name="Carol", is_production=True).code == 2
    assert send(site, parameters, user_name="Bob").code == 0


def test_a_task_that_is_done_takes_up_new_files_only(site):
    task_id = ended(site, "files")
    add_file(site, "user.testuser.one", "f6.txt")
    again = send(site, captured("files"))
    assert (again.code, again.jedi_task_id) == (3, task_id)
    assert again.message == (
        f"reactivation accepted. jediTaskID={task_id} (currently in done state) will be re-executed with old and/or new input"
    )
    assert files(site, task_id, "input")[3:] == [["f6.txt"]]
    assert files(site, task_id, "output")[3] == [f"user.testuser.{task_id}._000004.out.txt"]
    row = row_of_task(site, task_id)
    assert (row["status"], row["n_jobs"], row["n_files"], row["n_files_finished"]) == ("ready", 4, 6, 5)
    place(site)
    run(site, jobs(site, task_id)[3]["panda_id"])
    assert row_of_task(site, task_id)["status"] == "done"


def test_a_task_that_is_done_stays_done_when_nothing_is_new(site):
    task_id = ended(site, "files")
    assert send(site, captured("files")).code == 3
    row = row_of_task(site, task_id)
    assert (row["status"], row["n_jobs"]) == ("done", 3)
    assert history(site, task_id)[-1] == "done"


def test_what_was_killed_is_done_again_under_new_rules(site):
    task_id = accept(site, captured("files"))
    kill_jobs(site, [job["panda_id"] for job in jobs(site, task_id)], OWNER)
    assert row_of_task(site, task_id)["status"] == "failed"
    assert send(site, captured("files", nFilesPerJob=5, ramCount=700, workingGroup="ignored")).code == 3
    job = jobs(site, task_id)[-1]
    assert files(site, task_id, "input")[3] == [f"f{number}.txt" for number in range(1, 6)]
    assert (job["min_ram_mb"], job["attempt_nr"], job["working_group"]) == (700, 2, "")
    assert [(file["status"], file["attempt_nr"], file["failed_attempt"]) for file in task_files(site, task_id)] == [
        ("running", 2, 0)
    ] * 5
    row = row_of_task(site, task_id)
    assert (row["n_cancelled"], row["n_jobs"], row["next_serial"]) == (3, 4, 5)


def test_another_dataset_is_added_to_the_old_one(site):
    task_id = ended(site, "files")
    assert send(site, captured("files", dsForIN="user.testuser.one/,user.testuser.two/")).code == 3
    assert [name for piece in files(site, task_id, "input")[3:] for name in piece] == [f"s{n}.txt" for n in range(1, 6)]


def test_a_bad_change_leaves_the_old_task_as_it_was(site):
    ended(site, "files")
    before = everything(site)
    with pytest.raises(Exception, match="nFilesPerJob"):
        send(site, captured("files", nFilesPerJob=-1))
    assert everything(site) == before


def test_two_at_the_same_moment_make_one_task(site):
    answers: list[Submission] = []
    threads = [threading.Thread(target=lambda: answers.append(send(site, captured("single")))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.code for answer in answers) == [0, 2, 2, 2, 2, 2]
