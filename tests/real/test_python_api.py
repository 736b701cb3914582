"""The Python functions of the unmodified client (client-wire.md 3.1): each endpoint asked once, by the code that users call."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.real.conftest import MakeClient
from tests.real.test_pbook import finish_the_job, submit
from tests.support.builders import jobs_of_task
from tests.support.system import RunningSystem

SCRIPT = Path(__file__).with_name("call_python_api.py")
NO_ROLE = [False, "production or pilot role required"]


@pytest.fixture(scope="module")
def tasks(shared_system: RunningSystem) -> tuple[int, int, int]:
    """A task that is done, its job, and a task that waits."""
    done = submit(shared_system, "apidone", 1)
    finish_the_job(shared_system, done)
    return done, jobs_of_task(shared_system.database, done)[0], submit(shared_system, "apiwaits", 1)


@pytest.fixture(scope="module")
def answers(real_client: MakeClient, tasks: tuple[int, int, int]) -> dict[str, Any]:
    """What the functions returned."""
    printed = real_client().run("python", "-W", "ignore", str(SCRIPT), *map(str, tasks))
    line = next(line for line in printed.splitlines() if line.startswith("ANSWERS "))
    found: dict[str, Any] = json.loads(line.removeprefix("ANSWERS "))
    return found


def test_questions_about_tasks(answers, tasks):
    done, job, waiting = tasks
    assert answers["hello"] == 0
    assert answers["attributes"]
    assert answers["job ids"] == [[0, [job]], [0, []]]
    assert answers["status"][0] == [0, "done"]
    assert answers["status"][2] == [255, None]
    assert answers["parameters"] == "user.testuser.apidone/"
    assert answers["details"] == "finished*1"
    assert answers["recent tasks"] == [done, waiting]
    assert answers["filtered tasks"] == [[done, "datetime"]]
    assert answers["wrong filter"] == 255
    assert answers["files"] == ["user.testuser.apidone.log"]
    assert answers["record"] == [True, False]
    assert answers["parent"] == 255


def test_questions_about_jobs(answers, tasks):
    _, job, _ = tasks
    assert answers["jobs"][1] is None
    assert answers["jobs"][0][:2] == [job, "finished"]
    assert answers["full jobs"] == [None, [job, "finished", "-j ", ["log"]]]
    assert answers["descriptions"] == [[job, "finished"]]
    assert answers["unsuccessful"] == []
    assert answers["metadata"] == {}
    assert answers["kill jobs"] == [0, [False, False]]
    assert answers["submit jobs"] == 1


def test_commands_and_their_refusals(answers):
    assert [answers[name] for name in ("pause", "resume", "reactivate", "more attempts")] == [NO_ROLE] * 4
    assert answers["commands"] == [False, False, [None, "not the task owner or no production role"]]
    assert answers["kill"] == [True, 0]
    assert answers["get tasks"] == ["done", "aborted"]
    assert answers["recovery"] is True
    assert answers["no file"] == 404
    assert all(answer[1][0] == 4 and "taskName" in answer[1][1] for answer in answers["no task"])


def test_secrets_keep_their_text_and_have_a_limit(answers):
    kept, listed, removed = answers["secrets"]
    assert (kept[0], removed[0], listed) == (True, True, [True, {"ü": "✓"}])
    assert answers["too large"] is False


def test_what_is_not_built_says_so(answers):
    assert answers["event ranges"] == [255, 255]
    for answer in (*answers["workflow"], *answers["relay"]):
        assert answer[0] is False
        assert answer[1].startswith("not implemented")
