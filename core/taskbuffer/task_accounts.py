"""What the life of jobs means for their tasks: the first start, files, counts, and the end. Knows no job beyond its state.

Runs in the transaction that moves or ends the jobs, set by set: a few statements however many jobs there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from core.database import Row, Transaction
from core.names import UNMERGED
from core.retrial.applying import apply_rules
from core.states import FINAL_TASK_STATUSES, TASK_TRANSITIONS, JobStatus, TaskStatus, way_of_task
from core.task_ends import final_status_of

# Tasks are locked in order of their number, after the jobs.
_LOCK_TASKS = "SELECT 1 FROM tasks WHERE jedi_task_id = ANY(%(ids)s) ORDER BY jedi_task_id FOR UPDATE"

_CLOSING = tuple(
    status.value
    for status in (
        *(TaskStatus.ABORTING, TaskStatus.TOABORT, TaskStatus.FINISHING, TaskStatus.PASSED, TaskStatus.PREPARED),
        TaskStatus.TOBROKEN,
    )
)
"""States in which nothing is tried again."""
TASK_DONE = "taskdone"
"""Sub status of jobs that were closed because their task needs no more of them (kill code 55)."""
TO_REASSIGN = "toreassign"
"""Sub status of jobs whose input is to be given to other jobs."""

# ix_task_files_job; only what the job holds as input of its own, files lent to several jobs are never running.
# Each end is an attempt; only failures of the job count as such (server-api.md 5.6). What a task that is being moved takes
# back costs it nothing.
_FILES = f"""
UPDATE task_files f SET
    status = CASE
        WHEN e.job_status = 'finished' THEN 'finished'
        WHEN t.status = 'toreassign' AND e.is_returned THEN 'ready'
        WHEN t.status IN {_CLOSING} THEN CASE e.job_status WHEN 'failed' THEN 'failed' ELSE 'cancelled' END
        WHEN e.job_status = 'failed' THEN CASE
            WHEN f.attempt_nr < f.max_attempt AND f.failed_attempt + 1 < f.max_failure THEN 'ready' ELSE 'failed' END
        WHEN e.is_returned THEN CASE WHEN f.attempt_nr < f.max_attempt THEN 'ready' ELSE 'failed' END
        ELSE 'cancelled' END,
    failed_attempt = f.failed_attempt + (e.job_status = 'failed')::int,
    max_attempt = CASE WHEN t.status = 'toreassign' AND e.is_returned THEN greatest(f.max_attempt, f.attempt_nr + 1)
                       ELSE f.max_attempt END
FROM unnest(%(panda_ids)s::bigint[], %(statuses)s::text[], %(returned)s::boolean[])
     AS e (panda_id, job_status, is_returned), tasks t, task_datasets d
WHERE f.panda_id = e.panda_id AND f.status = 'running' AND t.jedi_task_id = f.jedi_task_id
  AND d.dataset_id = f.dataset_id
RETURNING f.panda_id, f.status, d.is_master
"""

# ix_task_datasets_task, ix_job_files_job: what run jobs made waits to be merged from the moment they end, a row for each
# (core.taskengine.making.merging); merge jobs make nothing transient
_TO_MERGE = f"""
INSERT INTO task_files (jedi_task_id, dataset_id, position, lfn, size_bytes, n_events, status)
SELECT d.jedi_task_id, d.dataset_id, e.panda_id, 'outputs of job ' || e.panda_id, sum(coalesce(f.size_bytes, 0)), (
           SELECT coalesce(sum(m.n_events), 0) FROM task_files m WHERE m.panda_id = e.panda_id),
       CASE WHEN t.status IN {_CLOSING} THEN 'cancelled' ELSE 'ready' END
FROM unnest(%(panda_ids)s::bigint[], %(tasks)s::bigint[]) AS e (panda_id, jedi_task_id)
JOIN tasks t USING (jedi_task_id)
JOIN task_datasets d ON d.jedi_task_id = e.jedi_task_id AND d.type = 'merge_input'
JOIN job_files f ON f.panda_id = e.panda_id AND f.type = 'output' AND f.status = 'ready'
                AND starts_with(f.dataset, '{UNMERGED}')
