"""`harvester/...` and the map of worker nodes over HTTP, as a Harvester and its pilots speak."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from core.dispatch.workers import worker_name
from tests.support.builders import make_queue, row_of, start
from tests.support.system import RunningSystem, running_system


@pytest.fixture(scope="module")
def still(module_database_url, tmp_path_factory):
    """A server whose agents the tests play themselves."""
    with running_system(module_database_url, tmp_path_factory.mktemp("still"), agents=False) as system:
        make_queue(system.database)
        make_queue(system.database, "SWEPT", parameters={"harvester": "H"})
        yield system


@pytest.fixture(scope="module")
def factory(still: RunningSystem) -> httpx.Client:
    """A Harvester with the role of a pilot factory."""
    return still.client("harvester", "production")


def call(client: httpx.Client, name: str, **parameters: Any) -> dict[str, Any]:
    response = client.post(f"/api/v1/harvester/{name}", json=parameters)
    assert response.status_code == 200, response.text
    answer = response.json()
    assert set(answer) == {"success", "message", "data"}
    return answer


def get(client: httpx.Client, name: str, **parameters: Any) -> Any:
    answer = client.get(f"/api/v1/harvester/{name}", params=parameters).json()
    assert answer["success"], answer
    return answer["data"]


def told(system: RunningSystem) -> dict[str, list[Any]]:
    """All rows about factories, which a refused report must leave alone."""
    tables = ("instances", "workers", "worker_jobs", "worker_counts", "dialogs", "service_metrics", "commands", "slots")
    rows = {name: system.database.fetch(f"SELECT * FROM harvester_{name} ORDER BY 1, 2") for name in tables}
    nodes = {name: system.database.fetch(f"SELECT * FROM {name}") for name in ("worker_nodes", "worker_node_gpus")}
    return rows | nodes


WORKER = {
    **{"workerID": 1, "batchID": 4711, "queueName": "short", "status": "running", "computingSite": "Q", "nCore": 8},
    **{"nodeID": None, "submitTime": "datetime/2026-11-21 10:00:00.250000", "startTime": "21-NOV-26 10:01:00"},
    **{"endTime": None, "jobType": "managed", "resourceType": "MCORE", "nativeExitCode": None, "nativeStatus": "R"},
    **{"diagMessage": None, "nJobs": 1, "computingElement": "ce1", "syncLevel": 0, "submissionHost": "sub1,sub2"},
    **{"harvesterHost": "h1", "errorCode": None, "minRamCount": 2000, "stdOut": "https://logs/1.out", "unknown": {}},
}
"""As a real Harvester propagates one."""


def test_a_worker_as_harvester_sends_it(factory, still):
    assert call(factory, "update_workers", harvester_id="A", workers=[WORKER]) == {
        **{"success": True, "message": "", "data": [True]}
    }
    [row] = still.database.fetch("SELECT * FROM harvester_workers WHERE harvester_id = 'A'")
    found = {name: row[name] for name in ("worker_id", "batch_id", "status", "n_core", "min_ram_mb", "std_out")}
    assert found == {
        **{"worker_id": 1, "batch_id": "4711", "status": "running", "n_core": 8, "min_ram_mb": 2000},
        "std_out": "https://logs/1.out",
    }
    assert (row["submit_time"].isoformat(), row["start_time"].isoformat()) == (
        *("2026-11-21T10:00:00.250000+00:00", "2026-11-21T10:01:00+00:00"),
    )


def test_the_end_of_a_worker_ends_its_jobs(factory, still):
    [fetched] = start(still.database, worker_id=worker_name("B", 2))
    [pushed] = start(still.database)
    ended = {"workerID": 2, "status": "failed", "syncLevel": 1, "errorCode": 9, "diagMessage": "out of memory"}
    answer = call(factory, "update_workers", harvester_id="B", workers=[{**ended, "pandaid_list": [pushed]}])
    assert answer["data"] == [True]
    for panda_id in (fetched, pushed):
        row = row_of(still.database, panda_id)
        assert (row["job_status"], row["task_buffer_error_code"], row["sup_error_code"]) == ("failed", 300, 9)


def test_a_worker_that_makes_no_sense_is_refused_alone_and_by_name(factory, still):
    bad = [
        *({"status": "running"}, {"workerID": "x"}, {"workerID": 3, "status": "dancing"}, "worker", None, 5),
        *({"workerID": 4, "submitTime": "yesterday"}, {"workerID": 5, "nCore": "many"}, {"workerID": 2**70}),
        *({"workerID": 6, "pandaid_list": ["a"]}, {"workerID": 7, "batchID": {"a": 1}}),
    ]
    answer = call(factory, "update_workers", harvester_id="C", workers=[{"workerID": 1}, *bad, {"workerID": 2}])
    assert answer["success"]
    assert answer["data"] == [True, *[False] * len(bad), True]
    assert answer["message"].startswith("workers.1.workerID: missing (send an integer); workers.2.workerID: 'x' given")
    assert answer["message"].endswith(f"and {len(bad) - 5} more")
    rows = still.database.fetch("SELECT worker_id, status FROM harvester_workers WHERE harvester_id = 'C' ORDER BY 1")
    assert [(row["worker_id"], row["status"]) for row in rows] == [(1, "pending"), (2, "pending")]


def test_the_current_worker_id(factory):
    assert get(factory, "get_current_worker_id", harvester_id="nobody") == 0
    call(factory, "update_workers", harvester_id="D", workers=[{"workerID": number} for number in range(500)])
    assert get(factory, "get_current_worker_id", harvester_id="D") == 499


def test_counts_go_in_as_json_text_and_come_out_by_queue(factory):
    counts = {"user": {"SCORE": {"running": 1, "submitted": 2}, "Undefined": {"running": 9}}, "managed": {"MCORE": {}}}
    answer = call(
        factory, "report_worker_statistics", harvester_id="E", panda_queue="QE", statistics=json.dumps(counts)
    )
    assert answer == {"success": True, "message": "OK", "data": None}
    assert get(factory, "get_worker_statistics")["QE"] == {"E": {"user": {"SCORE": {"running": 1, "submitted": 2}}}}
    call(factory, "report_worker_statistics", harvester_id="E", panda_queue="QE", statistics="{}")
    assert "QE" not in get(factory, "get_worker_statistics")


def test_an_order_travels_from_the_operator_to_the_factory_and_back(factory):
    asked = {"status_list": ["submitted"], "ce_list": ["ALL"], "submission_host_list": []}
    answer = call(factory, "add_sweep_command", panda_queue="SWEPT", **asked)
    assert answer == {"success": True, "message": "OK", "data": None}
    [command] = call(factory, "acquire_commands", harvester_id="H", n_commands=5)["data"]
    assert command["command"] == "KILL_WORKERS"
    assert command["params"] == {
        **{"status": ["submitted"], "computingSite": ["SWEPT"], "computingElement": "ALL", "submissionHost": []}
    }
    assert command["ack_requested"] == 0
    assert "T" in command["creation_date"] and "+" not in command["creation_date"]
    done = call(factory, "acknowledge_commands", command_ids=[command["command_id"], 10**9])
    assert done == {"success": True, "message": "", "data": None}
    assert call(factory, "acquire_commands", harvester_id="H", n_commands=5)["data"] == []


def test_two_factories_of_one_name_never_take_the_same_order(factory, still):
    for number in range(40):
        asked = {"status_list": [str(number)], "ce_list": [], "submission_host_list": []}
        assert call(factory, "add_sweep_command", panda_queue="SWEPT", **asked)["success"]
    clients = [still.client("harvester", "production") for _ in range(2)]

    def fetch(client: httpx.Client) -> list[int]:
        taken: list[int] = []
        while commands := call(client, "acquire_commands", harvester_id="H", n_commands=3)["data"]:
            taken += [command["command_id"] for command in commands]
        return taken

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(fetch, clients)
    assert len(first) + len(second) == len({*first, *second}) == 40


@pytest.mark.parametrize("expires", [None, "", "3", "2030-01-01", "2030-01-01T00:00:00+02:00", "01-JAN-30 00:00:00"])
def test_target_slots_until_a_date_or_for_days(factory, still, expires):
    answer = call(
        factory, "add_target_slots", panda_queue="QT", slots=7, resource_type="MCORE", expiration_date=expires
    )
    assert answer == {
        **{"success": True, "data": None, "message": "set numSlots=7 for PQ=QT gshare=None resource=MCORE"}
    }
    [row] = still.database.fetch("SELECT * FROM harvester_slots WHERE computing_site = 'QT'")
    assert row["slots"] == 7
    assert (row["expiration_time"] is None) is (not expires)
    assert call(factory, "add_target_slots", panda_queue="QT", slots=-1, resource_type="MCORE")["success"]
    assert still.database.fetch("SELECT * FROM harvester_slots WHERE computing_site = 'QT'") == []


def test_a_heartbeat_messages_and_measurements(factory, still):
    nothing = {"success": True, "message": "", "data": None}
    assert call(factory, "heartbeat", harvester_id="F", data={"sw_version": "0.6"}) == nothing
    assert call(factory, "heartbeat", harvester_id="F", data=[]) == nothing
    assert call(factory, "heartbeat", harvester_id="F") == nothing
    dialog = {
        **{"diagID": 1, "moduleName": "submitter", "identifier": "QF", "creationTime": "2026-11-21 10:00:00.000000"},
        **{"messageLevel": "WARNING", "diagMessage": "slow"},
    }
    assert call(factory, "add_dialogs", harvester_id="F", dialogs=[dialog, dialog]) == nothing
    at = "2026-11-21 10:00:00.000000"
    metrics = [[at, "h1", json.dumps({"rss_mib": 2737.36, "cert_lifetime": {"/x": 81}})], [at, "h2", {"cpu_pc": 1}]]
    answer = call(factory, "update_service_metrics", harvester_id="F", metrics=metrics)
    assert answer == {"success": True, "message": "", "data": [True, True]}
    database = still.database
    [row] = database.fetch("SELECT owner, details FROM harvester_instances WHERE harvester_id = 'F'")
    assert row == {"owner": "harvester", "details": {"sw_version": "0.6"}}
    assert len(database.fetch("SELECT 1 FROM harvester_dialogs WHERE harvester_id = 'F'")) == 1
    rows = database.fetch("SELECT metrics FROM harvester_service_metrics WHERE harvester_id = 'F' ORDER BY host_name")
    assert [row["metrics"] for row in rows] == [{"rss_mib": 2737.36, "cert_lifetime": {"/x": 81}}, {"cpu_pc": 1}]


REFUSED = [
    ("update_workers", {"harvester_id": "", "workers": []}, "harvester_id: '' is no name"),
    ("update_workers", {"harvester_id": "x" * 101, "workers": [{"workerID": 1}]}, "harvester_id"),
    ("update_workers", {"harvester_id": "A", "workers": {"workerID": 1}, "x": "\x00"}, "x: holds a NUL character"),
    (
        "update_workers",
        {"harvester_id": "A", "workers": [{"workerID": 1}] * 10_001},
        "workers: more than 10000 at once",
    ),
    ("update_workers", {"harvester_id": "A"}, "Argument error: missing a required argument: 'workers'"),
    ("update_workers", {"harvester_id": None, "workers": []}, "Type error: 'harvester_id'"),
    ("report_worker_statistics", {"statistics": "{"}, "statistics: not JSON"),
    ("report_worker_statistics", {"statistics": "[]"}, "statistics: not an object"),
    ("report_worker_statistics", {"statistics": ""}, "statistics: not an object"),
    ("report_worker_statistics", {"statistics": '{"user": 5}'}, "statistics.user: not an object"),
    (
        "report_worker_statistics",
        {"statistics": '{"user": {"SCORE": {"running": "x"}}}'},
        "statistics.user.SCORE.running",
    ),
    (
        "report_worker_statistics",
        {"statistics": '{"user": {"SCORE": {"running": -1}}}'},
        "statistics.user.SCORE.running",
    ),
    ("report_worker_statistics", {"statistics": "[" * 100}, "statistics"),
    ("report_worker_statistics", {"statistics": "{}", "panda_queue": " "}, "panda_queue"),
    ("acquire_commands", {"n_commands": -1}, "n_commands: -1 is out of range"),
    ("acquire_commands", {"n_commands": 10**6}, "n_commands: 1000000 is out of range"),
    ("acknowledge_commands", {"command_ids": list(range(10_001))}, "command_ids: more than 10000"),
    ("acknowledge_commands", {"command_ids": ["x"]}, "Type error: 'command_ids'"),
    ("add_target_slots", {"slots": -2}, "slots: -2 is out of range"),
    ("add_target_slots", {"slots": 10**9}, "slots"),
    ("add_target_slots", {"slots": 1, "expiration_date": "soon"}, "expiration_date: 'soon' is no time"),
    ("add_target_slots", {"slots": 1, "expiration_date": "9" * 30}, "expiration_date"),
    ("add_target_slots", {"slots": 1, "expiration_date": "9" * 5000}, "expiration_date"),
    ("add_target_slots", {"slots": 1, "expiration_date": "²"}, "expiration_date"),
    ("add_dialogs", {"dialogs": [{"diagID": 1}]}, "dialogs.0.creationTime"),
    ("add_dialogs", {"dialogs": [{"creationTime": "2026-11-21"}]}, "dialogs.0.diagID: missing"),
    ("add_dialogs", {"dialogs": ["x"]}, "dialogs.0: not an object"),
    (
        "add_dialogs",
        {"dialogs": [{"diagID": 1, "creationTime": "2026-11-21", "diagMessage": []}]},
        "dialogs.0.diagMessage",
    ),
    ("update_service_metrics", {"metrics": [["2026-11-21", "h"]]}, "metrics.0: not a list of three"),
    ("update_service_metrics", {"metrics": [["x", "h", {}]]}, "metrics.0.0"),
    ("update_service_metrics", {"metrics": [["2026-11-21", "h", "{"]]}, "metrics.0.2: not JSON"),
    ("update_service_metrics", {"metrics": [["2026-11-21", "h", [1]]]}, "metrics.0.2: not an object"),
    ("update_service_metrics", {"metrics": [["2026-11-21", "h", {}]] * 10_001}, "metrics: more than 10000"),
    ("heartbeat", {"data": "x"}, "Type error: 'data'"),
    ("add_sweep_command", {"panda_queue": "NOWHERE"}, "panda_queue: there is no queue 'NOWHERE'"),
    ("add_sweep_command", {"panda_queue": "Q"}, "panda_queue: Queue not served by any harvester ID"),
]


@pytest.mark.parametrize(("name", "sent", "complaint"), REFUSED, ids=range(len(REFUSED)))
def test_a_report_that_makes_no_sense_is_named_and_changes_nothing(factory, still, name, sent, complaint):
    before = told(still)
    usual = {"harvester_id": "R", "panda_queue": "Q", "status_list": [], "ce_list": [], "submission_host_list": []}
    answer = call(factory, name, **(sent if name == "update_workers" else {**usual, **sent}))
    assert not answer["success"]
    assert answer["message"].startswith(complaint), answer["message"]
    assert told(still) == before


def test_a_body_that_is_no_text_is_refused(factory, still):
    before = told(still)
    for body in (b"\xff\xfe", b"{", b"[]", b'"x"'):
        answer = factory.post("/api/v1/harvester/update_workers", content=body).json()
        assert not answer["success"]
        assert answer["message"].startswith("body:")
    assert told(still) == before


def test_long_texts_of_a_worker_are_cut_and_lone_halves_of_characters_refused_or_replaced(factory, still):
    worker = {"workerID": 1, "diagMessage": "é" * 100_000, "batchLog": "x" * 100_000, "jdl": "\x07\U0001f4a3"}
    assert call(factory, "update_workers", harvester_id="G", workers=[worker])["data"] == [True]
    [row] = still.database.fetch("SELECT * FROM harvester_workers WHERE harvester_id = 'G'")
    assert (len(row["diag_message"]), len(row["batch_log"]), row["jdl"]) == (500, 1000, "\x07\U0001f4a3")


# the map of worker nodes

NODE = {
    **{"site": "CERN", "host_name": "slot1_3@node7.cern.ch", "cpu_model": "Intel(R) Xeon(R) Gold 6130 CPU @ 2.10GHz"},
    **{"panda_queue": "Q", "n_logical_cpus": 64, "n_sockets": 2, "cores_per_socket": 16, "threads_per_core": 2},
    **{"cpu_architecture": "x86_64", "cpu_architecture_level": "x86-64-v4", "clock_speed": 2100.5},
    **{"total_memory": 192_000, "total_local_disk": 900},
}


def node_call(client: httpx.Client, name: str, **parameters: Any) -> dict[str, Any]:
    return client.post(f"/api/v1/pilot/{name}", json=parameters).json()


def test_a_node_is_inserted_then_updated(factory, still):
    answer = node_call(factory, "update_worker_node", **NODE)
    assert answer == {"success": True, "message": "Inserted new worker node.", "data": None}
    again = {"site": "CERN", "host_name": "slot2@node7.cern.ch", "cpu_model": NODE["cpu_model"], "total_memory": 1000}
    assert node_call(factory, "update_worker_node", **again)["message"] == "Updated existing worker node."
    [row] = still.database.fetch("SELECT * FROM worker_nodes")
    found = {name: row[name] for name in ("host_name", "cpu_model_normalized", "n_sockets", "total_memory_mb")}
    assert found == {
        **{"host_name": "node7.cern.ch", "cpu_model_normalized": "INTEL XEON GOLD 6130", "n_sockets": 2},
        "total_memory_mb": 1000,
    }
    queues = still.database.fetch("SELECT site, host_name, queue_name FROM worker_node_queues")
    assert queues == [{"site": "CERN", "host_name": "node7.cern.ch", "queue_name": "Q"}]


def test_gpus_of_a_node_are_inserted_then_updated(factory, still):
    gpu = {"site": "CERN", "host_name": "slot1@node7", "vendor": "NVIDIA", "model": "A100", "count": 4, "vram": 40_000}
    first = node_call(factory, "update_worker_node_gpu", **gpu)
    assert first == {"success": True, "message": "Inserted new worker node GPU.", "data": None}
    again = node_call(factory, "update_worker_node_gpu", **{**gpu, "count": 3, "vram": None, "framework": "CUDA"})
    assert again["message"] == "Updated existing worker node GPU."
    [row] = still.database.fetch("SELECT * FROM worker_node_gpus")
    assert (row["host_name"], row["gpu_count"], row["vram_mb"], row["framework"]) == ("node7", 3, 40_000, "CUDA")


@pytest.mark.parametrize(
    ("name", "changes", "complaint"),
    [
        ("update_worker_node", {"host_name": "slot1@"}, "host_name: empty"),
        ("update_worker_node", {"site": " "}, "site: empty"),
        ("update_worker_node", {"n_sockets": "two"}, "Type error: 'n_sockets'"),
        ("update_worker_node", {"cpu_model": None}, "Type error: 'cpu_model'"),
        ("update_worker_node_gpu", {"count": -1}, "count: -1 GPUs"),
        ("update_worker_node_gpu", {"model": ""}, "model: empty"),
    ],
)
def test_a_node_without_a_name_is_refused(factory, still, name, changes, complaint):
    before = told(still)
    gpu = {"site": "S", "host_name": "h", "vendor": "v", "model": "m", "count": 1}
    answer = node_call(factory, name, **{**(NODE if name == "update_worker_node" else gpu), **changes})
    assert not answer["success"]
    assert answer["message"].startswith(complaint)
    assert told(still) == before


def test_the_monitor_shows_the_live_workers_and_the_wished_slots_of_a_queue(factory, still):
    make_queue(still.database, "SEEN")
    states = ("running", "running", "submitted", "finished")
    workers = [{"workerID": number, "status": status, "computingSite": "SEEN"} for number, status in enumerate(states)]
    assert call(factory, "update_workers", harvester_id="M", workers=workers)["data"] == [True] * 4
    assert call(factory, "add_target_slots", panda_queue="SEEN", slots=12)["success"]
    assert call(factory, "add_target_slots", panda_queue="SEEN", slots=3, resource_type="MCORE")["success"]
    [queue] = factory.get("/api/monitor/queues?queue_name=SEEN").json()["queues"]
    assert (queue["workers"], queue["target_slots"]) == ({"running": 2, "submitted": 1}, 12)
