"""Datasets under the names clients give them, and files whose place follows from their endpoint."""

from __future__ import annotations

import pytest

from core.agents.activator import Activator
from core.agents.adder import Adder
from core.database import Database
from core.dataservice.activation import Arrival, register_arrivals
from core.dataservice.catalogue import (
    NewCatalogueFile,
    NewReplica,
    check_owner,
    dataset_files,
    describe_dataset,
    ensure_dataset,
    find_dataset,
    register_dataset,
)
from core.dataservice.places import place
from core.direct_submission import submit_jobs
from core.errors import InvalidInput, NotAllowed, UnknownObject
from core.queues import set_endpoint, set_queue
from core.taskbuffer.submission import NewFile
from tests.support.builders import acquire, broker, everything, new_job, report, stored

CHECKSUM = "ad:0a1b2c3d"


@pytest.fixture(scope="module")
def site(shared_database: Database) -> Database:
    """A queue whose storage is deterministic."""
    set_endpoint(shared_database, "RULED", mover="cp", path="/pool", is_deterministic=True)
    set_endpoint(shared_database, "FREE", mover="cp", path="/free")
    set_queue(shared_database, "Q", {"storage_endpoint": "RULED"})
    return shared_database


def register(database: Database, name: str, *replicas: NewReplica, scope: str = "user.alice") -> None:
    files = [NewCatalogueFile("a.txt", 3, CHECKSUM, replicas=list(replicas))]
    register_dataset(database, name=name, scope=scope, kind="input", owner="alice", vo="testvo", files=files)


@pytest.mark.parametrize("registered", ["user.alice.plain", "user.alice.slash/"])
def test_a_dataset_is_found_with_and_without_scope_and_slash(site, registered):
    register(site, registered)
    bare = registered.rstrip("/")
    for name in (bare, f"{bare}/", f"user.alice:{bare}", f"user.alice:{bare}/"):
        found = find_dataset(site, name)
        assert found is not None, name
        assert (found["name"], found["scope"], found["owner"]) == (registered, "user.alice", "alice")
        assert [file["lfn"] for file in dataset_files(site, name, "name")] == ["a.txt"]
    for name in (f"user.bob:{bare}", f":{bare}", f"{bare[:-1]}", "", ":", "/"):
        assert find_dataset(site, name) is None, name
    with pytest.raises(UnknownObject) as refused:
        dataset_files(site, f"user.bob:{bare}", "inDS")
    assert refused.value.field == "inDS"


def test_the_name_as_it_was_typed_wins(site):
    for name in ("both", "both/", "user.alice:both"):
        register(site, name)
    for name in ("both", "both/", "user.alice:both"):
        found = find_dataset(site, name)
        assert found is not None
        assert found["name"] == name


def test_nobody_becomes_the_owner_by_another_spelling(site):
    register(site, "guarded")
    for name in ("guarded", "guarded/", "user.alice:guarded/"):
        with pytest.raises(NotAllowed):
            check_owner(site, name, "bob", is_manager=False)


def test_the_place_at_a_deterministic_endpoint_need_not_be_said(site):
    register(site, "ruled", NewReplica("RULED"))
    [file] = describe_dataset(site, "ruled")["files"]
    assert file["replicas"] == [{"endpoint": "RULED", "pfn": place("/pool", "user.alice", "a.txt")}]


def test_an_arrival_at_a_deterministic_endpoint_need_not_say_its_place(site):
    register(site, "late")
    job = new_job()
    job.files.append(NewFile("input", "a.txt", "a.txt", dataset="late"))
    submit_jobs(site, [job])
    broker(site)
    assert register_arrivals(site, [Arrival("user.alice:late/", "a.txt", "RULED")]) == {"registered": 1, "activated": 1}
    [taken] = acquire(site)
    [pfn] = [file["pfn"] for file in taken.files if file["type"] == "input"]
    assert pfn == place("/pool", "user.alice", "a.txt")


@pytest.mark.parametrize(
    "pfn", ["/pool/user/alice/elsewhere/a.txt", "/a.txt", "relative", "file://localhost/pool/a.txt", "/pool/\x00"]
)
def test_a_place_where_the_pilot_would_not_look_is_refused(site, pfn):
    before = everything(site)
    with pytest.raises(InvalidInput) as refused:
        register(site, "wrong", NewReplica("RULED", pfn))
    assert refused.value.field == "files.0.replicas.0.pfn"
    assert refused.value.remedy
    assert everything(site) == before


def test_the_right_place_may_be_said_as_a_path_or_an_address(site):
    right = place("/pool", "user.alice", "a.txt")
    register(site, "by path", NewReplica("RULED", right))
    register(site, "by address", NewReplica("RULED", f"root://host/{right}"))


def test_elsewhere_a_place_must_be_said(site):
    register(site, "unsaid")
    for refused_call in (
        lambda: register(site, "free", NewReplica("FREE")),
        lambda: register_arrivals(site, [Arrival("unsaid", "a.txt", "FREE")]),
    ):
        with pytest.raises(InvalidInput) as refused:
            refused_call()
        assert refused.value.field.endswith("pfn")


def test_outputs_of_every_kind_are_placed_and_registered_by_the_rule(site):
    kinds = {"output": "o.txt", "log": "j.log.tgz", "lib": "user.alice.1.lib.tgz"}
    job = new_job()
    job.files += [NewFile(kind, lfn, lfn, dataset=f"made {kind}", scope="user.alice") for kind, lfn in kinds.items()]
    [panda_id] = submit_jobs(site, [job])
    with site.transaction() as transaction:
        ensure_dataset(
            transaction,
            name="made lib",
            scope="user.alice",
            kind="lib",
            owner="alice",
            vo="testvo",
            jedi_task_id=None,
            field_name="lib",
        )
    broker(site)
    [taken] = acquire(site)
    places = {file["lfn"]: file["pfn"] for file in taken.files}
    assert places == {lfn: place("/pool", "user.alice", lfn) for lfn in kinds.values()}
    said = stored(kinds.values())
    for lfn, entry in said.items():
        entry["surl"] = f"file://localhost{places[lfn]}"
    report(site, panda_id, "finished", output_report=said)
    Adder(site, 1).cycle()
    for kind, lfn in kinds.items():
        [file] = describe_dataset(site, f"made {kind}")["files"]
        assert (file["lfn"], file["scope"], file["size_bytes"], file["panda_id"]) == (lfn, "user.alice", 3, panda_id)
        assert file["replicas"] == [{"endpoint": "RULED", "pfn": places[lfn]}]
    rows = site.fetch("SELECT file_id FROM job_files WHERE panda_id = %(id)s", {"id": panda_id})
    assert all(row["file_id"] for row in rows)


def test_a_job_that_reads_a_lib_waits_for_it_as_for_any_input(site):
    register(site, "libs")
    job = new_job()
    job.files.append(NewFile("input", "a.txt", "a.txt", dataset="libs"))
    submit_jobs(site, [job])
    broker(site)
    assert acquire(site) == []
    site.execute(
        "INSERT INTO replicas (file_id, endpoint, pfn) SELECT f.file_id, 'RULED', '/pool/x' FROM files f "
        "JOIN datasets d USING (dataset_id) WHERE d.name = 'libs'"
    )
    assert Activator(site, 1).cycle() == 1
    assert acquire(site)
