"""`pilot/...` over HTTP, as pilots of all kinds speak it."""

from __future__ import annotations

import gzip
import json
from typing import Any

import httpx
import pytest

from tests.support.builders import activate, add_up, make_queue, outputs_of, row_of, start, stored
from tests.support.system import RunningSystem, running_system


@pytest.fixture(scope="module")
def still(module_database_url, tmp_path_factory):
    """A server whose agents the tests play themselves."""
    with running_system(module_database_url, tmp_path_factory.mktemp("still"), agents=False) as system:
        make_queue(system.database)
        yield system


@pytest.fixture(scope="module")
def pilot(still: RunningSystem) -> httpx.Client:
    return still.client("pilot", "pilot")


def call(client: httpx.Client, path: str, **parameters: Any) -> dict[str, Any]:
    response = client.post(f"/api/v1/pilot/{path}", json=parameters)
    assert response.status_code == 200, response.text
    return response.json()


def update(client: httpx.Client, panda_id: int, status: str = "running", **said: Any) -> dict[str, Any]:
    answer = call(client, "update_job", job_id=panda_id, job_status=status, **said)
    assert answer["success"], answer
    return answer["data"]


def test_nothing_to_do_is_said_in_pandas_words(pilot, still):
    make_queue(still.database, "IDLE")
    assert call(pilot, "acquire_jobs", site_name="IDLE") == {
        "success": False,
        "message": "No jobs in PanDA",
        "data": None,
    }


def test_a_job_in_pandas_flat_form_and_ours(pilot, still):
    [panda_id] = activate(
        still.database, outputs=["o.txt", "p.txt"], job_parameters="--all", core_count=2, min_ram_mb=5
    )
    data = call(pilot, "acquire_jobs", site_name="Q", prod_source_label="user", node="wn1", worker_id="w1")["data"]
    assert data["StatusCode"] == 0
    [job] = data["jobs"]
    names = ("PandaID", "jobPars", "coreCount", "minRamCount", "prodUserID", "outFiles", "logFile", "attemptNr")
    assert {name: job[name] for name in names} == {
        "PandaID": panda_id,
        "jobPars": "--all",
        "coreCount": 2,
        "minRamCount": 5,
        "prodUserID": "alice",
        "outFiles": f"o.txt,p.txt,job.{panda_id}.log.tgz",
        "logFile": f"job.{panda_id}.log.tgz",
        "attemptNr": 1,
    }
    assert [(file["type"], file["mover"]) for file in job["panda_files"]] == [
        ("output", "cp"),
        ("output", "cp"),
        ("log", "cp"),
    ]
    assert row_of(still.database, panda_id)["worker_id"] == "w1"


def test_a_user_without_the_role_gets_his_own_jobs_only(still):
    [his], [hers] = activate(still.database, user="bob"), activate(still.database, user="ann")
    bob = still.client("bob")
    taken = call(bob, "acquire_jobs", site_name="Q", prod_source_label="user", n_jobs=10)["data"]["jobs"]
    assert [job["PandaID"] for job in taken] == [his]
    assert row_of(still.database, hers)["job_status"] == "activated"
    for label in ("managed", None, "unified"):
        answer = call(bob, "acquire_jobs", site_name="Q", prod_source_label=label)
        assert "role required" in answer["message"]


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"site_name": "NOWHERE"}, "site_name: there is no queue 'NOWHERE'"),
        ({"n_jobs": 0}, "n_jobs: 0 is out of range"),
        ({"n_jobs": -1}, "n_jobs: -1 is out of range"),
        ({"memory": "much"}, "Type error: 'memory' must be a number"),
        ({"node": "a\x00b"}, "node: holds a NUL character"),
    ],
    ids=str,
)
def test_a_wrong_offer_is_refused_by_name(pilot, wrong, complaint):
    answer = call(pilot, "acquire_jobs", **({"site_name": "Q"} | wrong))
    assert answer["success"] is False
    assert answer["message"].startswith(complaint)


def test_a_report_as_the_real_pilot_sends_it(pilot, still):
    """gzip without a header, texts for numbers, a text for the report, fields nobody knows."""
    [panda_id] = start(still.database, outputs=["o.txt"])
    said = {
        **{"job_id": str(panda_id), "job_status": "finished", "attempt_nr": "1", "node": "slot1@wn1", "site_name": "Q"},
        **{"cpu_consumption_time": "12.7", "max_rss": "2000", "trans_exit_code": "0", "pilot_error_code": 0},
        **{"job_metrics": "nEvents=5", "pilot_timing": "1|2|3|4|5|6", "pilot_id": "https://x|PR|3.9", "grid": "EGI"},
        **{"schedulerID": "x", "timestamp": "2026-11-21T10:00:00", "meta_data": "{}", "some_new_field": [1]},
        "job_output_report": json.dumps(stored(outputs_of(still.database, panda_id))),
    }
    response = pilot.post("/api/v1/pilot/update_job", content=gzip.compress(json.dumps(said).encode()))
    assert response.json()["data"] == {"StatusCode": 0, "command": None}
    row = row_of(still.database, panda_id)
    assert (row["cpu_consumption_time_s"], row["max_rss_kb"], row["modification_host"]) == (12, 2000, "slot1@wn1")
    add_up(still.database)
    assert row_of(still.database, panda_id)["job_status"] == "finished"