GROUP BY d.jedi_task_id, d.dataset_id, e.panda_id, t.status
RETURNING position AS panda_id, status, false AS is_master
"""

# ix_job_files_job, ix_task_datasets_task, ix_task_files_lfn; what was lent to a job that did not finish can be lent again
_GIVE_BACK = """
UPDATE task_files f SET attempt_nr = greatest(0, f.attempt_nr - l.times) FROM (
    SELECT d.dataset_id, j.lfn, count(*) AS times FROM job_files j
    JOIN task_datasets d ON d.jedi_task_id = j.jedi_task_id AND NOT d.is_master AND d.type = 'input'
                        AND rtrim(d.name, '/') = j.dataset
    WHERE j.panda_id = ANY(%(panda_ids)s) AND j.type = 'input'
    GROUP BY 1, 2
) l WHERE f.dataset_id = l.dataset_id AND f.lfn = l.lfn AND f.catalogue_file_id IS NOT NULL
"""

# ix_task_files_status
_WITHOUT_FILES = """
SELECT t.jedi_task_id FROM unnest(%(ids)s::bigint[]) AS t (jedi_task_id)
WHERE NOT EXISTS (SELECT 1 FROM task_files f WHERE f.jedi_task_id = t.jedi_task_id)
"""

_SETTLED_BY_COUNTS = frozenset(
    status
    for status, targets in TASK_TRANSITIONS.items()
    if {TaskStatus.DONE, TaskStatus.FINISHED, TaskStatus.FAILED} <= targets
)
"""States from which a task may go to its end by itself; while a command is being carried out the command decides."""

# primary keys; what is ready again, or still, has the generator look at the task
_COUNT = """
UPDATE tasks t SET
    n_finished = t.n_finished + c.finished, n_failed = t.n_failed + c.failed,
    n_cancelled = t.n_cancelled + c.cancelled,
    n_files_finished = t.n_files_finished + c.files_finished, n_files_failed = t.n_files_failed + c.files_failed,
    generate_at = CASE WHEN c.files_ready > 0 THEN clock_timestamp() ELSE t.generate_at END,
    modification_time = clock_timestamp()
FROM unnest(%(task)s::bigint[], %(finished)s::bigint[], %(failed)s::bigint[], %(cancelled)s::bigint[],
            %(files_finished)s::bigint[], %(files_failed)s::bigint[], %(files_ready)s::bigint[])
     AS c (jedi_task_id, finished, failed, cancelled, files_finished, files_failed, files_ready)
WHERE t.jedi_task_id = c.jedi_task_id
RETURNING t.jedi_task_id, t.status, t.n_finished + t.n_failed + t.n_cancelled >= t.n_jobs AS is_idle
"""

# Of tasks without a live job: whether there is input for more, now (`is_ready`) or later (`is_open`: it is not all fed, a
# parent still adds to it, or it comes from tape). ix_task_datasets_task, ix_task_files_status, which the order keeps even of a
# task with most rows
_IDLE = """
SELECT t.jedi_task_id, t.status, t.goal, t.parameters, t.split_rule, t.n_files_finished,
       CASE WHEN t.n_files > 0 THEN t.n_files ELSE t.n_jobs END AS n_files, coalesce(p.status, '') AS parent_status,
       EXISTS (SELECT 1 FROM task_datasets d WHERE d.jedi_task_id = t.jedi_task_id
               AND d.status IN ('mutable', 'toupdate'))
           OR EXISTS (SELECT 1 FROM task_files f WHERE f.jedi_task_id = t.jedi_task_id AND f.status = 'staging') AS is_open,
       EXISTS (SELECT 1 FROM task_datasets d CROSS JOIN LATERAL (
                   SELECT 1 FROM task_files f
                   WHERE f.jedi_task_id = t.jedi_task_id AND f.status = 'ready' AND f.dataset_id = d.dataset_id
                   ORDER BY f.position LIMIT 1) AS first
               WHERE d.jedi_task_id = t.jedi_task_id AND (d.is_master OR d.type = 'merge_input')) AS is_ready,
       (SELECT array_agg(s.status) FROM task_datasets d
        CROSS JOIN unnest(ARRAY['finished', 'failed', 'cancelled']) AS s (status)
        CROSS JOIN LATERAL (SELECT 1 FROM task_files f
            WHERE f.jedi_task_id = t.jedi_task_id AND f.status = s.status AND f.dataset_id = d.dataset_id
            ORDER BY f.position LIMIT 1) AS first
        WHERE d.jedi_task_id = t.jedi_task_id AND d.type = 'merge_input') AS merges
