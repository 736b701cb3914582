"""The two calls a pilot makes, with their names on the wire (docs/api.md, "PanDA v1"). Knows nothing of running jobs."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any

from pandascope.errors import Refused
from pilot.description import JobDescription, text
from pilot.line import CALL_TIMEOUT_S, Line
from pilot.options import PilotOptions
from pilot.probe import Node, free_disk_mb

ACQUIRE = "/api/v1/pilot/acquire_jobs"
UPDATE = "/api/v1/pilot/update_job"
NO_JOBS = "No jobs"


class Server:
    """The server as one pilot sees it. Every call raises pandascope.errors.ClientError when it fails."""

    def __init__(self, line: Line, options: PilotOptions, node: Node) -> None:
        self._line = line
        self._options = options
        self._node = node
        self._identity = {
            "site_name": options.queue,
            "node": node.host,
            "worker_id": options.worker_id or None,
        }
        self._pilot_id = f"{options.worker_id or 'unknown'}|{options.label}|{_version()}"

    def acquire(self, remaining_time_s: float) -> dict[str, Any] | None:
        """A job that fits this node and the time left, None when there is none now (0 on the wire: not stated)."""
        request = {
            **self._identity,
            "computing_element": self._options.queue,
            "prod_source_label": self._options.label,
            "memory": self._node.memory_mb,
            "disk_space": free_disk_mb(self._options.work_directory),
            "cores": self._node.cores,
            "remaining_time": max(1, int(remaining_time_s)) if self._options.lifetime_s else 0,
        }
        try:
            data = self._line.panda(ACQUIRE, request)
        except Refused as refusal:
            if refusal.status == 200 and refusal.detail.startswith(NO_JOBS):
                return None
            raise
        jobs = (data or {}).get("jobs") or []
        return jobs[0] if jobs else None

    def update(
        self, job: JobDescription, status: str, fields: dict[str, Any], timeout_s: float = CALL_TIMEOUT_S
    ) -> str | None:
        """Report the state of a job; the server's command for it, if any."""
        request = {
            **self._identity,
            "job_id": job.panda_id,
            "job_status": status,
            "attempt_nr": job.attempt_nr,
            "pilot_id": self._pilot_id,
            "core_count": job.core_count,
            "cpu_consumption_unit": f"s+{self._node.cpu_model}",
            **fields,
        }
        data = self._line.panda(UPDATE, request, timeout_s)
        return text((data or {}).get("command")) or None


def _version() -> str:
    try:
        return version("pandascope")
    except PackageNotFoundError:
        return "unknown"
