"""Activates jobs whose input is at their queue's storage, and fills in where each file is read or written.

A job is held in `assigned` until then (domain.md 4.2, 4.4 strict). Called when a replica arrives, and by a sweep that
repairs lost arrivals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.database import Database, Row, Transaction
from core.dataservice.catalogue import dataset_files
from core.dataservice.endpoints import endpoint_named, known_endpoints
from core.dataservice.places import SQL_DETERMINISTIC_PATH
from core.errors import InvalidInput
from core.states import JobStatus
from core.taskbuffer.account_holds import hold_back
from core.taskbuffer.task_accounts import run_tasks_of
from core.taskbuffer.transitions import advance_jobs

# ix_jobs_live_unready for the sweep, primary key for an arrival; per job its few files, their replicas and its task by key
_READY_JOBS = """
SELECT j.panda_id FROM jobs_live j JOIN queues q ON q.queue_name = j.computing_site
WHERE j.job_status = 'assigned' AND (%(panda_ids)s::bigint[] IS NULL OR j.panda_id = ANY(%(panda_ids)s))
  AND NOT EXISTS (
    SELECT 1 FROM job_files f
    WHERE f.panda_id = j.panda_id AND f.type IN ('input', 'sandbox') AND NOT EXISTS (
        SELECT 1 FROM replicas r JOIN storage_endpoints e ON e.name = r.endpoint
        WHERE r.file_id = f.file_id AND r.endpoint = q.storage_endpoint AND e.kind = 'disk'))
  AND NOT EXISTS (SELECT 1 FROM tasks t WHERE t.jedi_task_id = j.jedi_task_id AND t.status = 'paused')
ORDER BY j.panda_id LIMIT 2000 FOR UPDATE OF j SKIP LOCKED
"""

# ix_job_files_job, then primary keys; the queue's own storage comes first, another only where brokerage let the queue
# read from elsewhere
_PLACE_INPUTS = """
UPDATE job_files f SET endpoint = p.endpoint, pfn = p.pfn, status = 'ready'
FROM (
    SELECT DISTINCT ON (i.row_id) i.row_id, r.endpoint, r.pfn
    FROM job_files i JOIN jobs_live j ON j.panda_id = i.panda_id JOIN queues q ON q.queue_name = j.computing_site
    JOIN replicas r ON r.file_id = i.file_id JOIN storage_endpoints e ON e.name = r.endpoint
    WHERE i.panda_id = ANY(%(panda_ids)s) AND i.type IN ('input', 'sandbox')
      AND e.kind = 'disk' AND (r.endpoint = q.storage_endpoint OR e.state = 'online')
    ORDER BY i.row_id, (r.endpoint = q.storage_endpoint) DESC, r.endpoint
) p WHERE f.row_id = p.row_id
"""

# A job writes under its own PandaID, so that a lost attempt that wakes up can never overwrite a later one; at a
# deterministic endpoint the names themselves must differ, as those of tasks do. Outputs of a task with a nucleus are
# collected there; a library stays where the run jobs that follow it find it.
# ix_job_files_job; per file the primary keys of its job, task, queue and endpoint
_PLACE_OUTPUTS = f"""
UPDATE job_files f SET endpoint = e.name, pfn = rtrim(e.path, '/') || '/' || CASE
    WHEN e.is_deterministic THEN {SQL_DETERMINISTIC_PATH.format(scope="f.scope", lfn="f.lfn")}
    ELSE replace(f.dataset, '/', '_') || '/' || f.panda_id || '/' || f.lfn END
FROM jobs_live j
JOIN queues q ON q.queue_name = j.computing_site
LEFT JOIN tasks t ON t.jedi_task_id = j.jedi_task_id
LEFT JOIN storage_endpoints n ON n.name = t.nucleus
CROSS JOIN storage_endpoints e
WHERE f.panda_id = ANY(%(panda_ids)s) AND f.type IN ('output', 'log', 'lib') AND j.panda_id = f.panda_id
  AND e.name = CASE WHEN f.type = 'lib' THEN q.storage_endpoint ELSE coalesce(n.name, q.storage_endpoint) END
