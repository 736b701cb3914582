"""Commands on tasks that wait for tape: kill, finish, pause, resume, retry, reload."""

from __future__ import annotations

from tests.core.carousel.tapes import status, statuses
from tests.core.taskengine.submitting import history


def waiting_task(storage) -> int:
    storage.put("data", "a", "b", "c")
    return storage.task("data")


def test_a_killed_task_ends_and_its_request_with_it(storage):
    task_id = waiting_task(storage)
    storage.bring_some(1)
    assert storage.command("kill", task_id).is_accepted
    assert status(storage, task_id) == "aborted" or storage.run_all(task_id) >= 0
    storage.bring()
    assert (storage.request()["status"], storage.copies()) == ("cancelled", [])


def test_a_task_that_is_killed_before_anything_came_is_aborted_at_once(storage):
    task_id = waiting_task(storage)
    assert storage.command("kill", task_id).is_accepted
    assert status(storage, task_id) == "aborted"
    storage.bring()
    assert storage.request()["status"] == "cancelled"


def test_a_finished_task_ends_with_what_is_done_and_a_retry_brings_the_rest(storage):
    task_id = waiting_task(storage)
    storage.bring_first(task_id)
    storage.run_all(task_id)
    assert storage.command("finish", task_id).is_accepted
    assert (status(storage, task_id), statuses(storage, task_id)) == (
        "finished",
        ["finished", "cancelled", "cancelled"],
    )
    storage.bring()
    assert storage.copies() == []
    assert storage.command("retry", task_id).is_accepted
    assert statuses(storage, task_id) == ["finished", "staging", "staging"]
    storage.bring()
    assert storage.run_all(task_id) == 2
    assert status(storage, task_id) == "done"


def test_a_task_that_was_finished_before_anything_came_can_be_retried(storage):
    task_id = waiting_task(storage)
    assert storage.command("finish", task_id).is_accepted
    assert status(storage, task_id) == "failed"
    storage.bring()
    assert storage.command("retry", task_id).is_accepted
    storage.bring()
    assert storage.run_all(task_id) == 3
    assert status(storage, task_id) == "done"


def test_a_paused_task_waits_while_its_files_come(storage):
    task_id = waiting_task(storage)
    assert storage.command("pause", task_id).is_accepted
    storage.bring()
    assert (status(storage, task_id), storage.request()["status"]) == ("paused", "done")
    assert storage.command("resume", task_id).is_accepted
    assert status(storage, task_id) == "staging"
    storage.bring()
    assert storage.run_all(task_id) == 3
    assert status(storage, task_id) == "done"


def test_a_task_that_is_resumed_in_staging_goes_on_with_what_has_arrived(storage):
    task_id = waiting_task(storage)
    assert storage.command("resume", task_id).is_accepted
    assert history(storage.database, task_id) == ["registered", "staging", "staged", "ready"]
    assert statuses(storage, task_id) == ["staging"] * 3
    storage.make_jobs()
    assert status(storage, task_id) == "ready"
    storage.bring()
    assert storage.run_all(task_id) == 3
    assert status(storage, task_id) == "done"


def test_a_retry_that_does_not_wait_for_tape_leaves_out_what_has_not_come(storage):
    task_id = waiting_task(storage)
    storage.bring_first(task_id)
    storage.run_all(task_id)
    assert (status(storage, task_id), statuses(storage, task_id)) == ("running", ["finished", "staging", "staging"])
    assert storage.command("retry", task_id, staged=True).is_accepted
    storage.make_jobs()
    assert (status(storage, task_id), statuses(storage, task_id)) == (
        "finished",
        ["finished", "cancelled", "cancelled"],
    )


def test_input_that_is_loaded_again_after_its_copies_are_gone_comes_from_tape_again(storage):
    task_id = waiting_task(storage)
    storage.bring()
    storage.run_all(task_id)
    storage.bring()
    assert (status(storage, task_id), storage.copies()) == ("done", [])
    assert storage.command("reactivate", task_id).is_accepted
    assert statuses(storage, task_id) == ["staging"] * 3
    storage.bring()
    assert storage.run_all(task_id) == 3
    assert status(storage, task_id) == "done"
    assert [row["status"] for row in storage.requests()] == ["retired", "done"]
