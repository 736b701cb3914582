"""What the end of jobs means for their tasks: files, counts, and the end of the task. Knows no job beyond its result.

Runs in the transaction that ends the jobs, set by set: two statements and a lock however many jobs there are.
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
    counts = _counted(of_tasks, [row["panda_id"] for row in files])
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


def _counted(ended: list[Row], jobs_of_files: list[int]) -> dict[int, _Counts]:
    """Jobs and files by task. Of tasks from before files were kept every job stands for a file; a build job for none."""
    files = dict.fromkeys((row["panda_id"] for row in ended), 0)
    for panda_id in jobs_of_files:
        files[panda_id] += 1
    counts: dict[int, _Counts] = {}
    for row in ended:
        entry = counts.setdefault(row["jedi_task_id"], _Counts())
        number = files[row["panda_id"]] or int(row["job_index"] > 0)
        if row["job_status"] == JobStatus.FINISHED:
            entry.finished += 1
            entry.files_finished += number
        elif row["job_status"] == JobStatus.FAILED:
            entry.failed += 1
            entry.files_failed += number
        else:
            entry.cancelled += 1
    return counts
