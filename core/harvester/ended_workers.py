"""What becomes of the jobs of a worker that has ended (server-api.md 5.2). Knows live jobs and their links to workers."""

from __future__ import annotations

from dataclasses import dataclass

from core.database import Row, Transaction
from core.dispatch.workers import WORKER_ENDED_CODE, ending_on_dead_worker, worker_name
from core.states import ON_WORKER_NODE, JobStatus
from core.taskbuffer.endings import Ending, JobError, end_jobs
from core.text import clean


@dataclass(frozen=True)
class EndedWorker:
    """A worker in a final state."""

    worker_id: int
    status: str
    diag_message: str
    error_code: int
    ends_its_jobs: bool


# a job knows its worker when the worker's pilot fetched it (ix_jobs_live_worker), the factory knows the job when it
# fetched it for the worker (primary key of harvester_worker_jobs); jobs in holding have a verdict: the adder's business
_JOBS = """
WITH jobs AS (
    SELECT e.worker_id, j.panda_id
    FROM unnest(%(workers)s::bigint[], %(names)s::text[]) AS e (worker_id, name)
    JOIN jobs_live j ON j.worker_id = e.name AND j.worker_id <> ''
    UNION
    SELECT worker_id, panda_id FROM harvester_worker_jobs
    WHERE harvester_id = %(harvester_id)s AND worker_id = ANY(%(workers)s)
)
SELECT jobs.worker_id, j.panda_id, j.job_status, j.command_to_pilot, j.kill_code
FROM jobs JOIN jobs_live j ON j.panda_id = jobs.panda_id
WHERE j.job_status <> 'holding'
ORDER BY j.panda_id FOR UPDATE OF j
"""

# primary key of jobs_live
_NOTE_ERROR = """
UPDATE jobs_live SET sup_error_code = %(code)s, sup_error_diag = %(diag)s WHERE panda_id = ANY(%(panda_ids)s)
"""


def settle_jobs_of(transaction: Transaction, harvester_id: str, workers: list[EndedWorker]) -> list[int]:
    """Fail the jobs that still run on workers which end theirs; the PandaIDs that ended now.

    An error of the worker is noted on each of its live jobs, so that a job that is lost later says why.
    """
    if not workers:
        return []
    by_id = {worker.worker_id: worker for worker in workers}
    names = [worker_name(harvester_id, worker_id) for worker_id in by_id]
    rows = transaction.fetch(_JOBS, {"harvester_id": harvester_id, "workers": list(by_id), "names": names})
    jobs: dict[int, list[Row]] = {}
    for row in rows:
        jobs.setdefault(row["worker_id"], []).append(row)
    endings: list[Ending] = []
    for worker_id, found in jobs.items():
        _note_error(transaction, by_id[worker_id], found)
        endings += _endings(by_id[worker_id], found)
    # all at once: each ending locks the tasks of its jobs in order
    return end_jobs(transaction, endings)


def _note_error(transaction: Transaction, worker: EndedWorker, jobs: list[Row]) -> None:
    if worker.error_code:
        diag = clean(f"Diag from worker : {worker.diag_message}", 500)
        panda_ids = [job["panda_id"] for job in jobs]
        transaction.execute(_NOTE_ERROR, {"code": worker.error_code, "diag": diag, "panda_ids": panda_ids})


def _endings(worker: EndedWorker, jobs: list[Row]) -> list[Ending]:
    if not worker.ends_its_jobs:
        return []
    running = [job for job in jobs if JobStatus(job["job_status"]) in ON_WORKER_NODE]
    reason = f"the worker was {worker.status} while the job ran: {worker.diag_message or 'no reason given'}"
    error = JobError("task_buffer", WORKER_ENDED_CODE, reason)
    return [ending_on_dead_worker(job, reason, error) for job in running]
