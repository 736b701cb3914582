"""Jobs wait in assigned until their input is at the storage of their queue."""

from __future__ import annotations

import threading

import pytest

from core.agents.activator import Activator
from core.database import Database
from core.dataservice.activation import Arrival, activate, register_arrivals
from core.direct_submission import submit_jobs
from core.errors import InvalidInput, UnknownObject
from core.taskbuffer.submission import NewFile
from core.taskengine.commands.locking import Issuer
from core.taskengine.commands.table import run_command
from tests.support.builders import (
    acquire,
    broker,
    everything,
    history_of,
    jobs_of_task,
    make_dataset,
    make_queue,
    make_task,
    new_job,
    row_of,
    status_of,
)

_names = iter(f"ds{number}" for number in range(1000))


@pytest.fixture(scope="module")
def site(shared_database: Database) -> Database:
    make_queue(shared_database, "Q")
    make_queue(shared_database, "R")
    return shared_database


@pytest.fixture
def dataset(site: Database) -> str:
    """Two files that are nowhere yet."""
    name = next(_names)
    make_dataset(site, name, ["a", "b"])
    return name


def job_reading(database: Database, dataset: str, *lfns: str, queue: str = "Q") -> int:
    job = new_job(queue=queue)
    job.files += [NewFile("input", lfn, lfn, dataset=dataset) for lfn in lfns]
    [panda_id] = submit_jobs(database, [job])
    broker(database)
    return panda_id


def arrive(database: Database, dataset: str, *lfns: str, at: str = "Q_DISK") -> dict[str, object]:
    return register_arrivals(database, [Arrival(dataset, lfn, at, f"/{at}/{lfn}") for lfn in lfns])


def test_a_job_is_held_until_its_last_input_arrives(site, dataset):
    panda_id = job_reading(site, dataset, "a", "b")
    assert status_of(site, panda_id) == "assigned"
    assert acquire(site) == []
    assert arrive(site, dataset, "a") == {"registered": 1, "activated": 0}
    assert status_of(site, panda_id) == "assigned"
    assert arrive(site, dataset, "b") == {"registered": 1, "activated": 1}
    assert history_of(site, panda_id) == ["defined", "assigned", "activated"]
    [taken] = acquire(site)
    inputs = {
        file["lfn"]: (file["status"], file["endpoint"], file["pfn"]) for file in taken.files if file["type"] == "input"
    }
    assert inputs == {lfn: ("ready", "Q_DISK", f"/Q_DISK/{lfn}") for lfn in ("a", "b")}


def test_an_arrival_elsewhere_does_not_help(site, dataset):
    panda_id = job_reading(site, dataset, "a")
    assert arrive(site, dataset, "a", at="R_DISK") == {"registered": 1, "activated": 0}
    assert Activator(site, 1).cycle() == 0
    assert status_of(site, panda_id) == "assigned"
    arrive(site, dataset, "a")
    assert acquire(site)


def test_one_arrival_activates_everybody_who_waited_for_it(site, dataset):
    panda_ids = [job_reading(site, dataset, "a") for _ in range(5)]
    other = job_reading(site, dataset, "b")
    assert arrive(site, dataset, "a")["activated"] == 5
    assert {status_of(site, panda_id) for panda_id in panda_ids} == {"activated"}
    assert status_of(site, other) == "assigned"
    acquire(site, job_count=10)


def test_the_same_arrival_twice_is_no_harm(site, dataset):
    job_reading(site, dataset, "a")
    assert arrive(site, dataset, "a", "a") == {"registered": 1, "activated": 1}
    before = everything(site)
    assert arrive(site, dataset, "a") == {"registered": 1, "activated": 0}
    assert everything(site) == before
    acquire(site)


def test_input_that_is_there_needs_no_waiting(site, dataset):
    arrive(site, dataset, "a")
    panda_id = job_reading(site, dataset, "a")
    assert history_of(site, panda_id) == ["defined", "activated"]
    acquire(site)


