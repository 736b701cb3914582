"""Tasks that are cut by the events that the catalogue knows of, and jobs that stay within one dataset."""

from __future__ import annotations

import pytest

from core.database import Database
from core.dataservice.catalogue import NewCatalogueFile, NewReplica, register_dataset
from core.errors import InvalidInput
from tests.core.taskengine.submitting import accept, captured, files, prepare, row_of_task, send, task_files
from tests.support.builders import ADLER32, make_dataset

EVENTS = {"e1": 6, "e2": 0, "e3": 3, "e4": 3, "e5": 5}


@pytest.fixture(scope="module")
def site(shared_database: Database) -> Database:
    prepare(shared_database)
    register(shared_database, "user.testuser.events", EVENTS)
    register(shared_database, "user.testuser.empty", {"z1": 0, "z2": 0})
    register(shared_database, "user.testuser.partly", {"p1": 2, "p2": None})
    make_dataset(shared_database, "user.testuser.namesake", ["f1.txt", "f9.txt"], at=["Q_DISK"])
    return shared_database


def register(database: Database, name: str, events: dict[str, int | None]) -> None:
    entries = [
        NewCatalogueFile(lfn, 3, f"ad:{ADLER32}", replicas=[NewReplica("Q_DISK", f"/d/{lfn}")], n_events=count)
        for lfn, count in events.items()
    ]
    register_dataset(
        database, name=name, scope="user.testuser", kind="input", owner="Test User", vo="testvo", files=entries
    )


def read_from(dataset: str, name: str, captured_as: str = "files_default", **changes: object) -> dict[str, object]:
    """A captured task with another input and name, so that all of them are accepted."""
    parameters = captured(captured_as, taskName=f"user.testuser.{name}/", dsForIN=dataset, **changes)
    for item in parameters["jobParameters"]:
        if item.get("param_type") == "input":
            item["dataset"] = dataset
    return parameters


def ranges(site: Database, task_id: int) -> list[tuple[str, int, int]]:
    """File, first event and number of events of every piece."""
    return [(row["lfn"], row["start_event"] or 0, row["n_events"]) for row in task_files(site, task_id)]


def test_files_are_cut_by_their_own_events(site):
    parameters = read_from("user.testuser.events/", "byevents", "events_unknown")
    task_id = accept(site, parameters)
    assert ranges(site, task_id) == [
        ("e1", 0, 4),
        ("e1", 4, 2),
        ("e2", 0, 0),
        ("e3", 0, 3),
        ("e4", 0, 3),
        ("e5", 0, 4),
        ("e5", 4, 1),
    ]
    assert files(site, task_id, "input") == [["e1"], ["e1"], ["e2", "e3"], ["e4"], ["e5"], ["e5"]]


def test_the_total_number_of_events_ends_the_input(site):
    task_id = accept(site, read_from("user.testuser.events/", "total", nEvents=8))
    assert ranges(site, task_id) == [("e1", 0, 6), ("e2", 0, 0), ("e3", 0, 2)]


def test_empty_files_are_left_out_on_demand(site):
    task_id = accept(site, read_from("user.testuser.events/", "noempty", skipEmptyInput=True, useRealNumEvents=True))
    assert files(site, task_id, "input") == [["e1", "e3", "e4", "e5"]]
    assert "skipEmptyInput" not in row_of_task(site, task_id)["error_dialog"]


def test_files_of_unknown_size_are_no_empty_ones(site):
    task_id = accept(site, read_from("user.testuser.partly/", "unknown", skipEmptyInput=True, useRealNumEvents=True))
    assert files(site, task_id, "input") == [["p1", "p2"]]


def test_a_number_for_all_files_wins_over_the_catalogue(site):
    task_id = accept(site, read_from("user.testuser.partly/", "fixed", nEventsPerFile=4, nEventsPerJob=4))
    assert ranges(site, task_id) == [("p1", 0, 4), ("p2", 0, 4)]


@pytest.mark.parametrize(
    ("field", "dataset", "changes"),
    [
        ("nEventsPerJob", "user.testuser.partly", {"nEventsPerJob": 4}),
        ("nEvents", "user.testuser.partly", {"nEvents": 4}),
        ("skipEmptyInput", "user.testuser.empty", {"skipEmptyInput": True}),
    ],
)
def test_what_cannot_be_counted_is_refused_by_name(site, field, dataset, changes):
    with pytest.raises(InvalidInput) as refusal:
        send(site, read_from(dataset, f"refused{field}", **changes))
    assert refusal.value.field == field


def test_files_of_one_name_in_two_datasets_are_both_read(site):
    both = "user.testuser.one,user.testuser.namesake"
    apart = accept(site, read_from(both, "apart"))
    assert files(site, apart, "input") == [[f"f{number}.txt" for number in range(1, 6)], ["f1.txt", "f9.txt"]]


def test_a_job_crosses_datasets_when_it_may_and_never_has_two_files_of_one_name(site):
    parameters = read_from("user.testuser.two,user.testuser.one,user.testuser.namesake", "across", nFilesPerJob=6)
    for item in parameters["jobParameters"]:
        if item.get("param_type") == "input":
            item["consolidate"] = item.pop("expand") and "user.testuser.someuuid/"
    task_id = accept(site, parameters)
    assert files(site, task_id, "input") == [
        ["s1.txt", "s2.txt", "s3.txt", "s4.txt", "s5.txt", "f1.txt"],
        ["f2.txt", "f3.txt", "f4.txt", "f5.txt", "f1.txt", "f9.txt"],
    ]


def test_a_target_of_events_keeps_files_whole(site):
    changes = {"tgtNumEventsPerJob": 9, "nFilesPerJob": None, "nMaxFilesPerJob": None}
    task_id = accept(site, read_from("user.testuser.events/", "target", **changes))
    assert files(site, task_id, "input") == [["e1", "e2", "e3"], ["e4", "e5"]]


def test_no_job_has_more_events_than_the_task_allows(site):
    task_id = accept(site, read_from("user.testuser.events", "most", maxEventsPerJob=7, nFilesPerJob=4))
    assert files(site, task_id, "input") == [["e1", "e2"], ["e3", "e4"], ["e5"]]


def test_production_states_the_events_of_a_file_under_its_own_name(site):
    task_id = accept(site, read_from("user.testuser.partly", "inputfile", nEventsPerInputFile=4, nEventsPerJob=4))
    assert ranges(site, task_id) == [("p1", 0, 4), ("p2", 0, 4)]
