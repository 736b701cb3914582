"""`task/...` over HTTP: who may do what, PanDA's codes and words, and bad input that changes nothing."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from api.panda import task
from tests.core.taskengine.rows import insert_task, task_row
from tests.support.builders import everything, jobs_of_task, live, make_dataset, make_queue, make_task, row_of
from tests.support.system import RunningSystem, running_system

NOT_YOURS = "not the task owner or no production role"
NO_ROLE = "production or pilot role required"


@pytest.fixture(scope="module")
def house(module_database_url, tmp_path_factory):
    """A server without agents, so that nothing moves by itself."""
    with running_system(module_database_url, tmp_path_factory.mktemp("system"), agents=False) as running:
        make_queue(running.database)
        make_queue(running.database, "R", endpoint="Q_DISK")
        make_dataset(running.database, "in", ["a", "b"], at=["Q_DISK"])
        yield running


@pytest.fixture(scope="module")
def alice(house: RunningSystem) -> httpx.Client:
    return house.client("alice")


@pytest.fixture(scope="module")
def carol(house: RunningSystem) -> httpx.Client:
    return house.client("carol", "production")


def call(client: httpx.Client, path: str, **parameters: Any) -> dict[str, Any]:
    response = client.post(f"/api/v1/task/{path}", json=parameters)
    assert response.status_code == 200, response.text
    answer = response.json()
    assert set(answer) == {"success", "message", "data"}
    return answer


OF_THE_OWNER = ["retry", "kill", "finish", "reload_input", "reassign", "kill_unfinished_jobs"]
OF_PRODUCTION: dict[str, dict[str, Any]] = {
    **{name: {} for name in ("pause", "resume", "release", "avalanche", "reactivate")},
    "increase_attempts": {"increase": 1},
    "change_priority": {"priority": 1},
    "change_attribute": {"attribute_name": "ramCount", "value": 1},
    "change_split_rule": {"attribute_name": "NF", "value": "1"},
    "change_modification_time": {"hour_offset": 1},
    "enable_jumbo_jobs": {"jumbo_jobs_total": 1},
}


def test_all_32_functions_are_there():
    names = [name for name, value in vars(task).items() if hasattr(value, "__panda__")]
    assert len(names) == 32


@pytest.mark.parametrize("name", OF_THE_OWNER)
def test_others_may_not_touch_a_task(house, name):
    task_id = insert_task(house.database, status="failed", parameters={"taskName": "t"})
    before = everything(house.database)
    for number in (task_id, 5):
        answer = call(house.client("bob"), name, task_id=number)
        assert (answer["success"], answer["message"], answer["data"]) == (False, NOT_YOURS, None)
    assert everything(house.database) == before


@pytest.mark.parametrize("name", OF_PRODUCTION)
def test_owners_need_a_role_for_what_production_does(house, alice, name):
    task_id = insert_task(house.database, parameters={"taskName": "t"})
    before = everything(house.database)
    answer = call(alice, name, task_id=task_id, **OF_PRODUCTION[name])
    assert (answer["success"], answer["message"], answer["data"]) == (False, NO_ROLE, None)
    assert everything(house.database) == before


def test_nobody_is_told_to_sign_in(house):
    with httpx.Client(base_url=house.url) as nobody:
        for name in [*OF_THE_OWNER, *OF_PRODUCTION]:
            assert call(nobody, name, task_id=1)["message"].startswith("SSL secure connection is required")


def test_kill_and_finish_answer_as_upstream(house, alice):
    task_id = make_task(house.database, inputDataset="in")
    words = f"is registered for task ID {task_id}. will be executed in a few minutes"
    finished = call(alice, "finish", task_id=task_id, soft="True", broadcast=True)
    assert (finished["success"], finished["data"]) == (True, 0)
    assert finished["message"].startswith(f"command=finish {words}")
    assert {row_of(house.database, panda_id)["job_status"] for panda_id in jobs_of_task(house.database, task_id)} == {
        "closed"
    }
    refused = call(alice, "kill", task_id=task_id)
    rejected = "Command rejected: the kill command is not accepted if the task is in failed status "
    assert (refused["success"], refused["data"], refused["message"]) == (False, 4, rejected)
    other = make_task(house.database, inputDataset="in")
    assert call(alice, "kill", task_id=str(other))["data"] == 0
    assert task_row(house.database, other)["status"] == "aborted"


def test_a_retry_never_refuses_with_what_clients_take_for_success(house, alice, carol):
    task_id = make_task(house.database, inputDataset="in")
    assert call(alice, "retry", task_id=task_id)["data"] == 4
    changed = call(alice, "retry", task_id=task_id, new_parameters={"nFilesPerJob": 2})
    assert (changed["success"], changed["data"]) == (False, 2)
    assert call(carol, "retry", task_id=5)["data"] == 2
    call(alice, "finish", task_id=task_id)
    wrong = call(alice, "retry", task_id=task_id, new_parameters={"nFilesPerJob": "x"})
    assert (wrong["success"], wrong["data"]) == (False, None)
    assert wrong["message"].startswith("new_parameters.nFilesPerJob: ")
    again = call(alice, "retry", task_id=task_id, new_parameters='{"nFilesPerJob": 2, "excludedSite": "R"}')
    assert (again["success"], again["data"]) == (True, 3)
    call(alice, "finish", task_id=task_id)
    plain = call(alice, "retry", task_id=task_id, new_parameters={}, no_child_retry=True)
    assert (plain["success"], plain["data"]) == (True, 0)


def test_a_retry_after_retries_in_vain_exhausts_unless_production_ignores_that(house, alice, carol):
    task_id = make_task(house.database, inputDataset="in", maxFailure=1)
    call(alice, "finish", task_id=task_id)
    house.database.execute(
        "UPDATE tasks SET failed_retries = 4, files_at_retry = 0, n_files_failed = 1 WHERE jedi_task_id = %(id)s",
        {"id": task_id},
    )
    answer = call(alice, "retry", task_id=task_id, ignore_hard_exhausted=True)
    assert (answer["success"], answer["data"]) == (True, 0)
    assert "(its last 5 retries finished no further file, 1 file failed, most often with: " in answer["message"]
    assert task_row(house.database, task_id)["status"] == "exhausted"
    call(alice, "finish", task_id=task_id)
    house.database.execute("UPDATE tasks SET n_files_failed = 1 WHERE jedi_task_id = %(id)s", {"id": task_id})
    assert "made" in call(carol, "retry", task_id=task_id, ignore_hard_exhausted=True)["message"]


@pytest.mark.parametrize("is_sole", [False, True])
def test_a_retry_takes_children_along_unless_it_is_told_not_to(house, alice, is_sole):
    parent, child = (make_task(house.database, inputDataset="in") for _ in range(2))
    family = {"parent": parent, "child": child}
    house.database.execute("UPDATE tasks SET parent_tid = %(parent)s WHERE jedi_task_id = %(child)s", family)
    for task_id in (child, parent):
        call(alice, "finish", task_id=task_id)
    answer = call(alice, "retry", task_id=parent, no_child_retry=is_sole)
    assert answer["data"] == 0
    assert ("1 child task is taken up again" in answer["message"]) is not is_sole
    assert task_row(house.database, child)["status"] == ("failed" if is_sole else "ready")


@pytest.mark.parametrize("keeps", [False, True])
def test_a_retry_gives_the_task_its_first_priority_back_unless_it_is_told_not_to(house, alice, keeps):
    task_id = make_task(house.database, inputDataset="in")
    call(alice, "finish", task_id=task_id)
    house.database.execute("UPDATE tasks SET current_priority = 7 WHERE jedi_task_id = %(id)s", {"id": task_id})
    assert call(alice, "retry", task_id=task_id, keep_gshare_priority=keeps)["data"] == 0
    assert task_row(house.database, task_id)["current_priority"] == (7 if keeps else 1000)


def test_a_retry_while_the_task_runs_says_so(house, alice):
    task_id = make_task(house.database, inputDataset="in")
    house.database.execute("UPDATE tasks SET status = 'running' WHERE jedi_task_id = %(id)s", {"id": task_id})
    answer = call(alice, "retry", task_id=task_id)
    assert (answer["success"], answer["data"]) == (True, 0)
    assert answer["message"] == "retry has been triggered for failed jobs while the task is still running"


def test_all_live_jobs_of_a_task_are_killed_with_a_code(house, alice, carol):
    task_id = make_task(house.database, inputDataset="in")
    answer = call(alice, "kill_unfinished_jobs", task_id=task_id, code=9)
    assert answer["data"] == [True, True]
    assert all(live(house.database, panda_id) is None for panda_id in jobs_of_task(house.database, task_id))
    assert call(carol, "kill_unfinished_jobs", task_id=5)["data"] == []


def test_a_task_is_moved_and_a_wrong_place_is_named(house, alice):
    task_id = make_task(house.database, inputDataset="in")
    assert call(alice, "reassign", task_id=task_id, site="R", mode="soft")["data"] == 0
    assert task_row(house.database, task_id)["site"] == "R"
    for wrong, field in (({"site": "NOWHERE"}, "site"), ({}, "site"), ({"site": "Q", "mode": "x"}, "mode")):
        before = everything(house.database)
        answer = call(alice, "reassign", task_id=task_id, **wrong)
        assert answer["success"] is False
        assert answer["message"].startswith(f"{field}: ")
        assert everything(house.database) == before


def test_production_holds_and_changes_tasks(house, carol):
    task_id = make_task(house.database, inputDataset="in")
    for name, status in (("pause", "paused"), ("resume", "ready"), ("release", "ready"), ("reactivate", "ready")):
        assert call(carol, name, task_id=task_id)["data"] == 0, name
        assert task_row(house.database, task_id)["status"] == status
    assert call(carol, "avalanche", task_id=task_id)["data"] == 4
    assert call(carol, "increase_attempts", task_id=task_id, increase=2)["data"] == 0
    assert call(carol, "increase_attempts", task_id=5, increase=2)["data"] == 1
    assert call(carol, "increase_attempts", task_id=task_id, increase=-2)["success"] is False
    for name in ("change_priority", "change_attribute", "change_split_rule", "change_modification_time"):
        answer = call(carol, name, task_id=task_id, **OF_PRODUCTION[name])
        assert answer == {"success": True, "message": "1 tasks changed", "data": None}
        answer = call(carol, name, task_id=5, **OF_PRODUCTION[name])
        assert answer == {"success": False, "message": "Task not found", "data": None}
    bad = call(carol, "change_split_rule", task_id=task_id, attribute_name="XX", value="1")
    assert (bad["success"], bad["data"]) == (False, 2)
    assert bad["message"].startswith("XX is not a valid attribute. Valid attributes are ['AI', ")
    bad = call(carol, "change_attribute", task_id=task_id, attribute_name="status", value=1)
    assert bad["message"].startswith("status is not a valid attribute. Valid attributes are ['ramCount', ")


def test_tasks_are_put_under_another_share(house, alice, carol):
    task_id = make_task(house.database, inputDataset="in")
    sent = {"task_id_list": [task_id], "share": "Express", "reassign_running_jobs": True}
    assert call(alice, "reassign_global_share", **sent)["message"] == NO_ROLE
    assert call(carol, "reassign_global_share", **sent)["data"] == 0
    assert task_row(house.database, task_id)["gshare"] == "Express"
    assert call(carol, "reassign_global_share", **{**sent, "task_id_list": [task_id, 5]})["data"] == 1


def test_what_is_not_built_refuses_with_a_type(house, carol):
    calls = {
        "enable_jumbo_jobs": {"task_id": 1, "jumbo_jobs_total": 1},
        "enable_job_cloning": {"jedi_task_id": 1, "mode": "runonce"},
        "disable_job_cloning": {"jedi_task_id": 1},
    }
    answers = [call(carol, name, **sent) for name, sent in calls.items()]
    answers.append(carol.get("/api/v1/task/get_jumbo_job_datasets", params={"from_offset": 1}).json())
    for answer in answers:
        assert (answer["success"], answer["data"]["code"]) == (False, "not_implemented")


EVERY = {
    **{name: {} for name in OF_THE_OWNER},
    "reassign": {"site": "Q"},
    **OF_PRODUCTION,
}
BAD_IDS: list[Any] = [None, "x", "", 1.5, [1], {}, 2**63, -(2**70), "9" * 400, True]


@pytest.mark.parametrize("name", EVERY)
def test_bad_ids_are_refused_by_name_and_change_nothing(house, carol, name):
    before = everything(house.database)
    answer = call(carol, name, **EVERY[name])
    assert (answer["success"], answer["message"]) == (False, "Argument error: missing a required argument: 'task_id'")
    for bad in BAD_IDS:
        answer = call(carol, name, task_id=bad, **EVERY[name])
        # a whole number that is no task is a task that does not exist, as upstream has it
        assert answer["success"] is False or answer["data"] == [], (bad, answer)
        assert "task" in answer["message"].lower() or answer["data"] == [] or "not implemented" in answer["message"]
    assert everything(house.database) == before


@pytest.mark.parametrize("name", EVERY)
def test_bodies_that_are_no_calls_are_refused_and_change_nothing(house, carol, name):
    before = everything(house.database)
    path = f"/api/v1/task/{name}"
    bodies = [b"[]", b"5", b"{", b'{"task_id": "\xff\xfe"}', b"\x00", b'{"task_id": "a\\u0000"}', b'{"task_id":' * 200]
    for body in bodies:
        response = carol.post(path, content=body, headers={"Content-Type": "application/json"})
        assert response.status_code == 200, response.text
        assert response.json()["success"] is False
        assert response.json()["message"]
    assert carol.get(path, params={"task_id": 1}).json()["message"] == "expecting POST, received GET"
    assert everything(house.database) == before


def test_extra_and_repeated_parameters_do_no_harm(house, alice):
    task_id = make_task(house.database, inputDataset="in")
    answer = call(alice, "kill", task_id=task_id, unknown={"a": 1}, timeout=5)
    assert answer["success"] is True
    repeated = alice.get(f"/api/v1/task/get_status?task_id={task_id}&task_id=5").json()
    assert (repeated["success"], "task_id" in repeated["message"]) == (False, True)


@pytest.mark.parametrize("wrong", [5, [1], "x", '"x"', "[1]"], ids=str)
def test_new_parameters_that_are_no_object_are_refused(house, alice, wrong):
    task_id = insert_task(house.database, status="failed", parameters={"taskName": "t"})
    before = everything(house.database)
    answer = call(alice, "retry", task_id=task_id, new_parameters=wrong)
    assert (answer["success"], answer["message"].startswith("Type error: 'new_parameters' must be an object")) == (
        False,
        True,
    )
    assert everything(house.database) == before
