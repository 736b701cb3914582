"""Outputs that storage has lost are found and made again, by their jobs, once; what is there or cannot be seen stays."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from core.database import Database
from core.dataservice.catalogue import describe_dataset
from core.dataservice.lost_files import search_outputs
from core.queues import set_endpoint, set_queue
from core.taskengine.commands.locking import Issuer
from core.taskengine.commands.recovery import recover
from tests.core.taskengine.rows import file_statuses, history, task_row
from tests.support.builders import (
    ADLER32,
    acquire,
    activate,
    add_up,
    everything,
    jobs_of_task,
    make_dataset,
    make_task,
    report,
)

ALICE, BOB = Issuer("alice"), Issuer("bob")


class Site:
    """A queue whose storage is a real directory, and the pilot that writes there."""

    def __init__(self, database: Database, storage: Path) -> None:
        self.database = database
        self.storage = storage
        storage.mkdir()
        (storage / "content").touch()
        set_endpoint(database, "DISK", mover="cp", path=str(storage))
        set_queue(database, "Q", {"storage_endpoint": "DISK"})

    def run(self, task_id: int) -> None:
        """Run every job of the task that is waiting; each writes three bytes per output."""
        while activate(self.database, 0):
            pass
        for entry in acquire(self.database, job_count=100, jedi_task_id=task_id):
            panda_id, said = entry.job["panda_id"], {}
            report(self.database, panda_id, "running")
            for file in entry.files:
                if file["type"] in ("output", "log"):
                    path = Path(file["pfn"])
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(b"abc")
                    said[file["lfn"]] = {"guid": "", "fsize": 3, "adler32": ADLER32, "surl": f"file://localhost{path}"}
            report(self.database, panda_id, "finished", output_report=said)
        add_up(self.database)

    def done_task(self, name: str, n_files: int = 3, outputs: tuple[str, ...] = ("o.txt",)) -> int:
        make_dataset(self.database, name, [f"{name}.{index}" for index in range(n_files)], at=["DISK"])
        task_id = make_task(
            self.database,
            taskName=name,
            inputDataset=name,
            outputs=list(outputs),
            jobParameters="cat %IN > %OUT",
        )
        self.run(task_id)
        assert task_row(self.database, task_id)["status"] == "done"
        return task_id

    def outputs(self, task_id: int, status: str = "ready") -> list[dict[str, Any]]:
        return self.database.fetch(
            "SELECT * FROM job_files WHERE jedi_task_id = %(id)s AND type = 'output' AND status = %(status)s ORDER BY row_id",
            {"id": task_id, "status": status},
        )


@pytest.fixture
def site(shared_database: Database, tmp_path: Path) -> Site:
    return Site(shared_database, tmp_path / "storage")


def test_nothing_is_lost_where_everything_is_there(site):
    task_id = site.done_task("whole")
    search = search_outputs(site.database, task_id)
    assert (len(search.kept), search.lost, search.unseen) == (3, [], [])


def test_what_is_lost_is_made_again_and_the_task_is_done_once_more(site):
    task_id = site.done_task("lossy")
    first = site.outputs(task_id)
    Path(first[0]["pfn"]).unlink()
    Path(first[2]["pfn"]).write_bytes(b"ab")  # half of it
    search = search_outputs(site.database, task_id)
    assert [output.lfn for output in search.lost] == [first[0]["lfn"], first[2]["lfn"]]
    outcome = recover(site.database, task_id, ALICE, search.lost)
    assert (outcome.is_accepted, outcome.code) == (True, 0)
    assert outcome.message == "2 jobs are done again, 2 new jobs are made"
    assert history(site.database, task_id)[-1][1] == "ready"
    assert sorted(file_statuses(site.database, task_id)) == ["finished", "running", "running"]
    assert [file["lfn"] for file in describe_dataset(site.database, first[0]["dataset"])["files"]] == [first[1]["lfn"]]
    site.run(task_id)
    row = task_row(site.database, task_id)
    assert (row["status"], row["n_files"], row["n_files_finished"], row["n_files_failed"]) == ("done", 3, 3, 0)
    assert len(jobs_of_task(site.database, task_id)) == 5
    made = describe_dataset(site.database, first[0]["dataset"])["files"]
    assert len(made) == 3
    assert len({file["lfn"] for file in made}) == 3
    search = search_outputs(site.database, task_id)
    assert (len(search.kept), search.lost) == (3, [])


def test_everything_a_job_made_is_withdrawn_with_what_was_lost(site):
    task_id = site.done_task("pairs", 1, ("a.txt", "b.txt"))
    first = site.outputs(task_id)
    Path(first[0]["pfn"]).unlink()
    recover(site.database, task_id, ALICE, search_outputs(site.database, task_id).lost)
    assert [file["status"] for file in site.outputs(task_id, "lost")] == ["lost", "lost"]
    assert Path(first[1]["pfn"]).exists()  # files of users are not ours to delete
    site.run(task_id)
    made = [file["lfn"] for file in describe_dataset(site.database, first[0]["dataset"])["files"]]
    assert made == ["a.000002.txt", "b.000002.txt"]


def test_the_search_can_be_narrowed(site):
    task_id = site.done_task("narrow", 2, ("a.txt", "b.txt"))
    files = site.outputs(task_id)
    for file in files:
        Path(file["pfn"]).unlink()
    one = search_outputs(site.database, task_id, lfns=[files[0]["lfn"], "nothing.txt"])
    assert ([output.lfn for output in one.lost], one.unknown_names) == ([files[0]["lfn"]], ["nothing.txt"])
    some = search_outputs(site.database, task_id, dataset=files[0]["dataset"])
    assert {output.dataset for output in some.lost} == {files[0]["dataset"]}
    assert search_outputs(site.database, task_id, dataset="nothing").all == []


@pytest.mark.parametrize("harm", ["gone", "empty", "no directory"])
def test_storage_that_is_not_mounted_has_lost_nothing(site, harm):
    task_id = site.done_task(f"unmounted {harm}")
    shutil.rmtree(site.storage)
    if harm == "empty":
        site.storage.mkdir()
    elif harm == "no directory":
        site.storage.write_text("")
    search = search_outputs(site.database, task_id)
    assert (len(search.unseen), search.lost, search.kept) == (3, [], [])


def test_what_lies_behind_an_address_cannot_be_seen(site):
    task_id = site.done_task("remote")
    site.database.execute("UPDATE replicas SET pfn = 'root://host/' || pfn WHERE endpoint = 'DISK'")
    assert len(search_outputs(site.database, task_id).unseen) == 3


def test_a_second_copy_is_enough(site, tmp_path):
    task_id = site.done_task("copied")
    other = tmp_path / "other"
    other.mkdir()
    set_endpoint(site.database, "OTHER", mover="cp", path=str(other))
    for file in site.outputs(task_id):
        copy = other / file["lfn"]
        copy.write_bytes(b"abc")
        Path(file["pfn"]).unlink()
        site.database.execute(
            "INSERT INTO replicas (file_id, endpoint, pfn) VALUES (%(id)s, 'OTHER', %(pfn)s)",
            {"id": file["file_id"], "pfn": str(copy)},
        )
    assert search_outputs(site.database, task_id).lost == []


def test_nobody_else_may_have_it_made_again(site):
    task_id = site.done_task("guarded")
    for file in site.outputs(task_id):
        Path(file["pfn"]).unlink()
    lost = search_outputs(site.database, task_id).lost
    before = everything(site.database)
    outcome = recover(site.database, task_id, BOB, lost)
    assert (outcome.is_accepted, outcome.message) == (False, "not the task owner or no production role")
    assert everything(site.database) == before


def test_a_task_under_way_is_left_alone(site):
    task_id = site.done_task("busy")
    for file in site.outputs(task_id):
        Path(file["pfn"]).unlink()
    lost = search_outputs(site.database, task_id).lost
    assert recover(site.database, task_id, ALICE, lost).is_accepted
    before = everything(site.database)
    outcome = recover(site.database, task_id, ALICE, lost)
    assert not outcome.is_accepted
    assert "status" in outcome.message
    assert everything(site.database) == before


def test_the_same_loss_is_repaired_once(site):
    task_id = site.done_task("once", 1)
    [file] = site.outputs(task_id)
    Path(file["pfn"]).unlink()
    lost = search_outputs(site.database, task_id).lost
    recover(site.database, task_id, ALICE, lost)
    site.run(task_id)
    before = everything(site.database)
    outcome = recover(site.database, task_id, ALICE, lost)
    assert outcome.message.startswith("nothing can be made again")
    assert everything(site.database) == before
