"""Hurries production tasks of which little is left: the last jobs of a task hold up everything that waits for all of it
(domain.md 2.6). Knows priorities and shares, no queue.
"""

from __future__ import annotations

from core.accounts.limits import USER_LABELS
from core.database import Database, Row, Transaction
from core.errors import Conflict, UnknownObject
from core.shares.editing import check_share_exists
from core.states import TaskStatus
from core.taskengine.commands.changing import put_into_share, set_priority
from core.taskengine.commands.locking import Issuer, lock_task_with_jobs
from core.workload_settings import TailSettings

_HURRIED_IN = (TaskStatus.RUNNING, TaskStatus.MERGING)

# ix_tasks_status; jobs that are left are reckoned from files that are left. A task that follows a parent or an open dataset
# has more to come: ix_task_datasets_task
_TAILS = """
SELECT t.jedi_task_id, t.current_priority, t.gshare, t.n_files, t.n_files - t.n_files_finished - t.n_files_failed AS files_left
FROM tasks t
WHERE t.status = ANY(%(statuses)s) AND NOT t.prod_source_label = ANY(%(users)s) AND t.current_priority < %(priority)s
  AND (%(id)s::bigint IS NULL OR t.jedi_task_id = %(id)s)
  AND t.n_files_finished + t.n_files_failed > %(part)s * t.n_files AND t.n_files_finished + t.n_files_failed < t.n_files
  AND (t.n_files - t.n_files_finished - t.n_files_failed) * greatest(t.n_pieces, 1) <= %(jobs)s::bigint * t.n_files
  AND NOT EXISTS (SELECT 1 FROM task_datasets d
                  WHERE d.jedi_task_id = t.jedi_task_id AND d.status IN ('mutable', 'toupdate'))
ORDER BY t.jedi_task_id LIMIT %(batch)s
"""


def tails(database: Database, settings: TailSettings, *, batch: int) -> list[int]:
    """Production tasks of which little is left and that nobody hurried yet."""
    return [row["jedi_task_id"] for row in _found(database, settings, batch=batch)]


def hurry(transaction: Transaction, task_id: int, settings: TailSettings) -> str | None:
    """Raise the priority of a task of `tails` and of its jobs, and put what waits into the share for it if the tree has one.

    What was done, for people; None when it is no tail any more. Raises JobsCameMeanwhile.
    """
    locked = lock_task_with_jobs(transaction, task_id, Issuer("task watchdog", is_production=True))
    found = _found(transaction, settings, task_id=task_id, batch=1)
    if locked is None or not found:
        return None
    row = found[0]
    set_priority(locked, settings.priority, for_good=False)
    said = f"has {row['files_left']} of {row['n_files']} files left: priority {settings.priority} from now on"
    if row["gshare"] == settings.share or not _is_leaf(transaction, settings.share):
        return said
    put_into_share(locked, settings.share, running_too=False)
    return f"{said}, in the share {settings.share}"


def _found(
    reader: Database | Transaction, settings: TailSettings, *, batch: int, task_id: int | None = None
) -> list[Row]:
    if not settings.priority:
        return []
    values = {"statuses": [status.value for status in _HURRIED_IN], "users": sorted(USER_LABELS), "id": task_id}
    limits = {"priority": settings.priority, "part": settings.done, "jobs": settings.most_jobs, "batch": batch}
    return reader.fetch(_TAILS, {**values, **limits})


def _is_leaf(transaction: Transaction, share: str) -> bool:
    """Whether there is a tree, and this is a leaf of it."""
    if not share or transaction.fetch_one("SELECT 1 FROM global_shares LIMIT 1") is None:
        return False
    try:
        check_share_exists(transaction, share, "share")
    except (UnknownObject, Conflict):
        return False
    return True
