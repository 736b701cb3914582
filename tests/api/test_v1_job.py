"""`job/...`: submit, look up, kill, over HTTP."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import httpx
import pytest

from tests.support.builders import archived, everything, live, make_dataset, row_of
from tests.support.system import RunningSystem, eventually


@pytest.fixture(scope="module")
def alice(shared_system: RunningSystem) -> httpx.Client:
    make_dataset(shared_system.database, "in", ["a.txt"], at=["LOCAL_DISK"])
    return shared_system.client("alice")


@pytest.fixture(scope="module")
def bob(shared_system: RunningSystem) -> httpx.Client:
    return shared_system.client("bob")


def call(client: httpx.Client, path: str, **parameters: Any) -> dict[str, Any]:
    response = client.post(f"/api/v1/{path}", json=parameters)
    assert response.status_code == 200, response.text
    return response.json()


def submit(client: httpx.Client, *jobs: dict[str, Any]) -> list[int]:
    records = [{"transformation": "/bin/true", "computingSite": "LOCAL", **job} for job in jobs]
    answer = call(client, "job/submit", jobs=json.dumps(records))
    assert answer["success"], answer
    return [entry[0] for entry in answer["data"]]


def describe(client: httpx.Client, *panda_ids: int) -> list[dict[str, Any] | None]:
    return call(client, "job/get_description", job_ids=list(panda_ids))["data"]


def test_the_answer_has_the_form_clients_read(alice):
    answer = call(alice, "job/submit", jobs=json.dumps([{"transformation": "x", "computingSite": "LOCAL"}] * 2))
    first, second = answer["data"]
    assert first == [first[0], first[0], {"jobsetID": first[0]}]
    assert second[0] == first[0] + 1


def test_jobs_may_be_sent_as_text_or_as_a_list(alice):
    records = [{"transformation": "x", "computingSite": "LOCAL"}]
    for jobs in (json.dumps(records), records):
        assert call(alice, "job/submit", jobs=jobs)["success"]


def test_what_was_submitted_is_described(alice):
    sent = {
        "jobName": "my job é",
        "jobParameters": "--x 'y z'",
        "prodSourceLabel": "user",
        "processingType": "test",
        "workingGroup": "higgs",
        "coreCount": "4",
        "minRamCount": 100.0,
        "maxWalltime": 60,
        "maxDiskCount": 70,
        "currentPriority": 900,
        "attemptNr": 2,
        "unknownAttribute": "is ignored",
        "specialHandling": "NULL",
    }
    files = [
        {"lfn": "a.txt", "type": "input", "dataset": "in"},
        {"lfn": "o.txt", "type": "output", "dataset": "out.alice"},
    ]
    [panda_id] = submit(alice, {**sent, "Files": files})
    [record] = describe(alice, panda_id)
    assert record is not None
    expected = {
        **sent,
        "coreCount": 4,
        "minRamCount": 100,
        "PandaID": panda_id,
        "prodUserName": "alice",
        "VO": "testvo",
    }
    del expected["unknownAttribute"], expected["specialHandling"]
    assert {name: record[name] for name in expected} == expected
    described = {file["lfn"]: file for file in record["Files"]}
    assert set(described) == {"a.txt", "o.txt", f"job.{panda_id}.log.tgz"}
    assert described["a.txt"]["fsize"] == 3
    assert described["o.txt"]["GUID"]
    assert datetime.fromisoformat(record["creationTime"]["__datetime__"]).tzinfo is None


def test_the_submitter_cannot_be_somebody_else(alice):
    [panda_id] = submit(alice, {"prodUserName": "bob", "prodUserID": "bob", "VO": "other"})
    [record] = describe(alice, panda_id)
    assert record is not None
    assert (record["prodUserName"], record["VO"]) == ("alice", "other")


def test_production_jobs_need_the_role(alice, shared_system):
    job = {"transformation": "x", "computingSite": "LOCAL", "prodSourceLabel": "managed"}
    answer = call(alice, "job/submit", jobs=json.dumps([{"transformation": "x"}, job]))
    assert answer == {
        "success": False,
        "message": "production role required to submit with prodSourceLabel=managed",
        "data": None,
    }
    assert submit(shared_system.client("carol", "production"), job)


WRONG = [
    ("jobs", "["),
    ("jobs", "5"),
    ("jobs", "[]"),
    ("jobs", "[5]"),
    ("jobs", json.dumps([{"transformation": "x"}] * 5001)),
    ("jobs.0.transformation", [{}]),
    ("jobs.0.transformation", [{"transformation": None}]),
    ("jobs.0.transformation", [{"transformation": ["x"]}]),
    ("jobs.0.jobParameters", [{"transformation": "x", "jobParameters": {"a": 1}}]),
    ("jobs.0.coreCount", [{"transformation": "x", "coreCount": "many"}]),
    ("jobs.0.coreCount", [{"transformation": "x", "coreCount": -1}]),
    ("jobs.0.currentPriority", [{"transformation": "x", "currentPriority": "high"}]),
    ("jobs.0.currentPriority", [{"transformation": "x", "assignedPriority": 10**9}]),
    ("jobs.0.prodSourceLabel", [{"transformation": "x", "prodSourceLabel": "mine"}]),
    ("jobs.0.computingSite", [{"transformation": "x", "computingSite": "NOWHERE"}]),
    ("jobs.0.jobName", [{"transformation": "x", "jobName": "a\x00b"}]),
    ("jobs.0.Files", [{"transformation": "x", "Files": 5}]),
    ("jobs.0.Files.0", [{"transformation": "x", "Files": [5]}]),
    ("jobs.0.Files.0.type", [{"transformation": "x", "Files": [{"lfn": "a"}]}]),
    ("jobs.0.Files.0.lfn", [{"transformation": "x", "Files": [{"type": "output", "lfn": {}}]}]),
    ("jobs.0.Files.0.lfn", [{"transformation": "x", "Files": [{"type": "output", "lfn": "../a"}]}]),
    ("jobs.0.Files.0.dataset", [{"transformation": "x", "Files": [{"type": "input", "lfn": "a", "dataset": "none"}]}]),
    (
        "jobs.1.Files.0.lfn",
        [{"transformation": "x"}, {"transformation": "x", "Files": [{"type": "input", "lfn": "b", "dataset": "in"}]}],
    ),
]


@pytest.mark.parametrize(("field", "jobs"), WRONG, ids=[f"{number} {field}" for number, (field, _) in enumerate(WRONG)])
def test_a_refusal_names_the_field_and_the_remedy_and_keeps_nothing(alice, shared_system, field, jobs):
    before = len(everything(shared_system.database)["job_parameters"])
    answer = call(alice, "job/submit", jobs=jobs if isinstance(jobs, str) else json.dumps(jobs))
    assert answer["success"] is False
    assert answer["message"].startswith(f"{field}: "), answer
    assert answer["message"].endswith(")"), answer
    assert len(everything(shared_system.database)["job_parameters"]) == before


def test_ten_megabytes_of_parameters_go_in_and_come_out(alice):
    parameters = "0123456789" * 2**20
    [panda_id] = submit(alice, {"jobParameters": parameters})
    [record] = describe(alice, panda_id)
    assert record is not None
    assert record["jobParameters"] == parameters


def test_a_thousand_jobs_in_one_request(alice):
    panda_ids = submit(alice, *[{"jobName": f"j{number}"} for number in range(1000)])
    records = describe(alice, *reversed(panda_ids))
    assert [record["jobName"] for record in records if record] == [f"j{number}" for number in reversed(range(1000))]


def test_status_comes_in_the_order_asked(alice):
    [panda_id] = submit(alice, {"computingSite": ""})
    response = alice.get("/api/v1/job/get_status", params=[("job_ids", 10**12), ("job_ids", panda_id)])
    unknown, known = response.json()["data"]
    assert unknown == {"status": "unknown", "command": "tobekilled"}
    assert known["status"] in ("defined", "activated")
    assert known["command"] is None
    assert describe(alice, 10**12) == [None]


def test_kill_answers_for_each_job(alice, bob, shared_system):
    [mine] = submit(alice, {})
    [his] = submit(bob, {})
    assert call(alice, "job/kill", job_ids=[mine, his, 10**12])["data"] == [True, False, False]
    assert call(bob, "job/kill", job_ids=[his], code=2, use_email_as_id=True, kill_options=["x"])["data"] == [True]
    assert row_of(shared_system.database, mine)["job_status"] == "cancelled"
    assert row_of(shared_system.database, his)["job_status"] == "closed"
    assert live(shared_system.database, his) is None


@pytest.mark.parametrize("role", ["production", "operator", "admin"])
def test_managers_kill_jobs_of_others(alice, shared_system, role):
    [panda_id] = submit(alice, {})
    manager = shared_system.client("carol", role)
    assert call(manager, "job/kill", job_ids=[panda_id])["data"] == [True]
    row = archived(shared_system.database, panda_id)
    assert row is not None
    assert row["task_buffer_error_diag"] == "killed by carol"


def test_a_job_becomes_ready_by_itself(alice, shared_system):
    [panda_id] = submit(alice, {"computingSite": "", "Files": [{"lfn": "a.txt", "type": "input", "dataset": "in"}]})
    eventually(lambda: row_of(shared_system.database, panda_id)["job_status"] == "activated")
    assert row_of(shared_system.database, panda_id)["computing_site"] == "LOCAL"
