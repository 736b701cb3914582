"""Every command of the unmodified pbook, and what it prints: acceptance and refusal (client-wire.md 5)."""

from __future__ import annotations

import json
import re

import pytest

from tests.real.conftest import MakeClient
from tests.support.builders import add_up, jobs_of_task, report, report_finished, take
from tests.support.real_world import RealClient
from tests.support.system import RunningSystem, eventually

FIELDS = {"uniqueTaskName": True, "vo": "testvo", "prodSourceLabel": "user", "noInput": True, "site": "LOCAL"}


@pytest.fixture(scope="module")
def pbook(real_client: MakeClient) -> RealClient:
    return real_client()


@pytest.fixture(scope="module")
def other(real_client: MakeClient) -> RealClient:
    return real_client("otheruser", "other user")


@pytest.fixture(scope="module")
def producer(real_client: MakeClient) -> RealClient:
    return real_client("producer", "prod manager", "production")


def submit(system: RunningSystem, name: str, n_jobs: int = 2, user: str = "testuser") -> int:
    """A task of a real client's user, as prun sends it."""
    dataset = f"user.{user}.{name}"
    log = {"type": "template", "param_type": "log", "dataset": f"{dataset}.log/", "container": f"{dataset}.log/"}
    parameters = {
        **FIELDS,
        "taskName": f"{dataset}/",
        "disableAutoRetry": True,
        "nEvents": n_jobs,
        "nEventsPerJob": 1,
        "processingType": "panda-client-2.2.0-jedi-run",
        "sourceURL": system.url,
        "log": {**log, "value": f"{dataset}.log.$JEDITASKID.${{SN}}.log.tgz"},
        "jobParameters": [{"type": "constant", "value": '-j "" --sourceURL ${SURL} -r . -p "true"'}],
    }
    client = system.client(user, name=f"{user.removesuffix('user')} user")
    return int(system.v1(client, "task/submit", task_parameters=parameters))


def test_show_prints_the_tasks_of_the_user(pbook, other, shared_system):
    task_id = submit(shared_system, "shown", 4)
    printed = pbook.run("pbook", "show", str(task_id))
    assert re.search(rf"\b{task_id}\b.*\brunning|ready|registered", printed), printed
    longer = pbook.run("pbook", "showl")
    assert re.search(
        rf"\b{task_id}\b\s+\w+\s+\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d .*0\|0\|4\s+user.testuser.shown/", longer
    ), longer
    assert "user.testuser.shown" not in other.run("pbook", "showl")
    assert "user.testuser.shown" in other.run("pbook", "showl", "--username", "Test User")


def test_show_finds_by_request_id_name_and_state(pbook, shared_system):
    task_id = submit(shared_system, "found")
    row = shared_system.database.fetch_one("SELECT req_id FROM tasks WHERE jedi_task_id = %(id)s", {"id": task_id})
    assert row is not None
    for words in (
        (str(row["req_id"]),),
        ("--taskname", "user.testuser.found/"),
        ("run",),
        ("--reqid", str(row["req_id"])),
    ):
        assert str(task_id) in pbook.run("pbook", "showl", *words), words
    assert str(task_id) not in pbook.run("pbook", "showl", "fin")
    assert str(task_id) not in pbook.run("pbook", "showl", "--status", "done")
    as_json = pbook.run("pbook", "-c", f"import json; print(json.dumps(show({task_id}, format='json'), default=str))")
    record = json.loads(as_json[as_json.index("[") :].splitlines()[0])[0]
    assert (record["jediTaskID"], record["taskName"], record["userName"]) == (
        task_id,
        "user.testuser.found/",
        "Test User",
    )
    assert (record["nFiles"], record["nFilesFinished"], record["pctFinished"]) == (2, 0, 0)


def test_kill_is_for_the_owner_and_for_tasks_that_live(pbook, other, shared_system):
    task_id = submit(shared_system, "killed")
    printed = other.run("pbook", "kill", str(task_id))
    assert "not the task owner or no production role" in printed
    assert f"Failed to kill jediTaskID={task_id}" in printed
    assert "will be killed" in pbook.run("pbook", "kill", str(task_id))
    assert "aborted" in pbook.run("pbook", "show", str(task_id))
    assert "Command rejected: the kill command is not accepted" in pbook.run("pbook", "kill", str(task_id))
    assert "Failed to kill" in pbook.run("pbook", "kill", "19999999")


