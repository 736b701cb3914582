"""Files that cannot be brought, agents that are killed, requests that stand still: nothing is lost, and people are told."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from core.agents.data_carousel import DataCarousel
from core.carousel import bringing
from core.carousel.turns import find_places, give_turns
from core.dataservice.activation import record_replicas
from core.dataservice.places import place
from core.workload_settings import CarouselSettings
from tests.core.carousel.tapes import status, statuses


def try_at_once(storage) -> None:
    storage.database.execute("UPDATE data_carousel_files SET next_try_time = NULL")


def test_a_file_that_is_not_what_the_catalogue_says_is_tried_again_and_then_given_up(storage, caplog):
    storage.put("data", "a", "b")
    storage.on_tape("data", "b").write_bytes(b"content of X\n")
    task_id = storage.task("data")
    storage.bring(max_attempts=2)
    assert storage.copies() == ["a"]
    assert "checksum" in storage.request()["trouble"] and "b" in storage.request()["trouble"]
    assert statuses(storage, task_id) == ["running", "staging"]
    try_at_once(storage)
    storage.bring(max_attempts=2)
    assert statuses(storage, task_id) == ["running", "failed"]
    assert (storage.request()["status"], storage.request()["n_failed"]) == ("done", 1)
    [told] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert (told.component, told.fingerprint) == ("data_carousel", "files are not brought from tape:TAPE")
    assert "1 file of data given up" in told.getMessage() and "checksum" in told.getMessage()
    storage.run_all(task_id)
    assert status(storage, task_id) == "finished"


@pytest.mark.parametrize("way", ["named", "linked", "climbing"])
def test_what_lies_outside_the_tape_is_not_taken_and_nothing_is_said_of_it(storage, way):
    storage.put("data", "a")
    secret = storage.root / "secret"
    secret.write_bytes(b"content of a\n")
    if way == "linked":
        storage.on_tape("data", "a").unlink()
        storage.on_tape("data", "a").symlink_to(secret)
    else:
        pfn = str(secret) if way == "named" else str(storage.root / "TAPE" / ".." / "secret")
        storage.database.execute("UPDATE replicas SET pfn = %(pfn)s", {"pfn": pfn})
    storage.task("data")
    storage.bring()
    assert storage.copies() == []
    assert storage.request()["trouble"].endswith("is not in the directory of TAPE")


def test_a_file_that_comes_right_in_time_is_no_failure(storage):
    storage.put("data", "a")
    content = storage.on_tape("data", "a").read_bytes()
    storage.on_tape("data", "a").unlink()
    task_id = storage.task("data")
    storage.bring()
    assert "it is not at" in storage.request()["trouble"]
    storage.on_tape("data", "a").write_bytes(content)
    try_at_once(storage)
    storage.bring()
    assert storage.request()["trouble"] == ""
    assert storage.run_all(task_id) == 1
    assert status(storage, task_id) == "done"


def test_a_task_of_which_nothing_could_be_brought_fails_and_says_why(storage):
    storage.put("data", "a", "b")
    for name in ("a", "b"):
        storage.on_tape("data", name).unlink()
    task_id = storage.task("data")
    storage.bring(max_attempts=1)
    storage.make_jobs()
    assert (status(storage, task_id), statuses(storage, task_id)) == ("failed", ["failed", "failed"])


def test_a_retry_brings_what_could_not_be_brought_before(storage):
    storage.put("data", "a", "b")
    content = storage.on_tape("data", "b").read_bytes()
    storage.on_tape("data", "b").unlink()
    task_id = storage.task("data")
    storage.bring(max_attempts=1)
    storage.run_all(task_id)
    assert status(storage, task_id) == "finished"
    storage.on_tape("data", "b").write_bytes(content)
    storage.command("retry", task_id)
    assert statuses(storage, task_id) == ["finished", "staging"]
    storage.bring()
    storage.run_all(task_id)
    assert status(storage, task_id) == "done"


def test_more_attempts_for_a_task_under_way_bring_what_could_not_be_brought(storage):
    storage.put("data", "a", "b")
    content = storage.on_tape("data", "b").read_bytes()
    storage.on_tape("data", "b").unlink()
    task_id = storage.task("data")
    storage.bring(max_attempts=1)
    assert statuses(storage, task_id) == ["running", "failed"]
    storage.on_tape("data", "b").write_bytes(content)
    storage.database.execute("UPDATE tasks SET status = 'running'")
    storage.command("retry", task_id)
    assert statuses(storage, task_id) == ["running", "staging"]
    storage.bring()
    assert storage.run_all(task_id) == 2
    assert status(storage, task_id) == "done"


class Killed(BaseException):
    """kill -9, as far as a process can do that to itself."""


@pytest.mark.parametrize("at", ["_begin", "bring", "record_replicas", "take_arrivals"])
def test_an_agent_that_is_killed_anywhere_loses_no_file_and_brings_none_twice(storage, monkeypatch, at):
    storage.put("data", "a", "b", "c")
    task_id = storage.task("data")
    settings = CarouselSettings()
    bringing.list_files(storage.database, storage.request())
    assert (find_places(storage.database, settings), give_turns(storage.database, settings)) == (1, 1)
    original = getattr(bringing, at)

    def killed(*arguments, **named):
        if at == "bring":
            arguments[1].parent.mkdir(parents=True, exist_ok=True)
            arguments[1].with_name(arguments[1].name + ".part").write_bytes(b"half")
            raise Killed
        original(*arguments, **named)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(bringing, at, killed)
        with pytest.raises(Killed):
            bringing.copy_files(storage.database, storage.request(), settings, 3)
    storage.bring()
    assert storage.copies() == ["a", "b", "c"]
    assert storage.run_all(task_id) == 3
    assert status(storage, task_id) == "done"
    storage.bring()
    assert storage.copies() == []


def test_a_file_that_was_on_the_disk_before_is_taken_as_it_is_and_never_deleted(storage):
    storage.add("DISK", is_deterministic=True)
    storage.put("data", "a")
    task_id = storage.task("data")
    target = Path(place(str(storage.root / "DISK"), "user.alice", "a"))
    target.parent.mkdir(parents=True)
    target.write_bytes(storage.on_tape("data", "a").read_bytes())
    storage.bring()
    assert storage.run_all(task_id) == 1
    storage.bring()
    assert storage.copies() == ["a"]
    assert storage.request()["status"] == "retired"


def test_another_file_in_the_place_of_a_copy_is_left_alone(storage):
    storage.add("DISK", is_deterministic=True)
    storage.put("data", "a")
    storage.task("data")
    target = Path(place(str(storage.root / "DISK"), "user.alice", "a"))
    target.parent.mkdir(parents=True)
    target.write_bytes(b"of somebody else")
    storage.bring(max_attempts=5)
    assert "another file is at" in storage.request()["trouble"]
    assert target.read_bytes() == b"of somebody else"


def test_a_request_that_stands_still_is_asked_for_again_and_told_and_it_is_said_when_it_moves(storage, caplog):
    storage.put("data", "a")
    storage.add("TAPE", "tape", path="/nowhere/at/all")
    storage.task("data")
    storage.bring()
    storage.older("progress_time", 13)
    caplog.set_level(logging.INFO)
    storage.bring()
    assert storage.request()["n_asked"] == 1
    [told] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert (told.component, told.fingerprint) == ("data_carousel", "staging stands still:TAPE")
    assert "no file of data has come from TAPE to DISK for 12 h" in told.getMessage()
    storage.bring()
    assert storage.request()["n_asked"] == 1
    with storage.database.transaction() as transaction:
        [row] = transaction.fetch("SELECT file_id FROM files")
        record_replicas(transaction, [(row["file_id"], "DISK", "/elsewhere/a")])
    storage.bring()
    assert [record.over for record in caplog.records if hasattr(record, "over")] == ["staging stands still:TAPE"]


def test_one_request_in_trouble_does_not_keep_the_others_from_coming(storage, monkeypatch):
    for name in ("bad", "good"):
        storage.put(name, f"{name}.1")
        storage.task(name)
    original = bringing.copy_files

    def copy(database, request, *rest):
        if request["dataset"] == "bad":
            raise ValueError("defect")
        return original(database, request, *rest)

    monkeypatch.setattr("core.agents.data_carousel.copy_files", copy)
    storage.bring()
    assert storage.copies() == ["good.1"]
    assert "ValueError: defect" in storage.requests()[0]["trouble"]


def test_the_agent_is_one_of_the_core(storage):
    assert storage.agent().name == DataCarousel.name == "data_carousel"
