"""`task/get_...` over HTTP: the shapes clients read, and questions that make no sense."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.core.taskengine.rows import insert_files, insert_task
from tests.support.builders import jobs_of_task, make_dataset, make_queue, make_task
from tests.support.system import RunningSystem, running_system


@pytest.fixture(scope="module")
def house(module_database_url, tmp_path_factory):
    """A server without agents, so that nothing moves by itself."""
    with running_system(module_database_url, tmp_path_factory.mktemp("system"), agents=False) as running:
        make_queue(running.database)
        make_dataset(running.database, "in", ["a", "b"], at=["Q_DISK"])
        yield running


@pytest.fixture(scope="module")
def alice(house: RunningSystem) -> httpx.Client:
    return house.client("alice")


def ask(client: httpx.Client, name: str, **parameters: Any) -> dict[str, Any]:
    response = client.get(f"/api/v1/task/{name}", params=parameters)
    assert response.status_code == 200, response.text
    answer = response.json()
    assert set(answer) == {"success", "message", "data"}
    return answer


def data(client: httpx.Client, name: str, **parameters: Any) -> Any:
    answer = ask(client, name, **parameters)
    assert answer["success"], answer
    return answer["data"]


def test_a_task_is_described_from_every_side(house, alice):
    task_id = make_task(house.database, taskName="user.alice.sides", inputDataset="in", outputs=["o"])
    panda_ids = jobs_of_task(house.database, task_id)
    assert data(alice, "get_status", task_id=task_id) == "ready"
    assert data(alice, "get_job_ids", task_id=task_id) == panda_ids
    assert [job["PandaID"] for job in data(alice, "get_job_descriptions", task_id=task_id)] == panda_ids
    assert data(alice, "get_job_descriptions", task_id=task_id, unsuccessful_only="True") == []
    assert data(alice, "get_task_parameters", task_id=task_id)["inputDataset"] == "in"
    details = data(alice, "get_details", task_id=task_id, include_parameters="True", include_status="True")
    assert (details["inDS"], details["PandaID"], details["status"]) == ("in", panda_ids, "ready")
    assert details["statistics"] == "defined*2"
    record = data(alice, "get_detailed_info", task_id=task_id)
    assert (record["jediTaskID"], record["nFiles"], record["taskName"]) == (task_id, 2, "user.alice.sides")
    assert set(record["creationDate"]) == {"__datetime__"}
    assert "+" not in record["creationDate"]["__datetime__"]
    [entry] = data(alice, "get_datasets_and_files", task_id=task_id)
    assert [file["lfn"] for file in entry["files"]] == ["a", "b"]
    names = [
        entry["dataset"]["name"]
        for entry in data(alice, "get_datasets_and_files", task_id=task_id, dataset_types=["output", "log"])
    ]
    assert len(names) == 2
    only = data(alice, "get_datasets_and_files", task_id=task_id, dataset_only="True", dataset_types="input")
    assert [entry["files"] for entry in only] == [[]]


def test_unsuccessful_jobs_are_described_with_their_files(house, alice):
    task_id = make_task(house.database, inputDataset="in")
    alice.post("/api/v1/task/kill", json={"task_id": task_id})
    jobs = data(alice, "get_job_descriptions", task_id=task_id, unsuccessful_only=True)
    assert [job["jobStatus"] for job in jobs] == ["cancelled", "cancelled"]
    assert all(job["Files"] for job in jobs)


def test_a_task_that_does_not_exist_is_told_so_or_has_nothing(alice):
    for name in ("get_status", "get_task_parameters", "get_detailed_info", "get_parent_detailed_info"):
        answer = ask(alice, name, task_id=5)
        assert (answer["success"], answer["message"], answer["data"]) == (False, "Task not found", None)
    assert ask(alice, "get_details", task_id=5)["message"] == "Task not found or error retrieving the details"
    assert ask(alice, "get_datasets_and_files", task_id=5)["message"] == "No data found for the task"
    assert data(alice, "get_job_ids", task_id=5) == []
    assert data(alice, "get_job_descriptions", task_id=5) == []


def test_the_parent_of_a_task_is_described(house, alice):
    parent = insert_task(house.database)
    child = insert_task(house.database, parent_tid=parent)
    assert data(alice, "get_parent_detailed_info", task_id=child)["jediTaskID"] == parent
    assert ask(alice, "get_parent_detailed_info", task_id=parent)["message"] == "Task has no parent task"


def test_the_list_of_pbook_show(house):
    dora = house.client("dora")
    task_id = insert_task(house.database, user_name="dora", n_files=4, n_files_finished=1)
    insert_files(house.database, task_id, ["finished", "ready", "ready", "ready"])
    [record] = data(dora, "get_tasks_detailed_info_since", n_tasks=1000, since="2020-11-07 08:16:51")
    for name in (
        *("jediTaskID", "reqID", "taskName", "userName", "creationDate", "modificationTime", "superStatus", "status"),
        *("pctFinished", "pctFailed", "nFiles", "nFilesFinished", "nFilesFailed"),
    ):
        assert record[name] is not None, name
    assert data(dora, "get_tasks_detailed_info_since", n_tasks=10, filters=json.dumps({"status": "done"})) == []
    assert data(dora, "get_tasks_detailed_info_since", filters=json.dumps({"jediTaskID": str(task_id)})) == [record]
    assert data(dora, "get_tasks_detailed_info_since", since="None", filters="None") == [record]
    assert data(dora, "get_tasks_detailed_info_since", since="2099-01-01 00:00:00") == []
    # another user sees them when naming the owner
    alice = house.client("alice")
    assert data(alice, "get_tasks_detailed_info_since", filters=json.dumps({"userName": "dora"})) == [record]


def test_tasks_changed_since_a_time_by_request(house):
    emma = house.client("emma")
    task_id = insert_task(house.database, user_name="emma", req_id=321)
    # what the real client sends: missing values as the word None
    short = data(
        emma, "get_tasks_modified_since", since="2020-01-01 00:00:00", dn="None", full="False", min_task_id="None"
    )
    assert short["321"]["jediTaskID"] == task_id
    full = data(
        emma, "get_tasks_modified_since", since="2020-01-01 00:00:00", dn="None", full="True", min_task_id="None"
    )
    assert full["321"]["PandaID"] == []
    for name in ("emma", "/DC=org/CN=1234/CN=emma/CN=nickname:em", "/DC=org/CN=emma/CN=limited proxy"):
        asked = {"since": "2020-01-01 00:00:00", "dn": name}
        assert data(house.client("alice"), "get_tasks_modified_since", **asked) == short


@pytest.mark.parametrize(
    ("name", "parameters", "starts"),
    [
        ("get_tasks_detailed_info_since", {"filters": "{"}, "filters: "),
        ("get_tasks_detailed_info_since", {"filters": "[1]"}, "filters: "),
        ("get_tasks_detailed_info_since", {"filters": '{"nonsense": "x"}'}, "filters.nonsense: "),
        ("get_tasks_detailed_info_since", {"filters": '{"taskName": "("}'}, "filters: "),
        ("get_tasks_detailed_info_since", {"filters": '{"jediTaskID": "x"}'}, "filters.jediTaskID: "),
        ("get_tasks_detailed_info_since", {"filters": '{"status": "a\\u0000b"}'}, "filters"),
        ("get_tasks_detailed_info_since", {"filters": '{"status": "\\ud800"}'}, "filters"),
        ("get_tasks_detailed_info_since", {"since": "yesterday"}, "since: "),
        ("get_tasks_detailed_info_since", {"n_tasks": "many"}, "Type error: 'n_tasks'"),
        ("get_tasks_modified_since", {}, "Argument error: missing a required argument: 'since'"),
        ("get_tasks_modified_since", {"since": "x"}, "since: "),
        ("get_status", {"task_id": "x"}, "Type error: 'task_id'"),
        ("get_status", {"task_id": "9" * 30}, "Type error: 'task_id'"),
        ("get_details", {"task_id": 1, "include_status": "perhaps"}, "Type error: 'include_status'"),
        ("get_job_ids", {}, "Argument error"),
    ],
    ids=str,
)
def test_questions_that_make_no_sense_are_refused_by_name(alice, name, parameters, starts):
    answer = ask(alice, name, **parameters)
    assert answer["success"] is False
    assert answer["message"].startswith(starts), answer


def test_nobody_gets_no_answer(house):
    with httpx.Client(base_url=house.url) as nobody:
        for name in ("get_status", "get_detailed_info", "get_task_parameters", "get_job_ids"):
            assert ask(nobody, name, task_id=1)["message"].startswith("SSL secure connection is required")
