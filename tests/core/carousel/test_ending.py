"""Copies stay while a task needs them and for a while after, then they are deleted: those of the carousel, and no others."""

from __future__ import annotations

from tests.core.carousel.tapes import status


def done_task(storage, name: str = "data") -> int:
    storage.put(name, f"{name}.1", f"{name}.2")
    task_id = storage.task(name)
    storage.bring(release_after_s=3600)
    storage.run_all(task_id)
    assert status(storage, task_id) == "done"
    return task_id


def test_copies_stay_for_a_while_after_the_last_task(storage):
    done_task(storage)
    storage.bring(release_after_s=3600)
    assert (storage.copies(), storage.request()["status"]) == (["data.1", "data.2"], "done")
    storage.older("unused_since", 2)
    storage.bring(release_after_s=3600)
    assert (storage.copies(), storage.request()["status"]) == ([], "retired")
    assert not storage.request()["holds_copies"]
    assert list((storage.root / "DISK").iterdir()) == []


def test_a_request_that_is_used_again_keeps_its_copies(storage):
    done_task(storage)
    storage.bring(release_after_s=3600)
    again = storage.task("data", taskName="again")
    assert status(storage, again) == "ready"
    storage.older("unused_since", 2)
    storage.bring()
    assert storage.copies() == ["data.1", "data.2"]
    storage.run_all(again)
    storage.bring()
    assert storage.copies() == []
    assert len(storage.requests()) == 1


def test_a_task_that_comes_after_the_copies_are_gone_has_them_brought_again(storage):
    done_task(storage)
    storage.bring()
    again = storage.task("data", taskName="again")
    assert status(storage, again) == "staging"
    storage.bring()
    assert storage.run_all(again) == 2
    assert [row["status"] for row in storage.requests()] == ["retired", "done"]


def test_copies_that_somebody_else_made_are_not_deleted(storage):
    storage.put("data", "a", at=("TAPE", "DISK"))
    storage.put("more", "b")
    kept, brought = storage.task("data"), storage.task("more")
    storage.bring()
    for task_id in (kept, brought):
        storage.run_all(task_id)
    storage.bring()
    assert storage.copies() == ["a"]


def test_a_deletion_that_was_broken_off_is_brought_to_its_end(storage):
    done_task(storage)
    storage.database.execute("UPDATE data_carousel_files SET status = 'deleting' WHERE file_id % 2 = 0")
    storage.database.execute("DELETE FROM replicas WHERE endpoint = 'DISK' AND file_id % 2 = 0")
    storage.bring()
    assert (storage.copies(), storage.places("data")) == ([], {"TAPE"})
    assert not storage.request()["holds_copies"]
