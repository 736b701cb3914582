"""Ends tasks that have nothing left to do, and tasks that are being closed. Knows no command.

Whoever ends the last job of a task ends it in that statement (core.taskbuffer.task_accounts); here is what no job ends.
"""

from __future__ import annotations

from core.database import Row, Transaction
from core.dataservice.staging import HELD
from core.states import GENERATING_TASK_STATUSES, TaskStatus
from core.task_ends import final_status_of
from core.taskengine.making.progress import recount
from core.taskengine.making.streams import FOLLOWS_PARENT, TO_BE_FED
from core.taskengine.status import change_status, lock_task, wake

FILES_PER_PAGE = 50_000
"""Files that are closed in one transaction: a task may have millions."""

# ix_jobs_live_task; ix_task_datasets_task; ix_task_files_status
_IS_IDLE = """
SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM jobs_live WHERE jedi_task_id = %(id)s)
  AND NOT EXISTS (SELECT 1 FROM task_datasets WHERE jedi_task_id = %(id)s AND status = ANY(%(open)s))
  AND NOT EXISTS (SELECT 1 FROM task_files WHERE jedi_task_id = %(id)s AND status = 'staging')
"""
_LIVE_JOB = "SELECT 1 FROM jobs_live WHERE jedi_task_id = %(id)s LIMIT 1"

# ix_task_datasets_task, ix_task_files_status; input of jobs that are live follows their end
_CLOSE_FILES = """
UPDATE task_files SET status = 'cancelled' WHERE file_id IN (
    SELECT f.file_id FROM task_files f JOIN task_datasets d USING (dataset_id)
    WHERE f.jedi_task_id = %(id)s AND f.status = ANY(%(statuses)s) AND d.jedi_task_id = %(id)s
      AND (d.type IN ('input', 'pseudo_input') AND d.is_master OR d.type = 'merge_input')
    LIMIT %(page)s
)
"""
# ix_task_datasets_task, ix_task_files_status
_MERGES = """
SELECT s.status FROM task_datasets d CROSS JOIN unnest(ARRAY['finished', 'failed', 'cancelled']) AS s (status)
CROSS JOIN LATERAL (SELECT 1 FROM task_files f
    WHERE f.jedi_task_id = %(id)s AND f.status = s.status AND f.dataset_id = d.dataset_id
    ORDER BY f.position LIMIT 1) AS first
WHERE d.jedi_task_id = %(id)s AND d.type = 'merge_input'
"""
# primary key
_PARENT = """
SELECT p.status FROM tasks t JOIN tasks p ON p.jedi_task_id = t.parent_tid
WHERE t.jedi_task_id = %(id)s AND t.parent_tid <> t.jedi_task_id
"""


def end_if_idle(transaction: Transaction, task: Row) -> None:
    """End a task, which has no ready input, unless it has live jobs or input that is still to come."""
    task_id = task["jedi_task_id"]
    if TaskStatus(task["status"]) not in GENERATING_TASK_STATUSES:
        return
    if transaction.fetch_one(_IS_IDLE, {"id": task_id, "open": [FOLLOWS_PARENT, TO_BE_FED]}) is None:
        return
    target = _final_status(transaction, task_id)
    change_status(transaction, task_id, target, who="task engine", reason="there is nothing left to do")


def settle(transaction: Transaction, task_id: int) -> TaskStatus:
    """Bring a task that is being closed nearer to its end; returns the status it has then.

    Input that was not reached is cancelled: a later retry takes it up again. Of large tasks that takes several calls, which
    the generator makes; the end comes when none is left and no job is live.
    """
    row = lock_task(transaction, task_id)
    status = TaskStatus(row["status"])
    if status not in (TaskStatus.ABORTING, TaskStatus.FINISHING):
        return status
    is_live = transaction.fetch_one(_LIVE_JOB, {"id": task_id}) is not None
    # without live jobs nothing can be running: such files would be left over from a defect
    statuses = ["ready", HELD] if is_live else ["ready", HELD, "running"]
    closed = transaction.execute(_CLOSE_FILES, {"id": task_id, "statuses": statuses, "page": FILES_PER_PAGE})
    if closed >= FILES_PER_PAGE:
        wake(transaction, task_id)
        return status
    if is_live:
        return status
    target = TaskStatus.ABORTED
    if status is TaskStatus.FINISHING:
        target = _final_status(transaction, task_id, by_command=True)
    else:
        recount(transaction, task_id)
    change_status(transaction, task_id, target, who="task engine", reason="its last job has ended")
    return target


def _final_status(transaction: Transaction, task_id: int, *, by_command: bool = False) -> TaskStatus:
    recount(transaction, task_id)
    parent = transaction.fetch_one(_PARENT, {"id": task_id})
    status = "" if parent is None else parent["status"]
    merges = [row["status"] for row in transaction.fetch(_MERGES, {"id": task_id})]
    return final_status_of({**lock_task(transaction, task_id), "merges": merges}, status, by_command=by_command)
