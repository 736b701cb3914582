"""200 pilots ask at the same time until 5 000 jobs are done: every job exactly once."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from api.identity.issuer import Issuer
from core.database import Database
from tests.support.builders import activate, add_up, make_queue
from tests.support.system import eventually, free_port

PILOTS, JOBS = 200, 5000


@contextmanager
def served(database_url: str, directory: Path) -> Iterator[tuple[str, str]]:
    """The API in processes of its own, as in production; gives its address and a pilot's token."""
    port = free_port()
    program = [sys.executable, "-P", "-m", "tests.support.serve", str(directory), database_url, str(port)]
    with (directory / "api.log").open("wb") as log:
        server = subprocess.Popen(program, stdout=log, stderr=log, start_new_session=True)
    token = Issuer(directory).issue(user="pilot", vo="testvo", roles=["pilot"], lifetime_s=3600).text
    try:
        eventually(lambda: _answers(port), timeout_s=60, what="the API answers")
        yield f"http://127.0.0.1:{port}", token
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(60)


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/api/v1/system/is_alive")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


class Pilot(threading.Thread):
    """Takes jobs until there are none: acquire, running, finished."""

    def __init__(self, url: str, token: str, begin: threading.Barrier) -> None:
        super().__init__(daemon=True)
        address = urlsplit(url)
        self._connection = http.client.HTTPConnection(str(address.hostname), int(address.port or 0), timeout=120)
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._begin = begin
        self.taken: list[int] = []
        self.error: BaseException | None = None

    def run(self) -> None:
        """Remember what went wrong for the test to see."""
        try:
            self._begin.wait()
            while jobs := self._post("acquire_jobs", site_name="Q", prod_source_label="user", node=self.name):
                for job in jobs["jobs"]:
                    self._work(job)
        except BaseException as error:  # noqa: BLE001  (shown by the test)
            self.error = error
        finally:
            self._connection.close()

    def _work(self, job: dict[str, Any]) -> None:
        self.taken.append(job["PandaID"])
        about = {"job_id": job["PandaID"], "attempt_nr": job["attemptNr"], "node": self.name}
        assert self._post("update_job", **about, job_status="running") == {"StatusCode": 0, "command": None}
        stored = {file["lfn"]: {"fsize": 3, "adler32": "0a1b2c3d", "surl": file["pfn"]} for file in job["panda_files"]}
        said = self._post("update_job", **about, job_status="finished", job_output_report=json.dumps(stored))
        assert said == {"StatusCode": 0, "command": None}

    def _post(self, function: str, **parameters: Any) -> dict[str, Any] | None:
        self._connection.request("POST", f"/api/v1/pilot/{function}", json.dumps(parameters), self._headers)
        answer = json.loads(self._connection.getresponse().read())
        assert answer["success"] or answer["message"] == "No jobs in PanDA", answer
        data: dict[str, Any] | None = answer["data"]
        return data


@pytest.mark.timeout(600)
def test_two_hundred_pilots_drain_five_thousand_jobs_once(database: Database, database_url: str, tmp_path: Path):
    make_queue(database)
    panda_ids = activate(database, JOBS, outputs=["o.txt"])
    with served(database_url, tmp_path) as (url, token):
        begin = threading.Barrier(PILOTS)
        pilots = [Pilot(url, token, begin) for _ in range(PILOTS)]
        for pilot in pilots:
            pilot.start()
        while any(pilot.is_alive() for pilot in pilots):
            add_up(database)
            time.sleep(0.2)
        add_up(database)
    assert [pilot.error for pilot in pilots if pilot.error] == []
    assert Counter(panda_id for pilot in pilots for panda_id in pilot.taken) == Counter(panda_ids)
    ended = database.fetch("SELECT job_status, count(*) AS n FROM jobs_archive GROUP BY 1")
    assert ended == [{"job_status": "finished", "n": JOBS}]
    assert database.fetch("SELECT 1 FROM jobs_live") == []
    steps = database.fetch("SELECT job_status, count(*) AS n FROM job_history GROUP BY 1")
    assert {row["job_status"]: row["n"] for row in steps} == dict.fromkeys(
        ("defined", "activated", "sent", "running", "holding", "finished"), JOBS
    )