def test_several_tasks_are_killed_at_once_also_by_request(pbook, shared_system):
    first, second, third = (submit(shared_system, f"many{number}") for number in range(3))
    printed = pbook.run("pbook", "kill", f"{first},{second}")
    assert printed.count("will be killed") == 2
    row = shared_system.database.fetch_one("SELECT req_id FROM tasks WHERE jedi_task_id = %(id)s", {"id": third})
    assert row is not None
    assert "will be killed" in pbook.run("pbook", "kill", str(row["req_id"]))
    assert "Permission denied: reqID=9999998" in pbook.run("pbook", "kill", "9999998")


@pytest.mark.parametrize("soft", [False, True])
def test_finish_keeps_what_is_done(pbook, shared_system, soft):
    database = shared_system.database
    task_id = submit(shared_system, f"finish{soft}".lower(), 3)
    wait_until_activated(shared_system, task_id)
    done, running = (entry.job["panda_id"] for entry in take(database, "LOCAL", count=2, jedi_task_id=task_id))
    for panda_id in (done, running):
        report(database, panda_id, "running")
    report_finished(database, done)
    add_up(database)
    words = ("--soft",) if soft else ()
    assert "will be finished soon" in pbook.run("pbook", "finish", str(task_id), *words)
    if soft:
        report_finished(database, running)
        add_up(database)
    shown = wait_for(pbook, task_id, r"\bfinished\b")
    assert re.search(rf"{2 if soft else 1}\|\d\|3", shown), shown


def test_retry_reopens_what_failed(pbook, shared_system):
    database = shared_system.database
    task_id = submit(shared_system, "retried", 1)
    fail_the_job(shared_system, task_id)
    assert re.search(r"\bfailed\b.*0\|1\|1", wait_for(pbook, task_id, r"\bfailed\b"))
    assert "Failed" not in pbook.run("pbook", "retry", str(task_id))
    first, second = jobs_of_task(database, task_id)
    wait_until_activated(shared_system, task_id)
    (taken,) = take(database, "LOCAL", jedi_task_id=task_id)
    assert (taken.job["panda_id"], taken.job["parent_id"], taken.job["attempt_nr"]) == (second, first, 2)
    report_finished(database, second)
    add_up(database)
    assert "1|0|1" in wait_for(pbook, task_id, r"\bdone\b")


def test_retry_with_new_parameters_and_of_a_task_that_is_done(pbook, shared_system):
    task_id = submit(shared_system, "changed", 1)
    fail_the_job(shared_system, task_id)
    wait_for(pbook, task_id, r"\bfailed\b")
    printed = pbook.run("pbook", "retry", str(task_id), "--memory", "4000", "--excludedSite", "NOWHERE")
    assert "Failed" not in printed, printed
    client = shared_system.client("testuser", name="test user")
    answer = client.get("/api/v1/task/get_task_parameters", params={"task_id": task_id}).json()
    assert (answer["data"]["ramCount"], answer["data"]["taskName"]) == (4000, "user.testuser.changed/")
    _, panda_id = jobs_of_task(shared_system.database, task_id)
    job = shared_system.database.fetch_one("SELECT min_ram_mb FROM jobs_live WHERE panda_id = %(id)s", {"id": panda_id})
    assert job == {"min_ram_mb": 4000}


def test_a_refused_retry_says_so(pbook, other, shared_system):
    task_id = submit(shared_system, "notyet")
    assert "Failed to retry" in other.run("pbook", "retry", str(task_id))
    pbook.run("pbook", "kill", str(task_id))
    assert "Failed to retry" in pbook.run("pbook", "retry", str(task_id))


