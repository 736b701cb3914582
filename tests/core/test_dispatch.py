"""Take-one-job: each criterion, labels, order, and never twice."""

from __future__ import annotations

import threading
from collections import Counter

import pytest

from core.database import Database
from core.dispatch.acquire import LABEL_FAMILIES, QUEUES_WITH_DISPATCH, SlotOffer
from core.dispatch.contacts import ContactBook
from core.errors import Unavailable, UnknownObject
from core.labels import LABELS
from core.queues import QUEUE_STATUSES, set_queue
from tests.support.builders import acquire, activate, history_of, make_queue, make_task, row_of, submit
from tests.support.system import eventually

_queues = iter(f"Q{number}" for number in range(1000))


@pytest.fixture
def queue(shared_database: Database) -> str:
    """A queue of this test alone."""
    return make_queue(shared_database, next(_queues))


CRITERIA = [
    ({"min_ram_mb": 2000}, {"memory_mb": 2000}, {"memory_mb": 1999}),
    ({"max_disk_mb": 500}, {"disk_mb": 500}, {"disk_mb": 499}),
    ({"core_count": 8}, {"cores": 8}, {"cores": 7}),
    ({"max_walltime_s": 3600}, {"remaining_s": 3600}, {"remaining_s": 3599}),
    ({"core_count": 8, "min_ram_mb": 1}, {"resource_type": "MCORE"}, {"resource_type": "SCORE"}),
    ({"user": "alice"}, {"user_name": "alice"}, {"user_name": "bob"}),
    ({"country_group": "us"}, {"country_groups": ("ca", "us")}, {"country_groups": ("ca",)}),
    ({"country_group": "us"}, {"country_groups": ("ca",), "takes_other_countries": True}, {"country_groups": ("u",)}),
    ({"country_group": "us"}, {}, {"country_groups": ("fr", "ca")}),
]


@pytest.mark.parametrize(("needs", "fits", "too_small"), CRITERIA, ids=[str(entry[1]) for entry in CRITERIA])
def test_a_job_goes_only_to_a_slot_it_fits(shared_database, queue, needs, fits, too_small):
    [panda_id] = activate(shared_database, queue=queue, **needs)
    assert acquire(shared_database, queue, **too_small) == []
    assert row_of(shared_database, panda_id)["job_status"] == "activated"
    [taken] = acquire(shared_database, queue, **fits)
    assert taken.job["panda_id"] == panda_id


@pytest.mark.parametrize("unstated", [{}, {"memory_mb": 0, "disk_mb": 0, "cores": 0, "remaining_s": 0}])
def test_a_pilot_that_states_nothing_takes_anything(shared_database, queue, unstated):
    activate(shared_database, queue=queue, min_ram_mb=10**6, max_disk_mb=10**6, core_count=64, max_walltime_s=10**6)
    assert len(acquire(shared_database, queue, **unstated)) == 1


def test_a_job_that_needs_nothing_fits_the_smallest_slot(shared_database, queue):
    activate(shared_database, queue=queue)
    assert acquire(shared_database, queue, memory_mb=1, disk_mb=1, cores=1, remaining_s=1)


def test_a_pilot_may_ask_for_one_task_only(shared_database, queue):
    wanted, other = (make_task(shared_database, site=queue) for _ in range(2))
    activate(shared_database, queue=queue)
    assert [
        entry.job["jedi_task_id"] for entry in acquire(shared_database, queue, jedi_task_id=wanted, job_count=9)
    ] == [wanted]
    assert {entry.job["jedi_task_id"] for entry in acquire(shared_database, queue, job_count=9)} == {other, None}


