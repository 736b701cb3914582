"""The HTTP of pilots without pilots: what one sends word for word in the course of a job (pilot-wire.md 2, 6, 7)."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx


@dataclass
class TrafficPilot:
    """One pilot at one node. `client` carries the pilot role."""

    client: httpx.Client
    queue: str
    node: str

    def acquire(self, count: int = 1) -> list[dict[str, Any]]:
        """Ask for work as the pilot does; jobs in PanDA's form, none when there is none."""
        answer = self._call(
            "acquire_jobs",
            site_name=self.queue,
            prod_source_label="user",
            node=self.node,
            n_jobs=count,
            memory=64_000,
            disk_space=1_000_000,
            computing_element=self.queue,
        )
        return answer["data"]["jobs"] if answer["success"] else []

    def take(self, count: int, *, timeout_s: float = 60.0) -> list[dict[str, Any]]:
        """Exactly `count` jobs, as they come."""
        jobs: list[dict[str, Any]] = []
        deadline = time.monotonic() + timeout_s
        while len(jobs) < count:
            jobs += self.acquire(count - len(jobs))
            assert time.monotonic() < deadline, f"{self.queue} has {len(jobs)} jobs, not {count}"
            if len(jobs) < count:
                time.sleep(0.05)
        return jobs

    def heartbeat(self, job: dict[str, Any], status: str = "running", **said: Any) -> str | None:
        """One report of a job under way; returns the command for it."""
        data = self._update(job, status, **said)
        return data.get("command")

    def fail(
        self,
        job: dict[str, Any],
        code: int,
        diag: str,
        *,
        exit_code: int = 0,
        stderr: str = "",
        pilot_log: str = "",
        timing: str = "0|0|0|0|0|0",
    ) -> None:
        """The final report of a job that failed."""
        self._update(
            job,
            "failed",
            pilot_error_code=code,
            pilot_error_diag=diag,
            trans_exit_code=exit_code,
            payload_stderr=stderr or None,
            pilot_log=pilot_log or f"- Log from pilotlog.txt -\n{diag}\n",
            pilot_timing=timing,
            job_output_report="{}",
        )

    def finish(self, job: dict[str, Any], *, stage_in_s: int = 1) -> None:
        """The final report of a job that stored its outputs."""
        names = [name for name in (*job["outFiles"].split(","), job["logFile"]) if name and name != "NULL"]
        entry = {"guid": "", "fsize": 4, "adler32": "01c2009c", "surl": "file://localhost/storage/x/name"}
        self._update(
            job,
            "finished",
            pilot_error_code=0,
            trans_exit_code=0,
            pilot_timing=f"0|{stage_in_s}|1|1|0|0",
            job_output_report=json.dumps(dict.fromkeys(dict.fromkeys(names), entry)),
        )

    def run(self, jobs: Sequence[dict[str, Any]]) -> None:
        """Each job starts and finishes."""
        for job in jobs:
            self.heartbeat(job)
            self.finish(job)

    def _update(self, job: dict[str, Any], status: str, **said: Any) -> dict[str, Any]:
        known = {
            "job_id": job["PandaID"],
            "job_status": status,
            "attempt_nr": job["attemptNr"],
            "site_name": self.queue,
            "node": self.node,
            "scheduler_id": "unknown",
            "pilot_id": "unknown|PR|3.7.0.36",
            "cpu_consumption_unit": "s+AMD EPYC 7763+AVX2",
            "core_count": 1,
        }
        answer = self._call("update_job", **known, **{name: value for name, value in said.items() if value is not None})
        assert answer["success"], answer
        return answer["data"]

    def _call(self, path: str, **parameters: Any) -> dict[str, Any]:
        response = self.client.post(f"/api/v1/pilot/{path}", json=parameters)
        assert response.status_code == 200, response.text
        return response.json()
