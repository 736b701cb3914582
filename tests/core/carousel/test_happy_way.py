"""Input on tape: a task waits for it, begins with the first files, ends with the last, and the copies are deleted."""

from __future__ import annotations

from core.dataservice.activation import Arrival, register_arrivals
from tests.core.carousel.tapes import status, statuses
from tests.core.taskengine.submitting import accept, captured, history


def test_a_task_is_done_over_files_that_were_on_tape_and_nothing_is_left_on_disk(storage):
    storage.put("data", "a", "b", "c")
    task_id = storage.task("data")
    assert (status(storage, task_id), storage.request()["status"]) == ("staging", "queued")
    storage.bring()
    assert storage.copies() == ["a", "b", "c"]
    assert storage.request()["status"] == "done"
    assert storage.run_all(task_id) == 3
    assert history(storage.database, task_id)[:4] == ["registered", "staging", "staged", "ready"]
    assert status(storage, task_id) == "done"
    storage.bring()
    assert (storage.copies(), storage.request()["status"]) == ([], "retired")
    assert storage.copies("TAPE") == ["a", "b", "c"]
    assert storage.places("data") == {"TAPE"}


def test_jobs_are_made_of_the_first_files_while_others_are_still_on_tape(storage):
    storage.put("data", "a", "b", "c")
    task_id = storage.task("data")
    storage.bring_first(task_id)
    assert storage.run_all(task_id) == 1
    assert status(storage, task_id) == "running"
    assert statuses(storage, task_id) == ["finished", "staging", "staging"]
    storage.bring()
    storage.run_all(task_id)
    assert (status(storage, task_id), statuses(storage, task_id)) == ("done", ["finished"] * 3)


def test_tasks_of_the_same_dataset_share_one_request(storage):
    storage.put("data", "a", "b")
    first, second = storage.task("data"), storage.task("data", taskName="another")
    storage.bring()
    assert [storage.run_all(task_id) for task_id in (first, second)] == [2, 2]
    assert len(storage.requests()) == 1


def test_a_dataset_of_which_a_part_is_on_disk_begins_with_that(storage):
    storage.put("data", "a", "b")
    task_id = storage.task("data")
    storage.bring_first(task_id)
    another = storage.task("data", taskName="another")
    assert history(storage.database, another)[:2] == ["registered", "ready"]
    assert statuses(storage, another) == ["running", "staging"]
    storage.bring()
    storage.run_all(another)
    assert status(storage, another) == "done"


def test_input_that_goes_along_with_every_job_is_waited_for_to_the_last_file(storage):
    storage.put("user.testuser.one", "a", "b", at=("DISK",))
    storage.put("user.testuser.two", "x", "y")
    task_id = accept(storage.database, captured("secondary"))
    agent = storage.agent(copies_per_cycle=1)
    while "x" not in storage.copies():
        agent.cycle()
    assert status(storage, task_id) == "staging"
    storage.bring()
    assert storage.run_all(task_id) == 1
    assert status(storage, task_id) == "done"


def test_a_task_that_asks_for_it_waits_for_files_that_are_nowhere_yet(storage):
    storage.put("data", "a", "b", at=())
    task_id = storage.task("data", inputPreStaging=True)
    storage.bring()
    assert (status(storage, task_id), storage.request()["status"]) == ("staging", "staging")
    register_arrivals(storage.database, [Arrival("data", name, "DISK", f"/somewhere/{name}") for name in ("a", "b")])
    storage.bring()
    assert storage.run_all(task_id) == 2
    assert status(storage, task_id) == "done"


def test_a_tape_that_this_machine_cannot_see_is_waited_for_until_arrivals_are_told(storage):
    storage.put("data", "a", "b")
    storage.add("TAPE", "tape", path="/nowhere/at/all")
    task_id = storage.task("data")
    storage.bring()
    assert storage.request()["status"] == "staging"
    register_arrivals(storage.database, [Arrival("data", "a", "DISK", "/elsewhere/a")])
    storage.bring()
    assert statuses(storage, task_id) == ["running", "staging"]
    register_arrivals(storage.database, [Arrival("data", "b", "DISK", "/elsewhere/b")])
    storage.bring()
    assert storage.run_all(task_id) == 2
    storage.bring()
    assert storage.places("data") == {"TAPE", "DISK"}


def test_without_anything_on_tape_nothing_is_different(storage):
    storage.put("data", "a", "b", at=("DISK",))
    task_id = storage.task("data")
    assert history(storage.database, task_id) == ["registered", "ready"]
    assert storage.requests() == []
    assert storage.agent().cycle() == 0