@pytest.mark.parametrize("count", [1, 3])
def test_resources_kept_for_a_country_take_its_jobs_first_and_others_when_they_may(shared_database, queue, count):
    [of_none] = activate(shared_database, queue=queue, current_priority=900)
    [of_france] = activate(shared_database, queue=queue, current_priority=950, country_group="fr")
    ours = activate(shared_database, 2, queue=queue, current_priority=100, country_group="us")

    def ask(**offer: bool) -> list[int]:
        taken: list[int] = []
        while given := acquire(shared_database, queue, country_groups=("us",), job_count=count, **offer):
            taken += [entry.job["panda_id"] for entry in given]
        return taken

    assert ask() == ours
    [another] = activate(shared_database, queue=queue, current_priority=100, country_group="us")
    assert ask(takes_other_countries=True) == [another, of_france, of_none]


@pytest.mark.parametrize("asked", [*LABEL_FAMILIES, "ptest", "rc_test2"])
def test_a_label_opens_its_family_and_nothing_else(shared_database, queue, asked):
    for label in sorted(LABELS):
        activate(shared_database, queue=queue, prod_source_label=label)
    taken = {entry.job["prod_source_label"] for entry in acquire(shared_database, queue, label=asked, job_count=100)}
    assert taken == set(LABEL_FAMILIES.get(asked, (asked,))) & LABELS


def test_priority_first_then_age(shared_database, queue):
    jobs = {
        priority: activate(shared_database, 2, queue=queue, current_priority=priority) for priority in (900, 1100, 1000)
    }
    expected = [*jobs[1100], *jobs[1000], *jobs[900]]
    assert [acquire(shared_database, queue)[0].job["panda_id"] for _ in expected] == expected
    assert acquire(shared_database, queue) == []


def test_several_jobs_in_one_request_come_best_first(shared_database, queue):
    low, high = activate(shared_database, queue=queue), activate(shared_database, queue=queue, current_priority=2000)
    assert [entry.job["panda_id"] for entry in acquire(shared_database, queue, job_count=5)] == high + low


@pytest.mark.parametrize("status", QUEUE_STATUSES)
def test_a_queue_gives_jobs_in_its_open_states_only(shared_database, queue, status):
    activate(shared_database, queue=queue)
    set_queue(shared_database, queue, {"status": status})
    assert bool(acquire(shared_database, queue)) is (status in QUEUES_WITH_DISPATCH)


def test_jobs_of_another_queue_are_not_given(shared_database, queue):
    other = make_queue(shared_database, next(_queues))
    activate(shared_database, queue=other)
    assert acquire(shared_database, queue) == []


def test_a_job_that_is_not_activated_is_not_given(shared_database, queue):
    submit(shared_database, queue=queue)
    assert acquire(shared_database, queue) == []


def test_an_unknown_queue_is_refused_by_name(shared_database):
    with pytest.raises(UnknownObject) as refused:
        acquire(shared_database, "NOWHERE")
    assert refused.value.field == "site_name"
    assert refused.value.remedy


def test_a_taken_job_carries_what_the_pilot_needs(shared_database, queue):
    [panda_id] = activate(shared_database, queue=queue, outputs=["o/x.txt"], job_parameters="--all")
    [taken] = acquire(shared_database, queue, node="wn1", worker_id="w1", batch_id="b1")
    assert taken.job_parameters == "--all"
    assert {name: taken.job[name] for name in ("job_status", "modification_host", "worker_id", "batch_id")} == {
        "job_status": "sent",
        "modification_host": "wn1",
        "worker_id": "w1",
        "batch_id": "b1",
    }
    places = {file["type"]: (file["mover"], file["endpoint"], file["pfn"]) for file in taken.files}
    disk = f"{queue}_DISK"
    assert places["output"] == ("cp", disk, f"/storage/{disk}/user.alice.outputs/{panda_id}/o/x.txt")
    assert places["log"] == ("cp", disk, f"/storage/{disk}/user.alice.logs/{panda_id}/job.{panda_id}.log.tgz")
    assert history_of(shared_database, panda_id) == ["defined", "activated", "sent"]


