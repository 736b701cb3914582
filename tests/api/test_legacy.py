"""`/server/panda/<method>` as the real pilot, Harvester and old clients speak it (pilot-wire.md, captured)."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any
from urllib.parse import quote_plus, urlencode

import httpx
import pytest

from api.panda.kernel import PandaApi
from api.panda.legacy import LEGACY_METHODS
from core.errors import Unavailable
from core.queues import set_queue
from tests.support.builders import activate, add_up, everything, make_queue, row_of, start, status_of
from tests.support.system import RunningSystem, running_system

# pilot-wire.md 2.1, word for word
GET_JOB = (
    "siteName={queue}&computingElement={queue}&prodSourceLabel=user&diskSpace=14336&workingGroup=&cpu=2445.432"
    "&mem=24105.55859375&node=vm&allowOtherCountry=False&harvester_id=spike-harvester&worker_id=77"
)


@pytest.fixture(scope="module")
def still(module_database_url, tmp_path_factory):
    """A server whose agents the tests play themselves."""
    with running_system(module_database_url, tmp_path_factory.mktemp("still"), agents=False) as system:
        make_queue(system.database)
        make_queue(system.database, "IDLE")
        yield system


@pytest.fixture(scope="module")
def pilot(still: RunningSystem) -> httpx.Client:
    return still.client("pilot", "pilot")


def raw(client: httpx.Client, method: str, body: bytes | str, **headers: str) -> httpx.Response:
    """A POST without a Content-Type, as curl's config and urllib send it."""
    content = body.encode() if isinstance(body, str) else body
    request = client.build_request("POST", f"/server/panda/{method}", content=content, headers=headers)
    request.headers.pop("content-type", None)
    return client.send(request)


def call(client: httpx.Client, method: str, **sent: Any) -> Any:
    response = raw(client, method, urlencode(sent))
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    return response.json()


def update(client: httpx.Client, panda_id: int, state: str = "running", **said: Any) -> Any:
    return call(client, "updateJob", jobId=panda_id, state=state, **said)


def stored(panda_id: int, *lfns: str) -> str:
    """The xml of a final update: guid empty for outputs, as the generic plug-in sends it."""
    entry = {"guid": "", "fsize": 4, "adler32": "01c2009c", "surl": "file://localhost/storage/user/x/80/99/name"}
    return json.dumps(dict.fromkeys((*lfns, f"job.{panda_id}.log.tgz"), entry))


def final(panda_id: int, state: str, **said: Any) -> dict[str, Any]:
    """The final update of pilot-wire.md 7, decoded there."""
    return {
        "jobId": panda_id,
        "state": state,
        "timestamp": "2026-11-21T08:12:37.871+00:00",
        "siteName": "Q",
        "node": "vm",
        "attemptNr": 1,
        "schedulerID": "unknown",
        "pilotID": "unknown|PR|3.7.0.36",
        "startTime": 1795249431.6084945,
        "coreCount": 1,
        "cpuConsumptionUnit": "s+AMD EPYC 7763+AVX2",
        "pilotTiming": "0|0|0|0|0|0",
        "pilotLog": "- Log from pilotlog.txt -\n..",
        "endTime": 1795249557.8695316,
        "pilotErrorCode": 0,
        "pilotErrorDiag": "",
        "transExitCode": 0,
        "exeErrorCode": 0,
        "exeErrorDiag": "",
        **said,
    }


# --- getJob


def test_nothing_to_do(pilot):
    response = raw(pilot, "getJob", GET_JOB.format(queue="IDLE"))
    assert response.json() == {"StatusCode": 20, "errorDialog": "No jobs in PanDA"}


