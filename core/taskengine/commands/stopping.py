"""Ends tasks on request: kill, and finish with what is done. Knows jobs only through their kill codes."""

from __future__ import annotations

from core.states import AWAITING_PILOT, FINAL_TASK_STATUSES, TaskStatus
from core.taskbuffer.killing import Killer, kill_in
from core.taskengine.commands.answers import Done, counted
from core.taskengine.commands.locking import LockedTask
from core.taskengine.making.closing import settle
from core.taskengine.status import change_status

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
