"""Keeps track of the preprocessing of a task: a dataset of its own with one pseudo file, as upstream does. Knows no job.

The file goes through the states of any input, so a job that fails is tried again by the same rules. While the dataset is
mutable the definition is not there yet, and nobody takes the task for idle, in whatever state it is held.
"""

from __future__ import annotations

from core.database import Row, Transaction
from core.states import TASK_HOLDS, TaskStatus
from core.taskengine.dialects.definition import TaskDefinition
from core.taskengine.making.streams import COMPLETE
from core.taskengine.status import change_status

PREPROCESSING_INPUT = "pp_input"
"""Type of the dataset."""
NOT_DONE = "mutable"
"""Its status until the definition is there; `ready` from then on."""
HOLDS = frozenset({TaskStatus.TOPREPROCESS, TaskStatus.PREPROCESSING})
"""States of a task whose definition is being worked out."""

_INSERT_DATASET = """
INSERT INTO task_datasets (jedi_task_id, name, container, stream, type, is_master, status, template, attributes)
VALUES (%(task_id)s, %(name)s, '', 'PP', %(type)s, false, %(status)s, '', '{}') RETURNING dataset_id
"""
_INSERT_FILE = """
INSERT INTO task_files (jedi_task_id, dataset_id, position, lfn, max_attempt, max_failure)
VALUES (%(task_id)s, %(dataset_id)s, 1, 'pseudo_lfn', %(max_attempt)s, %(max_failure)s)
"""
# ix_task_datasets_task
_MARK = "SELECT status FROM task_datasets WHERE jedi_task_id = %(task_id)s AND type = %(type)s"
_DONE = "UPDATE task_datasets SET status = %(status)s WHERE jedi_task_id = %(task_id)s AND type = %(type)s"
# ix_task_datasets_task, ix_task_files_dataset
_FILE = """
SELECT f.file_id, f.status, f.panda_id, f.attempt_nr, f.max_attempt, f.failed_attempt, f.max_failure, f.ram_mb
FROM task_datasets d JOIN task_files f USING (dataset_id)
WHERE d.jedi_task_id = %(task_id)s AND d.type = %(type)s
"""
_REOPEN = """
UPDATE task_files f SET status = 'ready', failed_attempt = 0, max_attempt = f.attempt_nr + %(attempts)s
FROM task_datasets d WHERE d.jedi_task_id = %(task_id)s AND d.type = %(type)s AND f.dataset_id = d.dataset_id
  AND f.status IN ('failed', 'cancelled')
"""


def leave_mark(transaction: Transaction, task_id: int, definition: TaskDefinition) -> None:
    """Note that a new task is to be preprocessed, with as many attempts as a file of its input has."""
    values = {"task_id": task_id, "type": PREPROCESSING_INPUT}
    mark = {"name": f"panda.pp.in.{task_id}", "status": NOT_DONE}
    [dataset] = transaction.fetch(_INSERT_DATASET, {**values, **mark})
    limits = {"max_attempt": definition.max_attempt, "max_failure": definition.max_failure}
    transaction.execute(_INSERT_FILE, {**values, "dataset_id": dataset["dataset_id"], **limits})


def has_mark(transaction: Transaction, task_id: int) -> bool:
    """Whether the preprocessing of a task has begun, or is over."""
    return transaction.fetch_one(_MARK, {"task_id": task_id, "type": PREPROCESSING_INPUT}) is not None


def is_to_be_preprocessed(transaction: Transaction, task_id: int) -> bool:
    """Whether the definition of a task is still to be worked out, in whatever state it is."""
    mark = transaction.fetch_one(_MARK, {"task_id": task_id, "type": PREPROCESSING_INPUT})
    return mark is not None and mark["status"] == NOT_DONE


def mark_done(transaction: Transaction, task_id: int) -> None:
    """The definition is there."""
    transaction.execute(_DONE, {"task_id": task_id, "type": PREPROCESSING_INPUT, "status": COMPLETE})


def pseudo_file(transaction: Transaction, task_id: int) -> Row | None:
    """What stands for the preprocessing job: file_id, status, panda_id of its last job, attempts; None without a mark."""
    return transaction.fetch_one(_FILE, {"task_id": task_id, "type": PREPROCESSING_INPUT})


def preprocess_again(transaction: Transaction, task: Row, attempts: int, *, who: str, reason: str) -> bool:
    """Take a task up again that was ended or held before its definition was there; whether it is such a one.

    A job that is live goes on, what it found is used; one that failed or was killed is followed by another, `attempts` at
    most. One whose definition is there already is not preprocessed again. The caller holds the task.
    """
    task_id, status = task["jedi_task_id"], TaskStatus(task["status"])
    if not is_to_be_preprocessed(transaction, task_id):
        return False
    transaction.execute(_REOPEN, {"task_id": task_id, "type": PREPROCESSING_INPUT, "attempts": attempts})
    if status not in HOLDS:
        via = () if status in TASK_HOLDS else (TaskStatus.TOINCEXEC, TaskStatus.REREFINE)
        for stop in (*via, TaskStatus.TOPREPROCESS):
            change_status(transaction, task_id, stop, who=who, reason=reason)
    return True
