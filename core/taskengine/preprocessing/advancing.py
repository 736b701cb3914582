"""Which tasks are due in their preprocessing, and the next step of one: a job, another one, the definition, the end of it.

One step in one transaction that holds the task. There is one job at a time: the pseudo file is running under it.
"""

from __future__ import annotations

from core.database import Database, Row, Transaction
from core.errors import Conflict
from core.models.errors import primary_error
from core.states import FINAL_TASK_STATUSES, TaskStatus
from core.taskengine.dialects.definition import TaskDefinition
from core.taskengine.dialects.preprocessing import SPEC
from core.taskengine.dialects.reading import definition_of
from core.taskengine.preprocessing.filling import WHO, fill_in_definition
from core.taskengine.preprocessing.job import make_preprocessing_job
from core.taskengine.preprocessing_marker import HOLDS, PREPROCESSING_INPUT, pseudo_file
from core.taskengine.scouting.gate import DEFAULT_SCOUTS
from core.taskengine.status import change_status
from core.workload_settings import ScoutSettings

# ix_tasks_status, ix_task_datasets_task, ix_task_files_dataset, primary keys of jobs_live and of the parent
_DUE = f"""
SELECT t.jedi_task_id FROM tasks t
LEFT JOIN task_datasets d ON d.jedi_task_id = t.jedi_task_id AND d.type = '{PREPROCESSING_INPUT}'
LEFT JOIN task_files f ON f.dataset_id = d.dataset_id
WHERE t.status = ANY(%(statuses)s)
  AND (t.status = 'topreprocess' OR f.status IS DISTINCT FROM 'running'
       OR NOT EXISTS (SELECT 1 FROM jobs_live j WHERE j.panda_id = f.panda_id))
  AND (t.status <> 'topreprocess' OR lower(coalesce(t.parameters ->> 'noWaitParent', '')) IN ('true', '1')
       OR NOT EXISTS (SELECT 1 FROM tasks p WHERE p.jedi_task_id = t.parent_tid AND p.jedi_task_id <> t.jedi_task_id
                      AND NOT p.status = ANY(%(final)s)))
ORDER BY t.current_priority DESC, t.jedi_task_id LIMIT %(limit)s
"""
# primary key; somebody who holds the task may have changed it when the next cycle looks
_TAKE = """
SELECT * FROM tasks WHERE jedi_task_id = %(id)s AND status = ANY(%(statuses)s) FOR UPDATE SKIP LOCKED
"""
_STATUSES = sorted(HOLDS)
# primary keys
_IS_LIVE = "SELECT 1 FROM jobs_live WHERE panda_id = %(panda_id)s"
_ENDED = "SELECT * FROM jobs_archive WHERE panda_id = %(panda_id)s"
_LOST = "UPDATE task_files SET status = 'ready' WHERE file_id = %(file_id)s"


def due_for_preprocessing(database: Database, *, limit: int) -> list[int]:
    """Tasks for which something is to be done, the most urgent first; those that wait for their parent are none of them."""
    values = {"statuses": _STATUSES, "final": sorted(FINAL_TASK_STATUSES), "limit": limit}
    return [row["jedi_task_id"] for row in database.fetch(_DUE, values)]


def take(transaction: Transaction, task_id: int) -> Row | None:
    """The row of a task that is preprocessed, locked; None when it is not any more, or somebody else holds it."""
    return transaction.fetch_one(_TAKE, {"id": task_id, "statuses": _STATUSES})


def advance(transaction: Transaction, task_id: int, scouts: ScoutSettings = DEFAULT_SCOUTS) -> bool:
    """Take the next step of a task of `due_for_preprocessing`; whether there was one.

    Raises Conflict when its job has failed for good, and what making the job, reading its report and beginning the work raise.
    """
    task = take(transaction, task_id)
    if task is None:
        return False
    definition, file = definition_of(task), pseudo_file(transaction, task_id)
    if file is None:
        raise Conflict("nothing keeps track of its preprocessing", field=SPEC, remedy="submit it again")
    status = file["status"]
    if status == "running" and transaction.fetch_one(_IS_LIVE, {"panda_id": file["panda_id"]}) is None:
        transaction.execute(_LOST, {"file_id": file["file_id"]})
        status = "ready" if file["attempt_nr"] < file["max_attempt"] else "failed"
    if status == "ready":
        _make_job(transaction, task, definition, file)
        return True
    if status in ("failed", "cancelled"):
        raise _gave_up(transaction, file)
    moved = bool(task["status"] == TaskStatus.TOPREPROCESS)
    _become_preprocessing(transaction, task_id, f"job {file['panda_id']} works out its definition")
    if status == "finished":
        fill_in_definition(transaction, task, file["panda_id"], scouts)
        return True
    return moved


def _make_job(transaction: Transaction, task: Row, definition: TaskDefinition, file: Row) -> None:
    if definition.preprocess is None:
        raise Conflict("there is nothing that could be preprocessed any more", field=SPEC, remedy="submit it again")
    panda_id = make_preprocessing_job(transaction, task, definition, definition.preprocess, file)
    _become_preprocessing(transaction, task["jedi_task_id"], f"job {panda_id} works out its definition")


def _become_preprocessing(transaction: Transaction, task_id: int, reason: str) -> None:
    change_status(transaction, task_id, TaskStatus.PREPROCESSING, who=WHO, reason=reason)


def _gave_up(transaction: Transaction, file: Row) -> Conflict:
    """The refusal of a definition that no job could work out."""
    job = transaction.fetch_one(_ENDED, {"panda_id": file["panda_id"]})
    error = primary_error(job) if job is not None else None
    status = "is gone" if job is None else "has failed" if job["job_status"] == "failed" else f"was {job['job_status']}"
    because = f": {error.component} {error.code}, {error.diag}" if error is not None else ""
    attempt = f" in attempt {file['attempt_nr']}" if file["attempt_nr"] > 1 else ""
    return Conflict(
        f"the preprocessing job {file['panda_id']} {status}{attempt}{because}",
        field=SPEC,
        remedy=f"see `panda why {file['panda_id']}`, and submit the task again",
    )
