"""Holds back the jobs of a task that wait for a pilot, and lets them go again. Knows no command."""

from __future__ import annotations

from core.states import JobStatus
from core.taskbuffer.account_holds import hold_back
from core.taskbuffer.task_accounts import run_tasks_of
from core.taskbuffer.transitions import advance_jobs
from core.taskengine.commands.locking import LockedTask

# primary key; what its owner's limits hold has a sub status (core/taskbuffer/user_caps.py), and is not for a task to let go
_HELD = """
SELECT panda_id FROM jobs_live WHERE panda_id = ANY(%(panda_ids)s) AND job_sub_status <> 'userCap' ORDER BY panda_id
"""


def hold_jobs(task: LockedTask) -> int:
    """Throttle what is activated; returns how many jobs."""
    reason = f"task paused by {task.issuer.user_name}"
    return len(advance_jobs(task.transaction, task.panda_ids, JobStatus.THROTTLED, reason=reason))


def release_jobs(task: LockedTask) -> int:
    """Activate what the pause throttled, a ready task runs then; returns how many jobs."""
    held = [
        row["panda_id"] for row in task.transaction.fetch(_HELD, {"panda_ids": task.jobs_in({JobStatus.THROTTLED})})
    ]
    reason = f"task resumed by {task.issuer.user_name}"
    released = advance_jobs(task.transaction, held, JobStatus.ACTIVATED, reason=reason)
    run_tasks_of(task.transaction, released)
    hold_back(task.transaction, released)
    return len(released)
