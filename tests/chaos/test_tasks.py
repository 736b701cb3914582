"""kill -9 in the middle of what is done to tasks of thousands of jobs: all of it happened or nothing, and it goes on."""

from __future__ import annotations

import itertools
import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import httpx
import pytest

from core.errors import Unavailable
from core.queues import set_endpoint, set_queue
from pandascope.environment import read_environment_file
from tests.chaos.bookkeeping import broken_rules
from tests.chaos.conftest import Installation
from tests.core.taskengine.submitting import captured
from tests.support.builders import make_dataset
from tests.support.system import eventually

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

QUEUE = "NOPILOTS"
JOBS = 1500
_NUMBERS = itertools.count(1)
_RUNNING = "SELECT pid FROM pg_stat_activity WHERE state = 'active' AND query ~ %(pattern)s AND pid <> pg_backend_pid()"
HOLD_S = 1.0


@dataclass(frozen=True)
class Statement:
    """What its text is like, and the tables it writes, which nothing writes that comes before it."""

    pattern: str
    tables: str


FEEDING = Statement("INSERT INTO (jobs_live|job_files|task_files)", "jobs_live, job_files, task_files")
ENDING = Statement("WITH ending", "jobs_live")
MAKING = Statement("INSERT INTO (jobs_live|job_files)", "jobs_live, job_files")
Sent = TypeVar("Sent")


@pytest.fixture(scope="module", autouse=True)
def queue(installation: Installation) -> None:
    """A queue at which jobs wait, and a dataset for as many."""
    database = installation.database()
    set_endpoint(database, "NOPILOTS_DISK", mover="cp", path=str(installation.data / "elsewhere"))
    set_queue(database, QUEUE, {"storage_endpoint": "NOPILOTS_DISK"})
    make_dataset(database, "user.testuser.many", [f"f{number}" for number in range(JOBS)], at=["NOPILOTS_DISK"])
    database.close()


def call(installation: Installation, path: str, **parameters: Any) -> dict[str, Any]:
    """One call of the v1 API; an empty answer when the connection broke."""
    known = read_environment_file(installation.data / "panda.env")
    headers = {"Authorization": f"Bearer {known['PANDA_TOKEN']}"}
    try:
        answer = httpx.post(f"{known['PANDA_URL']}/api/v1/{path}", json=parameters, headers=headers, timeout=120)
        return answer.json() if answer.status_code == 200 else {}
    except (httpx.HTTPError, ValueError):
        return {}


def many_jobs(name: str) -> dict[str, Any]:
    """A task of prun, a job for each file, that waits at our queue."""
    parameters = captured("files", taskName=f"user.testuser.{name}/", nFilesPerJob=1, site=QUEUE, skipScout=True)
    parameters = {**parameters, "includedSite": [QUEUE], "dsForIN": "user.testuser.many/"}
    for item in parameters["jobParameters"]:
        if item.get("param_type") == "input":
            item["dataset"] = "user.testuser.many/"
        elif item.get("param_type") == "output":
            item["dataset"] = item["container"] = f"user.testuser.{name}_out.txt/"
    parameters["log"] = {**parameters["log"], "dataset": f"user.testuser.{name}.log/"}
    return parameters


def insisting(installation: Installation, path: str, **parameters: Any) -> dict[str, Any]:
    """Send until there is an answer, as a user would."""
    return eventually(lambda: call(installation, path, **parameters), timeout_s=180, what=f"{path} is answered")


def wait_until_up(installation: Installation) -> None:
    """Until the server answers again, its database with it."""

    def is_alive() -> bool:
        url = read_environment_file(installation.data / "panda.env")["PANDA_URL"]
        try:
            answer = httpx.get(f"{url}/api/v1/system/is_alive", timeout=30)
        except httpx.HTTPError:
            return False
        return answer.status_code == 200 and answer.json()["success"]

    eventually(is_alive, timeout_s=120, what="the server is back")


