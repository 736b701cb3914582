"""What the life of jobs means for their tasks: the first start, files, counts, and the end. Knows no job beyond its state.

Runs in the transaction that moves or ends the jobs, set by set: a few statements however many jobs there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.database import Row, Transaction
from core.states import TASK_TRANSITIONS, JobStatus, TaskStatus

# Tasks are locked in order of their number, after the jobs.
_LOCK_TASKS = "SELECT 1 FROM tasks WHERE jedi_task_id = ANY(%(ids)s) ORDER BY jedi_task_id FOR UPDATE"

# ix_task_files_job; only what the job holds as input of its own, files lent to several jobs are never running.
# What a task that is being moved takes back is ready for its new place.
_FILES = """
UPDATE task_files f SET
    status = CASE WHEN e.job_status IN ('finished', 'failed') THEN e.job_status
                  WHEN e.is_moved AND t.status = 'toreassign' THEN 'ready' ELSE 'cancelled' END,
    failed_attempt = f.failed_attempt + (e.job_status = 'failed')::int
FROM unnest(%(panda_ids)s::bigint[], %(statuses)s::text[], %(moved)s::boolean[]) AS e (panda_id, job_status, is_moved),
     tasks t
WHERE f.panda_id = e.panda_id AND f.status = 'running' AND t.jedi_task_id = f.jedi_task_id
RETURNING f.panda_id
"""

# ix_task_files_status
_WITHOUT_FILES = """
SELECT t.jedi_task_id FROM unnest(%(ids)s::bigint[]) AS t (jedi_task_id)
WHERE NOT EXISTS (SELECT 1 FROM task_files f WHERE f.jedi_task_id = t.jedi_task_id)
"""

_SETTLED_BY_COUNTS = tuple(
    sorted(
        status.value
        for status, targets in TASK_TRANSITIONS.items()
        if {TaskStatus.DONE, TaskStatus.FINISHED, TaskStatus.FAILED} <= targets
    )
)
"""States from which a task may go to its end by itself; while a command is being carried out the command decides."""

# The last job decides: no file failed -> done, none succeeded -> failed, else finished; what a parent did not make its
# child cannot have got (server-api.md 5.7). An input to which the parent still adds keeps the task open.
# primary keys; ix_task_datasets_task
_COUNT = """
WITH counted AS (
    SELECT n.*, k.status AS old_status, p.status AS parent_status,
           k.n_finished + k.n_failed + k.n_cancelled + n.finished + n.failed + n.cancelled >= k.n_jobs
           AND NOT EXISTS (SELECT 1 FROM task_datasets d WHERE d.jedi_task_id = k.jedi_task_id AND d.status = 'mutable')
               AS is_last
    FROM unnest(%(task)s::bigint[], %(finished)s::bigint[], %(failed)s::bigint[], %(cancelled)s::bigint[],
                %(files_finished)s::bigint[], %(files_failed)s::bigint[])
         AS n (jedi_task_id, finished, failed, cancelled, files_finished, files_failed)
    JOIN tasks k ON k.jedi_task_id = n.jedi_task_id
    LEFT JOIN tasks p ON p.jedi_task_id = k.parent_tid AND p.jedi_task_id <> k.jedi_task_id
), changed AS (
    UPDATE tasks t SET
        n_finished = t.n_finished + c.finished, n_failed = t.n_failed + c.failed,
        n_cancelled = t.n_cancelled + c.cancelled,
        n_files_finished = t.n_files_finished + c.files_finished, n_files_failed = t.n_files_failed + c.files_failed,
        modification_time = clock_timestamp(),
        end_time = CASE WHEN c.is_last THEN clock_timestamp() ELSE t.end_time END,
        status = CASE
            WHEN NOT c.is_last THEN CASE WHEN t.status IN ('registered', 'ready') THEN 'running' ELSE t.status END
            WHEN t.status = 'aborting' THEN 'aborted'
            WHEN NOT t.status = ANY(%(settled)s) THEN t.status
            WHEN t.n_files_finished + c.files_finished = 0 OR c.parent_status IN ('failed', 'broken', 'aborted')
                THEN 'failed'
            WHEN t.n_files_finished + c.files_finished >= CASE WHEN t.n_files > 0 THEN t.n_files ELSE t.n_jobs END
                 AND coalesce(c.parent_status, 'done') = 'done'
                THEN 'done'
            ELSE 'finished' END
    FROM counted c WHERE t.jedi_task_id = c.jedi_task_id
    RETURNING t.jedi_task_id, c.old_status, t.status
)
INSERT INTO task_history (jedi_task_id, previous_status, status, who, reason)
SELECT jedi_task_id, old_status, status, 'task engine',
       CASE WHEN status = 'running' THEN 'its first job has ended' ELSE 'its last job has ended' END
