"""Ends tasks on request: kill, and finish with what is done. Knows jobs only through their kill codes."""

from __future__ import annotations

from core.database import Transaction
from core.states import AWAITING_PILOT, FINAL_TASK_STATUSES, TaskStatus
from core.taskbuffer.killing import Killer, kill_in
from core.taskengine.commands.answers import Done, counted
from core.taskengine.commands.locking import LockedTask
from core.taskengine.making.progress import recount
from core.taskengine.status import change_status, final_status, lock_task

KILLED_BY_ENGINE = 50
KILLED_BY_FORCE = 52
TASK_DONE = 55
"""Kill codes (server-api.md 5.4)."""

_NOT_KILLED = FINAL_TASK_STATUSES | {TaskStatus.ABORTING, TaskStatus.TOABORT, TaskStatus.PREPARED}


def kill(task: LockedTask) -> Done:
    """Kill the task, its jobs, and the tasks that hang on it; those whose jobs are all gone are aborted at once.

    Jobs on worker nodes end when their pilot reports next.
    """
    count = _kill_one(task, f"killed by {task.issuer.user_name}")
    for child in task.children:
        if child.status not in _NOT_KILLED:
            count += _kill_one(child, f"its parent, task {task.task_id}, was killed by {task.issuer.user_name}")
    return Done(counted(count, "job", "told to end")) if count else Done()


def _kill_one(task: LockedTask, reason: str) -> int:
    change_status(task.transaction, task.task_id, TaskStatus.ABORTING, who=task.issuer.user_name, reason=reason)
    count = end_jobs_of(task, task.panda_ids, KILLED_BY_ENGINE, f"task {task.task_id}: {reason}")
    settle(task.transaction, task.task_id)
    return count


def finish(task: LockedTask, soft: bool = False) -> Done:
    """End the task with what is done: at once, or (`soft`) when the jobs that pilots have are through."""
    reason = f"finished {'softly ' if soft else ''}by {task.issuer.user_name}"
    change_status(task.transaction, task.task_id, TaskStatus.FINISHING, who=task.issuer.user_name, reason=reason)
    panda_ids = task.jobs_in(AWAITING_PILOT) if soft else task.panda_ids
    code = TASK_DONE if soft else KILLED_BY_FORCE
    count = end_jobs_of(task, panda_ids, code, f"task {task.task_id}: {reason}")
    settle(task.transaction, task.task_id)
    return Done(counted(count, "job", "ended")) if count else Done()


def end_jobs_of(task: LockedTask, panda_ids: list[int], code: int, because: str, *, at_once: bool = False) -> int:
    """Kill jobs of a task for its issuer, whoever they belong to; returns how many ended or will."""
    killer = Killer(task.issuer.user_name, is_manager=True)
    return len(kill_in(task.transaction, panda_ids, killer, code, because=because, at_once=at_once))


# ix_jobs_live_task
_LIVE_JOB = "SELECT 1 FROM jobs_live WHERE jedi_task_id = %(id)s LIMIT 1"

# ix_task_files_status
_CLOSE_FILES = """
UPDATE task_files SET status = 'cancelled' WHERE jedi_task_id = %(id)s AND status IN ('ready', 'running')
"""

# primary key
_PARENT = """
SELECT p.status FROM tasks t JOIN tasks p ON p.jedi_task_id = t.parent_tid
WHERE t.jedi_task_id = %(id)s AND t.parent_tid <> t.jedi_task_id
"""


def settle(transaction: Transaction, task_id: int) -> TaskStatus:
    """End a task that is being closed once none of its jobs is live; returns the status it has then.

    Input that was not reached is cancelled: a later retry takes it up again.
    """
    row = lock_task(transaction, task_id)
    status = TaskStatus(row["status"])
    if status not in (TaskStatus.ABORTING, TaskStatus.FINISHING) or transaction.fetch_one(_LIVE_JOB, {"id": task_id}):
        return status
    transaction.execute(_CLOSE_FILES, {"id": task_id})
    progress = recount(transaction, task_id)
    parent = transaction.fetch_one(_PARENT, {"id": task_id})
    target = TaskStatus.ABORTED
    if status is TaskStatus.FINISHING:
        target = final_status(progress.n_files, progress.n_finished, "" if parent is None else parent["status"])
    change_status(transaction, task_id, target, who="task engine", reason="its last job has ended")
    return target
