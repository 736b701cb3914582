"""Counts what became of the master input of a task, and keeps the counts in its row. Knows no status of tasks."""

from __future__ import annotations

from dataclasses import dataclass

from core.database import Transaction


@dataclass(frozen=True)
class Progress:
    """Files of the master input; of tasks from before the files were kept, their jobs stand for them."""

    n_files: int
    n_finished: int
    n_failed: int


# ix_task_datasets_task, ix_task_files_status, primary key of tasks; a job that only works out the definition is no file
_RECOUNT = """
WITH counted AS (
    SELECT count(*) AS files, count(*) FILTER (WHERE f.status = 'finished') AS finished,
           count(*) FILTER (WHERE f.status = 'failed') AS failed
    FROM task_files f JOIN task_datasets d USING (dataset_id)
    WHERE f.jedi_task_id = %(id)s AND d.jedi_task_id = %(id)s AND d.is_master
), known AS (
    SELECT c.*, c.files > 0 OR EXISTS (
        SELECT 1 FROM task_datasets d WHERE d.jedi_task_id = %(id)s AND d.type = 'pp_input') AS by_files
    FROM counted c
)
UPDATE tasks t SET
    n_files = CASE WHEN c.by_files THEN c.files ELSE t.n_jobs END,
    n_files_finished = CASE WHEN c.by_files THEN c.finished ELSE t.n_finished END,
    n_files_failed = CASE WHEN c.by_files THEN c.failed ELSE t.n_failed + t.n_cancelled END
FROM known c WHERE t.jedi_task_id = %(id)s
RETURNING t.n_files, t.n_files_finished, t.n_files_failed
"""


def recount(transaction: Transaction, task_id: int) -> Progress:
    """Bring the counts of files in the row of a task up to date, and return them."""
    row = transaction.fetch(_RECOUNT, {"id": task_id})[0]
    return Progress(row["n_files"], row["n_files_finished"], row["n_files_failed"])
