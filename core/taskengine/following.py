"""Takes the input of a task as somebody makes it, and the rest when no more comes. Knows the marker, not who makes what.

The marker is a row of `task_datasets`: while it is `mutable` the task stays open though its jobs so far have ended.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import psycopg2

from core.database import Database, Row, Transaction
from core.errors import PandaError, Unavailable
from core.states import FINAL_TASK_STATUSES, GENERATING_TASK_STATUSES, TaskStatus
from core.taskengine.destination import listed
from core.taskengine.making.contents import feed_contents
from core.taskengine.making.generation import generate_jobs
from core.taskengine.making.streams import COMPLETE, FOLLOWS_PARENT, PARENT, TO_BE_FED
from core.taskengine.status import change_status, lock_task
from core.text import clean

log = logging.getLogger("panda.taskengine")

Look = Callable[[Transaction, Row], bool]
"""Looks at a task that follows (its row is locked) and says whether anything changed."""

_WAITING = "waiting for"
"""How the dialog of every task begins that `hold_until_it_comes`."""

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


def begin_following(transaction: Transaction, task_id: int) -> None:
    """Leave the marker, or set it again: input of the task is still to come."""
    values = {"id": task_id, "type": PARENT, "status": FOLLOWS_PARENT}
    if not transaction.execute(_MARK, values):
        transaction.execute(_MARKER, values)


def end_following(transaction: Transaction, task_id: int) -> None:
    """No more input is waited for."""
    transaction.execute(_MARK, {"id": task_id, "status": COMPLETE})


def hold_until_it_comes(transaction: Transaction, task_id: int, *, reason: str, dialog: str) -> None:
    """Make a task pending that has no input yet; `reason` for its history, `dialog` for its owner."""
    change_status(transaction, task_id, TaskStatus.PENDING, who="task engine", reason=reason)
    say(transaction, task_id, dialog)


def say(transaction: Transaction, task_id: int, text: str) -> None:
    """What the owner of a task reads about it."""
    transaction.execute(_DIALOG, {"id": task_id, "text": clean(text, 510)})


def take_what_is_there(transaction: Transaction, task_id: int, *, because: str) -> bool:
    """Make jobs of what came since the last look; whether anything did. `because`: for the history of a task that waited."""
    if not feed_contents(transaction, task_id, further=True).rows:
        return False
    task = lock_task(transaction, task_id)
    if task["status"] not in GENERATING_TASK_STATUSES | {TaskStatus.PENDING}:
        return True
    _go_on(transaction, task, because)
    return True


def read_to_the_end(transaction: Transaction, task: Row, *, because: str) -> bool:
    """Read all of it once more from the beginning, page by page, for no more comes; a page at each call.

    What two wrote at once may stand out of order, so the cursor alone could have passed some.
    """
    task_id = task["jedi_task_id"]
    is_last = transaction.fetch_one(_IS_LAST_READING, {"id": task_id, "status": TO_BE_FED}) is not None
    fed = feed_contents(transaction, task_id, again=not is_last)
    if not fed.is_complete:
        transaction.execute(_MARK, {"id": task_id, "status": TO_BE_FED})
        return True
    end_following(transaction, task_id)
    _go_on(transaction, task, because)
    return True


def _go_on(transaction: Transaction, task: Row, because: str) -> None:
    if task["status"] == TaskStatus.PENDING:
        listed(transaction, task["jedi_task_id"], who="task engine", reason=because)
    if task["status"] == TaskStatus.PENDING or task["error_dialog"].startswith(_WAITING):
        # commands may have taken it out of its wait before
        say(transaction, task["jedi_task_id"], "")
    generate_jobs(transaction, task["jedi_task_id"])


def follow_each(database: Database, statement: str, look: Callable[[Row], Look], *, page: int, whom: str) -> int:
    """Look at all tasks of a statement, page by page in order of their ids; returns how many changed.

    Those that take long must not hide the others, and one that cannot be used must not keep others from their input:
    it is broken with the reason if it waits, and follows nobody any more. `statement` takes `after`, `page` and `final`;
    `whom`: whom they follow, for the log. Raises Unavailable.
    """
    values = {"final": [status.value for status in FINAL_TASK_STATUSES], "page": page}
    changed, after = 0, 0
    while rows := database.fetch(statement, {**values, "after": after}):
        changed += sum(_follow(database, row["jedi_task_id"], look(row), whom) for row in rows)
        after = rows[-1]["jedi_task_id"]
    return changed


def _follow(database: Database, task_id: int, look: Look, whom: str) -> bool:
    try:
        with database.transaction() as transaction:
            task = lock_task(transaction, task_id)
            if TaskStatus(task["status"]) not in GENERATING_TASK_STATUSES | {TaskStatus.PENDING}:
                return False
            return look(transaction, task)
    except Unavailable:
        raise
    except PandaError as error:
        return _break(database, task_id, str(error), whom)
    except psycopg2.OperationalError as error:  # the database's trouble: the task is looked at again in the next cycle
        log.warning("task %s cannot follow its %s now: %s", task_id, whom, error)
        return False
    except Exception as error:  # one task must not keep the others from their input
        log.exception("task %s cannot follow its %s", task_id, whom)
        return _break(database, task_id, f"an error of the system: {type(error).__name__}: {error}", whom)


def _break(database: Database, task_id: int, error: str, whom: str) -> bool:
    """What came cannot be used: said on the task, which nobody could mend while it waits."""
    log.warning("task %s cannot use what came from its %s: %s", task_id, whom, error)
    with database.transaction() as transaction:
        task = lock_task(transaction, task_id)
        end_following(transaction, task_id)
        say(transaction, task_id, error)
        if task["status"] == TaskStatus.PENDING:
            change_status(transaction, task_id, TaskStatus.BROKEN, who="task engine", reason=clean(error, 500))
    return True
