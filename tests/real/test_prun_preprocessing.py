"""Tasks with a first job: a good run list of the real prun, and a command in its place, run by our own pilots."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.real.prun_user import User, prun_user

pytestmark = pytest.mark.timeout(600)
GOOD_RUNS = ("--goodRunListXML", "runs.xml", "--goodRunListDS", "data25*", "--outputs", "a.txt", "--noBuild")


@pytest.fixture(scope="module")
def user(module_database_url: str, client_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[User]:
    with prun_user(module_database_url, client_program, tmp_path_factory.mktemp("first")) as user:
        (user.code / "runs.xml").write_text("<LumiRangeCollection><NamedLumiRange/></LumiRangeCollection>\n")
        yield user


def row(user: User, task_id: int) -> dict[str, Any]:
    [found] = user.system.database.fetch("SELECT * FROM tasks WHERE jedi_task_id = %(id)s", {"id": task_id})
    return found


def test_a_good_run_list_is_accepted_and_what_its_job_lacks_is_told(user):
    task_id = user.submit("grl", "cat %IN > a.txt", *GOOD_RUNS)
    parameters = row(user, task_id)["parameters"]
    assert (parameters["dsForIN"], parameters["preproSpec"]["prodSourceLabel"]) == ("%%INDS%%", "panda")
    assert user.ended(task_id) == "broken", user.jobs(task_id)
    first, *others = user.jobs(task_id)
    assert (first["trans_exit_code"], len(others)) == (69, 2)
    said = row(user, task_id)["error_dialog"]
    assert said.startswith("preproSpec: the preprocessing job ")
    assert "a good run list becomes datasets by AMI" in said


def test_a_command_of_ones_own_takes_its_place(user):
    task_id = user.submit("other", "cat %IN > a.txt", *GOOD_RUNS)
    user.client.run("pbook", "kill", str(task_id))
    found = '{"%%INDS%%": "user.testuser.five", "%%INLFNLIST%%": ["f2.txt", "f4.txt"], "nFilesPerJob": 1}'
    parameters = {
        **row(user, task_id)["parameters"],
        "taskName": "user.testuser.command/",
        "preproSpec": {"command": f"echo '{found}' > preprocessed.json"},
    }
    client = user.system.client("testuser", name="test user")
    answer = client.post("/api/v1/task/submit", json={"task_parameters": parameters})
    task_id = int(answer.json()["data"])
    assert user.ended(task_id) == "done", (user.jobs(task_id), row(user, task_id)["error_dialog"])
    assert user.outputs(task_id) == ["2\n", "4\n"]
    assert [job["prod_source_label"] for job in user.jobs(task_id)] == ["panda", "user", "user"]
