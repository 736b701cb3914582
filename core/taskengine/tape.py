"""Tasks whose input lies on tape: they wait in `staging`, and go on when the first files are on disk (domain.md 4.9).

Knows tasks and what of their input has arrived; does not know who brings files, nor from where.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core.database import Row, Transaction
from core.dataservice.staging import HELD
from core.states import TaskStatus
from core.taskengine.beginning import Beginner, list_input
from core.taskengine.dialects.reading import definition_of
from core.taskengine.making.progress import recount
from core.taskengine.scouting.gate import DEFAULT_SCOUTS
from core.taskengine.status import change_status, lock_task, wake
from core.text import clean
from core.wording import counted, named
from core.workload_settings import ScoutSettings

# ix_tasks_status; ix_data_carousel_relations_task, primary key of requests. Of input that goes along with every job all of it
# must be there; of the master input one file is enough to begin with
_CAN_GO_ON = """
SELECT t.jedi_task_id FROM tasks t CROSS JOIN LATERAL (
    SELECT coalesce(bool_and(q.status = 'done' AND q.n_failed = 0) FILTER (WHERE NOT r.is_master), true) AS has_others,
           coalesce(bool_or(q.n_staged > 0 OR q.status = 'done') FILTER (WHERE r.is_master), true) AS is_begun
    FROM data_carousel_relations r JOIN data_carousel_requests q USING (request_id)
    WHERE r.jedi_task_id = t.jedi_task_id AND q.status IN ('queued', 'staging', 'done')) AS came
WHERE t.status = 'staging' AND came.has_others AND came.is_begun
ORDER BY t.current_priority DESC, t.jedi_task_id LIMIT %(limit)s
"""
# ix_task_datasets_task, ix_task_files_lfn
_RELEASE = f"""
UPDATE task_files f SET status = %(status)s FROM task_datasets d
WHERE d.jedi_task_id = ANY(%(tasks)s) AND d.type = 'input' AND d.is_master AND f.dataset_id = d.dataset_id
  AND f.lfn = ANY(%(lfns)s) AND f.catalogue_file_id = ANY(%(ids)s) AND f.status = '{HELD}'
RETURNING f.jedi_task_id
"""
# ix_task_files_status
_LEAVE = f"UPDATE task_files SET status = 'cancelled' WHERE jedi_task_id = %(id)s AND status = '{HELD}'"
# primary key
_SAY = "UPDATE tasks SET error_dialog = %(text)s WHERE jedi_task_id = %(id)s"


def can_go_on(transaction: Any, *, limit: int) -> list[int]:
    """Tasks in `staging` of which enough has arrived, the most urgent first. `transaction`: a Transaction or a Database."""
    return [row["jedi_task_id"] for row in transaction.fetch(_CAN_GO_ON, {"limit": limit})]


def go_on(
    transaction: Transaction, task_id: int, *, who: str, reason: str, scouts: ScoutSettings = DEFAULT_SCOUTS
) -> bool:
    """Let a task that is still in `staging` go on with what has arrived; files that come later follow by themselves.

    Raises what listing the input and making jobs raise.
    """
    task = lock_task(transaction, task_id)
    if task["status"] != TaskStatus.STAGING:
        return False
    change_status(transaction, task_id, TaskStatus.STAGED, who=who, reason=reason)
    list_input(transaction, Beginner(task_id, definition_of(task), who, task["parent_tid"]), scouts)
    return True


def lock_tasks(transaction: Transaction, task_ids: Sequence[int]) -> None:
    """Lock tasks in their order."""
    statement = "SELECT 1 FROM tasks WHERE jedi_task_id = ANY(%(ids)s) ORDER BY jedi_task_id FOR UPDATE"
    transaction.fetch(statement, {"ids": list(task_ids)})


def release(transaction: Transaction, task_ids: Sequence[int], files: Sequence[Row]) -> int:
    """Let jobs be made of files that have arrived (file_id, lfn); returns how many pieces of input. The tasks are locked."""
    return len(_free(transaction, task_ids, files, "ready"))


def give_up(transaction: Transaction, task_ids: Sequence[int], files: Sequence[Row]) -> None:
    """Count files that could not be brought as failed, and say so on the tasks. The tasks are locked."""
    for task_id in _free(transaction, task_ids, files, "failed"):
        recount(transaction, task_id)
        names = named([file["lfn"] for file in files[:3]], len(files))
        text = f"{counted(len(files), 'file')} could not be brought from tape: {names}"
        transaction.execute(_SAY, {"id": task_id, "text": clean(text, 510)})


def leave_out(transaction: Transaction, task_id: int) -> int:
    """Have a task not wait for what is still on tape: it is left out, and a later retry takes it up. The task is locked."""
    return transaction.execute(_LEAVE, {"id": task_id})


def _free(transaction: Transaction, task_ids: Sequence[int], files: Sequence[Row], status: str) -> set[int]:
    values = {"tasks": list(task_ids), "status": status}
    named_files = {"lfns": [file["lfn"] for file in files], "ids": [file["file_id"] for file in files]}
    tasks = {row["jedi_task_id"] for row in transaction.fetch(_RELEASE, {**values, **named_files})}
    for task_id in sorted(tasks):
        wake(transaction, task_id)
    return tasks