def test_reload_input_takes_ended_tasks(pbook, shared_system):
    task_id = submit(shared_system, "reloaded", 1)
    assert f"Failed to reload input {task_id}" in pbook.run("pbook", "reload_input", str(task_id))
    fail_the_job(shared_system, task_id)
    wait_for(pbook, task_id, r"\bfailed\b")
    assert "command is registered" in pbook.run("pbook", "reload_input", str(task_id))


def test_debug_needs_a_role_and_reaches_the_pilot(pbook, producer, shared_system):
    task_id = submit(shared_system, "debugged", 1)
    (panda_id,) = jobs_of_task(shared_system.database, task_id)
    assert f"Failed to set debug mode for {panda_id}" in pbook.run("pbook", "debug", str(panda_id), "True")
    printed = producer.run("pbook", "debug", str(panda_id), "True")
    assert "Failed" not in printed, printed
    wait_until_activated(shared_system, task_id)
    take(shared_system.database, "LOCAL", jedi_task_id=task_id)
    assert "debug" in str(report(shared_system.database, panda_id, "running"))


def test_metadata_of_jobs_is_written_to_a_file(pbook, shared_system):
    database = shared_system.database
    task_id = submit(shared_system, "metadata", 1)
    wait_until_activated(shared_system, task_id)
    (job,) = take(database, "LOCAL", jedi_task_id=task_id)
    panda_id = job.job["panda_id"]
    pilot = shared_system.client("pilot", "pilot")
    shared_system.v1(
        pilot, "pilot/update_job", job_id=panda_id, job_status="running", meta_data=json.dumps({"events": 7})
    )
    report_finished(database, panda_id)
    add_up(database)
    pbook.run("pbook", "get_user_job_metadata", str(task_id), "meta.json")
    assert json.loads((pbook.directory / "meta.json").read_text())[str(panda_id)] == {"events": 7}


def test_recover_lost_files_answers_with_its_log(pbook, other, shared_system):
    task_id = submit(shared_system, "lost", 1)
    fail_the_job(shared_system, task_id)
    wait_for(pbook, task_id, r"\bfailed\b")
    assert "logFileURL" in pbook.run("pbook", "recover_lost_files", str(task_id), "--test_mode")
    assert "request was not received" in other.run("pbook", "recover_lost_files", str(task_id))


def test_secrets_are_kept_listed_and_deleted_for_their_owner_alone(pbook, other):
    pbook.run("pbook", "set_secret", "colour", "dark blue")
    (pbook.directory / "key.txt").write_text("very private")
    pbook.run("pbook", "set_secret", "file", "key.txt", "--is_file")
    listed = pbook.run("pbook", "list_secrets")
    assert "colour" in listed
    assert "file" in listed
    assert "colour" not in other.run("pbook", "list_secrets")
    pbook.run("pbook", "delete_secret", "file")
    assert not re.search(r"^\s*file\b", pbook.run("pbook", "list_secrets"), re.MULTILINE)
    pbook.run("pbook", "delete_all_secrets")
    assert "colour" not in pbook.run("pbook", "list_secrets")


@pytest.mark.parametrize(
    "command", ["show_workflow", "kill_workflow", "retry_workflow", "finish_workflow", "pause_workflow"]
)
def test_workflows_are_refused_honestly(pbook, command):
    printed = pbook.run("pbook", command, "1", check=False)
    assert "not implemented" in printed, printed


def test_a_native_workflow_is_refused_honestly(pbook):
    assert "not implemented" in pbook.run("pbook", "show_native_workflow", "1", check=False)


@pytest.fixture(scope="module")
def busy(real_client: MakeClient, shared_system: RunningSystem) -> RealClient:
    """A user whose tasks are all commanded at once, and others' are not."""
    return real_client("busyuser", "busy user")


def test_all_tasks_at_once_are_those_of_the_user_that_take_the_command(busy, pbook, shared_system):
    others = submit(shared_system, "bystander")
    running, waiting, ended = (submit(shared_system, f"all{number}", 1, user="busyuser") for number in range(3))
    finish_the_job(shared_system, ended)
    wait_for(busy, ended, r"\bdone\b")
    take_the_job(shared_system, running)
    assert busy.run("pbook", "finish", "all", "--soft").count("will be finished soon") == 2
    printed = busy.run("pbook", "kill", "all")
    assert re.findall(r"jediTaskID=(\d+) will be killed", printed) == [str(running)], printed
    shown = busy.run("pbook", "show")
    for task_id, status in ((running, "aborted|aborting"), (waiting, "failed|finished"), (ended, "done")):
        assert re.search(rf"\b{task_id}\b.*\b({status})\b", shown), shown
    assert not re.search(r"\babort", pbook.run("pbook", "show", str(others)))


