"""Tasks as the programs of this house use them: submit, status, owner, outputs. The engine is in `core/taskengine`."""

from __future__ import annotations

from typing import Any

from core.database import Database, Row
from core.errors import Conflict, UnknownObject
from core.taskengine import submit
from core.taskengine.dialects.house import RUN_SHELL, fill_in, numbered_name
from core.taskengine.dialects.sizes import MAX_JOBS

__all__ = [
    "MAX_JOBS",
    "RUN_SHELL",
    "fill_in",
    "numbered_name",
    "submit_task",
    "task_outputs",
    "task_owner",
    "task_status",
]


def submit_task(database: Database, parameters: dict[str, Any], *, user_name: str, vo: str) -> int:
    """Register a task, cut it into jobs and return its jediTaskID.

    Raises InvalidInput for bad parameters and Conflict for a task of the same name that is active; nothing is kept then.
    """
    submission = submit.submit_task(database, parameters, user_name=user_name, vo=vo, is_production=True)
    if submission.jedi_task_id is None or not submission.is_accepted:
        raise Conflict(submission.message, field="taskName", remedy="choose another name")
    return submission.jedi_task_id


def task_status(database: Database, task_id: int) -> str:
    """The status of a task. Raises UnknownObject."""
    row = database.fetch_one("SELECT status FROM tasks WHERE jedi_task_id = %(id)s", {"id": task_id})
    if row is None:
        raise UnknownObject(f"there is no task {task_id}", field="task_id", remedy="see `panda tasks`")
    return str(row["status"])


def task_owner(database: Database, task_id: int) -> str | None:
    """The user whose task it is, None when there is no such task."""
    row = database.fetch_one("SELECT user_name FROM tasks WHERE jedi_task_id = %(id)s", {"id": task_id})
    return None if row is None else str(row["user_name"])


# ix_job_files_task; the job's number orders the pieces
_OUTPUTS = """
SELECT f.panda_id, j.job_index, f.lfn, f.local_name, f.type, f.dataset, f.size_bytes, f.checksum, f.endpoint, f.pfn
FROM job_files f JOIN jobs_archive j ON j.panda_id = f.panda_id
WHERE f.jedi_task_id = %(id)s AND f.type IN ('output', 'log') AND f.status = 'ready'
ORDER BY j.job_index, f.panda_id, f.row_id
"""


def task_outputs(database: Database, task_id: int) -> list[Row]:
    """Stored outputs and logs of the ended jobs of a task, in the order of its jobs. Raises UnknownObject."""
    task_status(database, task_id)
    return database.fetch(_OUTPUTS, {"id": task_id})
