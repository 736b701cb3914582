"""Reads what of the input of a task can be given to jobs now, never more than it is asked for. Knows no job."""

from __future__ import annotations

from core.database import Row, Transaction
from core.dataservice.catalogue import find_dataset
from core.errors import InvalidInput, UnknownObject
from core.taskengine.dialects.definition import InputStream
from core.taskengine.making.splitting import InputFile

MOST_WHOLE_FILES = 1000
"""Of datasets that go along with every job; the default cap of a job's input over all datasets (domain.md 3.4)."""

# ix_task_datasets_task
_MASTERS = """
SELECT dataset_id, name FROM task_datasets WHERE jedi_task_id = %(id)s AND is_master ORDER BY dataset_id
"""
# ix_task_files_status: the ready ones stand there in order, so that only those that are read are looked at
_READY = """
SELECT * FROM task_files WHERE jedi_task_id = %(id)s AND status = 'ready' AND dataset_id = %(dataset)s
ORDER BY position, file_id LIMIT %(limit)s
"""
# ix_task_datasets_task
_STREAM = """
SELECT dataset_id, name, n_files FROM task_datasets
WHERE jedi_task_id = %(id)s AND stream = %(stream)s AND type = 'input' ORDER BY dataset_id
"""
# ix_task_files_dataset: those used least first, in order
_LEAST_USED = """
SELECT * FROM task_files WHERE dataset_id = %(dataset)s ORDER BY attempt_nr, position LIMIT %(limit)s
"""
# ix_files_dataset
_WHOLE = "SELECT * FROM files WHERE dataset_id = %(id)s ORDER BY file_id LIMIT %(limit)s"


def ready_files(transaction: Transaction, task_id: int, limit: int) -> list[InputFile]:
    """The first `limit` files of the master input that are ready, in order."""
    files: list[InputFile] = []
    for dataset in transaction.fetch(_MASTERS, {"id": task_id}):
        values = {"id": task_id, "dataset": dataset["dataset_id"], "limit": limit - len(files)}
        files += [_input_file(row, dataset["name"]) for row in transaction.fetch(_READY, values)]
        if len(files) >= limit:
            break
    return files


def least_used(transaction: Transaction, task_id: int, stream: InputStream, limit: int) -> tuple[list[InputFile], int]:
    """The `limit` files of a secondary stream that were given out least, and how many there are in all."""
    found: list[InputFile] = []
    total = 0
    for dataset in transaction.fetch(_STREAM, {"id": task_id, "stream": stream.name}):
        rows = transaction.fetch(_LEAST_USED, {"dataset": dataset["dataset_id"], "limit": limit})
        found += [_input_file(row, dataset["name"]) for row in rows]
        total += max(dataset["n_files"], len(rows))
    return sorted(found, key=lambda file: (file.attempt_nr, file.position))[:limit], total


def whole_datasets(transaction: Transaction, stream: InputStream) -> list[InputFile]:
    """Datasets that go along with every job as they are at the moment. Raises InvalidInput, UnknownObject."""
    files: list[InputFile] = []
    for name in stream.datasets:
        dataset = find_dataset(transaction, name)
        if dataset is None:
            raise UnknownObject(
                f"there is no dataset {name[:200]!r}",
                field=stream.field,
                remedy="register it with POST /api/control/datasets",
            )
        rows = transaction.fetch(_WHOLE, {"id": dataset["dataset_id"], "limit": MOST_WHOLE_FILES + 1})
        files += [_whole_file(row, name, dataset["scope"]) for row in rows]
    if not files:
        names = ", ".join(stream.datasets)
        raise InvalidInput(f"dataset {names!r} is empty", field=stream.field, remedy="register files with it")
    if len(files) > MOST_WHOLE_FILES:
        raise InvalidInput(
            f"more than {MOST_WHOLE_FILES} files would go along with every job",
            field=stream.field,
            remedy="pack them into fewer files, or say how many a job takes",
        )
    return files


def _input_file(row: Row, dataset: str) -> InputFile:
    return InputFile(
        file_id=row["file_id"],
        lfn=row["lfn"],
        dataset=dataset,
        scope=row["scope"],
        guid=row["guid"],
        size_bytes=row["size_bytes"],
        checksum=row["checksum"],
        catalogue_file_id=row["catalogue_file_id"],
        position=row["position"],
        n_events=row["n_events"],
        start_event=row["start_event"],
        first_event=row["first_event"],
        attempt_nr=row["attempt_nr"],
        last_panda_id=row["panda_id"],
        ram_mb=row["ram_mb"],
        boundary_id=row["boundary_id"],
    )


def _whole_file(row: Row, dataset: str, scope: str) -> InputFile:
    return InputFile(
        file_id=0,
        lfn=row["lfn"],
        dataset=dataset,
        scope=scope,
        guid=row["guid"],
        size_bytes=row["size_bytes"],
        checksum=row["checksum"],
        catalogue_file_id=row["file_id"],
    )
