"""Who changed the state of a task, and when. Reads the history of tasks."""

from __future__ import annotations

from core.database import Row, Transaction

# ix_task_history_task, backwards through one task's steps
_STEP = """
SELECT time, who, reason, previous_status FROM task_history
WHERE jedi_task_id = %(task)s AND status = %(status)s ORDER BY history_id DESC LIMIT 1
"""


def last_task_step(transaction: Transaction, jedi_task_id: int, status: str) -> Row | None:
    """The last time a task came into `status`: time, who, reason, previous_status."""
    return transaction.fetch_one(_STEP, {"task": jedi_task_id, "status": str(status)})