def test_the_captured_request_gets_a_job_at_the_top_level(pilot, still):
    make_queue(still.database, "SPIKE")
    [panda_id] = activate(still.database, queue="SPIKE", outputs=["o.txt", "p.txt"], job_parameters="-x 1")
    job = raw(pilot, "getJob", GET_JOB.format(queue="SPIKE")).json()
    log = f"job.{panda_id}.log.tgz"
    expected = {
        "StatusCode": 0,
        "PandaID": panda_id,
        "jobPars": "-x 1",
        "transformation": "/bin/true",
        "attemptNr": 1,
        "outFiles": f"o.txt,p.txt,{log}",
        "ddmEndPointOut": "SPIKE_DISK,SPIKE_DISK,SPIKE_DISK",
        "scopeOut": "user.alice,user.alice",
        "logFile": log,
        "scopeLog": "user.alice",
        "inFiles": "",
    }
    assert {name: job[name] for name in expected} == expected
    assert job["logGUID"]
    assert "jobs" not in job
    row = row_of(still.database, panda_id)
    assert (row["modification_host"], row["worker_id"]) == ("vm", "spike-harvester:77")


@pytest.mark.parametrize("form", ["form", "json", "gzip json", "gzip form", "query", "declared form"])
def test_a_request_is_understood_in_every_form(pilot, still, form):
    queue = "FORM_" + form.replace(" ", "_")
    make_queue(still.database, queue)
    [panda_id] = activate(still.database, queue=queue)
    sent = {"siteName": queue, "prodSourceLabel": "user", "mem": 1000.5, "viaTopic": True, "taskID": "NULL"}
    if form == "query":
        response = pilot.get("/server/panda/getJob", params=sent)
    elif form == "declared form":
        response = pilot.post("/server/panda/getJob", data=sent)
    else:
        text = json.dumps(sent) if "json" in form else urlencode(sent)
        response = raw(pilot, "getJob", gzip.compress(text.encode()) if "gzip" in form else text)
    assert response.json()["PandaID"] == panda_id


def test_a_factory_gets_a_list(pilot, still):
    make_queue(still.database, "BULK")
    panda_ids = activate(still.database, 3, queue="BULK")
    answer = call(pilot, "getJob", siteName="BULK", prodSourceLabel="user", nJobs=2, schedulerID="harvester-h")
    assert answer["StatusCode"] == 0
    assert [job["PandaID"] for job in answer["jobs"]] == panda_ids[:2]
    assert [
        job["PandaID"] for job in call(pilot, "getJob", siteName="BULK", nJobs=10**6, prodSourceLabel="user")["jobs"]
    ]


def test_an_unknown_queue_is_refused_by_name(pilot):
    answer = call(pilot, "getJob", siteName="NOWHERE", prodSourceLabel="user")
    assert answer["StatusCode"] == 30
    assert "there is no queue 'NOWHERE'" in answer["errorDialog"]


def test_figures_without_sense_are_not_stated(pilot, still):
    make_queue(still.database, "SENSE")
    [panda_id] = activate(still.database, queue="SENSE", min_ram_mb=10)
    sent = {"mem": "much", "diskSpace": "nan", "taskID": "x", "nJobs": "", "remaining_time": "later", "timeout": []}
    assert call(pilot, "getJob", siteName="SENSE", prodSourceLabel="user", **sent)["PandaID"] == panda_id


def test_transformations_of_ours_are_fetched_where_the_pilot_is_allowed_to(pilot, still):
    make_queue(still.database, "TRF")
    jobs = [activate(still.database, queue="TRF", current_priority=priority)[0] for priority in (3, 2, 1)]
    names = ("runGen-00-00-02", "http://elsewhere/trf/user/x", "runShell")
    for panda_id, name in zip(jobs, names, strict=True):
        still.database.execute(
            "UPDATE jobs_live SET transformation = %(name)s WHERE panda_id = %(id)s", {"name": name, "id": panda_id}
        )
    given = [call(pilot, "getJob", siteName="TRF", prodSourceLabel="user")["transformation"] for _ in names]
    assert given == ["http://pandaserver-doma.cern.ch:25080/trf/user/runGen-00-00-02", *names[1:]]


def test_a_job_whose_file_names_hold_commas_ends_with_a_sentence(pilot, still):
    make_queue(still.database, "COMMA")
    [odd] = activate(still.database, queue="COMMA", outputs=["a,b.txt"], current_priority=9000)
    [plain] = activate(still.database, queue="COMMA", outputs=["a.txt"])
    assert call(pilot, "getJob", siteName="COMMA", prodSourceLabel="user")["PandaID"] == plain
    row = row_of(still.database, odd)
    assert (row["job_status"], row["job_dispatcher_error_code"]) == ("failed", 105)
    assert "cannot be given 'a,b.txt': rename the file" in row["job_dispatcher_error_diag"]


