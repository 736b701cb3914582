"""Whether retrying a task still helps: after several retries that finished nothing a person looks first (domain.md 3.5).

Knows what was finished when it was retried last; does not know how files are opened again.
"""

from __future__ import annotations

from core.states import TaskStatus
from core.taskengine.commands.locking import LockedTask
from core.taskengine.scouting.evidence import frequent_error
from core.taskengine.status import change_status, exhaust_task
from core.wording import counted
from core.workload_settings import GuardSettings

MAX_FAILED_RETRIES = GuardSettings().max_failed_retries

# primary key
_BEGIN = """
UPDATE tasks SET failed_retries = %(failed)s, files_at_retry = n_files_finished WHERE jedi_task_id = %(task_id)s
"""
_FORGET = "UPDATE tasks SET failed_retries = 0, files_at_retry = NULL WHERE jedi_task_id = %(task_id)s"


def failed_retries(task: LockedTask) -> int:
    """How many retries in a row, the last one among them, finished no further file though there were some to finish."""
    before = task.row["files_at_retry"]
    is_fruitless = before is not None and task.row["n_files_finished"] <= before and task.row["n_files_failed"] > 0
    return int(task.row["failed_retries"]) + 1 if is_fruitless else 0


def begin_retry(task: LockedTask) -> None:
    """Note what is finished now, so that the next retry knows what this one brought. Before the files are opened."""
    task.execute(_BEGIN, failed=failed_retries(task))


def forget_retries(task: LockedTask) -> None:
    """What failed before says nothing: the parameters or the input are others now."""
    task.execute(_FORGET)


def exhaust(task: LockedTask) -> str:
    """Have a task wait for a person instead of retrying it once more; returns the reason."""
    left, error = task.row["n_files_failed"], frequent_error(task.transaction, task.task_id)
    because = f", most often with: {error}" if error else ""
    retries = "its last retry" if failed_retries(task) == 1 else f"its last {failed_retries(task)} retries"
    reason = f"{retries} finished no further file, {counted(left, 'file')} failed{because}"
    who = task.issuer.user_name
    change_status(task.transaction, task.task_id, TaskStatus.TORETRY, who=who, reason=f"retried by {who}")
    exhaust_task(task.transaction, task.task_id, reason, who="task engine")
    return reason
