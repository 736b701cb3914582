"""Changes the status of tasks: locked, checked against the table of transitions, with history. Knows no command and no job.

Nothing else may write `tasks.status` after a task was inserted, except statements that are built from the same table and
write the same history (the end of jobs, which counts and ends in one statement).
"""

from __future__ import annotations

from itertools import pairwise

from core.database import Row, Transaction
from core.errors import UnknownObject
from core.states import (
    FINAL_TASK_STATUSES,
    GENERATING_TASK_STATUSES,
    TASK_HOLDS,
    TASK_TRANSITIONS,
    TaskStatus,
    check_transition,
    way_of_task,
)
from core.task_ends import final_status
from core.text import clean

__all__ = [
    "break_task",
    "change_status",
    "exhaust_task",
    "final_status",
    "lock_task",
    "log_status",
    "meet_obstacle",
    "wake",
]

_BEGUN = frozenset({TaskStatus.SCOUTING, TaskStatus.RUNNING})
"""A task that comes here has begun, if it had not before."""

# primary key
_LOCK = "SELECT * FROM tasks WHERE jedi_task_id = %(id)s FOR UPDATE"

# primary key; a hold remembers where to go back to, a hold of a hold what the first one remembered; whatever lets a task
# make jobs has the generator look at it
_CHANGE = """
UPDATE tasks SET
    status = %(status)s,
    old_status = CASE WHEN NOT %(is_hold)s THEN '' WHEN status = ANY(%(holds)s) THEN old_status ELSE status END,
    start_time = CASE WHEN %(has_begun)s THEN coalesce(start_time, clock_timestamp()) ELSE start_time END,
    end_time = CASE WHEN %(is_final)s THEN clock_timestamp() END,
    generate_at = CASE WHEN %(is_generating)s THEN clock_timestamp() ELSE generate_at END,
    next_try_time = CASE WHEN %(is_hold)s THEN next_try_time END,
    frozen_time = CASE WHEN %(is_final)s THEN NULL ELSE frozen_time END,
    modification_time = clock_timestamp()
WHERE jedi_task_id = %(id)s
"""

_LOG = """
INSERT INTO task_history (jedi_task_id, previous_status, status, who, reason)
VALUES (%(id)s, %(previous)s, %(status)s, %(who)s, %(reason)s)
"""


def lock_task(transaction: Transaction, task_id: int) -> Row:
    """The row of a task, locked until the transaction ends. Raises UnknownObject.

    Whoever needs live jobs of the task too locks them first, in order of PandaID, as every ending does.
    """
    row = transaction.fetch_one(_LOCK, {"id": task_id})
    if row is None:
        raise UnknownObject(f"there is no task {task_id}", field="task_id", remedy="see `panda tasks`")
    return row


def change_status(transaction: Transaction, task_id: int, target: TaskStatus, *, who: str, reason: str) -> TaskStatus:
    """Bring a task to `target` and return the status it came from.

    `who`: the user or the agent that wants it. Raises UnknownObject, and IllegalTransition when the table
    (server-api.md 5.7) does not know the step; nothing is changed then. A task that is there already stays as it is.
    Stops on the way, as upstream has them, stand in the history.
    """
    current = TaskStatus(lock_task(transaction, task_id)["status"])
    if current is target:
        return current
    steps = (current, *way_of_task(current, target))
    for before, after in pairwise(steps):
        check_transition(TASK_TRANSITIONS, before, after)
    transaction.execute(
        _CHANGE,
        {
            "id": task_id,
            "status": target.value,
            "is_hold": target in TASK_HOLDS,
            "holds": sorted(TASK_HOLDS),
            "has_begun": target in _BEGUN,
            "is_final": target in FINAL_TASK_STATUSES,
            "is_generating": target in GENERATING_TASK_STATUSES,
        },
    )
    for before, after in pairwise(steps):
        log_status(transaction, task_id, before.value, after.value, who=who, reason=reason)
    return current


def log_status(transaction: Transaction, task_id: int, previous: str, status: str, *, who: str, reason: str) -> None:
    """Write one row of history; `previous` is empty at the submission."""
    values = {"id": task_id, "previous": previous, "status": status, "who": clean(who, 255)}
    transaction.execute(_LOG, {**values, "reason": clean(reason, 500)})


# primary key
_WAKE = "UPDATE tasks SET generate_at = clock_timestamp() WHERE jedi_task_id = %(id)s"


def wake(transaction: Transaction, task_id: int) -> None:
    """Have the generator look at a task as soon as it can; for whoever made input ready, in the same transaction."""
    transaction.execute(_WAKE, {"id": task_id})


# primary key; frozen since the first obstacle that no job came after
_OBSTACLE = """
UPDATE tasks SET error_dialog = %(text)s, generate_at = NULL, frozen_time = coalesce(frozen_time, clock_timestamp()),
                 next_try_time = clock_timestamp() + make_interval(secs => %(retry_s)s)
WHERE jedi_task_id = %(id)s
"""


def meet_obstacle(
    transaction: Transaction,
    task_id: int,
    reason: str,
    *,
    who: str,
    retry_s: float,
    status: TaskStatus = TaskStatus.PENDING,
) -> None:
    """Hold a task for a while as `pending` or `throttled`, with the reason people read (domain.md 3.3).

    `retry_s`: seconds until the watchdog lets it go on. Raises what `change_status` raises.
    """
    change_status(transaction, task_id, status, who=who, reason=reason)
    transaction.execute(_OBSTACLE, {"id": task_id, "text": clean(reason, 510), "retry_s": retry_s})


# primary key
_SAY = "UPDATE tasks SET error_dialog = %(text)s, generate_at = NULL WHERE jedi_task_id = %(id)s"


def exhaust_task(transaction: Transaction, task_id: int, reason: str, *, who: str) -> None:
    """Go no further with a task until a person decides, with the reason people read. Raises what `change_status` raises."""
    change_status(transaction, task_id, TaskStatus.EXHAUSTED, who=who, reason=reason)
    transaction.execute(_SAY, {"id": task_id, "text": clean(reason, 510)})


# ix_jobs_live_task
_LIVE_JOB = "SELECT 1 FROM jobs_live WHERE jedi_task_id = %(id)s LIMIT 1"


def break_task(transaction: Transaction, task_id: int, reason: str, *, who: str) -> None:
    """Give a task up whose definition or input cannot be used: tobroken, and broken once no job of it is live.

    The reason is what people read; nothing happens to a task that has ended or is being closed.
    """
    status = TaskStatus(lock_task(transaction, task_id)["status"])
    if TaskStatus.TOBROKEN not in TASK_TRANSITIONS[status]:
        return
    change_status(transaction, task_id, TaskStatus.TOBROKEN, who=who, reason=reason)
    transaction.execute(_SAY, {"id": task_id, "text": clean(reason, 510)})
    if transaction.fetch_one(_LIVE_JOB, {"id": task_id}) is None:
        change_status(transaction, task_id, TaskStatus.BROKEN, who=who, reason=reason)
