"""Tasks whose input another task makes: they wait for it, or take its files as they come (domain.md 3.9). Knows no HTTP."""

from __future__ import annotations

from core.database import Database, Row, Transaction
from core.errors import UnknownObject
from core.states import FINAL_TASK_STATUSES, TaskStatus
from core.taskengine.dialects.reading import effective_parameters
from core.taskengine.following import (
    Look,
    begin_following,
    end_following,
    follow_each,
    hold_until_it_comes,
    read_to_the_end,
    say,
    take_what_is_there,
)
from core.taskengine.making.closing import settle
from core.taskengine.making.streams import FOLLOWS_PARENT, PARENT, TO_BE_FED
from core.taskengine.status import change_status

_CAME = "its parent made input"

PARENTS_THAT_STOP = frozenset({"failed", "broken", "aborted"})
PARENTS_THAT_WORK = frozenset(status.value for status in TaskStatus) - frozenset(
    status.value for status in FINAL_TASK_STATUSES
)

# primary keys
_PARENT_OF = """
SELECT p.status FROM tasks t JOIN tasks p ON p.jedi_task_id = t.parent_tid
WHERE t.jedi_task_id = %(id)s AND t.parent_tid <> t.jedi_task_id
"""

# ix_task_datasets_following, which holds those that follow now and none of former times; primary keys of tasks
_CHILDREN = f"""
SELECT t.jedi_task_id, p.status AS parent_status
FROM task_datasets d JOIN tasks t USING (jedi_task_id) JOIN tasks p ON p.jedi_task_id = t.parent_tid
WHERE d.type = '{PARENT}' AND d.status IN ('{FOLLOWS_PARENT}', '{TO_BE_FED}') AND d.jedi_task_id > %(after)s
  AND NOT t.status = ANY(%(final)s)
ORDER BY d.jedi_task_id LIMIT %(page)s
"""


def wait_for_parent(transaction: Transaction, task_id: int, *, waits: bool) -> None:
    """Let a new task follow its parent: `waits` until that has ended, or take what is there already."""
    begin_following(transaction, task_id)
    if waits or not _take_what_it_made(transaction, task_id):
        dialog = "waiting for the parent task to make its input"
        hold_until_it_comes(transaction, task_id, reason="waits for its parent", dialog=dialog)


def follow_again(transaction: Transaction, task_id: int) -> bool:
    """Let a task that is taken up again follow its parent if that works again too; whether it follows now.

    Else it would take what is there at that moment for all there is. The caller holds the task.
    """
    parent = transaction.fetch_one(_PARENT_OF, {"id": task_id})
    if parent is None or parent["status"] not in PARENTS_THAT_WORK:
        return False
    begin_following(transaction, task_id)
    return True


def follow_parents(database: Database, *, page: int = 500) -> int:
    """Give children what their parents made; returns how many tasks changed. `page`: tasks in one question."""
    return follow_each(database, _CHILDREN, lambda child: _look_at(child["parent_status"]), page=page, whom="parent")


def _look_at(parent_status: str) -> Look:
    def look(transaction: Transaction, task: Row) -> bool:
        if parent_status in PARENTS_THAT_STOP:
            return _stop(transaction, task, parent_status)
        if parent_status in PARENTS_THAT_WORK:
            if not effective_parameters(task).get("noWaitParent"):
                return False
            return _take_what_it_made(transaction, task["jedi_task_id"])
        return read_to_the_end(transaction, task, because=_CAME)

    return look


def _take_what_it_made(transaction: Transaction, task_id: int) -> bool:
    """Whether anything of a parent that works came; one that waits itself has not registered yet what it will make."""
    try:
        with transaction.savepoint():
            return take_what_is_there(transaction, task_id, because=_CAME)
    except UnknownObject:
        return False


def _stop(transaction: Transaction, task: Row, parent_status: str) -> bool:
    """Jobs that run already end by themselves; the last one ends the task as failed (server-api.md 5.7)."""
    task_id, reason = task["jedi_task_id"], f"its parent, task {task['parent_tid']}, is {parent_status}"
    end_following(transaction, task_id)
    say(transaction, task_id, reason)
    change_status(transaction, task_id, TaskStatus.FINISHING, who="task engine", reason=reason)
    settle(transaction, task_id)
    return True
