"""`task/...` over HTTP: submit, status, kill."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.support.builders import everything, jobs_of_task, make_dataset, row_of
from tests.support.system import RunningSystem


@pytest.fixture(scope="module")
def alice(shared_system: RunningSystem) -> httpx.Client:
    make_dataset(shared_system.database, "in", [f"{number}.txt" for number in range(4)], at=["LOCAL_DISK"])
    return shared_system.client("alice")


def call(client: httpx.Client, path: str, **parameters: Any) -> dict[str, Any]:
    response = client.post(f"/api/v1/task/{path}", json=parameters)
    assert response.status_code == 200, response.text
    return response.json()


def submit(client: httpx.Client, **parameters: Any) -> int:
    answer = call(client, "submit", task_parameters={"taskName": "t", "jobParameters": "true", **parameters})
    assert answer["success"], answer
    return int(answer["data"])


def test_the_answer_has_the_form_clients_read(alice):
    answer = call(alice, "submit", task_parameters={"taskName": "t", "jobParameters": "true"})
    assert answer["message"] == f"succeeded. new jediTaskID={answer['data']}"
    assert answer["data"] >= 10_000_000


def test_parameters_may_come_as_text(alice):
    assert call(alice, "submit", task_parameters='{"taskName": "t", "jobParameters": "true"}')["success"]


def test_a_task_becomes_jobs_with_their_files(alice, shared_system):
    task_id = submit(alice, inputDataset="in", nFilesPerJob=3, outputs=["o.txt"], jobParameters="cat %IN > %OUT")
    panda_ids = jobs_of_task(shared_system.database, task_id)
    assert len(panda_ids) == 2
    records = alice.post("/api/v1/job/get_description", json={"job_ids": panda_ids}).json()["data"]
    assert [record["jobParameters"] for record in records] == ["cat 0.txt 1.txt 2.txt > o.txt", "cat 3.txt > o.txt"]
    assert {record["jediTaskID"] for record in records} == {task_id}


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"taskName": 5}, "taskName"),
        ({"inputDataset": "nothing"}, "inputDataset"),
        ({"nFilesPerJob": "x"}, "nFilesPerJob"),
        ({"outputs": ["../x"]}, "outputs"),
        ({"more": {"deep": ["a\x00b"]}}, "task_parameters.more.deep.0"),
        ({"prodSourceLabel": "managed"}, "task_parameters.prodSourceLabel"),
    ],
    ids=str,
)
def test_a_refusal_names_the_field_and_keeps_nothing(alice, shared_system, wrong, field):
    before = kept(shared_system)
    answer = call(alice, "submit", task_parameters={"taskName": "t", "jobParameters": "true", **wrong})
    assert answer["success"] is False
    assert answer["message"].startswith(f"{field}: "), answer
    assert kept(shared_system) == before


def kept(system: RunningSystem) -> list[list[object]]:
    """Which tasks, jobs and datasets there are; jobs of other tests go on meanwhile."""
    rows = everything(system.database)
    jobs = [row["panda_id"] for table in ("jobs_live", "jobs_archive") for row in rows[table]]
    return [[row["jedi_task_id"] for row in rows["tasks"]], [row["name"] for row in rows["datasets"]], sorted(jobs)]


def test_status_and_kill_with_the_codes_clients_know(alice, shared_system):
    task_id = submit(alice, nJobs=3, site="LOCAL")
    assert alice.get("/api/v1/task/get_status", params={"task_id": task_id}).json()["data"] in ("ready", "running")
    refused = call(shared_system.client("bob"), "kill", task_id=task_id)
    assert (refused["data"], refused["message"]) == (None, "not the task owner or no production role")
    answer = call(alice, "kill", task_id=task_id)
    assert (answer["success"], answer["data"]) == (True, 0)
    assert "3 jobs" in answer["message"]
    assert {
        row_of(shared_system.database, panda_id)["job_status"]
        for panda_id in jobs_of_task(shared_system.database, task_id)
    } == {"cancelled"}
    again = call(alice, "kill", task_id=task_id)
    assert (again["success"], again["data"]) == (False, 4)
    assert call(alice, "kill", task_id=5)["message"] == "not the task owner or no production role"
    unknown = call(shared_system.client("carol", "production"), "kill", task_id=5)
    assert (unknown["success"], unknown["data"]) == (False, 2)
    assert alice.get("/api/v1/task/get_status", params={"task_id": 5}).json()["message"] == "Task not found"
