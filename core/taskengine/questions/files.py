"""Datasets and files of a task as clients ask for them (client-wire.md 3.1). Reads only."""

from __future__ import annotations

from typing import Any

from core.database import Database

# ix_task_datasets_task
_DATASETS = """
SELECT dataset_id, name, type FROM task_datasets WHERE jedi_task_id = %(id)s AND type = ANY(%(types)s) ORDER BY dataset_id
"""

# ix_task_files_dataset
_FILES = """
SELECT dataset_id, lfn, scope, file_id AS id, status FROM task_files WHERE dataset_id = ANY(%(ids)s)
ORDER BY dataset_id, position, file_id
"""

# ix_job_files_task; what jobs made stands with the jobs
_MADE = """
SELECT dataset, type, lfn, scope, row_id AS id, status FROM job_files
WHERE jedi_task_id = %(id)s AND type = ANY(%(types)s) ORDER BY row_id
"""
_MADE_TYPES = ("output", "log", "lib")


def datasets_of(database: Database, task_id: int, types: list[str], *, with_files: bool = True) -> list[dict[str, Any]]:
    """The datasets of these types with their files: `[{"dataset": {name, id}, "files": [...]}]`; none for no such task."""
    datasets = database.fetch(_DATASETS, {"id": task_id, "types": types})
    files: dict[int, list[dict[str, Any]]] = {row["dataset_id"]: [] for row in datasets}
    if with_files:
        for row in database.fetch(_FILES, {"ids": list(files)}):
            files[row.pop("dataset_id")].append(row)
        _add_made(database, task_id, datasets, files)
    return [
        {"dataset": {"name": row["name"], "id": row["dataset_id"]}, "files": files[row["dataset_id"]]}
        for row in datasets
    ]


def _add_made(
    database: Database, task_id: int, datasets: list[dict[str, Any]], files: dict[int, list[dict[str, Any]]]
) -> None:
    by_name = {row["name"].rstrip("/"): row["dataset_id"] for row in datasets if row["type"] in _MADE_TYPES}
    if not by_name:
        return
    for row in database.fetch(_MADE, {"id": task_id, "types": list(_MADE_TYPES)}):
        dataset_id = by_name.get(row.pop("dataset").rstrip("/"))
        row.pop("type")
        if dataset_id is not None:
            files[dataset_id].append(row)
