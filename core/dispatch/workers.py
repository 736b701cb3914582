"""What a factory knows before any heartbeat is missed: a worker ended and its jobs with it (server-api.md 5.2)."""

from __future__ import annotations

from core.database import Database
from core.states import JobStatus
from core.taskbuffer.endings import Ending, JobError, end_jobs

WORKER_ENDED_CODE = 300
"""supErrorCode of a job whose worker ended first (harvester/update_workers in server-api.md 5.2)."""

# ix_jobs_live_worker
_JOBS_OF_WORKER = """
SELECT panda_id FROM jobs_live
WHERE worker_id = %(worker_id)s AND worker_id <> '' AND job_status IN ('sent', 'starting', 'stagein', 'running', 'stageout')
ORDER BY panda_id FOR UPDATE
"""


def fail_jobs_of_worker(database: Database, worker_id: str, diagnosis: str) -> list[int]:
    """Fail the jobs that a dead worker still held; jobs whose verdict is in are left to the adder."""
    with database.transaction() as transaction:
        rows = transaction.fetch(_JOBS_OF_WORKER, {"worker_id": worker_id})
        error = JobError("sup", WORKER_ENDED_CODE, f"the worker ended before the job: {diagnosis}")
        return end_jobs(
            transaction,
            [Ending(row["panda_id"], JobStatus.FAILED, f"worker ended: {diagnosis}", error=error) for row in rows],
        )
