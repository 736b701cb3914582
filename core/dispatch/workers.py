"""What a factory knows before any heartbeat is missed: a worker ended and its jobs with it (server-api.md 5.2)."""

from __future__ import annotations

from core.database import Database
from core.states import ON_WORKER_NODE, JobStatus
from core.taskbuffer.endings import Ending, JobError, end_jobs
from core.taskbuffer.killing import ending_of_killed

WORKER_ENDED_CODE = 300
"""supErrorCode of a job whose worker ended first (harvester/update_workers in server-api.md 5.2)."""

# ix_jobs_live_worker
_JOBS_OF_WORKER = """
SELECT panda_id, command_to_pilot, kill_code FROM jobs_live
WHERE worker_id = %(worker_id)s AND worker_id <> '' AND job_status = ANY(%(statuses)s)
ORDER BY panda_id FOR UPDATE
"""


def fail_jobs_of_worker(database: Database, worker_id: str, diagnosis: str) -> list[int]:
    """Fail the jobs that a dead worker still held (a killed one counts as killed); verdicts are left to the adder."""
    reason = f"worker ended: {diagnosis}"
    error = JobError("sup", WORKER_ENDED_CODE, f"the worker ended before the job: {diagnosis}")
    with database.transaction() as transaction:
        rows = transaction.fetch(_JOBS_OF_WORKER, {"worker_id": worker_id, "statuses": sorted(ON_WORKER_NODE)})
        endings = [
            ending_of_killed(row, reason) or Ending(row["panda_id"], JobStatus.FAILED, reason, error=error)
            for row in rows
        ]
        return end_jobs(transaction, endings)
