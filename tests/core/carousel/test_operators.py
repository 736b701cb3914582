"""What operators do: another disk, another tape, at once, no longer; and what they are refused, with the reason."""

from __future__ import annotations

import pytest

from core.carousel import commands
from core.errors import Conflict, InvalidInput, UnknownObject
from tests.core.carousel.tapes import status
from tests.support.builders import everything


@pytest.fixture
def request_id(storage) -> int:
    """A request for which the tape is out of sight, so that it stays under way."""
    storage.add("TAPE_2", "tape")
    storage.add("OTHER")
    storage.queue("Q_OTHER", "OTHER")
    storage.put("data", "a", "b", at=("TAPE", "TAPE_2"))
    storage.task("data", site="")
    storage.add("TAPE", "tape", path="/nowhere/at/all")
    storage.bring(requests_per_source=1, copies_per_cycle=1, max_attempts=9)
    return int(storage.requests()[0]["request_id"])


def waiting(storage) -> int:
    """A queued request behind another of the same tape."""
    for name in ("first", "second"):
        storage.put(name, f"{name}.1")
        storage.task(name)
    storage.add("TAPE", "tape", path="/nowhere/at/all")
    storage.bring(requests_per_source=1)
    assert [row["status"] for row in storage.requests()] == ["staging", "queued"]
    return int(storage.requests()[1]["request_id"])


def test_another_tape_is_named_or_found(storage, request_id):
    row = commands.change_source(storage.database, request_id, None, "TAPE_2", who="olga")
    assert row["source_endpoint"] == storage.request()["source_endpoint"] == "TAPE_2"
    assert "named by olga" in storage.request()["reason"]
    row = commands.change_source(storage.database, None, "data", None, who="olga")
    assert row["source_endpoint"] == "TAPE"
    audit = storage.database.fetch(
        "SELECT who, action, object_kind, object_id FROM audit WHERE object_kind = 'staging request'"
    )
    assert len(audit) == 2 and audit[0]["who"] == "olga"


@pytest.mark.parametrize(
    ("source", "error", "words"),
    [
        ("NOWHERE", UnknownObject, "there is no storage endpoint"),
        ("DISK", InvalidInput, "DISK is no tape"),
        ("EMPTY", Conflict, "EMPTY holds no file"),
        ("SHUT", Conflict, "SHUT is offline"),
    ],
)
def test_a_tape_that_cannot_be_is_refused_and_changes_nothing(storage, request_id, source, error, words):
    storage.add("EMPTY", "tape")
    storage.add("SHUT", "tape", state="offline")
    before = storage.requests()
    with pytest.raises(error, match=words) as refused:
        commands.change_source(storage.database, request_id, None, source, who="olga")
    assert refused.value.field == "source_rse"
    assert storage.requests() == before


def test_the_rest_goes_to_another_disk_under_a_new_request(storage, request_id):
    before = storage.request()["destination_endpoint"]
    old, new = commands.change_destination(storage.database, request_id, None, who="olga")
    first, second = storage.requests()
    assert (first["status"], old["request_id"], second["request_id"]) == ("cancelled", request_id, new)
    assert {before, second["destination_endpoint"]} == {"DISK", "OTHER"}
    commands.change_source(storage.database, new, None, "TAPE_2", who="olga")
    storage.bring()
    assert storage.copies(second["destination_endpoint"]) == ["a", "b"]


def test_there_is_no_other_disk(storage):
    request_id = waiting(storage)
    before = everything(storage.database)
    with pytest.raises(Conflict, match="has another disk that is online"):
        commands.change_destination(storage.database, request_id, None, who="olga")
    assert everything(storage.database) == before
    assert len(storage.requests()) == 2


def test_a_queued_request_is_forced_past_the_limit(storage):
    request_id = waiting(storage)
    assert commands.force(storage.database, request_id, None, who="olga")["status"] == "staging"
    assert [row["status"] for row in storage.requests()] == ["staging", "staging"]
    with pytest.raises(Conflict, match="it is staging"):
        commands.force(storage.database, request_id, None, who="olga")


def test_a_request_is_retired_when_no_task_needs_it(storage):
    storage.put("data", "a")
    task_id = storage.task("data")
    storage.bring(release_after_s=3600)
    with pytest.raises(Conflict, match=f"1 task still under way: {task_id}"):
        commands.retire(storage.database, None, "data", who="olga")
    storage.run_all(task_id)
    assert status(storage, task_id) == "done"
    assert commands.retire(storage.database, None, "data", who="olga")["status"] == "retired"
    storage.bring(release_after_s=3600)
    assert storage.copies() == []
    with pytest.raises(UnknownObject, match="nobody brings dataset"):
        commands.retire(storage.database, None, "data", who="olga")


@pytest.mark.parametrize(("number", "dataset"), [(None, None), (1, "data"), (None, "")])
def test_one_request_must_be_named(storage, number, dataset):
    with pytest.raises(InvalidInput, match="name a request or a dataset"):
        commands.force(storage.database, number, dataset, who="olga")


def test_what_does_not_exist_is_said(storage):
    with pytest.raises(UnknownObject, match="there is no request 17"):
        commands.force(storage.database, 17, None, who="olga")
    with pytest.raises(UnknownObject, match="there is no dataset 'nothing'"):
        commands.force(storage.database, None, "nothing", who="olga")