def test_debug_and_container_reach_the_pilot(pilot, still):
    make_queue(still.database, "DEBUG")
    [panda_id] = activate(still.database, queue="DEBUG")
    still.database.execute(
        "UPDATE jobs_live SET special_handling = 'debug', container_name = 'docker://alma' WHERE panda_id = %(id)s",
        {"id": panda_id},
    )
    job = call(pilot, "getJob", siteName="DEBUG", prodSourceLabel="user")
    assert (job["debug"], job["container_name"]) == ("True", "docker://alma")


# --- who may


def test_without_the_role_only_own_user_jobs(still):
    make_queue(still.database, "OWN")
    [his], [hers] = activate(still.database, queue="OWN", user="bob"), activate(still.database, queue="OWN", user="ann")
    bob = still.client("bob")
    assert call(bob, "getJob", siteName="OWN", prodSourceLabel="user")["PandaID"] == his
    assert call(bob, "getJob", siteName="OWN", prodSourceLabel="user")["StatusCode"] == 20
    assert call(bob, "getJob", siteName="OWN", prodSourceLabel="managed")["StatusCode"] == 60
    assert update(bob, his)["StatusCode"] == 60
    assert status_of(still.database, hers) == "activated"


def test_bad_and_missing_tokens_are_told_in_json(still):
    with httpx.Client(base_url=still.url) as nobody:
        answer = call(nobody, "getJob", siteName="Q", prodSourceLabel="user")
        assert answer["StatusCode"] == 50
        assert "Authorization: Bearer" in answer["errorDialog"]
        response = raw(nobody, "getJob", "siteName=Q", authorization="Bearer x.y.z")
        assert (response.status_code, response.json()["StatusCode"]) == (403, 50)
        assert call(nobody, "updateWorkers", harvesterID="h", workers="[]")[0] is False


def test_a_cookie_does_not_act(still):
    with httpx.Client(base_url=still.url, cookies={"panda_session": still.token("pilot", "pilot")}) as browser:
        assert call(browser, "getJob", siteName="Q", prodSourceLabel="user")["StatusCode"] == 50


def test_an_unknown_method_is_forbidden(pilot):
    response = raw(pilot, "noSuchThing", "")
    assert response.status_code == 403
    assert response.json()["errorDialog"] == "ERROR : method noSuchThing is forbidden"


# --- updateJob


def test_a_job_of_the_real_pilot_from_start_to_finished(pilot, still):
    make_queue(still.database, "LIFE")
    [panda_id] = activate(still.database, queue="LIFE", outputs=["o.txt"])
    raw(pilot, "getJob", GET_JOB.format(queue="LIFE"))
    nothing = {"StatusCode": 0, "command": "NULL"}
    for state in ("starting", "running", "running"):
        assert update(pilot, panda_id, state, attemptNr=1, startTime=1795249431.6, node="vm") == nothing
        assert status_of(still.database, panda_id) == state
    memory = {
        "maxRSS": 2048,
        "maxVMEM": "4096.0",
        "avgPSS": 7,
        "totRBYTES": 10_240,
        "totWBYTES": 1e300,
        "rateRCHAR": "x",
    }
    update(pilot, panda_id, "running", **memory)
    said = final(panda_id, "finished", xml=stored(panda_id, "o.txt"), nEvents=5, metaData='{"exit": 0}', totRCHAR=2048)
    assert call(pilot, "updateJob", **said) == nothing
    row = row_of(still.database, panda_id)
    assert (row["job_status"], row["n_events"], row["max_rss_kb"]) == ("holding", 5, 2048)
    assert row["metrics"] == {
        "max_vmem": 4096,
        "avg_pss": 7,
        "tot_rbytes": 10,
        "tot_rchar": 2,
        "core_count": 1,
        "scheduler_id": "unknown",
        "site_name": "Q",
    }
    add_up(still.database)
    assert status_of(still.database, panda_id) == "finished"
    files = still.database.fetch("SELECT * FROM job_files WHERE panda_id = %(id)s", {"id": panda_id})
    assert all(file["guid"] and file["checksum"] == "ad:01c2009c" and file["size_bytes"] == 4 for file in files)
    metadata = still.database.fetch_one("SELECT text FROM job_metadata WHERE panda_id = %(id)s", {"id": panda_id})
    assert metadata == {"text": '{"exit": 0}'}


