"""A payload of prun that is killed for its memory, told in the real pilot's own words: it comes back with more memory, and
is not for pilots with less. The generic plug-in of the pilot measures no memory: nothing here can make it say so itself."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import pytest

from tests.support import legacy
from tests.support.builders import make_queue
from tests.support.real_world import RealClient
from tests.support.system import RunningSystem, eventually

CODES = {1212: "Payload ran out of memory", 1235: "Payload exceeded maximum allowed memory"}
"""What the pilot says of each (pilot_error_codes.csv)."""


@pytest.fixture(scope="module")
def pilot(shared_system: RunningSystem) -> httpx.Client:
    return shared_system.client("pilot", "pilot")


def ask(pilot: httpx.Client, queue: str, memory_mb: float) -> dict[str, Any]:
    """The request for a job as it was captured, of a node with so much memory."""
    form = legacy.GET_JOB.format(queue=queue).replace("mem=24105.55859375", f"mem={memory_mb}")
    assert f"mem={memory_mb}" in form
    answer = legacy.raw(pilot, "getJob", form).json()
    assert answer["StatusCode"] in (0, 20), answer
    return dict(answer)


def tell(pilot: httpx.Client, job: dict[str, Any], state: str, **said: Any) -> None:
    """The last report of a job, its log stored."""
    form = legacy.final(job["PandaID"], state, attemptNr=job["attemptNr"], **said)
    assert legacy.call(pilot, "updateJob", **form) == {"StatusCode": 0, "command": "NULL"}


@pytest.mark.parametrize("code", CODES)
def test_what_ran_out_of_memory_comes_back_with_more_and_not_to_small_nodes(real_client, shared_system, pilot, code):
    queue, user = make_queue(shared_system.database, f"Q{code}"), real_client()
    task_id = submit(user, f"memory{code}", queue)
    first = eventually(lambda: _job(ask(pilot, queue, 1000)), what="a node with 1000 MB gets the first attempt")
    assert legacy.update(pilot, first["PandaID"], "running", attemptNr=1)["command"] == "NULL"
    tell(pilot, first, "failed", pilotErrorCode=code, pilotErrorDiag=CODES[code], transExitCode=137, maxPSS=1_200_000)

    reader = shared_system.client("testuser", name="test user")
    retries = eventually(lambda: _retries(reader, first["PandaID"]), what="it is tried again")
    (following,) = retries["next"]
    assert (following["attempt_nr"], following["min_ram_mb"]) == (2, 2000)
    assert retries["sentence"].endswith(f"tried again with 2000 MB as job {following['panda_id']}")
    assert [deed["action"] for deed in retries["deeds"]] == ["increase_memory"]

    waits = f"/api/monitor/job/{following['panda_id']}"
    eventually(lambda: reader.get(waits).json()["job"]["job_status"] == "activated", what="it waits for pilots")
    assert ask(pilot, queue, 1999.9)["StatusCode"] == 20
    told = "it needs 2,000 MB of memory, they offer 1,999 MB of memory at most"
    why = f"/api/monitor/why/job/{following['panda_id']}"
    eventually(lambda: told in reader.get(why).json()["reason"]["sentence"], what="why it waits")

    second = ask(pilot, queue, 2000)
    assert (second["PandaID"], int(second["attemptNr"]), second["taskID"]) == (following["panda_id"], 2, task_id)
    tell(pilot, second, "finished", xml=_stored_log(second))
    done = re.compile(rf"\b{task_id}\s+done\b.*100%\s+1\|0\|1")
    eventually(lambda: done.search(user.run("pbook", "showl", str(task_id))), what="pbook shows it done")


def submit(user: RealClient, name: str, queue: str) -> int:
    """The id of a task of one job that states 1000 MB."""
    code = user.directory / "code"
    code.mkdir()
    words = ("--outDS", f"user.testuser.{name}", "--site", queue, "--vo", "testvo", "--memory", "1000", "--noBuild")
    printed = user.run("prun", "--exec", "./eats-memory", *words, cwd=code)
    return int(re.findall(r"jediTaskID=(\d+)", printed)[0])


def _job(answer: dict[str, Any]) -> dict[str, Any] | None:
    return answer if answer["StatusCode"] == 0 else None


def _retries(reader: httpx.Client, panda_id: int) -> dict[str, Any] | None:
    retries = dict(reader.get(f"/api/monitor/job/{panda_id}").json()["retries"] or {})
    return retries if retries.get("next") else None


def _stored_log(job: dict[str, Any]) -> str:
    entry = {"guid": job["logGUID"], "fsize": 4, "adler32": "01c2009c", "surl": f"file://localhost/{job['logFile']}"}
    return json.dumps({job["logFile"]: entry})
