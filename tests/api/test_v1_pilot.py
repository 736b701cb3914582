"""`pilot/...` over HTTP, as pilots of all kinds speak it."""

from __future__ import annotations

import gzip
import json
from typing import Any

import httpx
import pytest

from core.models.errors import errors_of_job
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
        ({"country_group": ["us"]}, "Type error: 'country_group' must be text"),
        ({"country_group": {"us": 1}}, "Type error: 'country_group' must be text"),
        ({"allow_other_country": "perhaps"}, "Type error: 'allow_other_country' must be true or false"),
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
    assert answer["data"] == ({"StatusCode": 50, "command": None} if "may not report" in complaint else None)
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


def test_measurements_add_up_over_the_heartbeats(pilot, still):
    [panda_id] = start(still.database)
    update(pilot, panda_id, max_vmem=5000, tot_rbytes=10_240.7, rate_rchar="2048", grid="EGI", core_count=8)
    update(pilot, panda_id, max_vmem="6000.5", tot_wbytes=1e15, mean_core_count=7.5, corrupted_files="a.txt")
    update(pilot, panda_id)
    assert row_of(still.database, panda_id)["metrics"] == {
        **{"max_vmem": 6000.5, "tot_rbytes": 10, "rate_rchar": 2, "tot_wbytes": 10**10 - 1},
        **{"grid": "EGI", "core_count": 8, "mean_core_count": 7.5, "corrupted_files": "a.txt"},
    }
    record = pilot.post("/api/v1/job/get_description", json={"job_ids": [panda_id]}).json()["data"][0]
    names = ("maxVMEM", "totRBYTES", "rateRCHAR", "grid", "actualCoreCount", "avgRSS")
    assert [record[name] for name in names] == [6000.5, 10, 2, "EGI", 8, None]


@pytest.mark.parametrize("figure", [1e300, -5, "NaN", "inf", "", "many", None, True])
def test_no_figure_fails_a_report(pilot, still, figure):
    [panda_id] = start(still.database)
    names = ("max_vmem", "avg_pss", "tot_rchar", "rate_wbytes", "cpu_conversion_factor", "n_events", "n_input_files")
    update(pilot, panda_id, "failed", pilot_error_code=1305, **dict.fromkeys(names, figure))
    assert row_of(still.database, panda_id)["job_status"] == "holding"


def test_a_turned_error_code_of_a_stage_out_keeps_its_name(pilot, still):
    [panda_id] = start(still.database)
    update(pilot, panda_id, "failed", pilot_error_code=-1137)
    add_up(still.database)
    row = row_of(still.database, panda_id)
    assert (row["job_status"], row["pilot_error_code"]) == ("failed", -1137)
    assert errors_of_job(row)[0].name == "STAGEOUTFAILED"


@pytest.mark.parametrize("meta_data", ['{"a": 1}', {"a": 1}, "no json \x00 at all", "x" * 3_000_000])
def test_what_the_payload_says_of_itself_is_kept_as_it_came(pilot, still, meta_data):
    [panda_id] = start(still.database)
    update(pilot, panda_id, meta_data="first")
    update(pilot, panda_id, "failed", pilot_error_code=1305, meta_data=meta_data)
    [row] = still.database.fetch("SELECT text FROM job_metadata WHERE panda_id = %(id)s", {"id": panda_id})
    expected = meta_data if isinstance(meta_data, str) else '{"a":1}'
    assert row["text"] == expected.replace("\x00", "")


def test_debug_output_comes_with_heartbeats(pilot, still):
    [panda_id] = start(still.database)
    for text in ("one", "two"):
        update(pilot, panda_id, stdout=text, pilot_log="kept at the end only")
    logs = still.database.fetch("SELECT name, text FROM job_logs WHERE panda_id = %(id)s", {"id": panda_id})
    assert logs == [{"name": "debug.stdout", "text": "two"}]


def test_many_reports_at_once_get_an_envelope_each(pilot, still):
    first, second = start(still.database, 2)
    reports = [
        {"job_id": first, "job_status": "failed", "pilot_error_code": 1305},
        {"job_id": second, "job_status": "done"},
        {"job_status": "running"},
        "nonsense",
        {"job_id": second, "job_status": "running", "attempt_nr": 1},
    ]
    answer = call(pilot, "update_jobs_bulk", job_list=reports, harvester_id="h")
    assert answer["success"]
    assert [envelope["success"] for envelope in answer["data"]] == [True, False, False, False, True]
    assert all(set(envelope) == {"success", "message", "data"} for envelope in answer["data"])
    assert answer["data"][0]["data"] == {"StatusCode": 0, "command": None}
    assert answer["data"][2]["message"] == "Argument error: missing a required argument: 'job_id'"
    assert call(pilot, "update_jobs_bulk", job_list=[])["data"] == []


def test_what_the_task_asks_of_the_pilot_is_in_the_job(pilot, still):
    make_queue(still.database, "STEPS")
    step = {"command": "${TRF}", "args": "--preprocess ${TRF_ARGS}"}
    parameters = {
        "multiStepExec": {"preprocess": step, "containerOptions": {"containerImage": "docker://alma"}},
        "noLoopingCheck": True,
        "useSecrets": True,
        "jobParameters": [{"param_type": "output", "dataset": "maybe/", "allowNoOutput": True}],
    }
    still.database.execute(
        "INSERT INTO tasks (jedi_task_id, user_name, parameters) VALUES (10555555, 'alice', %(p)s)", {"p": parameters}
    )
    still.v1(still.client("alice"), "creds/set_user_secrets", key="k", value="v")
    [panda_id] = activate(still.database, queue="STEPS", outputs=["o.txt"], job_parameters="-x")
    changes = "jedi_task_id = 10555555, transformation = 'runGen-00-00-02'"
    still.database.execute(f"UPDATE jobs_live SET {changes} WHERE panda_id = %(id)s", {"id": panda_id})
    still.database.execute("UPDATE job_files SET dataset = 'maybe' WHERE panda_id = %(id)s", {"id": panda_id})
    [job] = call(pilot, "acquire_jobs", site_name="STEPS", prod_source_label="user")["data"]["jobs"]
    assert job["transformation"] == f"{still.url}/trf/user/runGen-00-00-02"
    assert job["preprocess"] == {"command": "./runGen-00-00-02", "args": "--preprocess -x"}
    assert job["containerOptions"] == {"containerImage": "docker://alma"}
    assert (job["loopingCheck"], job["allowNoOutput"], json.loads(job["secrets"])) == (False, ["o.txt"], {"k": "v"})


def test_a_pilot_speaks_for_its_worker(pilot):
    for status in ("started", "finished"):
        answer = call(pilot, "update_worker_status", worker_id=5, harvester_id="h", status=status, node_id="n")
        assert answer == {"success": True, "message": "", "data": None}
    for wrong in ({"status": "running"}, {"worker_id": "five"}, {"worker_id": None}, {"harvester_id": ""}):
        sent = {"worker_id": 5, "harvester_id": "h", "status": "started"} | wrong
        answer = call(pilot, "update_worker_status", **sent)
        assert answer["success"] is False
        assert next(iter(wrong)) in answer["message"]
