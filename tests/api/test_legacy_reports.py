"""updateJob of `/server/panda`: captured reports of the real pilot, broken ones, and those that must not be lost."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any
from urllib.parse import quote_plus, urlencode

import httpx
import pytest

from api.panda.kernel import PandaApi
from core.errors import Unavailable
from tests.support.builders import activate, add_up, everything, make_queue, row_of, start, status_of
from tests.support.legacy import GET_JOB, call, final, raw, stored, update
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


def test_quoting_survives(pilot, still):
    [panda_id] = start(still.database)
    odd = "a+b&c=d%20é\n'\""
    raw(pilot, "updateJob", f"jobId={panda_id}&state=failed&pilotErrorCode=1305&pilotErrorDiag={quote_plus(odd)}")
    assert row_of(still.database, panda_id)["pilot_error_diag"] == odd


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
