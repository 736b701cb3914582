"""The three calls a pilot makes, with their names on the wire (docs/api.md, "PanDA v1"). Knows nothing of running jobs."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pandascope.errors import Refused
from pandascope.transport import Manners, Transport, unwrap
from pilot.description import JobDescription, text
from pilot.options import PilotOptions
from pilot.probe import Node, free_disk_mb

ACQUIRE = "/api/v1/pilot/acquire_jobs"
UPDATE = "/api/v1/pilot/update_job"
STATISTICS = "/api/v1/statistics/active_job_stats_by_site"
NO_JOBS = "No jobs"
CALL_TIMEOUT_S = 30.0
MANNERS = Manners(timeout_s=CALL_TIMEOUT_S, tries=1)
"""One attempt per call: the loops of the pilot decide what is tried again, and when."""


class Server:
    """The server as one pilot sees it. Every call raises pandascope.errors.ClientError when it fails."""

    def __init__(self, transport: Transport, options: PilotOptions, node: Node) -> None:
        self._transport = transport
        self._options = options
        self._node = node
        self._identity = {
            "site_name": options.queue,
            "node": node.host,
            "worker_id": options.worker_id or None,
        }
        self._pilot_id = f"{options.worker_id or 'unknown'}|{options.label}|{_version()}"

    def acquire(self, remaining_time_s: float) -> dict[str, Any] | None:
        """A job that fits this node and the time left, None when there is none now."""
        request = {
            **self._identity,
            "computing_element": self._options.queue,
            "prod_source_label": self._options.label,
            "memory": self._node.memory_mb,
            "disk_space": free_disk_mb(_existing(self._options.work_directory)),
            "cores": self._node.cores,
            "remaining_time": int(remaining_time_s),
        }
        try:
            data = unwrap(self._transport.post(ACQUIRE, request))
        except Refused as refusal:
            if refusal.status == 200 and refusal.detail.startswith(NO_JOBS):
                return None
            raise
        jobs = (data or {}).get("jobs") or []
        return jobs[0] if jobs else None

    def update(self, job: JobDescription, status: str, **fields: Any) -> str | None:
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
        data = unwrap(self._transport.post(UPDATE, request, retry=True))
        return text((data or {}).get("command")) or None


def activated_and_busy(transport: Transport, queue: str) -> tuple[int, int]:
    """Jobs of a queue that wait for a pilot, and jobs that pilots have in hand."""
    counts = (unwrap(transport.get(STATISTICS)) or {}).get(queue) or {}
    busy = ("sent", "starting", "stagein", "running", "stageout")
    return int(counts.get("activated", 0)), sum(int(counts.get(status, 0)) for status in busy)


def _existing(directory: Path) -> Path:
    """The directory, or the nearest one above it that exists."""
    return directory if directory.exists() else _existing(directory.parent)


def _version() -> str:
    try:
        return version("pandascope")
    except PackageNotFoundError:
        return "unknown"