def test_retry_all_takes_what_is_finished_in_part(busy, shared_system):
    task_id = submit(shared_system, "partly", 2, user="busyuser")
    finish_the_job(shared_system, task_id)
    fail_the_job(shared_system, task_id)
    wait_for(busy, task_id, r"\bfinished\b.*1\|1\|2")
    assert "Failed" not in busy.run("pbook", "retry", "all")
    finish_the_job(shared_system, task_id)
    wait_for(busy, task_id, r"\bdone\b.*2\|0\|2")


def test_show_takes_names_in_any_script_and_as_many_tasks_as_asked_for(real_client, shared_system):
    many = real_client("manyuser", "Žofie Nováková")
    statement = """
    INSERT INTO tasks (jedi_task_id, req_id, task_name, user_name, vo, status)
    SELECT nextval('jedi_task_id_seq'), nextval('request_id_seq'), 'user.manyuser.úloha✓' || n || '/', 'Žofie Nováková',
           'testvo', 'done' FROM generate_series(1, 1100) n"""
    shared_system.database.execute(statement)
    listed = many.run("pbook", "show")
    assert listed.count("user.manyuser.úloha✓") == 1000
    assert "úloha✓1100/" in listed
    assert many.run("pbook", "show", "--limit", "2000").count("user.manyuser.úloha✓") == 1100
    assert many.run("pbook", "show", "--taskname", "user.manyuser.úloha✓7/").count("úloha✓") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("kill", "99999999999999999999"), "'task_id' must be an integer"),
        (("retry", "19999999"), "not the task owner or no production role"),
        (("reload_input", "19999999"), "not the task owner or no production role"),
        (("show", "--taskname", "(["), "JediTaskID"),
        (("show", "--status", "no|such"), "JediTaskID"),
        (("debug", "99999999", "True"), "Failed to set debug mode"),
    ],
)
def test_wrong_words_are_answered_and_break_nothing(pbook, words, said):
    printed = pbook.run("pbook", *words)
    assert said in printed
    assert "Traceback" not in printed


def wait_until_activated(system: RunningSystem, task_id: int) -> None:
    statement = """SELECT 1 FROM jobs_live WHERE jedi_task_id = %(id)s
                   HAVING bool_and(job_status IN ('activated', 'sent', 'running')) AND bool_or(job_status = 'activated')"""
    eventually(lambda: system.database.fetch(statement, {"id": task_id}), what="brokerage")


def fail_the_job(system: RunningSystem, task_id: int) -> None:
    wait_until_activated(system, task_id)
    (job,) = take(system.database, "LOCAL", jedi_task_id=task_id)
    report(system.database, job.job["panda_id"], "failed", pilot_error_code=1305, trans_exit_code=3)
    add_up(system.database)


def take_the_job(system: RunningSystem, task_id: int) -> int:
    wait_until_activated(system, task_id)
    (job,) = take(system.database, "LOCAL", jedi_task_id=task_id)
    report(system.database, job.job["panda_id"], "running")
    return int(job.job["panda_id"])


def finish_the_job(system: RunningSystem, task_id: int) -> None:
    report_finished(system.database, take_the_job(system, task_id))
    add_up(system.database)


def wait_for(pbook: RealClient, task_id: int, pattern: str) -> str:
    """The line of a task in `pbook showl`, when it matches."""

    def line() -> str:
        lines = [line for line in pbook.run("pbook", "showl", str(task_id)).splitlines() if str(task_id) in line]
        return next((line for line in lines if re.search(pattern, line)), "")

    return eventually(line, what=f"{pattern} of {task_id}: {pbook.run('pbook', 'showl', str(task_id))}")
