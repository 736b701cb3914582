"""Whatever is thrown at any operation, the answer is a sentence and never an internal error."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.control import HANDLERS as CONTROL
from api.monitor import HANDLERS as MONITOR
from api.operations import operations_of
from api.panda import MODULES
from core.agents import core_agents
from tests.support.builders import activate, make_dataset, make_queue, make_task, start
from tests.support.system import RunningSystem, running_system

ENDPOINTS = [
    (f"/api/v1/{module}/{name}", value.__panda__)
    for module, functions in MODULES.items()
    for name, value in vars(functions).items()
    if hasattr(value, "__panda__")
]
OPERATIONS = [entry for entry in operations_of([*MONITOR, *CONTROL]) if not entry.path.endswith("/stream")]

NAMES = (
    *("job_id", "job_ids", "jobs", "task_id", "task_parameters", "site_name", "job_status", "n_jobs", "node", "code"),
    *(
        "taskName",
        "jobParameters",
        "inputDataset",
        "outputs",
        "nJobs",
        "site",
        "transformation",
        "Files",
        "lfn",
        "type",
    ),
    *(
        "dataset",
        "computingSite",
        "prodSourceLabel",
        "name",
        "files",
        "replicas",
        "endpoint",
        "pfn",
        "checksum",
        "kind",
    ),
    *(
        "size_bytes",
        "worker_id",
        "signal",
        "mover",
        "path",
        "parameters",
        "status",
        "storage_endpoint",
        "records",
        "time",
    ),
    *("level", "message", "fields", "comment", "dropped", "job_output_report", "pilot_error_diag", "max_rss", "scope"),
)
WORDS = (
    *(
        "LOCAL",
        "Q",
        "in",
        "a.txt",
        "LOCAL_DISK",
        "running",
        "finished",
        "user",
        "runShell",
        "input",
        "output",
        "log",
        "cp",
    ),
    *(
        "ad:0a1b2c3d",
        "ERROR",
        "2026-11-21T10:00:00+00:00",
        "../x",
        "/",
        ".",
        "%IN",
        "%OUT99",
        "None",
        "true",
        "[1]",
        "{}",
    ),
)
NUMBERS = (0, 1, -1, 2, 10_000_000, 2**31, 2**53 + 1, 2**63 - 1, 2**63, -(2**63) - 1, 10**25, 1.5, 1e308, -0.0)

texts = (
    st.sampled_from(WORDS)
    | st.text(max_size=8)
    | st.sampled_from(["x" * 3000, "é" * 1500, "\x01\x1b[31m", "\U0001f4a3", "9" * 5000, "²"])
)
scalars = st.none() | st.booleans() | st.sampled_from(NUMBERS) | st.integers() | texts
values: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=4), inner, max_size=5)
        | inner.map(json.dumps)
    ),
    max_leaves=12,
)


FILE = {"lfn": "o.txt", "type": "output", "dataset": "d", "scope": "s", "local_name": "o.txt"}
JOB = {
    **{"transformation": "x", "jobParameters": "p", "jobName": "n", "computingSite": "Q", "prodSourceLabel": "user"},
    **{
        "coreCount": 1,
        "minRamCount": 1,
        "maxWalltime": 1,
        "currentPriority": 1,
        "attemptNr": 1,
        "parentID": 1,
        "VO": "v",
    },
    "Files": [FILE, {"lfn": "a.txt", "type": "input", "dataset": "in"}],
}
TASK = {
    **{
        "taskName": "t",
        "vo": "v",
        "jobParameters": "x > %OUT",
        "inputDataset": "in",
        "nFilesPerJob": 1,
        "outputs": ["o"],
    },
    **{
        "site": "Q",
        "ramCount": 1,
        "coreCount": 1,
        "maxWalltime": 1,
        "taskPriority": 1,
        "maxAttempt": 1,
        "workingGroup": "g",
    },
    "more": {"kept": [1]},
}
OFFER = {
    **{
        "site_name": "Q",
        "memory": 1,
        "disk_space": 1,
        "prod_source_label": "user",
        "node": "wn",
        "n_jobs": 1,
    },
    **{"resource_type": "SCORE", "worker_id": "w", "remaining_time": 1, "cores": 1, "batch_id": "b"},
}
REPORT = {
    **{"job_id": 6, "job_status": "running", "attempt_nr": 1, "node": "wn", "cpu_consumption_time": 1.5, "max_rss": 1},
    **{"pilot_id": "p", "trans_exit_code": 1, "pilot_error_code": 1, "pilot_error_diag": "d", "payload_stderr": "e"},
    **{
        "job_metrics": "m",
        "job_sub_status": "s",
        "n_events": 1,
        "worker_id": "w",
        "pilot_timing": "1|2",
        "batch_id": "b",
    },
    "job_output_report": {"o.txt": {"guid": "g", "fsize": 3, "adler32": "0a1b2c3d", "surl": "/x"}},
}
COPY = {"endpoint": "Q_DISK", "pfn": "/x"}
DATASET = {
    **{"name": "new", "scope": "s", "kind": "input"},
    "files": [{"lfn": "a", "size_bytes": 1, "checksum": "ad:0a1b2c3d", "guid": "g", "replicas": [COPY]}],
}
RECORD = {
    **{
        "time": "2026-11-21T10:00:00+00:00",
        "level": "ERROR",
        "name": "n",
        "component": "pilot",
        "message": "m",
        "host": "h",
    },
    **{"process": 1, "file": "f", "line": 1, "traceback": "t", "panda_id": 4, "jedi_task_id": 1, "computing_site": "Q"},
    **{"code": 5, "user": "u", "fingerprint": "f", "kind": "service", "fields": {"a": [1]}},
}
QUEUE = {
    **{"site": "s", "status": "online", "comment": "c", "max_ram_mb": 1, "max_disk_mb": 1, "max_core_count": 1},
    **{"max_walltime_s": 1, "storage_endpoint": "Q_DISK", "parameters": {"disableReassign": True, "a": {"b": [1]}}},
}
WORKER = {
    **{"workerID": 1, "batchID": "b", "status": "running", "computingSite": "Q", "nCore": 8, "nodeID": "n"},
    **{"submitTime": "datetime/2026-11-21 10:00:00.250000", "resourceType": "MCORE", "diagMessage": "d", "nJobs": 1},
    **{"syncLevel": 1, "errorCode": 1, "pandaid_list": [4, 6], "minRamCount": 2000, "stdOut": "https://x/1.out"},
}
DIALOG = {
    **{"diagID": 1, "moduleName": "m", "identifier": "i", "creationTime": "2026-11-21 10:00:00.0"},
    **{"messageLevel": "ERROR", "diagMessage": "d"},
}
NODE = {
    **{"site": "s", "host_name": "slot1@n", "cpu_model": "Xeon", "panda_queue": "Q", "n_logical_cpus": 8},
    **{"clock_speed": 2100.5, "total_memory": 1000},
}
RIGHT: dict[str, dict[str, Any]] = {
    "/api/v1/harvester/update_workers": {"harvester_id": "h", "workers": [WORKER, WORKER]},
    "/api/v1/harvester/report_worker_statistics": {
        **{"harvester_id": "h", "panda_queue": "Q", "statistics": {"user": {"SCORE": {"running": 1}}}}
    },
    "/api/v1/harvester/add_dialogs": {"harvester_id": "h", "dialogs": [DIALOG]},
    "/api/v1/harvester/update_service_metrics": {
        **{"harvester_id": "h", "metrics": [["2026-11-21", "host", {"cpu_pc": 1.5, "disk": {"/x": 1}}]]}
    },
    "/api/v1/harvester/heartbeat": {"harvester_id": "h", "data": {"sw_version": "1", "hostName": "x"}},
    "/api/v1/harvester/add_target_slots": {
        **{"panda_queue": "Q", "slots": 1, "global_share": "g", "resource_type": "r", "expiration_date": "3"}
    },
    "/api/v1/pilot/update_worker_node": NODE,
    "/api/v1/job/submit": {"jobs": [JOB]},
    "/api/v1/job/kill": {"job_ids": [4], "code": 2},
    "/api/v1/job/get_description": {"job_ids": [4, 6]},
    "/api/v1/task/submit": {"task_parameters": TASK},
    "/api/v1/task/kill": {"task_id": 10_000_000},
    "/api/v1/pilot/acquire_jobs": OFFER,
    "/api/v1/pilot/update_job": REPORT,
    "/api/control/datasets": DATASET,
    "/api/control/replicas": {"replicas": [{"dataset": "in", "lfn": "a.txt", **COPY}]},
    "/api/control/worker/ended": {"worker_id": "w", "exit_code": 1, "signal": 9, "diagnosis": "d"},
    "/api/logger/records": {"records": [RECORD], "dropped": 1},
    "/api/control/queue/Q": QUEUE,
    "/api/control/endpoint/E": {"mover": "cp", "path": "/x", "state": "online"},
}
"""Calls that are right, to be made wrong in one or two places."""


def places_in(document: Any) -> list[tuple[Any, ...]]:
    """The way to every value inside a document."""
    entries = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    return [way for key, value in entries for way in [(key,), *((key, *rest) for rest in places_in(value))]]


def with_changes(document: Any, changes: list[tuple[tuple[Any, ...], Any]]) -> Any:
    """A copy of a document with other values in some places."""
    copy = json.loads(json.dumps(document))
    for way, value in changes:
        inner = copy
        try:
            for key in way[:-1]:
                inner = inner[key]
            inner[way[-1]] = value
        except (TypeError, KeyError, IndexError):
            continue  # an earlier change took the place away
    return copy


def nearly(document: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """A right document with something wrong in it."""
    change = st.tuples(st.sampled_from(places_in(document)), values | st.just("a\x00b"))
    return st.lists(change, min_size=1, max_size=2).map(lambda changes: with_changes(document, changes))


def likely(names: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    """A document with some of the right names and some others."""
    named = st.fixed_dictionaries({}, optional=dict.fromkeys(names, values))
    more = st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=4), values, max_size=3)
    return st.builds(lambda one, two: {**two, **one}, named, more)


@pytest.fixture(scope="module")
def house(module_database_url, tmp_path_factory):
    """A server with a little of everything in it."""
    with running_system(module_database_url, tmp_path_factory.mktemp("house"), agents=False) as system:
        make_queue(system.database, "Q")
        make_dataset(system.database, "in", ["a.txt"], at=["Q_DISK"])
        activate(system.database, 3)
        start(system.database, 3)
        make_task(system.database, inputDataset="in", jobParameters="cat %IN")
        yield system


@pytest.fixture(scope="module")
def almighty(house: RunningSystem) -> httpx.Client:
    """A client that no role keeps out."""
    return house.client("alice", "admin")


quick = settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))


def check(response: httpx.Response, sent: object) -> None:
    said = f"{response.request.method} {response.request.url} {str(sent)[:2000]}\n-> {response.status_code} {response.text[:500]}"
    assert response.status_code < 500, said
    if response.is_redirect:
        return  # a slash too many at the end
    answer = response.json()
    if "success" in answer:
        assert answer["success"] or answer["message"], said
    elif response.status_code >= 400:
        assert answer["detail"] and answer["code"] and "remedy" in answer, said
        assert answer["remedy"], said


@pytest.mark.parametrize(("path", "found"), ENDPOINTS, ids=[path.removeprefix("/api/v1/") for path, _ in ENDPOINTS])
def test_panda_endpoints_never_break(almighty, path, found):
    @quick
    @given(sent=likely(list(found.hints)), form=st.sampled_from(["json", "form", "query"]))
    def throw(sent: dict[str, Any], form: str) -> None:
        flat = {name: (value if isinstance(value, str) else json.dumps(value))[:2000] for name, value in sent.items()}
        if form == "query":
            method = found.methods[0]
            check(almighty.request(method, path, params=flat), sent)
        elif form == "form":
            check(almighty.post(path, data=flat), sent)
        else:
            check(almighty.post(path, json=sent), sent)

    throw()


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda entry: f"{entry.method} {entry.path}")
def test_our_operations_never_break(almighty, operation):
    names = list(operation.body_model.model_fields) if operation.body_model else []
    asked = list(operation.query_model.model_fields) if operation.query_model else []

    @quick
    @given(
        document=likely(names) | values,
        query=st.dictionaries(st.sampled_from([*asked, "strict"]) | st.text(max_size=4), texts, max_size=4),
        places=st.lists(
            st.sampled_from(["1", "17", "Q", "in", str(2**70), "-1", "x"]) | st.text(min_size=1), min_size=2
        ),
    )
    def throw(document: Any, query: dict[str, str], places: list[str]) -> None:
        path = operation.path
        for name, place in zip(operation.path_types, places, strict=False):
            path = path.replace(f"{{{name}}}", quote(place, safe=""))
        body = {"json": document} if operation.method in ("POST", "PUT") else {}
        check(almighty.request(operation.method, path, params=query, **body), (document, query))

    throw()


@pytest.mark.parametrize("path", RIGHT)
def test_a_call_with_something_wrong_in_it_never_breaks(house, almighty, path):
    make_queue(house.database, "Q", status="online")
    activate(house.database, 3)

    @quick
    @given(sent=nearly(RIGHT[path]))
    def throw(sent: dict[str, Any]) -> None:
        check(almighty.request(method, path, json=sent), sent)

    method = "PUT" if path.startswith(("/api/control/queue/", "/api/control/endpoint/")) else "POST"
    right = almighty.request(method, path, json=RIGHT[path])
    assert right.status_code < 300 and right.json().get("success", True) is not False, right.text
    throw()


def test_whatever_was_taken_can_be_shown_and_worked_on(house, almighty):
    """After all the garbage: every page of the monitor, every job, and every agent of the core."""
    database = house.database
    for agent in core_agents(database, house.settings):
        agent.cycle()
    jobs = [
        row["panda_id"] for row in database.fetch("SELECT DISTINCT panda_id FROM job_history ORDER BY 1 DESC LIMIT 60")
    ]
    tasks = [row["jedi_task_id"] for row in database.fetch("SELECT jedi_task_id FROM tasks ORDER BY 1 DESC LIMIT 20")]
    incidents = [row["incident_id"] for row in database.fetch("SELECT incident_id FROM incidents LIMIT 20")]
    pages = ["summary", "jobs?hours=1", "queues", "tasks", "incidents?state=*", "throughput", "search?q=x"]
    pages += [f"job/{panda_id}{part}" for panda_id in jobs for part in ("", "/log")]
    pages += [f"task/{task_id}" for task_id in tasks] + [f"incident/{incident_id}" for incident_id in incidents]
    for page in pages:
        check(almighty.get(f"/api/monitor/{page}"), page)
    check(almighty.post("/api/v1/job/get_description", json={"job_ids": jobs}), jobs)


SUBMITTED = [
    {"transformation": "x", "Files": [{"type": "output", "lfn": "x" * 3000}]},
    {"transformation": "x", "Files": [{"type": "output", "lfn": "../../../etc/passwd", "local_name": "x"}]},
    {"transformation": "x", "Files": [{"type": "log", "lfn": "l", "dataset": ".."}]},
    {"transformation": "x", "destinationDBlock": "d" * 5000, "Files": [{"type": "output", "lfn": "o"}]},
    {"transformation": "x", "Files": [{"type": "output", "lfn": "a\nb", "scope": "é" * 5000}]},
    {"transformation": "x", "jobName": "\ud800"},
    {"transformation": "x\x00"},
    {"transformation": "x", "coreCount": 10**30},
    {"transformation": "x", "Files": [[]]},
    {"transformation": "x", "Files": {"a": 1}},
    {"transformation": "x", "computingSite": "N" * 5000},
    {"transformation": {"a": 1}},
]


@pytest.mark.parametrize("job", SUBMITTED, ids=range(len(SUBMITTED)))
def test_a_wrong_job_is_refused_with_its_field_and_a_remedy(almighty, job):
    for jobs in (json.dumps([job]), [job]):
        response = almighty.post("/api/v1/job/submit", content=json.dumps({"jobs": jobs}))
        check(response, job)
        answer = response.json()
        if "\\ud800" in json.dumps(job) and not answer["success"]:
            continue
        assert not answer["success"] or job["Files"][0]["lfn"] == "a\nb"
        if not answer["success"]:
            assert "jobs" in answer["message"]
            assert "(" in answer["message"]
