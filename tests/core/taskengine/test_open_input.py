"""Tasks whose input is not there yet or still grows: they wait, take files as they come, and end when no more can come."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from core.agents.input_follower import InputFollower
from core.database import Database
from core.dataservice.catalogue import NewCatalogueFile, NewReplica, register_dataset
from core.dataservice.open_datasets import add_files, set_dataset_status
from core.errors import PandaError
from core.states import DatasetStatus
from core.taskengine.commands.locking import Issuer
from core.taskengine.commands.table import COMMANDS
from core.taskengine.commands.table import run as command
from tests.core.taskengine.submitting import (
    accept,
    captured,
    files,
    history,
    jobs,
    place,
    prepare,
    row_of_task,
    run,
    send,
)
from tests.core.taskengine.test_events import read_from
from tests.support.builders import ADLER32, make_task

GROWING = "user.testuser.growing"


@pytest.fixture
def site(database: Database) -> Database:
    prepare(database)
    return database


def some(*names: str) -> list[NewCatalogueFile]:
    return [NewCatalogueFile(name, 3, f"ad:{ADLER32}", replicas=[NewReplica("Q_DISK", f"/d/{name}")]) for name in names]


def register(database: Database, *names: str, is_open: bool = True) -> None:
    register_dataset(
        database,
        **{"name": GROWING, "scope": "user.testuser", "kind": "input", "owner": "Test User", "vo": "testvo"},
        files=some(*names),
        is_open=is_open,
    )


def add(database: Database, *names: str) -> None:
    add_files(database, GROWING, some(*names), by="Test User", is_manager=False)


def close(database: Database) -> None:
    set_dataset_status(database, GROWING, DatasetStatus.CLOSED, by="Test User", is_manager=False)


def follow(database: Database) -> int:
    return InputFollower(database, 1).cycle()


def reader(database: Database, **changes: object) -> int:
    """A task of one file per job that reads the growing dataset."""
    return accept(database, read_from(GROWING, "reader", nFilesPerJob=1, skipScout=True, **changes))


def finish_jobs(database: Database, task_id: int) -> None:
    place(database)
    waiting = "SELECT panda_id FROM jobs_live WHERE jedi_task_id = %(id)s ORDER BY panda_id"
    run(database, *(row["panda_id"] for row in database.fetch(waiting, {"id": task_id})))


def used(database: Database, task_id: int) -> Sequence[str]:
    return [name for piece in files(database, task_id, "input") for name in piece]


def test_a_task_that_runs_until_its_dataset_is_closed_takes_every_file_once(site):
    register(site, "a", "b")
    task_id = reader(site, runUntilClosed=True)
    finish_jobs(site, task_id)
    assert (row_of_task(site, task_id)["status"], follow(site)) == ("running", 0)
    add(site, "c")
    assert follow(site) == 1
    finish_jobs(site, task_id)
    add(site, "d", "e")
    close(site)
    assert follow(site) == 1
    finish_jobs(site, task_id)
    assert row_of_task(site, task_id)["status"] == "done"
    assert used(site, task_id) == ["a", "b", "c", "d", "e"]
    assert follow(site) == 0


def test_so_does_a_task_of_panda_run(site):
    register(site, "a")
    task_id = make_task(site, inputDataset=GROWING, nFilesPerJob=1, runUntilClosed=True)
    finish_jobs(site, task_id)
    add(site, "b")
    close(site)
    follow(site)
    finish_jobs(site, task_id)
    assert (row_of_task(site, task_id)["status"], used(site, task_id)) == ("done", ["a", "b"])


def test_a_closed_dataset_is_read_as_ever(site):
    register(site, "a", is_open=False)
    task_id = reader(site, runUntilClosed=True, waitInput=True)
    finish_jobs(site, task_id)
    assert history(site, task_id) == ["registered", "ready", "running", "prepared", "done"]


def test_a_task_without_the_rule_takes_what_an_open_dataset_has_now(site):
    register(site, "a")
    task_id = reader(site)
    add(site, "b")
    finish_jobs(site, task_id)
    assert (row_of_task(site, task_id)["status"], used(site, task_id)) == ("done", ["a"])


def test_a_task_waits_for_a_dataset_to_be_registered_and_to_get_its_first_file(site):
    task_id = reader(site, waitInput=True)
    assert row_of_task(site, task_id)["status"] == "pending"
    assert row_of_task(site, task_id)["error_dialog"] == f"waiting for dataset '{GROWING}' to be registered"
    assert follow(site) == 0
    register(site)
    assert follow(site) == 0
    assert row_of_task(site, task_id)["error_dialog"] == f"waiting for the first file of dataset '{GROWING}'"
    add(site, "a", "b")
    assert follow(site) == 1
    assert (row_of_task(site, task_id)["error_dialog"], len(jobs(site, task_id))) == ("", 2)
    finish_jobs(site, task_id)
    assert row_of_task(site, task_id)["status"] == "done", "it does not run until the dataset is closed"
    assert history(site, task_id) == ["registered", "ready", "pending", "ready", "running", "prepared", "done"]


def test_an_open_dataset_may_be_empty_at_first(site):
    register(site)
    task_id = reader(site, runUntilClosed=True)
    assert row_of_task(site, task_id)["status"] == "pending"
    add(site, "a")
    follow(site)
    close(site)
    follow(site)
    finish_jobs(site, task_id)
    assert (row_of_task(site, task_id)["status"], used(site, task_id)) == ("done", ["a"])


def test_a_dataset_that_is_closed_with_nothing_for_the_task_breaks_it_with_the_reason(site):
    register(site)
    task_id = reader(site, runUntilClosed=True)
    close(site)
    assert follow(site) == 1
    row = row_of_task(site, task_id)
    assert row["status"] == "broken"
    assert GROWING in row["error_dialog"] and "empty" in row["error_dialog"]
    assert follow(site) == 0


def test_a_task_that_allows_it_is_done_without_input(site):
    register(site)
    assert row_of_task(site, reader(site, allowEmptyInput=True))["status"] == "done"
    with pytest.raises(PandaError, match="empty"):
        send(site, read_from(GROWING, "strict", nFilesPerJob=1))


def test_datasets_that_do_not_exist_are_left_out_when_the_task_says_so(site):
    register(site, "a", is_open=False)
    both = f"user.testuser.nowhere,{GROWING}"
    with pytest.raises(PandaError, match=r"no dataset 'user\.testuser\.nowhere'"):
        send(site, read_from(both, "strict", nFilesPerJob=1))
    task_id = accept(site, read_from(both, "reader", nFilesPerJob=1, ignoreMissingInDS=True))
    finish_jobs(site, task_id)
    assert (row_of_task(site, task_id)["status"], used(site, task_id)) == ("done", ["a"])
    with pytest.raises(PandaError, match="no dataset"):
        send(site, read_from("user.testuser.nowhere", "strict", nFilesPerJob=1, ignoreMissingInDS=True))


def test_a_waiting_task_can_be_killed_and_a_paused_one_takes_nothing(site):
    register(site)
    owner = Issuer("Test User")
    paused, killed = reader(site, runUntilClosed=True), accept(site, read_from(GROWING, "other", waitInput=True))
    assert command(site, COMMANDS["pause"], paused, owner).is_accepted
    assert command(site, COMMANDS["kill"], killed, owner).is_accepted
    add(site, "a")
    assert follow(site) == 0
    assert (row_of_task(site, paused)["status"], row_of_task(site, killed)["status"]) == ("paused", "aborted")
    assert command(site, COMMANDS["resume"], paused, owner).is_accepted
    follow(site)
    assert len(jobs(site, paused)) == 1


def test_the_output_of_a_task_grows_until_that_has_ended(site):
    maker = accept(site, captured("njobs"))
    output = "user.testuser.njobs_out.txt/"
    task_id = accept(site, read_from(output, "reader", nFilesPerJob=1, runUntilClosed=True, skipScout=True))
    place(site)
    first, *others = [job["panda_id"] for job in jobs(site, maker)]
    run(site, first)
    assert follow(site) == 1
    assert len(jobs(site, task_id)) == 1
    run(site, *others)
    assert follow(site) == 1
    finish_jobs(site, task_id)
    assert row_of_task(site, task_id)["status"] == "done"
    assert len(set(used(site, task_id))) == 3


def test_jobs_do_not_cross_boundaries(site):
    register_dataset(
        site,
        **{"name": GROWING, "scope": "user.testuser", "kind": "input", "owner": "Test User", "vo": "testvo"},
        files=[
            NewCatalogueFile(
                name, 3, f"ad:{ADLER32}", replicas=[NewReplica("Q_DISK", f"/d/{name}")], boundary_id=name[0]
            )
            for name in ("a1", "a2", "a3", "b1", "c1", "c2")
        ],
    )
    cut = accept(site, read_from(GROWING, "cut", nFilesPerJob=2, respectLB=True))
    assert files(site, cut, "input") == [["a1", "a2"], ["a3"], ["b1"], ["c1", "c2"]]
    whole = accept(site, read_from(GROWING, "whole", nFilesPerJob=2, groupBoundaryID=3))
    assert files(site, whole, "input") == [["a1", "a2", "a3"], ["b1"], ["c1", "c2"]]
    assert "nFilesPerJob: means nothing" in row_of_task(site, whole)["error_dialog"]
    few = accept(site, read_from(GROWING, "few", groupBoundaryID=3, maxNumJobs=2))
    assert files(site, few, "input") == [["a1", "a2", "a3"], ["b1"]]