FROM tasks t LEFT JOIN tasks p ON p.jedi_task_id = t.parent_tid AND p.jedi_task_id <> t.jedi_task_id
WHERE t.jedi_task_id = ANY(%(ids)s)
"""

# primary keys; as core.taskengine.status leaves a hold behind: nothing of it counts when the task is opened again
_CHANGE = """
WITH changed AS (
    UPDATE tasks t SET status = c.status, modification_time = clock_timestamp(), old_status = '', next_try_time = NULL,
                       frozen_time = CASE WHEN c.is_final THEN NULL ELSE t.frozen_time END,
                       start_time = CASE WHEN c.status = 'running' THEN coalesce(t.start_time, clock_timestamp())
                                         ELSE t.start_time END,
                       end_time = CASE WHEN c.is_final THEN clock_timestamp() ELSE t.end_time END
    FROM unnest(%(task)s::bigint[], %(status)s::text[], %(is_final)s::boolean[]) AS c (jedi_task_id, status, is_final)
    WHERE t.jedi_task_id = c.jedi_task_id
)
INSERT INTO task_history (jedi_task_id, previous_status, status, who, reason)
SELECT jedi_task_id, before, after, 'task engine',
       CASE WHEN after = 'running' THEN 'its first job has ended' ELSE 'its last job has ended' END
FROM unnest(%(stepping)s::bigint[], %(before)s::text[], %(after)s::text[])
     WITH ORDINALITY AS s (jedi_task_id, before, after, step) ORDER BY step