def in_the_middle(
    installation: Installation, statement: Statement, send: Callable[[], Sent], strike: Callable[[], None]
) -> Sent:
    """Send, and strike while a statement runs: it waits for a table that we hold, however quick it is."""
    database = installation.database()
    sent: list[Sent] = []
    has_struck = False

    def struck() -> bool:
        nonlocal has_struck
        # a database that was struck cannot end our transaction
        with suppress(Unavailable), database.transaction() as transaction:
            transaction.execute(f"LOCK TABLE {statement.tables} IN SHARE MODE")
            sent.extend([] if sent else [send()])
            # not for long: somebody else may hold what the statement needs, and wait for us
            until = time.monotonic() + HOLD_S
            while time.monotonic() < until and not has_struck:
                transaction.execute("SELECT pg_stat_clear_snapshot()")
                if transaction.fetch(_RUNNING, {"pattern": statement.pattern}):
                    strike()
                    has_struck = True
                time.sleep(0.02)
        return has_struck

    try:
        eventually(struck, timeout_s=60, what=f"{statement.pattern} runs")
    finally:
        database.close()
    return sent[0]


def rules_hold(installation: Installation) -> None:
    """When everything answers again and what was being done is done."""
    wait_until_up(installation)
    database = installation.database()
    try:
        broken = {}
        deadline = time.monotonic() + 60
        while (broken := broken_rules(database)) and time.monotonic() < deadline:
            time.sleep(0.5)
        assert broken == {}
    finally:
        database.close()


def kill_workers(installation: Installation) -> None:
    for name, pid in installation.processes().items():
        if name.startswith("api-"):
            os.kill(pid, signal.SIGKILL)


STRIKES = {
    "API workers": kill_workers,
    "PostgreSQL": lambda installation: installation.kill_nine("postgres"),
}


@pytest.mark.parametrize("struck", STRIKES)
def test_a_submission_that_is_cut_is_whole_or_not_there(installation: Installation, struck: str) -> None:
    parameters = many_jobs(f"cut{next(_NUMBERS)}")
    with ThreadPoolExecutor(2) as pool:
        sent = in_the_middle(
            installation,
            FEEDING,
            lambda: [pool.submit(call, installation, "task/submit", task_parameters=parameters) for _ in range(2)],
            lambda: STRIKES[struck](installation),
        )
        assert len([answer for answer in sent if answer.result().get("success")]) <= 1
    again = insisting(installation, "task/submit", task_parameters=parameters)
    assert again["success"] or again["data"] in (1, 2), again
    rules_hold(installation)


@pytest.mark.parametrize("struck", STRIKES)
def test_commands_on_many_jobs_that_are_cut_happened_or_did_not(installation: Installation, struck: str) -> None:
    parameters = many_jobs(f"commands{next(_NUMBERS)}")
    task_id = insisting(installation, "task/submit", task_parameters=parameters)["data"]
    for path, statement in (("kill", ENDING), ("reload_input", MAKING)):
        with ThreadPoolExecutor(1) as pool:
            send = partial(pool.submit, call, installation, f"task/{path}", task_id=task_id)
            in_the_middle(installation, statement, send, lambda: STRIKES[struck](installation)).result()
        rules_hold(installation)
        insisting(installation, f"task/{path}", task_id=task_id)
        rules_hold(installation)
    insisting(installation, "task/kill", task_id=task_id)
    rules_hold(installation)


def test_one_name_from_two_clients_at_once_is_one_task(installation: Installation) -> None:
    parameters = many_jobs(f"twice{next(_NUMBERS)}")
    wait_until_up(installation)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: call(installation, "task/submit", task_parameters=parameters), range(4)))
    assert sorted(answer["success"] for answer in answers) == [False] * 3 + [True], answers
    assert {answer["data"] for answer in answers if not answer["success"]} <= {1, 2}
    rules_hold(installation)
