"""The pilot against the real server: both sides of the contract at once."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.pilots import running_pilots
from tests.support.system import RunningSystem, eventually


def submit(user: httpx.Client, system: RunningSystem, text: str, *names: str) -> int:
    files = [{"lfn": f"{name}.{os.urandom(4).hex()}", "local_name": name, "type": "output"} for name in names]
    files.append({"lfn": f"log.{os.urandom(4).hex()}.tgz", "type": "log"})
    job = {"transformation": "runShell", "jobParameters": text, "prodSourceLabel": "user", "computingSite": "LOCAL"}
    return int(system.v1(user, "job/submit", jobs=json.dumps([{**job, "Files": files}]))[0][0])


def described(user: httpx.Client, panda_id: int) -> dict[str, Any]:
    answer = user.post("/api/v1/job/get_description", json={"job_ids": [panda_id]}).json()
    return dict(answer["data"][0])


def ended(user: httpx.Client, panda_id: int) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        job = described(user, panda_id)
        return job if job["jobStatus"] in ("finished", "failed", "cancelled", "closed") else None

    return eventually(look, what=f"job {panda_id} ends")


@pytest.fixture
def user(shared_system: RunningSystem) -> httpx.Client:
    """A user's connection."""
    return shared_system.client("alice")


def test_jobs_end_as_their_payloads_do(shared_system: RunningSystem, user: httpx.Client, tmp_path: Path) -> None:
    good = submit(user, shared_system, "echo result > out.txt; printf 'no newline'", "out.txt")
    bad = submit(user, shared_system, "echo it broke >&2; exit 7", "out.txt")
    empty = submit(user, shared_system, "true", "out.txt")
    with running_pilots(shared_system, tmp_path):
        finished, failed, missing = (ended(user, panda_id) for panda_id in (good, bad, empty))
    assert finished["jobStatus"] == "finished"
    assert {file["type"]: file["status"] for file in finished["Files"]} == {"output": "ready", "log": "ready"}
    output = next(file for file in finished["Files"] if file["type"] == "output")
    assert Path(output["pfn"]).read_text() == "result\n"
    assert (failed["jobStatus"], failed["pilotErrorCode"], failed["transExitCode"]) == ("failed", 1305, 7)
    assert failed["pilotErrorDiag"].endswith("exit code 7: it broke")
    assert (missing["jobStatus"], missing["pilotErrorCode"]) == ("failed", 1165)


def test_a_kill_reaches_a_running_payload(shared_system: RunningSystem, user: httpx.Client, tmp_path: Path) -> None:
    panda_id = submit(user, shared_system, "echo $$ > /proc/self/fd/1; exec sleep 1000")
    with running_pilots(shared_system, tmp_path, count=1):
        eventually(lambda: described(user, panda_id)["jobStatus"] == "running", what="the job runs")
        shared_system.v1(user, "job/kill", job_ids=[panda_id])
        job = ended(user, panda_id)
    assert (job["jobStatus"], job["pilotErrorCode"]) == ("cancelled", 1144)


def test_a_pilot_told_to_end_reports_its_job(shared_system: RunningSystem, user: httpx.Client, tmp_path: Path) -> None:
    panda_id = submit(user, shared_system, "exec sleep 1000")
    with running_pilots(shared_system, tmp_path, count=1) as (pilot,):
        eventually(lambda: described(user, panda_id)["jobStatus"] == "running", what="the job runs")
        os.kill(pilot, signal.SIGTERM)
        job = ended(user, panda_id)
    assert (job["jobStatus"], job["pilotErrorCode"]) == ("failed", 1201)
