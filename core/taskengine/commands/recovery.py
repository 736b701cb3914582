"""Makes again what storage has lost: the jobs that made it run once more. Knows tasks and their files; looks at no disk.

A job that runs again makes all of its outputs anew, under new serial numbers. So everything the earlier one made is
withdrawn from its datasets with what was lost: no event may be in a dataset twice.
"""

from __future__ import annotations

from core.database import Database
from core.dataservice.lost_files import Output
from core.states import TaskStatus
from core.taskengine.commands.answers import Done, counted
from core.taskengine.commands.going_on import REEXECUTABLE
from core.taskengine.commands.locking import Issuer, LockedTask
from core.taskengine.commands.table import Command, Outcome, run
from core.taskengine.making.generation import generate_jobs
from core.taskengine.making.progress import recount
from core.taskengine.on_tape import hold_opened
from core.taskengine.status import change_status

# ix_task_files_job; only what a job finished can have been lost
_REOPEN = """
UPDATE task_files f SET status = 'ready', failed_attempt = 0, max_attempt = greatest(f.max_attempt, f.attempt_nr + 3)
FROM task_datasets d
WHERE f.panda_id = ANY(%(panda_ids)s) AND f.jedi_task_id = %(task_id)s AND f.status = 'finished'
  AND d.dataset_id = f.dataset_id AND d.type IN ('input', 'pseudo_input')
RETURNING f.panda_id
"""

# ix_job_files_job, then primary keys; a catalogued file that a later job made again is not this job's any more
_WITHDRAW = """
WITH withdrawn AS (
    UPDATE job_files SET status = 'lost'
    WHERE panda_id = ANY(%(panda_ids)s) AND type = 'output' AND status = 'ready'
    RETURNING file_id, panda_id
), files_gone AS (
    SELECT f.file_id FROM files f JOIN withdrawn w ON w.file_id = f.file_id AND w.panda_id = f.panda_id
), replicas_gone AS (
    DELETE FROM replicas r USING files_gone g WHERE r.file_id = g.file_id
)
SELECT file_id FROM files_gone
"""
_FORGET = "DELETE FROM files WHERE file_id = ANY(%(file_ids)s)"


def recover(database: Database, task_id: int, issuer: Issuer, lost: list[Output]) -> Outcome:
    """Run the jobs that made `lost` again. Accepted for tasks that have ended; the outcome says what came of it."""
    command = Command("recover", "make again what storage lost", REEXECUTABLE, _make_again)
    return run(database, command, task_id, issuer, lost=lost)


def _make_again(task: LockedTask, lost: list[Output]) -> Done:
    transaction = task.transaction
    makers = sorted({output.panda_id for output in lost})
    reopened = transaction.fetch(_REOPEN, {"panda_ids": makers, "task_id": task.task_id})
    again = sorted({row["panda_id"] for row in reopened})
    if not again:
        return Done(message="nothing can be made again: the input of the jobs that made the files is not on record")
    hold_opened(transaction, task.row)
    withdrawn = transaction.fetch(_WITHDRAW, {"panda_ids": again})
    transaction.execute(_FORGET, {"file_ids": [row["file_id"] for row in withdrawn]})
    reason = f"{counted(len(lost), 'lost file', 'made again')} for {task.issuer.user_name}"
    for status in (TaskStatus.TOINCEXEC, TaskStatus.REREFINE, TaskStatus.READY):
        change_status(transaction, task.task_id, status, who=task.issuer.user_name, reason=reason)
    recount(transaction, task.task_id)
    jobs = generate_jobs(transaction, task.task_id)
    return Done(message=f"{counted(len(again), 'job', 'done again')}, {counted(len(jobs), 'new job', 'made')}")