# pilot-wire.md 7: pilot error, diagnosis, transExitCode, with a log, what the job becomes
ENDS = [
    ("exit 3", 1305, "Failed to execute payload", 3, True, "failed"),
    ("no output", 1165, "Local output file is missing: output pfn file/directory does not exist: o", 0, True, "failed"),
    ("signal", 1201, "Job killed by signal: SIGTERM", 254, False, "failed"),
    ("bad trf", 1149, "Transform could not be downloaded", 200, True, "failed"),
    ("recoverable", -1137, "Failed to stage-out file", 0, True, "failed"),
]


@pytest.mark.parametrize(
    ("code", "diag", "exit_code", "has_log", "end"), [end[1:] for end in ENDS], ids=[e[0] for e in ENDS]
)
def test_captured_ends(pilot, still, code, diag, exit_code, has_log, end):
    [panda_id] = start(still.database, outputs=["o.txt"])
    said = {"pilotErrorCode": code, "pilotErrorDiag": diag, "transExitCode": exit_code}
    if has_log:
        said["xml"] = stored(panda_id)
    assert call(pilot, "updateJob", **final(panda_id, "failed", **said)) == {"StatusCode": 0, "command": "NULL"}
    add_up(still.database)
    row = row_of(still.database, panda_id)
    assert (row["job_status"], row["pilot_error_code"], row["trans_exit_code"]) == (end, code, exit_code)
    files = still.database.fetch("SELECT type, status FROM job_files WHERE panda_id = %(id)s", {"id": panda_id})
    assert {file["type"]: file["status"] for file in files} == {
        "output": "failed",
        "log": "ready" if has_log else "failed",
    }


@pytest.mark.parametrize(("exit_code", "has_log"), [(240, False), (0, True)], ids=["while running", "while starting"])
def test_a_kill_reaches_the_pilot_and_ends_cancelled(pilot, still, exit_code, has_log):
    [panda_id] = start(still.database)
    still.v1(still.client("alice"), "job/kill", job_ids=[panda_id])
    assert update(pilot, panda_id) == {"StatusCode": 0, "command": "tobekilled"}
    said = {
        "pilotErrorCode": 1144,
        "pilotErrorDiag": "This job was killed by panda server",
        "transExitCode": exit_code,
        **({"xml": stored(panda_id)} if has_log else {}),
    }
    call(pilot, "updateJob", **final(panda_id, "failed", **said))
    add_up(still.database)
    row = row_of(still.database, panda_id)
    assert (row["job_status"], row["pilot_error_code"], row["task_buffer_error_code"]) == ("cancelled", 1144, 100)


def test_a_repeated_final_update_changes_nothing(pilot, still):
    [panda_id] = start(still.database, outputs=["o.txt"])
    said = final(panda_id, "finished", xml=stored(panda_id, "o.txt"))
    call(pilot, "updateJob", **said)
    assert call(pilot, "updateJob", **said) == {"StatusCode": 0, "command": "alreadydone"}
    add_up(still.database)
    before = everything(still.database)
    assert call(pilot, "updateJob", **said) == {"StatusCode": 0, "command": "alreadydone"}
    assert call(pilot, "updateJob", **final(panda_id, "failed", pilotErrorCode=1305))["command"] == "alreadydone"
    assert update(pilot, panda_id)["command"] == "tobekilled"
    assert everything(still.database) == before


def test_another_attempt_is_refused(pilot, still):
    [panda_id] = start(still.database)
    before = row_of(still.database, panda_id)
    answer = call(pilot, "updateJob", **final(panda_id, "finished", attemptNr=2))
    assert answer == {"StatusCode": 0, "command": "badattemptnr"}
    assert row_of(still.database, panda_id) == before


