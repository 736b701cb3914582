"""`/server/panda/<method>` as the real pilot, Harvester and old clients speak it: jobs, roles and the smaller calls."""

from __future__ import annotations

import gzip
import json
import zlib
from urllib.parse import urlencode

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.panda.legacy import LEGACY_METHODS
from api.panda.legacy_door import read_parameters
from core.errors import InvalidInput
from core.queues import set_queue
from tests.support.builders import activate, make_queue, row_of, start, status_of
from tests.support.legacy import GET_JOB, call, raw, update
from tests.support.system import RunningSystem, running_system


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


def test_a_pilot_of_a_country_gets_its_jobs_and_others_if_it_says_so(pilot, still):
    make_queue(still.database, "COUNTRY")
    [of_none] = activate(still.database, queue="COUNTRY", current_priority=900)
    [ours] = activate(still.database, queue="COUNTRY", country_group="us")
    asked = GET_JOB.format(queue="COUNTRY") + "&countryGroup=us"
    assert raw(pilot, "getJob", asked).json()["PandaID"] == ours
    assert raw(pilot, "getJob", asked).json()["StatusCode"] == 20
    others = asked.replace("allowOtherCountry=False", "allowOtherCountry=True")
    assert raw(pilot, "getJob", others).json()["PandaID"] == of_none


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


def test_a_program_of_ours_is_told_the_image_by_a_name_the_pilot_leaves_alone(pilot, still):
    make_queue(still.database, "IMAGE")
    [panda_id] = activate(still.database, queue="IMAGE", job_parameters="--containerImage docker://alma -p x")
    still.database.execute(
        "UPDATE jobs_live SET transformation = 'runGen-00-00-02', container_name = 'docker://alma' WHERE panda_id = %(id)s",
        {"id": panda_id},
    )
    job = call(pilot, "getJob", siteName="IMAGE", prodSourceLabel="user")
    assert job["jobPars"] == "--containerImage docker://alma -p x --containerName docker://alma"


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


def test_pilots_without_a_token_that_will_do_are_told_of_once_a_minute_for_each_queue(still, caplog):
    queue = make_queue(still.database, "LOCKED_OUT")
    bad = {"Authorization": "Bearer nonsense"}
    for headers, name in ((bad, queue), ({}, queue), ({}, queue), (bad, queue), ({}, "NO_SUCH_QUEUE"), ({}, "")):
        httpx.post(f"{still.url}/server/panda/getJob", content=GET_JOB.format(queue=name), headers=headers)
    (record,) = [entry for entry in caplog.records if "are refused" in entry.getMessage()]
    assert record.getMessage().startswith("pilots of LOCKED_OUT are refused: SSL secure connection is required")
    assert (record.computing_site, record.fingerprint) == (queue, "pilots refused:LOCKED_OUT")


def test_both_doors_count_refused_pilots_together(still, caplog):
    queue = make_queue(still.database, "LOCKED_OUT_TWICE")
    for _ in range(2):
        httpx.post(f"{still.url}/server/panda/getJob", content=GET_JOB.format(queue=queue))
    httpx.post(f"{still.url}/api/v1/pilot/acquire_jobs", json={"site_name": queue})
    (record,) = [entry for entry in caplog.records if "are refused" in entry.getMessage()]
    assert (record.computing_site, record.refusals) == (queue, 3)


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


def test_a_queue_in_test_still_drains(pilot, still):
    make_queue(still.database, "TESTED")
    [panda_id] = activate(still.database, queue="TESTED", prod_source_label="test")
    set_queue(still.database, "TESTED", {"status": "test"})
    assert call(pilot, "getJob", siteName="TESTED", prodSourceLabel="test")["PandaID"] == panda_id


# --- the rest of the pilot's calls


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


# --- bodies

WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@given(st.dictionaries(WORDS.filter(bool), WORDS, min_size=1, max_size=10))
def test_parameters_come_out_of_forms_and_json_as_they_went_in(sent):
    assert read_parameters(urlencode(sent).encode()) == sent
    assert read_parameters(json.dumps(sent).encode()) == sent


@given(st.binary(max_size=300) | st.binary(max_size=300).map(lambda tail: b"{" + tail))
def test_any_body_is_read_or_refused(body):
    try:
        assert isinstance(read_parameters(body), dict)
    except InvalidInput as error:
        assert error.remedy


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_harvester_sends_its_logs_either_way(pilot, method):
    piece = zlib.compress(method.encode())
    answer = pilot.request(method, "/server/panda/updateLog", files={"file": (f"{method}.log", piece)})
    assert answer.json() == {"StatusCode": 0}
    log = pilot.get("/api/v1/file_server/download_jedi_log", params={"log_name": f"{method}.log"})
    assert log.json() == f" {method}"