"""


def activate_ready_jobs(transaction: Transaction, panda_ids: Sequence[int] | None = None) -> int:
    """Activate the assigned jobs (all, or those among `panda_ids`) whose input is in place; returns how many."""
    rows = transaction.fetch(_READY_JOBS, {"panda_ids": list(panda_ids) if panda_ids is not None else None})
    ready = [row["panda_id"] for row in rows]
    return activate(transaction, ready, reason="input is at the queue's storage")


# primary keys
_OF_PAUSED_TASKS = """
SELECT j.panda_id FROM jobs_live j JOIN tasks t USING (jedi_task_id)
WHERE j.panda_id = ANY(%(panda_ids)s) AND t.status = 'paused' ORDER BY j.panda_id
"""


def activate(transaction: Transaction, panda_ids: Sequence[int], *, reason: str, sites: Sequence[str] = ()) -> int:
    """Make jobs available to pilots: state, places of inputs and outputs. Returns how many moved.

    Those of paused tasks, and of users and groups that are held at this moment, are throttled at once.
    """
    moved = advance_jobs(transaction, panda_ids, JobStatus.ACTIVATED, reason=reason, sites=sites)
    if moved:
        transaction.execute(_PLACE_INPUTS, {"panda_ids": moved})
        transaction.execute(_PLACE_OUTPUTS, {"panda_ids": moved})
        _hold_those_of_paused_tasks(transaction, moved)
        run_tasks_of(transaction, moved)
        hold_back(transaction, moved)
    return len(moved)


def _hold_those_of_paused_tasks(transaction: Transaction, panda_ids: Sequence[int]) -> None:
    """Hold jobs whose task was paused after the statement that found them had begun, and before it locked them.

    A pause locks all jobs of its task first: one that comes now waits for these, and holds them itself.
    """
    rows = transaction.fetch(_OF_PAUSED_TASKS, {"panda_ids": list(panda_ids)})
    advance_jobs(transaction, [row["panda_id"] for row in rows], JobStatus.THROTTLED, reason="its task is paused")


@dataclass
class Arrival:
    """A replica that has come into being; at a deterministic endpoint its place may be left out."""

    dataset: str
    lfn: str
    endpoint: str
    pfn: str = ""


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
        rows = _replicas(transaction, arrivals)
        activated = record_replicas(transaction, sorted(rows.values()))
    return {"registered": len(rows), "activated": activated}


def record_replicas(transaction: Transaction, rows: Sequence[tuple[int, str, str]]) -> int:
    """Write down copies (file, endpoint, place), whose places were checked; how many jobs that activated."""
    transaction.insert_many(_ADD_REPLICA, rows)
    file_ids = sorted({file_id for file_id, _, _ in rows})
    waiting = [row["panda_id"] for row in transaction.fetch(_WAITING_JOBS, {"file_ids": file_ids})]
    activated = activate_ready_jobs(transaction, waiting) if waiting else 0
    transaction.execute(_ASK_BROKERAGE_AGAIN, {"panda_ids": waiting})
    return activated


def _replicas(transaction: Transaction, arrivals: list[Arrival]) -> dict[tuple[int, str], tuple[int, str, str]]:
    """The rows of `replicas` by their key. Raises UnknownObject, InvalidInput for the first arrival that is wrong."""
    known: dict[str, dict[str, Row]] = {}
    rows: dict[tuple[int, str], tuple[int, str, str]] = {}
    endpoints = known_endpoints(transaction)
    for position, arrival in enumerate(arrivals):
        endpoint = endpoint_named(endpoints, arrival.endpoint, f"replicas.{position}.endpoint")
        if arrival.dataset not in known:
            files = dataset_files(transaction, arrival.dataset, f"replicas.{position}.dataset")
            known[arrival.dataset] = {file["lfn"]: file for file in files}
        file = known[arrival.dataset].get(arrival.lfn)
        if file is None:
            raise InvalidInput(
                f"{arrival.dataset!r} holds no file {arrival.lfn!r}",
                field=f"replicas.{position}.lfn",
                remedy="register the file with its dataset first",
            )
        pfn = endpoint.pfn_of(file["scope"], arrival.lfn, arrival.pfn, f"replicas.{position}.pfn")
        rows[(file["file_id"], endpoint.name)] = (file["file_id"], endpoint.name, pfn)
    return rows