@pytest.mark.parametrize(
    ("job_id", "state"),
    [("NULL", "running"), ("None", "running"), ("", "failed"), (None, "running"), ("own", "done"), ("own", "")],
    ids=str,
)
def test_a_report_of_nothing_is_answered_and_forgotten(pilot, still, job_id, state):
    [panda_id] = start(still.database)
    before = everything(still.database)
    sent = {"state": state} | ({} if job_id is None else {"jobId": panda_id if job_id == "own" else job_id})
    assert call(pilot, "updateJob", **sent) == {"StatusCode": 0, "command": "NULL"}
    assert everything(still.database) == before


def test_a_job_id_that_is_none_is_refused_in_json(pilot):
    answer = update(pilot, "seven")
    assert answer["StatusCode"] == 30
    assert "job_id" in answer["errorDialog"]


def test_nonsense_does_not_cost_the_report(pilot, still):
    [panda_id] = start(still.database)
    said = {
        **{"attemptNr": "first", "transExitCode": "NULL", "exeErrorCode": "many", "nEvents": "x", "coreCount": "None"},
        **{"cpuConsumptionTime": "-1", "maxRSS": "1e400", "meanCoreCount": "0.5", "cpuConversionFactor": "1.0"},
        **{"xml": "<POOLFILECATALOG>", "some_new_field": "x", "pilotErrorCode": "1305", "jobMetrics": "a=1 b=2"},
    }
    assert call(pilot, "updateJob", **{**final(panda_id, "failed"), **said}) == {"StatusCode": 0, "command": "NULL"}
    add_up(still.database)
    row = row_of(still.database, panda_id)
    assert (row["job_status"], row["pilot_error_code"], row["metrics"]["mean_core_count"]) == ("failed", 1305, 0.5)


def test_bytes_that_are_no_text_do_not_cost_the_report(pilot, still):
    [panda_id] = start(still.database)
    body = (
        f"jobId={panda_id}&state=failed&pilotErrorCode=1305&pilotLog=".encode()
        + b"\xff\xfe%00%ff&pilotErrorDiag=caf\xe9"
    )
    assert raw(pilot, "updateJob", body).json() == {"StatusCode": 0, "command": "NULL"}
    assert row_of(still.database, panda_id)["pilot_error_diag"] == "caf\ufffd"


def test_debug_output_is_kept_from_heartbeats(pilot, still):
    [panda_id] = start(still.database)
    operator = still.client("carol", "production")
    assert call(operator, "setDebugMode", pandaID=panda_id, modeOn="True")["StatusCode"] == 0
    assert update(pilot, panda_id)["command"] == "debug"
    for line in ("first", "second"):
        update(pilot, panda_id, stdout=f"{line}\n", pilotLog="not yet")
    logs = still.database.fetch("SELECT name, text FROM job_logs WHERE panda_id = %(id)s", {"id": panda_id})
    assert logs == [{"name": "debug.stdout", "text": "second\n"}]


def test_what_is_lost_on_the_way_to_the_database_is_sent_again(pilot, still, monkeypatch):
    """The pilot takes any JSON as delivered, so there must be none while the report cannot be kept."""

    def away(*_: Any) -> Any:
        raise Unavailable("the database does not answer")

    monkeypatch.setattr(PandaApi, "result", away)
    response = raw(pilot, "updateJob", urlencode(final(1, "finished")))
    assert response.status_code == 503
    with pytest.raises(json.JSONDecodeError):
        response.json()
    assert raw(pilot, "updateJobsInBulk", "jobList=[]").status_code == 503
    assert call(pilot, "getJob", siteName="Q")["StatusCode"] == 10
    assert call(pilot, "updateWorkerPilotStatus", workerID=1)["StatusCode"] == 10
    assert call(pilot, "updateWorkers", harvesterID="h", workers="[]")[0] is False


# --- the rest of the pilot's calls


