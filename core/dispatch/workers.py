"""What a factory knows before any heartbeat is missed: a worker ended and its jobs with it (server-api.md 5.2)."""

from __future__ import annotations

from core.database import Database, Row
from core.states import ON_WORKER_NODE, JobStatus
from core.taskbuffer.endings import Ending, JobError, end_jobs
from core.taskbuffer.killing import ending_of_killed

WORKER_ENDED_CODE = 300
"""supErrorCode of a job whose worker ended first (harvester/update_workers in server-api.md 5.2)."""


def worker_name(harvester_id: str | None, worker_id: object) -> str:
    """The name under which a job remembers its worker: Harvester's numbers are unique within one instance only."""
    if worker_id in (None, ""):
        return ""
    return f"{harvester_id}:{worker_id}"[:80] if harvester_id else str(worker_id)[:80]


# ix_jobs_live_worker
_JOBS_OF_WORKER = """
SELECT panda_id, command_to_pilot, kill_code FROM jobs_live
WHERE worker_id = %(worker_id)s AND worker_id <> '' AND job_status = ANY(%(statuses)s)
ORDER BY panda_id FOR UPDATE
"""


def fail_jobs_of_worker(database: Database, worker_id: str, diagnosis: str) -> list[int]:
    """Fail the jobs that a dead worker still held (a killed one counts as killed); verdicts are left to the adder."""
    error = JobError("sup", WORKER_ENDED_CODE, f"the worker ended before the job: {diagnosis}")
    with database.transaction() as transaction:
        rows = transaction.fetch(_JOBS_OF_WORKER, {"worker_id": worker_id, "statuses": sorted(ON_WORKER_NODE)})
        reason = f"worker ended: {diagnosis}"
        return end_jobs(transaction, [ending_on_dead_worker(row, reason, error) for row in rows])


def ending_on_dead_worker(job: Row, reason: str, error: JobError) -> Ending:
    """How a job of a dead worker ends: failed, or killed when that was asked for before.

    `job`: panda_id, command_to_pilot and kill_code.
    """
    return ending_of_killed(job, reason) or Ending(job["panda_id"], JobStatus.FAILED, reason, error=error)