def test_the_sweep_finds_input_nobody_told_about(site, dataset):
    panda_id = job_reading(site, dataset, "a")
    site.execute(
        """INSERT INTO replicas (file_id, endpoint, pfn)
           SELECT file_id, 'Q_DISK', '/x' FROM job_files WHERE panda_id = %(id)s AND type = 'input'""",
        {"id": panda_id},
    )
    assert Activator(site, 1).cycle() == 1
    assert status_of(site, panda_id) == "activated"
    assert Activator(site, 1).cycle() == 0
    acquire(site)


def test_a_job_no_queue_could_take_is_looked_at_again_when_its_input_comes(site, dataset):
    panda_id = job_reading(site, dataset, "a", queue="")
    assert status_of(site, panda_id) == "defined"
    assert "lacks input" in row_of(site, panda_id)["brokerage_error_diag"]
    assert broker(site) == 0  # not asked again at once
    arrive(site, dataset, "a", at="R_DISK")
    assert broker(site) == 1
    row = row_of(site, panda_id)
    assert (row["job_status"], row["computing_site"], row["brokerage_error_code"]) == ("activated", "R", 0)
    acquire(site, "R")


REFUSED = [
    ({"endpoint": "NOWHERE"}, UnknownObject, "replicas.1.endpoint"),
    ({"dataset": "nothing"}, UnknownObject, "replicas.1.dataset"),
    ({"lfn": "c"}, InvalidInput, "replicas.1.lfn"),
    ({"pfn": "relative/path"}, InvalidInput, "replicas.1.pfn"),
    ({"pfn": ""}, InvalidInput, "replicas.1.pfn"),
]


@pytest.mark.parametrize(("wrong", "kind", "field"), REFUSED, ids=[str(entry[0]) for entry in REFUSED])
def test_a_wrong_arrival_is_named_and_nothing_arrives(site, dataset, wrong, kind, field):
    job_reading(site, dataset, "a")
    before = everything(site)
    good = {"dataset": dataset, "lfn": "a", "endpoint": "Q_DISK", "pfn": "/a"}
    with pytest.raises(kind) as refused:
        register_arrivals(site, [Arrival(**good), Arrival(**(good | wrong))])
    assert refused.value.field == field
    assert refused.value.remedy
    assert everything(site) == before


def test_arrivals_that_meet_activate_each_job_once(site):
    name = next(_names)
    lfns = [f"f{number}" for number in range(20)]
    make_dataset(site, name, lfns)
    panda_ids = [job_reading(site, name, lfn, lfns[0]) for lfn in lfns[1:]]
    errors: list[BaseException] = []
    begin = threading.Barrier(5)

    def announce(order: list[str]) -> None:
        try:
            begin.wait()
            arrive(site, name, *order)
        except BaseException as error:  # noqa: BLE001  (shown by the test)
            errors.append(error)

    def sweep() -> None:
        begin.wait()
        for _ in range(10):
            Activator(site, 1).cycle()

    threads = [threading.Thread(target=announce, args=(order,)) for order in (lfns, lfns[::-1], lfns[::2], lfns[1::2])]
    threads.append(threading.Thread(target=sweep))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    Activator(site, 1).cycle()
    assert errors == []
    assert {tuple(history_of(site, panda_id)) for panda_id in panda_ids} == {("defined", "assigned", "activated")}


def test_a_job_whose_task_was_paused_meanwhile_is_held_and_goes_on_with_it(site):
    task_id = make_task(site, taskName="paused meanwhile")
    [panda_id] = jobs_of_task(site, task_id)
    alice = Issuer("alice")
    assert run_command(site, "pause", task_id, alice).is_accepted
    with site.transaction() as transaction:
        # as brokerage does that found the job before the pause
        activate(transaction, [panda_id], reason="queue chosen", sites=["Q"])
    assert history_of(site, panda_id)[-2:] == ["activated", "throttled"]
    assert run_command(site, "resume", task_id, alice).is_accepted
    assert status_of(site, panda_id) == "activated"