FROM changed WHERE status <> old_status
"""


@dataclass
class _Counts:
    finished: int = 0
    failed: int = 0
    cancelled: int = 0
    files_finished: int = 0
    files_failed: int = 0


def account_to_tasks(transaction: Transaction, ended: Sequence[Row]) -> None:
    """Count jobs that have just ended in their tasks and let their input follow.

    `ended`: panda_id, jedi_task_id, job_index, job_status and sub_status of each.
    """
    of_tasks = [row for row in ended if row["jedi_task_id"] is not None]
    if not of_tasks:
        return
    tasks = sorted({row["jedi_task_id"] for row in of_tasks})
    transaction.execute(_LOCK_TASKS, {"ids": tasks})
    files = transaction.fetch(
        _FILES,
        {
            "panda_ids": [row["panda_id"] for row in of_tasks],
            "statuses": [row["job_status"] for row in of_tasks],
            "moved": [row["sub_status"] == "toreassign" for row in of_tasks],
        },
    )
    counts = _counted(of_tasks, [row["panda_id"] for row in files], _tasks_without_files(transaction, of_tasks))
    transaction.execute(
        _COUNT,
        {
            "task": tasks,
            "settled": list(_SETTLED_BY_COUNTS),
            **{
                name: [getattr(counts[task], name) for task in tasks]
                for name in ("finished", "failed", "cancelled", "files_finished", "files_failed")
            },
        },
    )


def _tasks_without_files(transaction: Transaction, ended: list[Row]) -> set[int]:
    """Tasks from before files were kept."""
    numbered = sorted({row["jedi_task_id"] for row in ended if row["job_index"] > 0})
    return {row["jedi_task_id"] for row in transaction.fetch(_WITHOUT_FILES, {"ids": numbered})}


def _counted(ended: list[Row], jobs_of_files: list[int], without_files: set[int]) -> dict[int, _Counts]:
    """Jobs and files by task; where there are no files every job stands for one, except a build job."""
    files = dict.fromkeys((row["panda_id"] for row in ended), 0)
    for panda_id in jobs_of_files:
        files[panda_id] += 1
    counts: dict[int, _Counts] = {}
    for row in ended:
        entry = counts.setdefault(row["jedi_task_id"], _Counts())
        stands_for_a_file = row["jedi_task_id"] in without_files and row["job_index"] > 0
        number = 1 if stands_for_a_file else files[row["panda_id"]]
        if row["job_status"] == JobStatus.FINISHED:
            entry.finished += 1
            entry.files_finished += number
        elif row["job_status"] == JobStatus.FAILED:
            entry.failed += 1
            entry.files_failed += number
        else:
            entry.cancelled += 1
    return counts


# primary keys; a task runs from its first job that pilots may take (server-api.md 5.7: ready -> running)
_RUN = """
WITH due AS (
    SELECT t.jedi_task_id FROM tasks t
    WHERE t.status = 'ready'
      AND t.jedi_task_id IN (SELECT jedi_task_id FROM jobs_live WHERE panda_id = ANY(%(panda_ids)s))
    ORDER BY t.jedi_task_id FOR UPDATE
), changed AS (
    UPDATE tasks t SET status = 'running', modification_time = clock_timestamp(),
                       start_time = coalesce(t.start_time, clock_timestamp())
    FROM due WHERE t.jedi_task_id = due.jedi_task_id
    RETURNING t.jedi_task_id
)
INSERT INTO task_history (jedi_task_id, previous_status, status, who, reason)
SELECT jedi_task_id, 'ready', 'running', 'brokerage', 'its first job waits for a pilot' FROM changed
"""


def run_tasks_of(transaction: Transaction, panda_ids: Sequence[int]) -> None:
    """Make the ready tasks of these live jobs, which have just been activated, running."""
    transaction.execute(_RUN, {"panda_ids": list(panda_ids)})
