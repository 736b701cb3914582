"""What would help: the numbers equal a count by hand, and the smallest change that helps most is named."""

from __future__ import annotations

from typing import Any

import pytest

from core.database import Database
from core.direct_submission import submit_jobs
from core.queues import set_queue
from core.taskbuffer.submission import NewFile
from tests.core.why.asking import about_job
from tests.support.builders import broker, jobs_of_task, make_dataset, make_queue, make_task, new_job, submit


def asked(database: Database, **job: Any) -> dict[str, Any]:
    """What brokerage says of a job without a queue that was looked at once."""
    (panda_id,) = submit(database, queue="", **job)
    broker(database)
    found: dict[str, Any] = about_job(database, panda_id)["brokerage"]
    return found


def change(brokerage: dict[str, Any], dimension: str) -> list[tuple[str, int]]:
    return [(one["words"], one["accepted_then"]) for one in brokerage["changes"] if one["dimension"] == dimension]


def test_memory_by_the_steps_that_queues_allow(database):
    # 2 queues of 6 GB, 5 of 4 GB, 3 of 2 GB: with 6000 MB 2 of 10, with 4000 MB 7, with 2000 MB all
    for number in range(10):
        limit = 6000 if number < 2 else 4000 if number < 7 else 2000
        make_queue(database, f"S{number}", max_ram_mb=limit)
    brokerage = asked(database, min_ram_mb=6000)
    assert (brokerage["accepted_count"], brokerage["queue_count"]) == (2, 10)
    assert change(brokerage, "memory") == [("with 4000 MB", 7), ("with 2000 MB", 10)]
    assert brokerage["sentence"] == "Accepted by 2 of 10 queues; with 4000 MB by 7."
    assert set(brokerage["accepted"]) == {"S0", "S1"}


def test_the_sentence_of_the_specification(database):
    for number in range(120):
        make_queue(database, f"S{number:03}", max_ram_mb=6000 if number < 2 else 3000 if number < 61 else 1000)
    brokerage = asked(database, min_ram_mb=6000)
    assert change(brokerage, "memory") == [("with 3000 MB", 61), ("with 1000 MB", 120)]
    assert brokerage["sentence"] == "Accepted by 2 of 120 queues; with 3000 MB by 61."
    with_walltime = asked(database, min_ram_mb=3000, core_count=1)
    assert with_walltime["accepted_count"] == 61


@pytest.mark.parametrize(
    ("needs", "limits", "dimension", "words"),
    [
        ({"core_count": 8}, {"max_core_count": 4}, "cores", "with 4 cores"),
        ({"max_disk_mb": 900}, {"max_disk_mb": 500}, "scratch", "with 500 MB of scratch"),
        ({"max_walltime_s": 7200}, {"max_walltime_s": 3600}, "walltime", "with 3600 s of walltime"),
        ({"min_ram_mb": 5000}, {"max_ram_mb": 4000}, "memory", "with 4000 MB"),
    ],
)
def test_one_dimension_at_a_time(database, needs, limits, dimension, words):
    for number in range(3):
        make_queue(database, f"S{number}", **limits)
    brokerage = asked(database, **needs)
    assert (brokerage["accepted_count"], change(brokerage, dimension)) == (0, [(words, 3)])
    assert brokerage["best_change"]["words"] == words


def test_several_changes_together_when_none_alone_helps(database):
    for number in range(3):
        make_queue(database, f"S{number}", max_ram_mb=4000, max_walltime_s=3600)
    brokerage = asked(database, min_ram_mb=5000, max_walltime_s=7200)
    assert brokerage["best_change"]["dimension"] == "several"
    assert brokerage["sentence"] == "Accepted by 0 of 3 queues; with 4000 MB and with 3600 s of walltime by 3."


def test_where_the_input_lies(database):
    make_queue(database, "HERE", max_core_count=1)
    for number in range(2):
        make_queue(database, f"S{number}", endpoint="SHARED_DISK")
    make_queue(database, "ALONE")
    make_dataset(database, "in", ["a"], at=["HERE_DISK"])
    job = new_job("", core_count=2)
    job.files.append(NewFile("input", "a", "a", "in"))
    (panda_id,) = submit_jobs(database, [job])
    broker(database)
    brokerage = about_job(database, panda_id)["brokerage"]
    assert change(brokerage, "input") == [("with its input at SHARED_DISK", 2), ("with its input at every storage", 3)]
    assert change(brokerage, "cores") == [("with 1 core", 1)]


def test_a_queue_that_was_named_and_does_not_work(database):
    make_queue(database, "NAMED")
    for number in range(4):
        make_queue(database, f"S{number}")
    (panda_id,) = submit(database, queue="NAMED")
    broker(database)
    set_queue(database, "NAMED", {"status": "offline"})
    brokerage = about_job(database, panda_id)["brokerage"]
    assert change(brokerage, "queues") == [("without naming queue NAMED", 4)]


def test_queues_that_the_submitter_excluded_or_left_out(database):
    for name in ("A1", "A2", "B1", "B2", "B3"):
        make_queue(database, name)
    task = make_task(database, site="")
    (panda_id,) = jobs_of_task(database, task)
    wish = "UPDATE tasks SET parameters = parameters || %(wish)s::jsonb WHERE jedi_task_id = %(id)s"
    database.execute(wish, {"id": task, "wish": '{"excludedSite": ["B*"]}'})
    brokerage = about_job(database, panda_id)["brokerage"]
    assert (brokerage["accepted_count"], change(brokerage, "queues")) == (2, [("without excludedSite", 5)])
    database.execute(wish, {"id": task, "wish": '{"excludedSite": [], "includedSite": ["A1"]}'})
    brokerage = about_job(database, panda_id)["brokerage"]
    assert brokerage["sentence"] == "Accepted by 1 of 5 queues; without includedSite by 5."


def test_nothing_helps_where_all_is_closed(database):
    make_queue(database, status="offline")
    brokerage = asked(database)
    assert (brokerage["changes"], brokerage["best_change"]) == ([], None)
    assert brokerage["sentence"] == "Accepted by 0 of 1 queue."
    assert asked(database)["binding_step"] == "status"


def test_without_any_queue(database):
    brokerage = asked(database)
    assert (brokerage["queue_count"], brokerage["changes"]) == (0, [])
