"""`job/...`: submit, look up, kill, over HTTP."""

from __future__ import annotations

import json
import subprocess
from datetime import datetime
from typing import Any

import httpx
import pytest

from api.panda.job_attributes import FILE_ATTRIBUTES, JOB_ATTRIBUTES
from core.states import JobStatus
from core.taskbuffer.endings import Ending, end_jobs
from tests.support.builders import archived, everything, live, make_dataset, put_into, row_of
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


def test_what_was_submitted_is_described(alice, shared_system):
    manager = shared_system.client("mia", "production")
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
        {"lfn": "o.txt", "type": "output", "dataset": "out.mia"},
    ]
    [panda_id] = submit(manager, {**sent, "Files": files})
    [record] = describe(alice, panda_id)
    assert record is not None
    expected = {
        **sent,
        "coreCount": 4,
        "minRamCount": 100,
        "PandaID": panda_id,
        "prodUserName": "mia",
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
    for name in ("prodSourceLabel", "job_label"):
        job = {"transformation": "x", "computingSite": "LOCAL", name: "managed"}
        answer = call(alice, "job/submit", jobs=json.dumps([{"transformation": "x"}, job]))
        assert answer == {
            "success": False,
            "message": f"production role required to submit with {name}=managed",
            "data": None,
        }
        assert submit(shared_system.client("carol", "production"), job)
    assert submit(alice, {"job_label": "user"}, {"job_label": "NULL"})


WRONG = [
    ("jobs", "["),
    ("jobs", "5"),
    ("jobs", "[]"),
    ("jobs.0", "[5]"),
    ("jobs.0.job_label", '[{"transformation": "x", "job_label": "test"}]'),
    ("jobs.0.job_label", '[{"transformation": "x", "job_label": ["user"]}]'),
    ("jobs.0", "[[]]"),
    ("jobs.0", '[["NULL", "NULL"]]'),
    ("jobs.0.Files.0", '[["NULL", [[]]]]'),
    ("jobs.0.transformation", [["NULL"] * 126 + [[]]]),
    ("jobs.0.coreCount", [{"transformation": "x", "coreCount": [1]}]),
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


def positional(**attributes: Any) -> list[Any]:
    """A job as the user client's JobSpec writes itself: 126 values and the files, NULL for what is unset."""
    file = ["NULL"] * (len(FILE_ATTRIBUTES) + 1)
    file[-1] = None
    for name, value in {"lfn": "o.txt", "type": "output", "destinationDBlock": "out.list"}.items():
        file[FILE_ATTRIBUTES.index(name)] = value
    values: list[Any] = ["NULL"] * len(JOB_ATTRIBUTES)
    for name, value in attributes.items():
        values[JOB_ATTRIBUTES.index(name)] = value
    return [*values, [file]]


def test_a_job_as_a_list_of_values_like_the_user_client_sends_it(shared_system):
    client = shared_system.client("positional")
    assert (len(JOB_ATTRIBUTES), len(FILE_ATTRIBUTES)) == (126, 18)
    job = positional(
        transformation="/bin/true",
        computingSite="LOCAL",
        jobName="by position",
        prodSourceLabel="user",
        currentPriority=700,
        creationTime={"_datetime_object": "2026-11-21 08:15:58.000000"},
        creationHost="laptop",
    )
    answer = call(client, "job/submit", jobs=json.dumps([job]))
    [[panda_id, *_]] = answer["data"]
    [record] = describe(client, panda_id)
    assert record is not None
    assert (record["jobName"], record["currentPriority"]) == ("by position", 700)
    [output] = [file for file in record["Files"] if file["type"] == "output"]
    assert (output["lfn"], output["dataset"], output["destinationDBlock"]) == ("o.txt", "out.list", "out.list")


def test_a_description_has_every_attribute_in_pandas_names(alice):
    [panda_id] = submit(alice, {"Files": [{"lfn": "o.txt", "type": "output"}, {"lfn": "n", "type": "pseudo_input"}]})
    for path in ("get_description", "get_description_incl_archive"):
        [record] = call(alice, f"job/{path}", job_ids=[panda_id])["data"]
        assert set(JOB_ATTRIBUTES) <= set(record)
        assert all(set(FILE_ATTRIBUTES) <= set(file) for file in record["Files"])
        assert record["Files"][0]["PandaID"] == panda_id
        assert (record["hs06"], record["metadata"], record["minRamUnit"]) == (None, None, "MB")
    response = alice.get("/api/v1/job/get_description", params={"job_ids": panda_id})
    assert response.json()["data"][0]["PandaID"] == panda_id


@pytest.fixture(scope="module")
def manager(shared_system: RunningSystem) -> httpx.Client:
    return shared_system.client("carol", "production")


def held(alice: httpx.Client, system: RunningSystem, status: str = "running") -> int:
    """A job that no agent takes further."""
    [panda_id] = submit(alice, {})
    eventually(lambda: row_of(system.database, panda_id)["job_status"] == "activated")
    put_into(system.database, panda_id, status)
    return panda_id


def test_a_command_waits_for_the_pilot(alice, manager, shared_system):
    panda_id = held(alice, shared_system)
    assert call(manager, "job/set_command", job_id=panda_id, command="tail payload.stdout")["success"]
    response = alice.get("/api/v1/job/get_status", params={"job_ids": panda_id})
    assert response.json()["data"] == [{"status": "running", "command": "tail payload.stdout"}]


@pytest.mark.parametrize(
    ("sent", "complaint"),
    [
        ({"command": "x" * 251}, "command: 251 characters"),
        ({"command": " "}, "command: 1 characters"),
        ({"job_id": 10**12}, "job_id: there is no live job"),
        ({"job_id": "x"}, "Type error: 'job_id'"),
        ({"command": "a\x00"}, "command: holds a NUL"),
    ],
    ids=range(5),
)
def test_a_wrong_command_is_refused_by_name(alice, manager, shared_system, sent, complaint):
    panda_id = held(alice, shared_system)
    answer = call(manager, "job/set_command", **({"job_id": panda_id, "command": "debug"} | sent))
    assert answer["success"] is False
    assert answer["message"].startswith(complaint), answer
    assert row_of(shared_system.database, panda_id)["command_to_pilot"] == ""


def test_commands_need_the_role_and_a_job_that_is_not_being_killed(alice, manager, shared_system):
    panda_id = held(alice, shared_system)
    for path, more in (("set_command", {"command": "debug"}), ("set_debug_mode", {"mode": True})):
        assert call(alice, f"job/{path}", job_id=panda_id, **more)["message"] == "production or pilot role required"
    assert call(alice, "job/kill", job_ids=[panda_id])["data"] == [True]
    for path, more in (("set_command", {"command": "debug"}), ("set_debug_mode", {"mode": True})):
        assert "is being killed" in call(manager, f"job/{path}", job_id=panda_id, **more)["message"]
    assert row_of(shared_system.database, panda_id)["command_to_pilot"] == "tobekilled"


def test_debug_mode_goes_on_and_off(alice, manager, shared_system):
    panda_id = held(alice, shared_system)
    answer = call(manager, "job/set_debug_mode", job_id=panda_id, mode=True)
    assert (answer["success"], answer["data"]) == (True, "Succeeded")
    row = row_of(shared_system.database, panda_id)
    assert (row["command_to_pilot"], row["special_handling"]) == ("debug", "debug")
    assert call(manager, "job/set_debug_mode", job_id=panda_id, mode="False")["success"]
    row = row_of(shared_system.database, panda_id)
    assert (row["command_to_pilot"], row["special_handling"]) == ("", "")


def test_waiting_jobs_are_set_up_anew(alice, bob, shared_system):
    panda_id, running = held(alice, shared_system, "waiting"), held(alice, shared_system)
    assert call(bob, "job/reassign", job_ids=[panda_id])["success"]
    assert row_of(shared_system.database, panda_id)["job_status"] == "waiting"
    assert call(alice, "job/reassign", job_ids=[panda_id, running, 10**12])["success"]
    eventually(lambda: row_of(shared_system.database, panda_id)["job_status"] == "activated")
    assert row_of(shared_system.database, running)["job_status"] == "running"


def test_metadata_of_finished_jobs_of_a_task(alice, shared_system):
    database = shared_system.database
    response = alice.get("/api/v1/job/get_metadata_for_analysis_jobs", params={"task_id": 10_999_999})
    assert response.json() == {"success": True, "message": "No metadata found", "data": {}}
    texts = {'{"events": 3}': {"events": 3}, "no json": "no json"}
    panda_ids = []
    for text in texts:
        panda_id = held(alice, shared_system, "holding")
        database.execute("UPDATE jobs_live SET jedi_task_id = 10999999 WHERE panda_id = %(id)s", {"id": panda_id})
        database.execute(
            "INSERT INTO job_metadata (panda_id, text) VALUES (%(id)s, %(t)s)", {"id": panda_id, "t": text}
        )
        with database.transaction() as transaction:
            end_jobs(transaction, [Ending(panda_id, JobStatus.FINISHED, "test")])
        panda_ids.append(panda_id)
    response = alice.get("/api/v1/job/get_metadata_for_analysis_jobs", params={"task_id": 10_999_999})
    assert response.json()["data"] == dict(zip(map(str, panda_ids), texts.values(), strict=True))


def test_a_job_can_be_run_again_by_hand(alice, shared_system, tmp_path):
    (tmp_path / "a.txt").write_text("from storage")
    files = [{"lfn": "a.txt", "type": "input", "dataset": "in"}, {"lfn": "o ut.txt", "type": "output"}]
    job = {"transformation": "runShell", "jobParameters": "cat a.txt > 'o ut.txt'", "jobName": "odd\nname; exit 7"}
    [panda_id] = submit(alice, {**job, "Files": files})
    eventually(lambda: row_of(shared_system.database, panda_id)["job_status"] == "activated")
    statement = "UPDATE job_files SET pfn = %(pfn)s WHERE panda_id = %(id)s AND type = 'input'"
    shared_system.database.execute(statement, {"pfn": f"file://localhost{tmp_path}/a.txt", "id": panda_id})
    with httpx.Client(base_url=shared_system.url) as nobody:
        text = nobody.get("/api/v1/job/generate_offline_execution_script", params={"job_id": panda_id}).json()
        missing = nobody.get("/api/v1/job/generate_offline_execution_script", params={"job_id": 10**12}).json()
    assert missing == "ERROR: there is no job 1000000000000"
    (tmp_path / "again.sh").write_text(text)
    done = subprocess.run(
        ["bash", "again.sh", "work"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "work" / "o ut.txt").read_text() == "from storage"
