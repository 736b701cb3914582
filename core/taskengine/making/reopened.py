"""Opens input of a task again: what failed, or all of it. Knows no command and no job.

Of large tasks the command opens one page and the feeder the others: one statement for a million files would hold the task
and its jobs for half a minute. How far it has come stands in a row of `task_datasets` of its own, like the one that stands
for the parent: while that is to be fed, nobody takes the task for idle.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from core.database import Row, Transaction
from core.taskengine.making.progress import recount
from core.taskengine.making.streams import COMPLETE, PARENT, TO_BE_FED
from core.taskengine.on_tape import hold_opened
from core.taskengine.status import lock_task

FAILED, ALL = "failed", "all"
"""What is opened: files that failed or were not reached; or those that are through as well."""
_STATUSES = {FAILED: ["failed", "cancelled"], ALL: ["finished", "failed", "cancelled"]}
_TYPES = {FAILED: ["input", "pseudo_input", "merge_input"], ALL: ["input", "pseudo_input"]}
_MARKER = "reopened"
"""Type and name of the row of `task_datasets`; its `feed_cursor` is the last file that was looked at."""
FILES_PER_PAGE = 20_000

_SELECTED = """
f.jedi_task_id = %(task_id)s AND f.status = ANY(%(statuses)s) AND d.dataset_id = f.dataset_id AND d.type = ANY(%(types)s)
AND (%(only_jobs)s::bigint[] IS NULL OR f.panda_id = ANY(%(only_jobs)s::bigint[]))
"""
# ix_task_files_status, ix_task_datasets_task
_BOUNDS = f"""
SELECT count(*) AS files, min(f.file_id) - 1 AS after, max(f.file_id) AS last
FROM task_files f, task_datasets d WHERE {_SELECTED} AND d.jedi_task_id = %(task_id)s
"""
# primary key of a page of files; what failed may be tried as often as at first, what is done anew counts its attempts anew
_OPEN = f"""
UPDATE task_files f SET status = 'ready', failed_attempt = 0,
    attempt_nr = CASE WHEN %(keeps)s THEN f.attempt_nr ELSE 0 END,
    max_attempt = CASE WHEN %(what)s = 'failed' THEN f.attempt_nr + greatest(1, f.max_attempt - f.attempt_nr, %(attempts)s)
                       WHEN %(keeps)s THEN f.attempt_nr + %(attempts)s ELSE %(attempts)s END
FROM task_datasets d WHERE {_SELECTED} AND f.file_id > %(after)s AND f.file_id <= %(upto)s
"""
# ix_task_datasets_task
_FORGET = "DELETE FROM task_datasets WHERE jedi_task_id = %(task_id)s AND type = %(type)s"
_FOLLOWS = "SELECT 1 FROM task_datasets WHERE jedi_task_id = %(task_id)s AND type = %(type)s AND status <> %(complete)s"
_BEGIN = """
INSERT INTO task_datasets (jedi_task_id, name, stream, type, status, feed_cursor, attributes)
VALUES (%(task_id)s, %(type)s, %(type)s, %(type)s, %(status)s, %(cursor)s, %(attributes)s::jsonb)
"""
_PENDING = "SELECT * FROM task_datasets WHERE jedi_task_id = %(task_id)s AND type = %(type)s"
# primary key
_MOVE = "UPDATE task_datasets SET feed_cursor = %(cursor)s WHERE dataset_id = %(dataset_id)s"


def open_again(
    transaction: Transaction,
    task_id: int,
    what: str,
    *,
    attempts: int,
    keeps_attempts: bool = True,
    at_once: bool = False,
    only_jobs: Sequence[int] | None = None,
) -> int:
    """Make `what` is through of a task ready again, or begin to; returns how many files that concerns.

    `attempts`: how often each may be tried then. More than a page are gone on with by the feeder; not so `at_once`, for tasks
    with live jobs, whose files would be through meanwhile, nor while the parent of the task works, which feeds it in its own
    way. `only_jobs`: of all these only what one of these jobs had last; not for so many that it takes pages. The caller holds
    the task.
    """
    rule = {"what": what, "attempts": attempts, "keeps": keeps_attempts}
    only = {"only_jobs": None if only_jobs is None else list(only_jobs)}
    if only_jobs is None:  # a part leaves alone what another command is about to open
        transaction.execute(_FORGET, {"task_id": task_id, "type": _MARKER})
    values = {"task_id": task_id, "statuses": _STATUSES[what], "types": _TYPES[what], **only}
    [found] = transaction.fetch(_BOUNDS, values)
    if not found["files"]:
        return 0
    parent = transaction.fetch_one(_FOLLOWS, {"task_id": task_id, "type": PARENT, "complete": COMPLETE})
    if at_once or only_jobs is not None or parent is not None or found["files"] <= FILES_PER_PAGE:
        _open(transaction, task_id, {**rule, **only}, found["after"], found["last"])
    else:
        begin = {"type": _MARKER, "status": TO_BE_FED, "attributes": json.dumps({**rule, "last": found["last"]})}
        transaction.execute(_BEGIN, {"task_id": task_id, "cursor": found["after"], **begin})
        go_on_opening(transaction, task_id)
    return int(found["files"])


def go_on_opening(transaction: Transaction, task_id: int) -> bool:
    """Open the next page of what a command began to; whether all of it is open. The caller holds the task."""
    pending = transaction.fetch_one(_PENDING, {"task_id": task_id, "type": _MARKER})
    if pending is None:
        return True
    rule: Row = pending["attributes"]
    upto = min(rule["last"], pending["feed_cursor"] + FILES_PER_PAGE)
    _open(transaction, task_id, rule, pending["feed_cursor"], upto)
    if upto < rule["last"]:
        transaction.execute(_MOVE, {"cursor": upto, "dataset_id": pending["dataset_id"]})
        return False
    transaction.execute(_FORGET, {"task_id": task_id, "type": _MARKER})
    recount(transaction, task_id)
    return True


def _open(transaction: Transaction, task_id: int, rule: Row, after: int, upto: int) -> None:
    what = rule["what"]
    selected = {
        "task_id": task_id,
        "statuses": _STATUSES[what],
        "types": _TYPES[what],
        "only_jobs": rule.get("only_jobs"),
    }
    transaction.execute(_OPEN, {**rule, **selected, "after": after, "upto": upto})
    hold_opened(transaction, lock_task(transaction, task_id), after, upto)
