"""Changes the status of tasks: locked, checked against the table of transitions, with history. Knows no command and no job.

Nothing else may write `tasks.status` after a task was inserted, except statements that are built from the same table and
write the same history (the end of jobs, which counts and ends in one statement).
"""

from __future__ import annotations

from core.database import Row, Transaction
from core.errors import UnknownObject
from core.states import (
    FINAL_TASK_STATUSES,
    TASK_HOLDS,
    TASK_TRANSITIONS,
    TaskStatus,
    check_transition,
)
from core.text import clean

# primary key
_LOCK = "SELECT * FROM tasks WHERE jedi_task_id = %(id)s FOR UPDATE"

# primary key; a hold remembers where to go back to, a hold of a hold what the first one remembered
_CHANGE = """
UPDATE tasks SET
    status = %(status)s,
    old_status = CASE WHEN NOT %(is_hold)s THEN '' WHEN status = ANY(%(holds)s) THEN old_status ELSE status END,
    end_time = CASE WHEN %(is_final)s THEN clock_timestamp() END,
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
    """
    current = TaskStatus(lock_task(transaction, task_id)["status"])
    if current is target:
        return current
    check_transition(TASK_TRANSITIONS, current, target)
    transaction.execute(
        _CHANGE,
        {
            "id": task_id,
            "status": target.value,
            "is_hold": target in TASK_HOLDS,
            "holds": sorted(TASK_HOLDS),
            "is_final": target in FINAL_TASK_STATUSES,
        },
    )
    log_status(transaction, task_id, current.value, target.value, who=who, reason=reason)
    return current


def log_status(transaction: Transaction, task_id: int, previous: str, status: str, *, who: str, reason: str) -> None:
    """Write one row of history; `previous` is empty at the submission."""
    values = {"id": task_id, "previous": previous, "status": status, "who": clean(who, 255)}
    transaction.execute(_LOG, {**values, "reason": clean(reason, 500)})


def final_status(n_files: int, n_finished: int, parent: str = "") -> TaskStatus:
    """How a task ends whose input is through, by the counts of its master input (server-api.md 5.7, domain.md 3.3).

    `parent`: the status of the parent task, empty without one: what a parent did not make, its child cannot have got.
    """
    if n_finished <= 0 or parent in ("failed", "broken", "aborted"):
        return TaskStatus.FAILED
    is_complete = n_finished >= n_files and parent in ("", "done")
    return TaskStatus.DONE if is_complete else TaskStatus.FINISHED