def test_binary_in_a_diagnosis_and_a_log_without_a_newline(pilot, still):
    [panda_id] = start(still.database)
    odd = "exit 3: \x00\x01\x1b[31m\U0001f4a3\ufffd"
    update(
        pilot,
        panda_id,
        "failed",
        pilot_error_code=1305,
        pilot_error_diag=odd,
        payload_stderr="no newline",
        payload_stdout="\x00" * 100,
        pilot_log="x" * 200_000,
    )
    assert row_of(still.database, panda_id)["pilot_error_diag"] == odd.replace("\x00", "")
    logs = still.database.fetch(
        "SELECT name, length(text) AS n FROM job_logs WHERE panda_id = %(id)s", {"id": panda_id}
    )
    assert {row["name"]: row["n"] for row in logs} == {"payload.stderr": 10, "payload.stdout": 0, "pilot.log": 65536}


@pytest.mark.parametrize("figure", [1e300, -5, 2**53, 10**18, "NaN", "inf", "-1e5", 0.4])
def test_figures_beyond_reason_do_no_harm(pilot, still, figure):
    [panda_id] = start(still.database)
    update(pilot, panda_id, max_rss=figure, cpu_consumption_time=figure, work_dir_size_mb=figure)
    kept = row_of(still.database, panda_id)["max_rss_kb"]
    assert 0 <= kept < 2**53


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"job_status": "done"}, "job_status: a pilot may not report 'done'"),
        ({"job_status": "run\x00ning"}, "job_status: a pilot may not report"),
        ({"job_id": "x"}, "Type error: 'job_id' must be an integer"),
        ({"job_id": 10**30}, "Type error: 'job_id' must be an integer"),
        ({"trans_exit_code": "many"}, "Type error: 'trans_exit_code'"),
        ({"job_output_report": "{"}, "job_output_report: not JSON"),
        ({"job_output_report": "[1]"}, "job_output_report: not an object"),
        ({"job_output_report": "[" * 200 + "]" * 200}, "job_output_report: nested more than"),
        ({"job_output_report": 5}, "job_output_report: not an object"),
    ],
    ids=range(9),
)
def test_a_wrong_report_is_refused_by_name_and_changes_nothing(pilot, still, wrong, complaint):
    [panda_id] = start(still.database)
    before = row_of(still.database, panda_id)
    answer = call(pilot, "update_job", **({"job_id": panda_id, "job_status": "finished"} | wrong))
    assert answer["success"] is False
    assert answer["message"].startswith(complaint), answer
    assert row_of(still.database, panda_id) == before


def test_the_answers_to_late_and_foreign_reports(pilot, still):
    [panda_id] = start(still.database)
    assert update(pilot, panda_id, attempt_nr=7)["command"] == "badattemptnr"
    assert update(pilot, 10**12)["command"] == "tobekilled"
    update(pilot, panda_id, "failed", pilot_error_code=1305)
    assert update(pilot, panda_id, "failed")["command"] == "alreadydone"
    add_up(still.database)
    assert update(pilot, panda_id, "failed")["command"] == "alreadydone"
    assert update(pilot, panda_id)["command"] == "tobekilled"


def test_a_kill_travels_with_the_heartbeat(pilot, still):
    [panda_id] = start(still.database)
    still.v1(still.client("alice"), "job/kill", job_ids=[panda_id])
    assert update(pilot, panda_id)["command"] == "tobekilled"
    update(pilot, panda_id, "failed", pilot_error_code=1144)
    add_up(still.database)
    assert row_of(still.database, panda_id)["job_status"] == "cancelled"


def test_status_for_pilots(pilot, still):
    [panda_id] = start(still.database)
    response = pilot.get("/api/v1/pilot/get_job_status", params=[("job_ids", panda_id), ("job_ids", 10**12)])
    assert response.json()["data"] == [
        {"job_id": panda_id, "status": "running", "attempt_number": 1},
        {"job_id": 10**12, "status": "not found", "attempt_number": 0},
    ]


def test_statistics_count_what_is_there(still):
    make_queue(still.database, "COUNTED")
    activate(still.database, 3, queue="COUNTED")
    start(still.database, 2, queue="COUNTED", core_count=8)
    with httpx.Client(base_url=still.url) as nobody:
        short = nobody.get("/api/v1/statistics/active_job_stats_by_site").json()["data"]
        long = nobody.get("/api/v1/statistics/active_job_detailed_stats_by_site").json()["data"]
    assert {status: count for status, count in short["COUNTED"].items() if count} == {"activated": 3, "running": 2}
    assert long["COUNTED"] == {"SCORE": {"user": {"activated": 3}}, "MCORE": {"user": {"running": 2}}}