def test_bulk_reports_of_a_factory(pilot, still):
    first, second = start(still.database, 2)
    reports = [
        {**final(first, "failed", pilotErrorCode=1305), "startTime": "2026-11-21 08:00:00", "nEvents": None},
        {"jobId": second, "state": "running", "coreCount": 1, "maxRSS": "lots"},
        {"jobId": 10**12, "state": "running"},
        {"jobId": second, "state": "sleeping"},
        5,
    ]
    worked, answers = call(pilot, "updateJobsInBulk", jobList=json.dumps(reports), harvester_id="h")
    assert worked is True
    contents = [json.loads(answer["content"]) for answer in answers]
    assert [content["StatusCode"] for content in contents] == [0, 0, 0, 50, 50]
    assert [content["command"] for content in contents[:3]] == ["NULL", "NULL", "tobekilled"]
    assert [answer["command"] for answer in answers[:3]] == ["NULL", "NULL", "tobekilled"]
    assert [status_of(still.database, panda_id) for panda_id in (first, second)] == ["holding", "running"]


@pytest.mark.parametrize("job_list", ["[", "[1"])
def test_bulk_reports_that_are_no_list(pilot, job_list):
    worked, why = call(pilot, "updateJobsInBulk", jobList=job_list, harvester_id="h")
    assert worked is False
    assert why == "jobList: not a list (send a JSON list of reports)"


def test_statuses(pilot, still):
    first, second = start(still.database, 2)
    answer = call(pilot, "getStatus", ids=f"{first} {second} 999999999 x")
    assert answer == {"StatusCode": 0, "status": "running+running+notfound+notfound", "attemptNr": "1+1+0+0"}
    assert call(pilot, "getStatus", ids=first) == {"StatusCode": 0, "status": "running", "attemptNr": "1"}
    checked = call(pilot, "checkJobStatus", ids=f"{first},{second}")
    assert checked == {"StatusCode": 0, "data": [{"status": "running", "attemptNr": 1}] * 2}


def test_a_worker_starts_and_ends(pilot):
    body = "workerID=77&harvesterID=spike-harvester&status={}&site=SPIKE_QUEUE"
    for status in ("started", "finished"):
        assert raw(pilot, "updateWorkerPilotStatus", body.format(status)).json() == {"StatusCode": 0}
    assert raw(pilot, "updateWorkerPilotStatus", body.format("asleep")).json()["StatusCode"] == 30
    assert call(pilot, "updateWorkerPilotStatus", workerID="x", harvesterID="h", status="started")["StatusCode"] == 30


def test_secrets_come_as_the_pilot_reads_them(pilot):
    assert call(pilot, "get_user_secrets", keys="MB_USERNAME,MB_PASSWORD", get_json="True") == [True, {}]


@pytest.mark.parametrize(
    ("method", "code", "fields"),
    [
        ("getProxy", 90, {}),
        ("getKeyPair", 80, {}),
        ("getEventRanges", 0, {"eventRanges": []}),
        ("checkEventsAvailability", 0, {"nEventRanges": 0}),
        ("updateEventRanges", 30, {"Returns": [], "Command": {}}),
    ],
)
def test_what_does_not_exist_here_is_refused_in_the_shape_the_pilot_reads(pilot, method, code, fields):
    sent = {"pandaID": 1, "jobsetID": 1, "taskID": 1, "nRanges": 1, "eventRanges": "[]", "role": "x"}
    answer = call(pilot, method, **sent, publicKeyName="a", privateKeyName="b")
    assert answer.pop("errorDialog")
    assert answer == {"StatusCode": code, **fields}


def test_calls_of_a_factory(pilot, still):
    assert call(pilot, "isAlive")["StatusCode"] == 0
    assert call(pilot, "harvesterIsAlive", harvesterID="h1", data='{"sw_version": "0.5"}')[0] is True
    workers = [{"workerID": 1, "status": "running", "computingSite": "Q", "pandaid_list": []}]
    assert call(pilot, "updateWorkers", harvesterID="h1", workers=json.dumps(workers)) == [True, [True]]
    counts = {"user": {"SCORE": {"running": 3}}}
    for name in ("reportWorkerStats", "reportWorkerStats_jobtype"):
        assert call(pilot, name, harvesterID="h1", siteName="Q", paramsList=json.dumps(counts))[0] is True
    assert call(pilot, "getCommands", harvester_id="h1", n_commands=5) == {"StatusCode": 0, "Commands": []}
    assert call(pilot, "ackCommands", command_ids="[]")["StatusCode"] == 0
    assert call(pilot, "addHarvesterDialogs", harvesterID="h1", dialogs="[]")[0] is True
    assert call(pilot, "updateServiceMetrics", harvesterID="h1", metrics="[]")[0] is True
    assert call(pilot, "getResourceTypes")["ResourceTypes"]
    start(still.database)
    assert call(pilot, "getJobStatisticsPerSite")["Q"]["running"] >= 1


