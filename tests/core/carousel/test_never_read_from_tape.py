"""No job reads from tape, and no queue writes there: brokerage, activation, reading from elsewhere, the door of queues."""

from __future__ import annotations

import pytest

from core.agents.activator import Activator
from core.dataservice.activation import Arrival, register_arrivals
from core.dataservice.lost_files import search_outputs
from core.direct_submission import submit_jobs
from core.errors import InvalidInput
from core.queues import set_endpoint, set_queue
from core.taskbuffer.submission import NewFile
from tests.support.builders import broker, live, new_job


def job_over(storage, *names: str, queue: str = "") -> int:
    job = new_job(queue)
    job.files += [NewFile("input", name, name, dataset="data") for name in names]
    return submit_jobs(storage.database, [job])[0]


@pytest.mark.parametrize("reads_wan", [False, True])
@pytest.mark.parametrize("priority", [1000, 3000])
def test_a_job_whose_input_is_on_tape_goes_to_no_queue(storage, reads_wan, priority):
    storage.queue("Q", "DISK", parameters={"direct_access_wan": reads_wan})
    storage.put("data", "a", "b")
    panda_id = job_over(storage, "a", "b")
    storage.database.execute("UPDATE jobs_live SET current_priority = %(p)s", {"p": priority})
    broker(storage.database)
    assert live(storage.database, panda_id)["job_status"] == "defined"
    register_arrivals(storage.database, [Arrival("data", name, "DISK", f"/d/{name}") for name in ("a", "b")])
    broker(storage.database)
    assert live(storage.database, panda_id)["job_status"] == "activated"


def test_a_job_that_is_pinned_to_a_queue_waits_for_a_copy_on_disk(storage):
    storage.put("data", "a")
    panda_id = job_over(storage, "a", queue="Q")
    broker(storage.database)
    Activator(storage.database, 1).cycle()
    assert live(storage.database, panda_id)["job_status"] == "assigned"
    register_arrivals(storage.database, [Arrival("data", "a", "DISK", "/d/a")])
    assert live(storage.database, panda_id)["job_status"] == "activated"
    [file] = storage.database.fetch("SELECT endpoint, pfn FROM job_files WHERE type = 'input'")
    assert file == {"endpoint": "DISK", "pfn": "/d/a"}


def test_a_queue_has_no_storage_on_tape(storage):
    with pytest.raises(InvalidInput, match="TAPE is on tape") as refused:
        set_queue(storage.database, "Q_NEW", {"storage_endpoint": "TAPE"})
    assert (refused.value.field, refused.value.remedy) == ("storage_endpoint", "name a storage on disk")


def test_the_storage_of_a_queue_is_not_made_tape(storage):
    with pytest.raises(InvalidInput, match="DISK is the storage of queue Q") as refused:
        set_endpoint(storage.database, "DISK", mover="cp", path="/d", kind="tape")
    assert refused.value.field == "kind"
    row = storage.database.fetch_one("SELECT kind FROM storage_endpoints WHERE name = 'DISK'")
    assert row == {"kind": "disk"}


def test_what_is_on_tape_is_not_taken_for_lost(storage):
    storage.put("data", "a")
    task_id = storage.task("data", taskName="maker")
    storage.database.execute(
        """INSERT INTO job_files (panda_id, jedi_task_id, type, lfn, dataset, status, file_id, size_bytes)
           SELECT 1, %(task)s, 'output', f.lfn, 'data', 'ready', f.file_id, f.size_bytes FROM files f WHERE lfn = 'a'""",
        {"task": task_id},
    )
    storage.on_tape("data", "a").unlink()
    search = search_outputs(storage.database, task_id)
    assert (len(search.unseen), search.lost, search.kept) == (1, [], [])
