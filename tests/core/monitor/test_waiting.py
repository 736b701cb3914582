"""Why a job does not run yet, as its page, the console and `panda run --wait` say it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.clock import utc_now
from core.database import Database
from core.dispatch.acquire import SlotOffer
from core.dispatch.contacts import ContactBook
from core.monitor.job import job_detail
from core.queues import set_queue
from tests.core.monitor.rows import insert
from tests.support.builders import activate, broker, make_dataset, make_queue, make_task, start, submit


def waits_for(database: Database, panda_id: int) -> str:
    answer = job_detail(database, panda_id, utc_now())
    assert answer["waits_for"] in answer["summary"]
    return str(answer["waits_for"])


def incident(
    database: Database, title: str, *, kind: str = "service", seen_s_ago: float = 1, **columns: object
) -> None:
    row = {"title": title, "kind": kind, "fingerprint": title, "computing_site": "Q"}
    insert(
        database,
        "incidents",
        [row | {"last_seen": utc_now() - timedelta(seconds=seen_s_ago), "opened_time": utc_now()} | columns],
    )


def test_a_job_without_a_queue_waits_for_what_brokerage_says(database):
    make_queue(database, status="offline")
    (panda_id,) = submit(database, queue="")
    broker(database)
    assert waits_for(database, panda_id) == "no queue is left after 'the queue is online': Q is offline"


def test_a_job_that_brokerage_never_saw_names_the_agent_that_rests(database):
    make_queue(database)
    (panda_id,) = submit(database)
    assert waits_for(database, panda_id) == ""
    insert(database, "agent_runs", [{"name": "setupper", "last_run": utc_now() - timedelta(minutes=5)}])
    assert waits_for(database, panda_id).startswith("the agent that chooses queues (setupper) last ran at")


def test_an_assigned_job_names_the_input_that_is_missing(database):
    make_queue(database)
    make_queue(database, "FAR")
    names = ["data/a", "data/b", "data/c", "data/d"]
    make_dataset(database, "in", names, at=["FAR_DISK"])
    task = make_task(database, inputDataset="in", nFilesPerJob=4)
    broker(database)
    row = database.fetch_one("SELECT panda_id FROM jobs_live WHERE jedi_task_id = %(id)s", {"id": task})
    assert row is not None
    said = waits_for(database, row["panda_id"])
    assert said == "4 input files are not at Q_DISK: data/a, data/b, data/c, ..."


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({"status": "offline"}, "queue Q is offline"),
        ({"status": "paused", "comment": "disk"}, "queue Q is paused (disk)"),
        ({"status": "test"}, "queue Q is in test, where production pilots ask for test jobs only"),
    ],
)
def test_a_closed_queue_is_named(database, attributes, said):
    make_queue(database)
    (panda_id,) = activate(database)
    set_queue(database, "Q", attributes)
    assert waits_for(database, panda_id) == said


def test_the_trouble_of_the_queue_is_told_while_it_is_fresh(database):
    make_queue(database)
    (panda_id,) = activate(database)
    incident(database, "long ago", seen_s_ago=3600)
    incident(database, "over", state="resolved")
    incident(database, "payloads fail", kind="failure_burst")
    incident(database, "elsewhere", computing_site="OTHER")
    assert waits_for(database, panda_id) == "no pilot of Q has ever asked for a job"
    incident(database, "pilot: asks for no job: 216 MB are free", component="pilot", seen_s_ago=30)
    incident(database, "site: pilot 2 ended with exit code 69", component="site")
    assert waits_for(database, panda_id) == "no pilot takes it: pilot: asks for no job: 216 MB are free"


def test_busy_pilots_and_the_jobs_ahead_are_counted(database):
    make_queue(database)
    start(database)
    _, _, last = activate(database, 3)
    assert waits_for(database, last) == "the pilots of Q are busy: 1 job is with them, 2 jobs are ahead of it"


def test_pilots_that_ask_and_do_not_fit_are_told_from_none_at_all(database):
    make_queue(database)
    book = ContactBook()
    book.note(database, SlotOffer("Q"), 0)
    (panda_id,) = activate(database, min_ram_mb=9000, core_count=2)
    assert waits_for(database, panda_id) == "no pilot of Q has asked for a job since it is ready"
    ContactBook().note(database, SlotOffer("Q"), 0)
    said = "the pilots of Q that ask do not fit it: it needs 2 cores, 9000 MB of memory, a pilot for label user"
    assert waits_for(database, panda_id) == said


def test_a_pilot_that_took_another_job_is_no_misfit(database):
    make_queue(database)
    (panda_id,) = activate(database)
    ContactBook().note(database, SlotOffer("Q"), 1)
    assert waits_for(database, panda_id) == "the last pilot of Q that asked got another job, and none has asked since"


def test_a_job_that_runs_waits_for_nothing(database):
    make_queue(database)
    (panda_id,) = start(database)
    assert waits_for(database, panda_id) == ""
