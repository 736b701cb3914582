"""Tasks whose input another task makes: they wait for it, or take its files as they come (domain.md 3.9). Knows no HTTP.

An input dataset is `mutable` while the parent works; that keeps the child open when its jobs so far have ended.
"""

from __future__ import annotations

import logging

import psycopg2

from core.database import Database, Row, Transaction
from core.errors import PandaError, Unavailable
from core.states import FINAL_TASK_STATUSES, GENERATING_TASK_STATUSES, TaskStatus
from core.taskengine.dialects.reading import effective_parameters
from core.taskengine.making.closing import settle
from core.taskengine.making.contents import feed_contents
from core.taskengine.making.generation import generate_jobs
from core.taskengine.making.streams import COMPLETE, FOLLOWS_PARENT, PARENT, TO_BE_FED
from core.taskengine.status import change_status, lock_task
from core.text import clean

log = logging.getLogger("panda.taskengine")

PARENTS_THAT_STOP = frozenset({"failed", "broken", "aborted"})
PARENTS_THAT_WORK = frozenset(status.value for status in TaskStatus) - frozenset(
    status.value for status in FINAL_TASK_STATUSES
)

_MARKER = """
INSERT INTO task_datasets (jedi_task_id, name, stream, type, status)
VALUES (%(id)s, %(type)s, 'PARENT', %(type)s, %(status)s)
"""
_DIALOG = "UPDATE tasks SET error_dialog = %(text)s WHERE jedi_task_id = %(id)s"
# ix_task_datasets_task
_MARK = "UPDATE task_datasets SET status = %(status)s WHERE jedi_task_id = %(id)s AND type = 'parent'"
_IS_LAST_READING = """
SELECT 1 FROM task_datasets WHERE jedi_task_id = %(id)s AND type = 'parent' AND status = %(status)s
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
    transaction.execute(_MARKER, {"id": task_id, "type": PARENT, "status": FOLLOWS_PARENT})
    if not waits and _feed_what_is_there(transaction, task_id):
        return
    change_status(transaction, task_id, TaskStatus.PENDING, who="task engine", reason="waits for its parent")
    transaction.execute(_DIALOG, {"id": task_id, "text": "waiting for the parent task to make its input"})


def follow_parents(database: Database, *, page: int = 500) -> int:
    """Give children what their parents made; returns how many tasks changed. `page`: tasks in one question."""
    final = [status.value for status in FINAL_TASK_STATUSES]
    values = {"final": final, "page": page}
    changed, after = 0, 0
    # page by page: those whose parents take long must not hide the others
    while children := database.fetch(_CHILDREN, {**values, "after": after}):
        changed += sum(_follow(database, child["jedi_task_id"], child["parent_status"]) for child in children)
        after = children[-1]["jedi_task_id"]
    return changed


def _follow(database: Database, task_id: int, parent_status: str) -> bool:
    try:
        with database.transaction() as transaction:
            task = lock_task(transaction, task_id)
            if TaskStatus(task["status"]) not in GENERATING_TASK_STATUSES | {TaskStatus.PENDING}:
                return False
            if parent_status in PARENTS_THAT_STOP:
                return _stop(transaction, task, parent_status)
            if parent_status in PARENTS_THAT_WORK:
                waits = not effective_parameters(task).get("noWaitParent")
                return False if waits else _feed_what_is_there(transaction, task_id)
            return _parent_has_ended(transaction, task)
    except Unavailable:
        raise
    except PandaError as error:
        return _break(database, task_id, str(error))
    except psycopg2.OperationalError as error:  # the database's trouble: the child is looked at again in the next cycle
        log.warning("task %s cannot follow its parent now: %s", task_id, error)
        return False
    except Exception as error:  # one child must not keep the others from their input
        log.exception("task %s cannot follow its parent", task_id)
        return _break(database, task_id, f"an error of the system: {type(error).__name__}: {error}")


def _feed_what_is_there(transaction: Transaction, task_id: int) -> bool:
    if not feed_contents(transaction, task_id, further=True).rows:
        return False
    task = lock_task(transaction, task_id)
    if task["status"] not in GENERATING_TASK_STATUSES | {TaskStatus.PENDING}:
        return True
    _wake(transaction, task)
    generate_jobs(transaction, task_id)
    return True


def _parent_has_ended(transaction: Transaction, task: Row) -> bool:
    """Read all that it made once more from the beginning, page by page: what two wrote at once may stand out of order."""
    task_id = task["jedi_task_id"]
    is_last = transaction.fetch_one(_IS_LAST_READING, {"id": task_id, "status": TO_BE_FED}) is not None
    fed = feed_contents(transaction, task_id, again=not is_last)
    if not fed.is_complete:
        transaction.execute(_MARK, {"id": task_id, "status": TO_BE_FED})
        return True
    transaction.execute(_MARK, {"id": task_id, "status": COMPLETE})
    _wake(transaction, task)
    generate_jobs(transaction, task_id)
    return True


def _wake(transaction: Transaction, task: Row) -> None:
    if task["status"] == TaskStatus.PENDING:
        reason = "its parent made input"
        change_status(transaction, task["jedi_task_id"], TaskStatus.READY, who="task engine", reason=reason)
        transaction.execute(_DIALOG, {"id": task["jedi_task_id"], "text": ""})


def _stop(transaction: Transaction, task: Row, parent_status: str) -> bool:
    """Jobs that run already end by themselves; the last one ends the task as failed (server-api.md 5.7)."""
    task_id, reason = task["jedi_task_id"], f"its parent, task {task['parent_tid']}, is {parent_status}"
    transaction.execute(_MARK, {"id": task_id, "status": COMPLETE})
    transaction.execute(_DIALOG, {"id": task_id, "text": reason})
    change_status(transaction, task_id, TaskStatus.FINISHING, who="task engine", reason=reason)
    settle(transaction, task_id)
    return True


def _break(database: Database, task_id: int, error: str) -> bool:
    """What a parent made cannot be used: said on the task, which nobody could mend while it waits."""
    log.warning("task %s cannot use what its parent made: %s", task_id, error)
    with database.transaction() as transaction:
        task = lock_task(transaction, task_id)
        transaction.execute(_MARK, {"id": task_id, "status": COMPLETE})
        transaction.execute(_DIALOG, {"id": task_id, "text": clean(error, 510)})
        if task["status"] == TaskStatus.PENDING:
            change_status(transaction, task_id, TaskStatus.BROKEN, who="task engine", reason=clean(error, 500))
    return True
