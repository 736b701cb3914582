"""Our own operations: datasets, arrivals, queues, endpoints, workers; each refusal names its field."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.support.builders import everything, make_dataset, make_queue, row_of, start
from tests.support.system import RunningSystem, eventually


@pytest.fixture(scope="module")
def alice(shared_system: RunningSystem) -> httpx.Client:
    return shared_system.client("alice")


@pytest.fixture(scope="module")
def operator(shared_system: RunningSystem) -> httpx.Client:
    return shared_system.client("olga", "operator")


def file_at(endpoint: str | None = "LOCAL_DISK", **changes: Any) -> dict[str, Any]:
    replicas = [{"endpoint": endpoint, "pfn": "/data/a.txt"}] if endpoint else []
    return {"lfn": "a.txt", "size_bytes": 3, "checksum": "ad:0a1b2c3d", "replicas": replicas, **changes}


def refused(response: httpx.Response, status: int, field: str) -> dict[str, Any]:
    problem = response.json()
    assert response.status_code == status, problem
    assert response.headers["content-type"] == "application/problem+json"
    assert set(problem) == {"type", "title", "status", "code", "detail", "field", "remedy"}
    assert problem["field"] == field, problem
    assert problem["detail"].startswith(f"{field}: ")
    assert problem["remedy"]
    return problem


def test_a_dataset_is_registered_and_described(alice):
    names = ["data/a b.txt", "data/'q'.txt", "ü,x.txt"]
    body = {"name": "alices data", "files": [file_at(lfn=name) for name in names]}
    response = alice.post("/api/control/datasets", json=body)
    assert response.status_code == 201
    assert response.json() == {"dataset": "alices data", "n_files": 3, "total_bytes": 9}
    files = alice.get("/api/control/dataset/alices%20data").json()["files"]
    assert [file["lfn"] for file in files] == names
    assert files[0]["replicas"] == [{"endpoint": "LOCAL_DISK", "pfn": "/data/a.txt"}]
    assert (files[0]["scope"], files[0]["size_bytes"], files[0]["panda_id"]) == ("user.alice", 3, None)
    assert files[0]["guid"]
    assert refused(alice.post("/api/control/datasets", json=body), 409, "name")["code"] == "conflict"


def test_an_open_dataset_grows_until_it_is_closed(alice, shared_system):
    first = {"name": "alices growing", "files": [], "is_open": True}
    assert alice.post("/api/control/datasets", json=first).status_code == 201
    more = {"dataset": "alices growing", "files": [file_at(lfn="x", boundary_id="lb 7"), file_at(lfn="y")]}
    answer = alice.post("/api/control/datasets/files", json=more)
    assert (answer.status_code, answer.json()) == (201, {"dataset": "alices growing", "n_files": 2, "total_bytes": 6})
    listed = alice.get("/api/control/dataset/alices%20growing").json()["files"]
    assert [(file["lfn"], file["boundary_id"]) for file in listed] == [("x", "lb 7"), ("y", "")]
    before = everything(shared_system.database)
    again = {"dataset": "alices growing", "files": [file_at(lfn="z"), file_at(lfn="y")]}
    refused(alice.post("/api/control/datasets/files", json=again), 409, "files.1.lfn")
    foreign = shared_system.client("bob").post("/api/control/datasets/files", json=again)
    refused(foreign, 403, "dataset")
    refused(alice.post("/api/control/datasets/files", json={**again, "dataset": "nowhere"}), 404, "dataset")
    after = everything(shared_system.database)
    assert [after[name] for name in ("datasets", "files", "replicas")] == [
        before[name] for name in ("datasets", "files", "replicas")
    ]
    closed = {"dataset": "alices growing", "status": "closed"}
    for _ in range(2):
        assert alice.post("/api/control/datasets/status", json=closed).json() == closed
    late = {"dataset": "alices growing", "files": [file_at(lfn="z")]}
    refused(alice.post("/api/control/datasets/files", json=late), 409, "dataset")
    assert alice.post("/api/control/datasets/status", json={**closed, "status": "open"}).status_code == 200
    assert alice.post("/api/control/datasets/files", json=late).status_code == 201


WRONG_DATASETS: list[tuple[str, int, dict[str, Any]]] = [
    ("name", 422, {"name": ""}),
    ("name", 422, {"name": "x" * 256}),
    ("name", 422, {"name": "é" * 200}),
    ("name", 422, {"name": ".."}),
    ("name", 422, {"name": None}),
    ("name", 422, {"name": "a\nb"}),
    ("scope", 422, {"scope": "s" * 2000}),
    ("scope", 422, {"scope": "a\x1b[31m"}),
    ("kind", 422, {"kind": "output"}),
    ("files", 422, {"files": []}),
    ("files", 422, {"files": "a.txt"}),
    ("files.0.lfn", 422, {"files": [file_at(lfn="/etc/passwd")]}),
    ("files.0.lfn", 422, {"files": [file_at(lfn="../a")]}),
    ("files.0.lfn", 422, {"files": [file_at(lfn="x" * 300)]}),
    ("files.1.lfn", 422, {"files": [file_at(), file_at()]}),
    ("files.0.lfn", 422, {"files": [file_at(lfn="a\x00b")]}),
    ("files.0.size_bytes", 422, {"files": [file_at(size_bytes=-1)]}),
    ("files.0.size_bytes", 422, {"files": [file_at(size_bytes=2**63)]}),
    ("files.0.size_bytes", 422, {"files": [file_at(size_bytes="3 kB")]}),
    ("files.0.n_events", 422, {"files": [file_at(n_events=-1)]}),
    ("files.0.n_events", 422, {"files": [file_at(n_events=10**13)]}),
    ("files.0.n_events", 422, {"files": [file_at(n_events="many")]}),
    ("files.0.checksum", 422, {"files": [file_at(checksum="0a1b2c3d")]}),
    ("files.0.checksum", 422, {"files": [file_at(checksum="ad:0A1B2C3D")]}),
    ("files.0.replicas.0.pfn", 422, {"files": [file_at(replicas=[{"endpoint": "LOCAL_DISK", "pfn": "relative"}])]}),
    ("files.0.replicas.0.pfn", 422, {"files": [file_at(replicas=[{"endpoint": "LOCAL_DISK"}])]}),
    ("files.0.replicas.1.endpoint", 422, {"files": [file_at(replicas=[{"endpoint": "LOCAL_DISK", "pfn": "/x"}] * 2)]}),
    ("files.0.guid", 422, {"files": [file_at(guid="g" * 65)]}),
    ("files.0.guid", 422, {"files": [file_at(guid="g\n")]}),
    ("files.0.replicas.0.endpoint", 404, {"files": [file_at("NOWHERE")]}),
]


@pytest.mark.parametrize(
    ("field", "status", "wrong"), WRONG_DATASETS, ids=[f"{n} {e[0]}" for n, e in enumerate(WRONG_DATASETS)]
)
def test_a_wrong_dataset_is_refused_by_field_and_not_kept(alice, shared_system, field, status, wrong):
    before = everything(shared_system.database)
    refused(alice.post("/api/control/datasets", json={"name": "new", "files": [file_at()], **wrong}), status, field)
    after = everything(shared_system.database)
    assert [after[name] for name in ("datasets", "files", "replicas")] == [
        before[name] for name in ("datasets", "files", "replicas")
    ]


def test_an_unknown_dataset_is_not_found(alice):
    refused(alice.get("/api/control/dataset/nothing"), 404, "name")


def test_a_job_is_held_in_assigned_until_its_input_arrives(alice, shared_system):
    alice.post("/api/control/datasets", json={"name": "late", "files": [file_at(None)]}).raise_for_status()
    job = {
        "transformation": "x",
        "computingSite": "LOCAL",
        "Files": [{"type": "input", "lfn": "a.txt", "dataset": "late"}],
    }
    panda_id = shared_system.v1(alice, "job/submit", jobs=[job])[0][0]
    eventually(lambda: row_of(shared_system.database, panda_id)["job_status"] == "assigned")
    arrival = {"dataset": "late", "lfn": "a.txt", "endpoint": "LOCAL_DISK", "pfn": "/data/a.txt"}
    answer = alice.post("/api/control/replicas", json={"replicas": [arrival]}).json()
    assert answer == {"registered": 1, "activated": 1}
    assert row_of(shared_system.database, panda_id)["job_status"] == "activated"
    [record] = alice.post("/api/v1/job/get_description", json={"job_ids": [panda_id]}).json()["data"]
    assert [file["pfn"] for file in record["Files"] if file["type"] == "input"] == ["/data/a.txt"]


def test_arrivals_are_for_the_owner_and_managers_to_announce(alice, operator, shared_system):
    make_dataset(shared_system.database, "owned", ["a.txt"])
    arrival = {"dataset": "owned", "lfn": "a.txt", "endpoint": "LOCAL_DISK", "pfn": "/data/a.txt"}
    problem = refused(
        shared_system.client("bob").post("/api/control/replicas", json={"replicas": [arrival]}), 403, "dataset"
    )
    assert "belongs to alice" in problem["detail"]
    for client in (alice, operator):
        assert client.post("/api/control/replicas", json={"replicas": [arrival]}).status_code == 200
    refused(alice.post("/api/control/replicas", json={"replicas": []}), 422, "replicas")
    refused(alice.post("/api/control/replicas", json={"replicas": [{**arrival, "lfn": "b"}]}), 422, "replicas.0.lfn")
    refused(alice.post("/api/control/replicas", json={"replicas": [{**arrival, "pfn": "b"}]}), 422, "replicas.0.pfn")


def test_a_queue_is_made_and_changed_attribute_by_attribute(operator):
    endpoint = operator.put("/api/control/endpoint/T2_DISK", json={"mover": "symlink", "path": "/pool/"}).json()[
        "endpoint"
    ]
    assert endpoint == {
        "name": "T2_DISK",
        "mover": "symlink",
        "path": "/pool",
        "state": "online",
        "is_deterministic": False,
        "kind": "disk",
        "is_nucleus": False,
        "free_mb": None,
        "total_mb": None,
    }
    made = operator.put("/api/control/queue/T2", json={"max_ram_mb": 4000, "storage_endpoint": "T2_DISK"}).json()[
        "queue"
    ]
    assert (made["site"], made["status"], made["max_ram_mb"]) == ("T2", "online", 4000)
    changed = operator.put("/api/control/queue/T2", json={"status": "offline", "comment": "power cut"}).json()["queue"]
    assert (changed["status"], changed["comment"], changed["max_ram_mb"]) == ("offline", "power cut", 4000)
    assert changed["storage_endpoint"] == "T2_DISK"
    names = [entry["name"] for entry in operator.get("/api/control/endpoints").json()["endpoints"]]
    assert {"LOCAL_DISK", "T2_DISK"} <= set(names)


CHANGES = [
    ("PUT", "queue/VIA", {"max_ram_mb": 1}, "queue", "VIA"),
    ("PUT", "endpoint/VIA_DISK", {"path": "/via"}, "endpoint", "VIA_DISK"),
    ("PUT", "account/group/via", {"max_running_jobs": 5}, "group", "via"),
    ("PUT", "share/Via", {"value": 1}, "share", "Via"),
    ("POST", "shares/retag", {}, "share", "*"),
    ("DELETE", "share/Via", None, "share", "Via"),
    ("PUT", "retry-action/limit_retry", {"description": "seen"}, "retry action", "limit_retry"),
]


def test_a_storage_endpoint_is_made_and_changed_attribute_by_attribute(operator):
    where = "/api/control/endpoint/GROWING"
    refused(operator.put(where, json={"is_nucleus": True}), 422, "path")
    made = {"path": "/storage/growing", "is_nucleus": True, "free_mb": 10, "total_mb": 20}
    assert operator.put(where, json=made).status_code == 200
    changed = operator.put(where, json={"free_mb": 5, "state": "offline"}).json()["endpoint"]
    assert {name: changed[name] for name in (*made, "state")} == {**made, "free_mb": 5, "state": "offline"}
    assert operator.put(where, json={"free_mb": None}).json()["endpoint"]["free_mb"] is None
    refused(operator.put(where, json={"free_mb": 21}), 422, "free_mb")
    refused(operator.put(where, json={"kind": "tape"}), 422, "is_nucleus")


@pytest.mark.parametrize(
    ("method", "path", "body", "kind", "key"), CHANGES, ids=[f"{row[0]} {row[1]}" for row in CHANGES]
)
@pytest.mark.parametrize(("said", "kept"), [("web", "web"), ("cli", "cli"), ("server", "api"), ("", "api")])
def test_a_change_says_from_where_it_came(operator, shared_system, method, path, body, kind, key, said, kept):
    operator.put("/api/control/share/Via", json={"value": 2})
    changed = (
        body if body is None or "retag" in path else {**body, **dict.fromkeys(_NEW[kind], f"/by {said or 'none'}")}
    )
    headers = {"X-Panda-Via": said} if said else {}
    response = operator.request(method, f"/api/control/{path}", headers=headers, json=changed)
    assert response.status_code == 200, response.text
    statement = (
        "SELECT via FROM audit WHERE object_kind = %(kind)s AND object_id = %(key)s ORDER BY audit_id DESC LIMIT 1"
    )
    assert shared_system.database.fetch(statement, {"kind": kind, "key": key}) == [{"via": kept}]


_NEW = {
    **{"queue": ["comment"], "endpoint": ["path"], "group": ["reason"], "share": ["description"]},
    "retry action": ["description"],
}
"""What of each is another thing every time, so that something changes."""


def test_numbers_of_any_size_in_a_document_can_be_read_again(operator, shared_system):
    sent = b'{"parameters": {"a": 1e25, "b": 10000000000000000000000000, "c": 1e300, "d": 18446744073709551615, "e": -0.0}}'
    made = operator.put("/api/control/queue/BIG", content=sent)
    assert made.status_code == 200, made.text
    assert made.json()["queue"]["parameters"] == {"a": 1e25, "b": 1e25, "c": 1e300, "d": 2**64 - 1, "e": 0}
    assert operator.get("/api/monitor/queues").status_code == 200
    task = {"taskName": "t", "jobParameters": "true", "a": 1e25, "b": 10**40, "c": {"d": [2**63]}}
    task_id = shared_system.v1(operator, "task/submit", task_parameters=task)
    assert operator.get(f"/api/monitor/task/{task_id}").status_code == 200


@pytest.mark.parametrize(
    ("path", "body", "status", "field"),
    [
        ("queue/T3", {"status": "asleep"}, 422, "status"),
        ("queue/T3", {"max_ram_mb": -1}, 422, "max_ram_mb"),
        ("queue/T3", {"max_ram_mb": 2**60}, 422, "max_ram_mb"),
        ("queue/T3", {"colour": "red"}, 422, "colour"),
        ("queue/T3", {"storage_endpoint": "NOWHERE"}, 404, "storage_endpoint"),
        ("queue/T3", {"parameters": [1]}, 422, "parameters"),
        ("queue/T3", {"parameters": {"error": "x"}}, 422, "parameters.error"),
        ("queue/T3", {"parameters": {"corepower": "fast"}}, 422, "parameters.corepower"),
        ("queue/T3", {"parameters": {"corepower": True}}, 422, "parameters.corepower"),
        ("queue/T3", {"parameters": {"maxrss": {"a": 1}}}, 422, "parameters.maxrss"),
        ("queue/T3", {"parameters": {"maxtime": 1e30}}, 422, "parameters.maxtime"),
        ("queue/T3", {"parameters": {"type": "nonsense"}}, 422, "parameters.type"),
        ("queue/T3", {"parameters": {"capability": 5}}, 422, "parameters.capability"),
        ("queue/T3", {"parameters": {"releases": 5}}, 422, "parameters.releases"),
        ("queue/T3", {"parameters": {"direct_access_lan": "perhaps"}}, 422, "parameters.direct_access_lan"),
        ("queue/T3", {"parameters": {"catchall": "allow_no_pilot=perhaps"}}, 422, "parameters.catchall"),
        ("queue/T3", {"parameters": {"meanrss": "2000"}}, 422, "parameters.meanrss"),
        ("queue/T3", {"parameters": {"meanrss": -1}}, 422, "parameters.meanrss"),
        ("queue/T3", {"parameters": {"resource_type": 5}}, 422, "parameters.resource_type"),
        ("queue/T3", {"site": "a\nb"}, 422, "site"),
        ("queue/AUTO", {}, 422, "queue_name"),
        ("queue/a%20b", {}, 422, "queue_name"),
        ("queue/" + "x" * 101, {}, 422, "queue_name"),
        ("queue/a%00b", {}, 422, "queue_name"),
        ("endpoint/E", {"path": "relative"}, 422, "path"),
        ("endpoint/E", {"path": "/a/../b"}, 422, "path"),
        ("endpoint/E", {"path": "/a\nb"}, 422, "path"),
        ("endpoint/E", {"path": "/x", "mover": "rfcp"}, 422, "mover"),
        ("endpoint/E", {}, 422, "path"),
        ("endpoint/a%2Fb", {"path": "/x"}, 404, ""),
    ],
)
def test_a_wrong_queue_or_endpoint_is_refused_by_field(operator, shared_system, path, body, status, field):
    before = everything(shared_system.database)
    response = operator.put(f"/api/control/{path}", json=body)
    assert response.status_code == status
    if field:
        refused(response, status, field)
    after = everything(shared_system.database)
    assert [after[name] for name in ("queues", "storage_endpoints")] == [
        before[name] for name in ("queues", "storage_endpoints")
    ]


def test_users_do_not_set_queues(alice):
    problem = refused(alice.put("/api/control/queue/LOCAL", json={"status": "offline"}), 403, "Authorization")
    assert "operator" in problem["detail"]


def test_the_jobs_of_a_dead_worker_end_at_once(alice, shared_system):
    make_queue(shared_system.database)
    held = start(shared_system.database, 2, worker_id="w1")
    [other] = start(shared_system.database, worker_id="w2")
    pilot = shared_system.client("factory", "pilot")
    body = {"worker_id": "w1", "signal": 9, "diagnosis": "killed by the batch system"}
    refused(alice.post("/api/control/worker/ended", json=body), 403, "Authorization")
    assert pilot.post("/api/control/worker/ended", json=body).json() == {"failed_jobs": held}
    row = row_of(shared_system.database, held[0])
    assert (row["job_status"], row["sup_error_code"]) == ("failed", 300)
    assert "killed by the batch system" in row["sup_error_diag"]
    assert row_of(shared_system.database, other)["job_status"] == "running"
    assert pilot.post("/api/control/worker/ended", json=body).json() == {"failed_jobs": []}
    refused(pilot.post("/api/control/worker/ended", json={"diagnosis": "x"}), 422, "worker_id")


def test_outputs_of_an_unknown_task_are_not_found(alice):
    refused(alice.get("/api/control/task/5/outputs"), 404, "task_id")
    refused(alice.get("/api/control/task/x/outputs"), 422, "jedi_task_id")


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
@pytest.mark.parametrize(
    "path", ["/api/control/nothing", "/api/control/task/%2F%0A/outputs", "/api/%0A", "/nowhere", "/"]
)
def test_a_path_nobody_serves_is_said_to_be_none(alice, method, path):
    response = alice.request(method, path)
    assert (response.status_code, response.json()["code"]) == (404, "unknown_operation")
    assert "openapi" in response.json()["remedy"]
