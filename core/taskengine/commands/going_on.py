"""Opens input of a task again and lets the task go on to where jobs are made of it. Knows no command."""

from __future__ import annotations

from collections.abc import Sequence

from core.states import FINAL_TASK_STATUSES, TaskStatus
from core.taskengine.commands.answers import Done, counted
from core.taskengine.commands.locking import LockedTask
from core.taskengine.destination import awaits_destination
from core.taskengine.dialects.reading import definition_of
from core.taskengine.making.contents import feed_contents, waits_for_feeder
from core.taskengine.making.generation import generate_jobs
from core.taskengine.making.progress import recount
from core.taskengine.making.reopened import FAILED, open_again
from core.taskengine.status import change_status

REEXECUTABLE = (FINAL_TASK_STATUSES - {TaskStatus.BROKEN}) | {TaskStatus.EXHAUSTED}
"""Where input that is through may be taken up again, under other parameters too."""
_FROM_BEFORE_JOBS = REEXECUTABLE | {TaskStatus.ASSIGNING, TaskStatus.PENDING, TaskStatus.DEFINED}
"""Whence a task comes to where its destination is chosen."""


def reopen_failed(task: LockedTask, only_jobs: Sequence[int] | None = None) -> int:
    """Open what failed or was not reached, with as many attempts as the task allows; returns how many files."""
    return reopen(task, FAILED, definition_of(task.row).max_attempt, only_jobs=only_jobs)


def reopen(
    task: LockedTask,
    what: str,
    attempts: int,
    *,
    keeps_attempts: bool = True,
    only_jobs: Sequence[int] | None = None,
) -> int:
    """How many files; of a task with live jobs at once: these go on, and what they bring is not to be done once more."""
    return open_again(
        task.transaction,
        task.task_id,
        what,
        attempts=attempts,
        keeps_attempts=keeps_attempts,
        at_once=bool(task.jobs),
        only_jobs=only_jobs,
    )


# ix_task_datasets_task
_LISTED = "SELECT 1 FROM task_datasets WHERE jedi_task_id = %(id)s LIMIT 1"


def list_what_was_not(task: LockedTask) -> int:
    """List the input of a task that ended before that was begun, as one does that waited for tape; how many files."""
    if task.transaction.fetch_one(_LISTED, {"id": task.task_id}) is not None:
        return 0
    return feed_contents(task.transaction, task.task_id).rows


def go_on(task: LockedTask, via: tuple[TaskStatus, ...], reason: str) -> Done:
    """Bring a task to `ready`, or to where its input is listed, over the stops in `via`, and make jobs.

    Raises what making jobs raises.
    """
    for status in _way(task, via):
        change_status(task.transaction, task.task_id, status, who=task.issuer.user_name, reason=reason)
    recount(task.transaction, task.task_id)
    jobs = generate_jobs(task.transaction, task.task_id)
    return Done(counted(len(jobs), "job", "made"))


def _way(task: LockedTask, via: tuple[TaskStatus, ...]) -> tuple[TaskStatus, ...]:
    """To where jobs are made; first to where input is listed, when that was not done to its end, and to where the storage
    is chosen that collects the outputs."""
    is_listed = not waits_for_feeder(task.transaction, task.task_id)
    waits = is_listed and awaits_destination(task.transaction, task.row)
    if is_listed and not (waits and task.status in _FROM_BEFORE_JOBS):
        return (*via, TaskStatus.READY)
    last = (TaskStatus.ASSIGNING,) if waits else ()
    if task.status in REEXECUTABLE:
        return TaskStatus.TOINCEXEC, TaskStatus.REREFINE, TaskStatus.DEFINED, *last
    return last or (TaskStatus.DEFINED,)
