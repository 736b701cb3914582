"""`task/submit` as prun calls it: codes, messages, the task id in data; refusals keep nothing."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.core.taskengine.submitting import captured
from tests.support.builders import everything, jobs_of_task, row_of
from tests.support.system import RunningSystem, running_system


@pytest.fixture(scope="module")
def system(module_database_url, tmp_path_factory) -> Any:
    with running_system(module_database_url, tmp_path_factory.mktemp("submit"), agents=False) as running:
        yield running


@pytest.fixture(scope="module")
def user(system: RunningSystem) -> httpx.Client:
    return system.client("testuser")


def submit(client: httpx.Client, parameters: Any, **more: Any) -> dict[str, Any]:
    response = client.post("/api/v1/task/submit", json={"task_parameters": parameters, "parent_tid": None, **more})
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    assert set(answer) == {"success", "message", "data"}
    return answer


def unnamed(name: str, **changes: Any) -> dict[str, Any]:
    """A captured task that may be submitted again and again."""
    return captured(name, uniqueTaskName=False, **changes)


def test_a_task_of_prun_is_accepted_with_its_number(system, user):
    answer = submit(user, unnamed("njobs"))
    assert answer["success"] is True
    assert answer["message"] == f"succeeded. new jediTaskID={answer['data']}"
    assert len(jobs_of_task(system.database, answer["data"])) == 3


def test_workers_fetch_the_sandbox_where_the_client_said_or_where_it_came(system, user):
    given = submit(user, unnamed("single"))["data"]
    none = submit(user, unnamed("single", sourceURL=None))["data"]
    statement = "SELECT job_parameters FROM job_parameters WHERE panda_id = %(id)s"
    texts = [
        system.database.fetch(statement, {"id": jobs_of_task(system.database, task_id)[0]})[0]["job_parameters"]
        for task_id in (given, none)
    ]
    assert "--sourceURL http://127.0.0.1:28443 " in texts[0]
    assert f"--sourceURL {system.url} " in texts[1]


def test_the_same_name_twice_is_code_2(user):
    parameters = captured("single", taskName="user.testuser.twice/")
    first = submit(user, parameters)
    again = submit(user, parameters)
    assert (again["success"], again["data"]) == (False, 2)
    assert again["message"].startswith(
        f"jediTaskID={first['data']} is in the ready state for outDS=user.testuser.twice/. "
    )


def test_the_same_name_after_its_end_is_the_same_task(system, user):
    parameters = captured("single", taskName="user.testuser.again/")
    first = submit(user, parameters)["data"]
    assert user.post("/api/v1/task/kill", json={"task_id": first}).json()["success"]
    again = submit(user, parameters)
    assert (again["success"], again["data"]) == (True, first)
    assert again["message"].startswith(f"reactivation accepted. jediTaskID={first} (currently in aborted state)")
    assert [row_of(system.database, job)["attempt_nr"] for job in jobs_of_task(system.database, first)] == [1, 2]


@pytest.mark.parametrize(
    ("parameters", "more", "message", "code"),
    [
        (unnamed("single", site="NOWHERE"), {}, "site: ", 4),
        (unnamed("single", hpoWorkflow=True), {}, "hpoWorkflow: ", 4),
        (unnamed("files"), {}, "jobParameters.6.dataset: ", 4),
        (unnamed("single", prodSourceLabel="managed"), {}, "task_parameters.prodSourceLabel: ", 60),
        (unnamed("single"), {"parent_tid": 5}, "parent task jediTaskID=5 not found", 11),
        ({}, {}, "taskName: ", 4),
        (unnamed("single"), {"parent_tid": "x"}, "Type error: 'parent_tid' must be ", None),
        ("not json", {}, "Type error: 'task_parameters' must be ", None),
        ([], {}, "taskName: ", 4),
        (None, {}, "Type error: 'task_parameters' must be ", None),
    ],
    ids=str,
)
def test_a_refusal_says_why_with_a_code_that_clients_take_for_one(system, user, parameters, more, message, code):
    before = everything(system.database)
    answer = submit(user, parameters, **more)
    assert answer["success"] is False
    assert answer["message"].startswith(message), answer
    assert answer["data"] == code
    assert everything(system.database) == before


def test_half_a_character_is_no_name(system, user):
    before = everything(system.database)
    body = b'{"task_parameters": {"taskName": "\\ud800", "jobParameters": []}}'
    answer = user.post("/api/v1/task/submit", content=body).json()
    assert answer["success"] is False
    assert answer["data"] not in (0, 3, False)
    assert everything(system.database) == before


def test_without_a_token_nothing_is_taken(system):
    answer = httpx.post(f"{system.url}/api/v1/task/submit", json={"task_parameters": unnamed("single")}).json()
    assert answer["success"] is False


def test_production_sets_priorities_and_users_do_not(system, user):
    manager = system.client("carol", "production")
    parameters = unnamed("single", taskPriority=3000, currentPriority=2500, log=None, jobParameters=[])
    found = [
        row_of(system.database, jobs_of_task(system.database, submit(client, parameters)["data"])[0])[
            "current_priority"
        ]
        for client in (user, manager)
    ]
    # less one for every five jobs the user has live
    assert 1000 < found[0] <= 1100
    assert found[1] == 2500