@pytest.mark.parametrize(
    ("method", "sent"),
    [
        ("put_workflow_request", {"data": "{}", "sync": True}),
        ("execute_idds_workflow_command", {"command_name": "get_status", "kwargs": '{"request_id": 1}'}),
        ("relay_idds_command", {"command_name": "get_requests"}),
        ("putEventPickingRequest", {"runEventList": "1 2", "eventPickDS": "x"}),
    ],
)
def test_workflow_calls_of_the_user_client_are_refused_honestly(still, method, sent):
    alice = still.client("alice")
    worked, why = raw(
        alice, method, gzip.compress(json.dumps(sent).encode()), **{"content-type": "application/json"}
    ).json()
    assert worked is False
    assert "not implemented" in why


def test_every_old_name_has_its_endpoint(still, pilot):
    missing = [name for name in LEGACY_METHODS if raw(pilot, name, "").status_code == 403]
    assert missing == []


# --- garbage

GARBAGE = {
    "nothing": b"",
    "noise": bytes(range(256)) * 20,
    "cut gzip": gzip.compress(b'{"siteName": "Q"}' * 50)[:-20],
    "gzip magic only": b"\x1f\x8b",
    "json list": b"[1, 2, 3]",
    "json number": b"5",
    "broken json": b'{"siteName": ',
    "deep json": b'{"a":' * 200 + b"1" + b"}" * 200,
    "many fields": b"&".join(b"a%d=1" % number for number in range(20_000)),
    "no equals": b"siteName",
    "not utf-8": b"siteName=\xff\xfe&node=\x80",
    "nul": b"siteName=Q%00&prodSourceLabel=user",
    "repeated": b"siteName=X&siteName=Y&prodSourceLabel=user",
    "lists": b'{"siteName": ["Q"], "mem": {"a": 1}}',
    "null": b'{"siteName": null, "prodSourceLabel": null}',
    "huge number": b"siteName=Q&taskID=" + b"9" * 5000,
}


@pytest.mark.parametrize(
    "method", ["getJob", "updateJob", "updateJobsInBulk", "getStatus", "updateWorkers", "updateLog"]
)
@pytest.mark.parametrize("body", GARBAGE.values(), ids=GARBAGE)
def test_garbage_is_answered_in_json_and_changes_nothing(pilot, still, method, body):
    before = everything(still.database)
    response = raw(pilot, method, body)
    assert response.status_code == 200, response.text
    assert response.json() is not None
    assert everything(still.database) == before


def test_a_bomb_and_a_body_over_the_limit_are_refused(pilot, still):
    limit = still.settings.request_body_limit_mb * 2**20
    squeezer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(squeezer.compress(b"\x00" * 2**20) for _ in range(limit // 2**20 + 2)) + squeezer.flush()
    for body in (bomb, b"x" * (limit + 1)):
        answer = raw(pilot, "updateJob", body).json()
        assert answer["StatusCode"] == 50
        assert "larger than" in answer["errorDialog"]


def test_quoting_survives(pilot, still):
    [panda_id] = start(still.database)
    odd = "a+b&c=d%20é\n'\""
    raw(pilot, "updateJob", f"jobId={panda_id}&state=failed&pilotErrorCode=1305&pilotErrorDiag={quote_plus(odd)}")
    assert row_of(still.database, panda_id)["pilot_error_diag"] == odd


def test_a_queue_in_test_still_drains(pilot, still):
    make_queue(still.database, "TESTED")
    [panda_id] = activate(still.database, queue="TESTED", prod_source_label="test")
    set_queue(still.database, "TESTED", {"status": "test"})
    assert call(pilot, "getJob", siteName="TESTED", prodSourceLabel="test")["PandaID"] == panda_id
