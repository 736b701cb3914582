"""Staging from tape over HTTP: the four functions of `data_carousel`, the page of requests, why a task waits, `panda staging`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from pandascope.cli import main
from tests.core.carousel.tapes import Storage
from tests.support.system import RunningSystem, running_system


@pytest.fixture(scope="module")
def house(module_database_url, tmp_path_factory):
    """A server without agents, so that nothing moves by itself."""
    with running_system(module_database_url, tmp_path_factory.mktemp("system"), agents=False) as running:
        yield running


@pytest.fixture
def storage(house: RunningSystem, tmp_path: Path) -> Storage:
    house.database.execute("UPDATE tasks SET status = 'aborted'")
    for table in ("requests", "relations", "files"):
        house.database.execute(f"DELETE FROM data_carousel_{table}")
    for table in ("replicas", "files", "datasets", "queues", "storage_endpoints"):
        house.database.execute(f"DELETE FROM {table}")
    return Storage(house.database, tmp_path)


@pytest.fixture
def carol(house: RunningSystem) -> httpx.Client:
    return house.client("carol", "production")


def call(client: httpx.Client, name: str, **parameters: Any) -> dict[str, Any]:
    response = client.post(f"/api/v1/data_carousel/{name}", json=parameters)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    assert set(answer) == {"success", "message", "data"}
    return answer


def two_requests(storage: Storage) -> tuple[int, int]:
    """One under way, one behind it; and another disk and another tape to go to and from."""
    storage.add("TAPE_2", "tape")
    storage.add("OTHER")
    storage.queue("Q_OTHER", "OTHER")
    for name in ("first", "second"):
        storage.put(name, f"{name}.1", at=("TAPE", "TAPE_2"))
        storage.task(name, site="")
    storage.add("TAPE", "tape", path="/nowhere/at/all")
    storage.bring(requests_per_source=1)
    first, second = storage.requests()
    assert (first["status"], second["status"]) == ("staging", "queued")
    return first["request_id"], second["request_id"]


def test_the_four_functions_answer_as_upstream_does(storage, carol):
    first, second = two_requests(storage)
    forced = call(carol, "force_to_staging", request_id=second)["data"]
    assert forced == {"request_id": second, "dataset": "second", "status": "staging", "ddm_rule_id": None}
    changed = call(carol, "change_staging_source", dataset="first", source_rse="TAPE_2", cancel_fts=True)["data"]
    assert changed == {"request_id": first, "dataset": "first", "source_rse": "TAPE_2", "ddm_rule_id": None}
    moved = call(carol, "change_staging_destination", request_id=second)["data"]
    assert (moved["request_id"], moved["dataset"]) == (second, "second")
    assert moved["new_request_id"] > second
    storage.database.execute("UPDATE tasks SET status = 'aborted'")
    storage.database.execute("UPDATE data_carousel_requests SET status = 'done' WHERE dataset = 'first'")
    retired = call(carol, "retire_unused", dataset="first")["data"]
    assert (retired["request_id"], retired["status"]) == (first, "retired")


@pytest.mark.parametrize(
    ("name", "parameters", "words"),
    [
        ("force_to_staging", {}, "name a request or a dataset"),
        ("force_to_staging", {"dataset": "nothing"}, "there is no dataset 'nothing'"),
        ("force_to_staging", {"dataset": "first"}, "it is staging"),
        ("change_staging_source", {"request_id": 2**62}, "there is no request"),
        ("change_staging_source", {"dataset": "first", "source_rse": "DISK"}, "source_rse: DISK is no tape"),
        ("change_staging_destination", {"request_id": 1, "dataset": "first"}, "name a request or a dataset"),
        ("retire_unused", {"dataset": "first"}, "only what is done can be retired"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(storage, carol, name, parameters, words):
    two_requests(storage)
    before = storage.requests()
    answer = call(carol, name, **parameters)
    assert answer["success"] is False
    assert words in answer["message"]
    assert storage.requests() == before


@pytest.mark.parametrize(
    "name", ["change_staging_destination", "change_staging_source", "force_to_staging", "retire_unused"]
)
def test_they_are_for_production(house, storage, name):
    answer = call(house.client("alice"), name, dataset="first")
    assert (answer["success"], answer["message"]) == (False, "production or pilot role required")


def test_the_page_shows_how_far_each_is_and_what_is_through_when_asked(house, storage):
    first, second = two_requests(storage)
    client = house.client("alice")
    page = client.get("/api/monitor/staging").json()
    assert [row["request_id"] for row in page["requests"]] == [second, first]
    waiting, under_way = page["requests"]
    assert (waiting["status"], waiting["place_in_queue"], waiting["pace"]) == ("queued", 1, "")
    assert (under_way["source_endpoint"], under_way["n_files"], under_way["n_staged"]) == ("TAPE", 1, 0)
    assert under_way["progress"] == 0 and len(under_way["tasks"]) == under_way["n_tasks"] == 1
    storage.older("progress_time", 7)
    assert [row["pace"] for row in client.get("/api/monitor/staging?status=staging").json()["requests"]] == ["slow"]
    storage.database.execute("UPDATE data_carousel_requests SET status = 'done' WHERE dataset = 'first'")
    assert client.get("/api/monitor/staging").json()["count"] == 1
    assert client.get("/api/monitor/staging?status=*").json()["count"] == 2
    of_task = client.get(f"/api/monitor/staging?jedi_task_id={under_way['tasks'][0]}").json()
    assert [row["dataset"] for row in of_task["requests"]] == ["first"]


def test_the_page_goes_on_where_it_ended(house, storage):
    first, second = two_requests(storage)
    client = house.client("alice")
    page = client.get("/api/monitor/staging?limit=1").json()
    rest = client.get(f"/api/monitor/staging?limit=1&cursor={page['next_cursor']}").json()
    assert [row["request_id"] for row in page["requests"] + rest["requests"]] == [second, first]
    assert rest["next_cursor"] is None
    refused = client.get(f"/api/monitor/staging?status=done&cursor={page['next_cursor']}")
    assert (refused.status_code, refused.json()["field"]) == (422, "cursor")


def test_why_says_how_many_files_came_from_where_to_where_and_the_place_in_the_queue(house, storage):
    two_requests(storage)
    client = house.client("alice")
    first, second = (row["tasks"][0] for row in client.get("/api/monitor/staging").json()["requests"][::-1])
    reason = client.get(f"/api/monitor/why/task/{first}").json()["reason"]
    assert reason["id"] == "waits_for_tape"
    assert "0 of 1 file have arrived" in reason["sentence"]
    assert "first (request " in reason["sentence"] and "from TAPE to DISK" in reason["sentence"]
    assert "data_carousel" in reason["next_step"]
    waits = client.get(f"/api/monitor/why/task/{second}").json()["reason"]["sentence"]
    assert "number 1 in the queue of that tape" in waits


def test_the_command_lists_what_is_brought_and_what_was_when_asked(house, storage, monkeypatch, capsys):
    first, second = two_requests(storage)
    storage.database.execute(
        "UPDATE data_carousel_requests SET n_failed = 1, trouble = 'a copy failed' WHERE dataset = 'first'"
    )
    storage.database.execute("UPDATE data_carousel_requests SET status = 'done' WHERE dataset = 'second'")
    monkeypatch.setenv("PANDA_URL", house.url)
    monkeypatch.setenv("PANDA_TOKEN", house.token("alice"))
    monkeypatch.setenv("COLUMNS", "200")

    def panda(*words: str) -> tuple[int, str, str]:
        code = main._run(list(words))
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    code, shown, _ = panda("staging")
    assert code == 0
    assert str(first) in shown and "0/1" in shown and "TAPE" in shown and "1 file failed; a copy failed" in shown
    assert "second" not in shown
    assert "second" in panda("staging", "status=*")[1]
    assert [
        row["dataset"] for row in json.loads(panda("staging", f"request_id={second}", "--json")[1])["requests"]
    ] == ["second"]
    assert "no requests match" in panda("staging", "dataset=none")[1]
    code, _, error = panda("staging", "colour=red")
    assert code != 0 and "colour" in error