"""
_LOOK_AT = "UPDATE tasks SET generate_at = clock_timestamp() WHERE jedi_task_id = ANY(%(ids)s)"


@dataclass
class _Counts:
    finished: int = 0
    failed: int = 0
    cancelled: int = 0
    files_finished: int = 0
    files_failed: int = 0
    files_ready: int = 0


def account_to_tasks(transaction: Transaction, ended: Sequence[Row]) -> None:
    """Count jobs that have just ended in their tasks, let their input follow, and end tasks that have nothing left.

    `ended`: panda_id, jedi_task_id, job_index, job_status and sub_status of each.
    """
    of_tasks = [row for row in ended if row["jedi_task_id"] is not None]
    if not of_tasks:
        return
    tasks = sorted({row["jedi_task_id"] for row in of_tasks})
    transaction.execute(_LOCK_TASKS, {"ids": tasks})
    apply_rules(transaction, [row for row in of_tasks if row["job_status"] == JobStatus.FAILED])
    files = transaction.fetch(
        _FILES,
        {
            "panda_ids": [row["panda_id"] for row in of_tasks],
            "statuses": [row["job_status"] for row in of_tasks],
            "returned": [_is_returned(row) for row in of_tasks],
        },
    )
    finished = [row for row in of_tasks if row["job_status"] == JobStatus.FINISHED and row["job_index"] > 0]
    if finished:
        made = {"panda_ids": [row["panda_id"] for row in finished], "tasks": [row["jedi_task_id"] for row in finished]}
        files += transaction.fetch(_TO_MERGE, made)
    unfinished = [row["panda_id"] for row in of_tasks if row["job_status"] != JobStatus.FINISHED]
    if unfinished:
        transaction.execute(_GIVE_BACK, {"panda_ids": unfinished})
    counts = _counted(of_tasks, files, _tasks_without_files(transaction, of_tasks))
    names = ("finished", "failed", "cancelled", "files_finished", "files_failed", "files_ready")
    values = {name: [getattr(counts[task], name) for task in tasks] for name in names}
    counted = transaction.fetch(_COUNT, {"task": tasks, **values})
    _settle(transaction, counted)


def _is_returned(row: Row) -> bool:
    """Whether the input of a job that did not run to its end goes to others: kill codes 2, 4, 8, 10, 51, 60."""
    is_closed = row["job_status"] == JobStatus.CLOSED and row["sub_status"] != TASK_DONE
    return is_closed or bool(row["sub_status"] == TO_REASSIGN)


def _tasks_without_files(transaction: Transaction, ended: list[Row]) -> set[int]:
    """Tasks from before files were kept."""
    numbered = sorted({row["jedi_task_id"] for row in ended if row["job_index"] > 0})
    return {row["jedi_task_id"] for row in transaction.fetch(_WITHOUT_FILES, {"ids": numbered})}


def _counted(ended: list[Row], files: list[Row], without_files: set[int]) -> dict[int, _Counts]:
    """Jobs and files by task; where there are no files every job stands for one, except a build job."""
    task_of = {row["panda_id"]: row["jedi_task_id"] for row in ended}
    counts: dict[int, _Counts] = {task: _Counts() for task in task_of.values()}
    for row in ended:
        entry = counts[row["jedi_task_id"]]
        stands_for_a_file = row["jedi_task_id"] in without_files and row["job_index"] > 0
        if row["job_status"] == JobStatus.FINISHED:
            entry.finished += 1
            entry.files_finished += stands_for_a_file
        elif row["job_status"] == JobStatus.FAILED:
            entry.failed += 1
            entry.files_failed += stands_for_a_file
        else:
            entry.cancelled += 1
    for file in files:
        entry = counts[task_of[file["panda_id"]]]
        entry.files_finished += file["is_master"] and file["status"] == "finished"
        entry.files_failed += file["is_master"] and file["status"] == "failed"
        entry.files_ready += file["status"] == "ready"
    return counts


def _settle(transaction: Transaction, counted: list[Row]) -> None:
    """Tasks whose first job ended run; tasks whose last one did end, unless there is input for more."""
    changes = {
        row["jedi_task_id"]: (TaskStatus(row["status"]), TaskStatus.RUNNING)
        for row in counted
        if not row["is_idle"] and row["status"] in (TaskStatus.REGISTERED, TaskStatus.READY)
    }
    idle = [row["jedi_task_id"] for row in counted if row["is_idle"]]
    to_look_at = []
    for task in transaction.fetch(_IDLE, {"ids": idle}) if idle else []:
        target = _end_of(task)
        if target is not None:
            changes[task["jedi_task_id"]] = (TaskStatus(task["status"]), target)
            continue
        if task["is_ready"]:
            to_look_at.append(task["jedi_task_id"])
        if task["status"] == TaskStatus.READY:
            changes[task["jedi_task_id"]] = (TaskStatus(task["status"]), TaskStatus.RUNNING)
    if to_look_at:
        transaction.execute(_LOOK_AT, {"ids": to_look_at})
    if changes:
        _change(transaction, changes)


def _change(transaction: Transaction, changes: Mapping[int, tuple[TaskStatus, TaskStatus]]) -> None:
    """Bring tasks from one status to another, with every stop between in their history."""
    ordered = sorted(changes)
    steps = [
        (task, before, after)
        for task in ordered
        for before, after in pairwise((changes[task][0], *way_of_task(*changes[task])))
    ]
    transaction.execute(
        _CHANGE,
        {
            "task": ordered,
            "status": [changes[task][1].value for task in ordered],
            "is_final": [changes[task][1] in FINAL_TASK_STATUSES for task in ordered],
            "stepping": [task for task, _, _ in steps],
            "before": [before.value for _, before, _ in steps],
            "after": [after.value for _, _, after in steps],
        },
    )


def _end_of(task: Row) -> TaskStatus | None:
    """The status in which a task without live jobs rests now; None while it stays as it is."""
    status = TaskStatus(task["status"])
    if status is TaskStatus.TOBROKEN:
        return TaskStatus.BROKEN
    if task["is_ready"]:
        return None
    if status is TaskStatus.ABORTING:
        return TaskStatus.ABORTED
    if status is TaskStatus.FINISHING:
        return final_status_of(task, task["parent_status"], by_command=True)
    if task["is_open"] or status not in _SETTLED_BY_COUNTS:
        return None
    target = final_status_of(task, task["parent_status"])
    return target if target is not status else None


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