def test_racing_pilots_get_every_job_exactly_once(shared_database, queue):
    panda_ids = activate(shared_database, 300, queue=queue)
    taken: list[int] = []
    lock = threading.Lock()
    begin = threading.Barrier(16)

    def pilot() -> None:
        begin.wait()
        while jobs := acquire(shared_database, queue, job_count=2):
            with lock:
                taken.extend(entry.job["panda_id"] for entry in jobs)

    threads = [threading.Thread(target=pilot) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(taken) == Counter(panda_ids)
    sent = shared_database.fetch_one(
        "SELECT count(*) AS n FROM job_history WHERE panda_id = ANY(%(ids)s) AND job_status = 'sent'",
        {"ids": panda_ids},
    )
    assert sent == {"n": 300}


def test_contacts_of_pilots_are_counted_per_queue(shared_database, queue):
    book = ContactBook(period_s=0)
    for job_count in (0, 1, 2):
        book.note(shared_database, SlotOffer(queue), job_count)
    [row] = shared_database.fetch("SELECT * FROM queue_contacts WHERE queue_name = %(q)s", {"q": queue})
    assert (row["request_count"], row["job_count"]) == (3, 3)
    assert row["last_job_time"] is not None


def test_contacts_between_two_writings_are_not_lost(shared_database, queue):
    book = ContactBook(period_s=3600)
    for _ in range(3):
        book.note(shared_database, SlotOffer(queue), 1)
    [row] = shared_database.fetch("SELECT request_count FROM queue_contacts WHERE queue_name = %(q)s", {"q": queue})
    assert row == {"request_count": 1}
    book._next_write = 0.0
    book.note(shared_database, SlotOffer(queue), 0)
    [row] = shared_database.fetch("SELECT * FROM queue_contacts WHERE queue_name = %(q)s", {"q": queue})
    assert (row["request_count"], row["job_count"]) == (4, 3)


def test_what_cannot_be_written_now_is_written_later_and_one_bad_name_hides_no_other(database):
    make_queue(database, "Q")
    book = ContactBook(period_s=0)
    database.execute("ALTER TABLE queue_contacts RENAME TO away")
    book.note(database, SlotOffer("A" * 10), 0)  # an error of its own is told, and the counts of that name are gone
    database.execute("ALTER TABLE away RENAME TO queue_contacts")
    unreachable = Database("postgresql+psycopg2://panda@/none?host=/nonexistent")
    with pytest.raises(Unavailable):
        book.note(unreachable, SlotOffer("Q"), 2)
    book.note_update(database, "what\x00ever")
    book.note(database, SlotOffer("Q"), 1)
    rows = database.fetch("SELECT queue_name, request_count, job_count FROM queue_contacts")
    assert rows == [{"queue_name": "Q", "request_count": 2, "job_count": 3}]


def test_a_contact_is_written_though_nobody_calls_after_it(shared_database, queue):
    book = ContactBook(period_s=0.05)
    for name in ("another", queue):
        book.note(shared_database, SlotOffer(name), 0)
    key = {"q": queue}
    eventually(lambda: shared_database.fetch("SELECT 1 FROM queue_contacts WHERE queue_name = %(q)s", key))


def test_calls_of_pilots_are_counted_by_the_hour_of_queues_that_exist(shared_database, queue):
    book = ContactBook(period_s=0)
    for job_count in (0, 2, 0):
        book.note(shared_database, SlotOffer(queue), job_count)
    book.note_update(shared_database, queue)
    book.note_update(shared_database, "what a pilot calls its queue")
    rows = shared_database.fetch(
        "SELECT queue_name, request_count, job_count, empty_count, update_count, hour = date_trunc('hour', hour) AS is_hour "
        "FROM queue_contact_hours WHERE queue_name IN (%(q)s, 'what a pilot calls its queue')",
        {"q": queue},
    )
    counts = {"request_count": 3, "job_count": 2, "empty_count": 2, "update_count": 1}
    assert rows == [{"queue_name": queue, **counts, "is_hour": True}]
    key = {"q": queue}
    assert shared_database.fetch("SELECT request_count FROM queue_contacts WHERE queue_name = %(q)s", key) == [
        {"request_count": 3}
    ]
