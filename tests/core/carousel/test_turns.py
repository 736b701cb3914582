"""Whose turn it is: limits of a tape, the most urgent first, and where a dataset is brought from and to."""

from __future__ import annotations

from core.carousel.turns import places_in_queue, queued
from tests.core.carousel.tapes import status


def under_way(storage) -> list[str]:
    return [row["dataset"] for row in storage.requests() if row["status"] in ("staging", "done")]


def begin(storage, **settings) -> None:
    """Turns are given, and no file is brought: the tape is out of sight."""
    storage.add("TAPE", "tape", path="/nowhere/at/all")
    agent = storage.agent(**settings)
    for _ in range(4):
        agent.cycle()


def test_so_many_datasets_of_a_tape_at_a_time_the_most_urgent_task_first(storage):
    for name, priority in (("low", 500), ("high", 900), ("middle", 700)):
        storage.put(name, f"{name}.1")
        task_id = storage.task(name)
        storage.database.execute(
            "UPDATE tasks SET current_priority = %(p)s WHERE jedi_task_id = %(id)s", {"p": priority, "id": task_id}
        )
    begin(storage, requests_per_source=2)
    assert under_way(storage) == ["high", "middle"]
    [waiting] = queued(storage.database)
    assert (waiting["dataset"], places_in_queue([waiting])) == ("low", {waiting["request_id"]: 1})


def test_of_tasks_of_one_priority_the_older_dataset_comes_first(storage):
    for name in ("first", "second"):
        storage.put(name, f"{name}.1")
        storage.task(name)
    begin(storage, requests_per_source=1)
    assert under_way(storage) == ["first"]


def test_so_many_files_of_a_tape_at_a_time_but_a_large_dataset_has_its_turn_too(storage):
    for name, size in (("large", 5), ("small", 1), ("tiny", 1)):
        storage.put(name, *(f"{name}.{number}" for number in range(size)))
        storage.task(name)
    begin(storage, files_per_source=4)
    assert under_way(storage) == ["large"]
    storage.database.execute("UPDATE tasks SET status = 'aborted' WHERE task_name = 't.large'")
    begin(storage, files_per_source=4)
    assert under_way(storage) == ["small", "tiny"]


def test_one_tape_does_not_wait_for_another(storage):
    storage.add("TAPE_2", "tape")
    storage.put("here", "h")
    storage.put("there", "t", at=("TAPE_2",))
    storage.task("here")
    storage.task("there")
    begin(storage, requests_per_source=1)
    assert sorted(under_way(storage)) == ["here", "there"]


def test_the_tape_that_holds_most_and_the_disk_with_most_room_are_chosen_and_it_is_said_why(storage):
    storage.add("TAPE_2", "tape")
    storage.add("DISK", free_mb=10)
    storage.add("ROOMY", free_mb=5000)
    storage.queue("Q_ROOMY", "ROOMY")
    storage.put("data", "a", "b", at=("TAPE_2",))
    storage.task("data", site="")
    storage.bring()
    row = storage.request()
    assert (row["source_endpoint"], row["destination_endpoint"]) == ("TAPE_2", "ROOMY")
    assert "TAPE_2 holds 2 files" in row["reason"]
    assert "the storage of queue Q_ROOMY" in row["reason"] and "5,000 MB free" in row["reason"]


def test_the_disk_that_holds_other_input_of_the_task_comes_before_one_with_more_room(storage):
    storage.add("DISK", free_mb=10)
    storage.add("ROOMY", free_mb=5000)
    storage.queue("Q_ROOMY", "ROOMY")
    storage.put("data", "a", "b")
    first = storage.task("data")
    storage.bring_first(first)
    # what is left comes to where the rest is
    assert storage.request()["destination_endpoint"] == "DISK"
    storage.task("data", site="", taskName="another")
    storage.bring()
    assert storage.copies("ROOMY") == []


def test_only_a_disk_of_a_queue_that_the_task_may_use_is_chosen(storage):
    storage.add("ROOMY", free_mb=5000)
    storage.queue("Q_ROOMY", "ROOMY")
    storage.put("data", "a")
    storage.task("data", site="Q")
    storage.bring()
    assert storage.request()["destination_endpoint"] == "DISK"


def test_a_request_without_a_disk_waits_and_says_so_until_there_is_one(storage):
    storage.add("DISK", free_mb=0, state="offline")
    storage.put("data", "a")
    task_id = storage.task("data")
    storage.bring()
    row = storage.request()
    assert (row["status"], row["destination_endpoint"]) == ("queued", "")
    assert f"no queue that takes task {task_id} has a disk that is online" in row["trouble"]
    storage.add("DISK", free_mb=None)
    storage.bring()
    assert storage.request()["status"] == "queued"
    storage.database.execute("UPDATE data_carousel_requests SET next_try_time = clock_timestamp()")
    storage.bring()
    assert (storage.request()["status"], storage.request()["trouble"]) == ("done", "")
    assert status(storage, task_id) != "staging"


def test_a_disk_without_room_for_the_dataset_is_not_chosen(storage):
    storage.add("DISK", free_mb=1)
    storage.put("data", "a")
    storage.database.execute("UPDATE files SET size_bytes = 5000000")
    storage.task("data")
    storage.bring()
    assert "has 5 MB free" in storage.request()["trouble"]
