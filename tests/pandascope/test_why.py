"""`panda why`, typed as a user types it: text for people, JSON for programs, jobs and tasks told apart."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from tests.support import builders
from tests.support.system import RunningSystem, eventually

Panda = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def large(working_system: RunningSystem) -> dict[str, Any]:
    """A task whose only job no queue takes."""
    database = working_system.database
    for number in range(3):
        builders.make_queue(database, f"SMALL{number}", max_ram_mb=3000)
    builders.make_queue(database, "LOCAL", endpoint="LOCAL_DISK", max_ram_mb=4000)
    task = builders.make_task(database, site="", ramCount=6000)
    (panda_id,) = builders.jobs_of_task(database, task)
    look = "SELECT 1 FROM jobs_live WHERE panda_id = %(id)s AND brokerage_error_diag <> ''"
    eventually(lambda: database.fetch(look, {"id": panda_id}), what="brokerage looks at the job")
    return {"task": task, "job": panda_id}


def test_people_read_the_reason_and_the_funnel(large: dict[str, Any], panda: Panda) -> None:
    said = panda("why", str(large["job"])).stdout
    assert said.startswith(f"job {large['job']} defined\nNone of 4 queues can take it")
    assert "responsible  user: whoever submitted it" in said
    assert "Accepted by 0 of 4 queues; with 3000 MB by 4." in said
    assert "criterion" in said and "<- binds" in said and "100 %" in said
    assert "with 4000 MB: 1 of 4 queues instead of 0" in said


def test_a_task_by_its_number_and_by_its_page(large: dict[str, Any], panda: Panda) -> None:
    for word in (str(large["task"]), f"/task/{large['task']}/"):
        said = panda("why", word).stdout
        assert said.startswith(f"task {large['task']} ")
        assert "1 of 1 job under way is defined" in said


def test_programs_get_the_answer_of_the_server(large: dict[str, Any], panda: Panda) -> None:
    document = json.loads(panda("why", str(large["job"]), "--json").stdout)
    assert (document["kind"], document["reason"]["id"]) == ("job", "no_queue")
    assert document == {**document, "panda_id": large["job"], "jedi_task_id": large["task"]}


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        (("x",), 2, "'x' is no PandaID or jediTaskID"),
        (("-1",), 2, ""),
        (("/queues/",), 2, "is no PandaID or jediTaskID"),
        (("/incident/5/",), 2, "is the page of neither a job nor a task"),
        (("5", "--job", "--task"), 2, "it cannot be both"),
        (("987654",), 1, "there is no job 987654"),
        (("987654", "--task"), 1, "there is no task 987654"),
        (("99999999",), 1, "there is no job 99999999"),
        (("9" * 30,), 1, ""),
    ],
)
def test_what_is_not_there_and_words_that_are_none(
    panda: Panda, words: tuple[str, ...], code: int, complaint: str
) -> None:
    done = panda("why", *words, check=None)
    assert (done.returncode, complaint in done.stderr) == (code, True), done.stderr
    assert "Traceback" not in done.stderr
