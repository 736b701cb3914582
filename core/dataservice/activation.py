"""Activates jobs whose input is at their queue's storage, and fills in where each file is read or written.

A job is held in `assigned` until then (domain.md 4.2, 4.4 strict). Called when a replica arrives, and by a sweep that
repairs lost arrivals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.database import Database, Row, Transaction
from core.dataservice.catalogue import check_pfn, dataset_files
from core.errors import InvalidInput, UnknownObject
from core.states import JobStatus
from core.taskbuffer.transitions import advance_jobs

# ix_jobs_live_unready for the sweep, primary key for an arrival; per job its few files and their replicas by key
_READY_JOBS = """
SELECT j.panda_id FROM jobs_live j JOIN queues q ON q.queue_name = j.computing_site
WHERE j.job_status = 'assigned' AND (%(panda_ids)s::bigint[] IS NULL OR j.panda_id = ANY(%(panda_ids)s))
  AND NOT EXISTS (
    SELECT 1 FROM job_files f
    WHERE f.panda_id = j.panda_id AND f.type IN ('input', 'sandbox') AND NOT EXISTS (
        SELECT 1 FROM replicas r WHERE r.file_id = f.file_id AND r.endpoint = q.storage_endpoint))
ORDER BY j.panda_id LIMIT 2000 FOR UPDATE OF j SKIP LOCKED
"""

_PLACE_INPUTS = """
UPDATE job_files f SET endpoint = r.endpoint, pfn = r.pfn, status = 'ready'
FROM jobs_live j, queues q, replicas r
WHERE f.panda_id = ANY(%(panda_ids)s) AND f.type IN ('input', 'sandbox') AND j.panda_id = f.panda_id
  AND q.queue_name = j.computing_site AND r.file_id = f.file_id AND r.endpoint = q.storage_endpoint
"""

# a job writes under its own PandaID, so that a lost attempt that wakes up can never overwrite a later one
_PLACE_OUTPUTS = """
UPDATE job_files f SET endpoint = e.name,
    pfn = e.path || '/' || replace(f.dataset, '/', '_') || '/' || f.panda_id || '/' || f.lfn
FROM jobs_live j, queues q, storage_endpoints e
WHERE f.panda_id = ANY(%(panda_ids)s) AND f.type IN ('output', 'log') AND j.panda_id = f.panda_id
  AND q.queue_name = j.computing_site AND e.name = q.storage_endpoint
"""


# a task runs from its first job that pilots may take (server-api.md 5.7: ready -> running by the first submission)
_TASKS_RUN = """
UPDATE tasks SET status = 'running', modification_time = clock_timestamp()
WHERE jedi_task_id IN (
    SELECT t.jedi_task_id FROM tasks t
    WHERE t.status = 'ready' AND t.jedi_task_id IN (SELECT jedi_task_id FROM jobs_live WHERE panda_id = ANY(%(panda_ids)s))
    ORDER BY t.jedi_task_id FOR UPDATE)
"""


def activate_ready_jobs(transaction: Transaction, panda_ids: Sequence[int] | None = None) -> int:
    """Activate the assigned jobs (all, or those among `panda_ids`) whose input is in place; returns how many."""
    rows = transaction.fetch(_READY_JOBS, {"panda_ids": list(panda_ids) if panda_ids is not None else None})
    ready = [row["panda_id"] for row in rows]
    return activate(transaction, ready, reason="input is at the queue's storage")


def activate(transaction: Transaction, panda_ids: Sequence[int], *, reason: str, sites: Sequence[str] = ()) -> int:
    """Make jobs available to pilots: state, places of inputs and outputs. Returns how many moved."""
    moved = advance_jobs(transaction, panda_ids, JobStatus.ACTIVATED, reason=reason, sites=sites)
    if moved:
        transaction.execute(_PLACE_INPUTS, {"panda_ids": moved})
        transaction.execute(_PLACE_OUTPUTS, {"panda_ids": moved})
        transaction.execute(_TASKS_RUN, {"panda_ids": moved})
    return len(moved)


@dataclass
class Arrival:
    """A replica that has come into being."""

    dataset: str
    lfn: str
    endpoint: str
    pfn: str


_ADD_REPLICA = """
INSERT INTO replicas (file_id, endpoint, pfn) VALUES %s
ON CONFLICT (file_id, endpoint) DO UPDATE SET pfn = excluded.pfn
"""

# ix_job_files_waiting
_WAITING_JOBS = "SELECT DISTINCT panda_id FROM job_files WHERE file_id = ANY(%(file_ids)s) AND status = 'pending'"

# primary key; jobs that no queue could take for want of this input need not wait for brokerage to look again by itself
_ASK_BROKERAGE_AGAIN = """
UPDATE jobs_live SET brokerage_time = NULL WHERE panda_id IN (
    SELECT panda_id FROM jobs_live
    WHERE panda_id = ANY(%(panda_ids)s) AND job_status = 'defined' AND brokerage_time IS NOT NULL
    FOR UPDATE SKIP LOCKED)
"""


def register_arrivals(database: Database, arrivals: list[Arrival]) -> Row:
    """Record replicas and activate, in the same transaction, the jobs that waited for nothing else."""
    with database.transaction() as transaction:
        known: dict[str, dict[str, int]] = {}
        rows: dict[tuple[int, str], tuple[int, str, str]] = {}
        endpoints = {row["name"] for row in transaction.fetch("SELECT name FROM storage_endpoints")}
        for position, arrival in enumerate(arrivals):
            check_pfn(arrival.pfn, f"replicas.{position}.pfn")
            if arrival.endpoint not in endpoints:
                raise UnknownObject(
                    f"there is no storage endpoint {arrival.endpoint!r}",
                    field=f"replicas.{position}.endpoint",
                    remedy="see GET /api/control/endpoints",
                )
            if arrival.dataset not in known:
                files = dataset_files(transaction, arrival.dataset, f"replicas.{position}.dataset")
                known[arrival.dataset] = {file["lfn"]: file["file_id"] for file in files}
            file_id = known[arrival.dataset].get(arrival.lfn)
            if file_id is None:
                raise InvalidInput(
                    f"{arrival.dataset!r} holds no file {arrival.lfn!r}",
                    field=f"replicas.{position}.lfn",
                    remedy="register the file with its dataset first",
                )
            rows[(file_id, arrival.endpoint)] = (file_id, arrival.endpoint, arrival.pfn)
        transaction.insert_many(_ADD_REPLICA, sorted(rows.values()))
        file_ids = [file_id for file_id, _ in rows]
        waiting = [row["panda_id"] for row in transaction.fetch(_WAITING_JOBS, {"file_ids": file_ids})]
        activated = activate_ready_jobs(transaction, waiting) if waiting else 0
        transaction.execute(_ASK_BROKERAGE_AGAIN, {"panda_ids": waiting})
    return {"registered": len(rows), "activated": activated}
