"""Reads what of the input of a task can be given to jobs now, never more than it is asked for. Knows no job."""

from __future__ import annotations

from core.database import Row, Transaction
from core.dataservice.catalogue import find_dataset
from core.errors import InvalidInput, UnknownObject
from core.taskengine.dialects.definition import InputStream
from core.taskengine.making.splitting import InputFile

MOST_WHOLE_FILES = 1000
"""Of datasets that go along with every job; the default cap of a job's input over all datasets (domain.md 3.4)."""

# ix_task_datasets_task; ix_task_files_status: the ready ones stand there in order, so that only those that are read are looked
# at. One question however many datasets there are: most of them may be through. The datasets come materialized and in order,
# so that reading ends with the last file that is taken, and none of another task's are looked at
_READY = """
WITH d AS MATERIALIZED (
    SELECT dataset_id, name FROM task_datasets WHERE jedi_task_id = %(id)s AND is_master ORDER BY dataset_id
)
SELECT f.*, d.name AS dataset_name FROM d CROSS JOIN LATERAL (
    SELECT * FROM task_files
    WHERE jedi_task_id = %(id)s AND status = 'ready' AND dataset_id = d.dataset_id
    ORDER BY position, file_id LIMIT %(limit)s) AS f
ORDER BY d.dataset_id, f.position, f.file_id LIMIT %(limit)s
"""
# ix_task_datasets_task; ix_task_files_dataset: those used least first, in order
_LEAST_USED = """
SELECT f.*, d.name AS dataset_name FROM task_datasets d CROSS JOIN LATERAL (
    SELECT * FROM task_files WHERE dataset_id = d.dataset_id ORDER BY attempt_nr, position LIMIT %(limit)s) AS f
WHERE d.jedi_task_id = %(id)s AND d.stream = %(stream)s AND d.type = 'input'
ORDER BY f.attempt_nr, f.position, d.dataset_id LIMIT %(limit)s
"""
# ix_task_datasets_task
_IN_ALL = """
SELECT coalesce(sum(n_files), 0)::bigint AS n FROM task_datasets
WHERE jedi_task_id = %(id)s AND stream = %(stream)s AND type = 'input'
"""
# ix_files_dataset
_WHOLE = "SELECT * FROM files WHERE dataset_id = %(id)s ORDER BY file_id LIMIT %(limit)s"


def ready_files(transaction: Transaction, task_id: int, limit: int) -> list[InputFile]:
    """The first `limit` files of the master input that are ready, in order."""
    rows = transaction.fetch(_READY, {"id": task_id, "limit": limit})
    return [_input_file(row, row["dataset_name"]) for row in rows]


def least_used(transaction: Transaction, task_id: int, stream: InputStream, limit: int) -> tuple[list[InputFile], int]:
    """The `limit` files of a secondary stream that were given out least, and how many there are in all."""
    values = {"id": task_id, "stream": stream.name}
    found = [
        _input_file(row, row["dataset_name"]) for row in transaction.fetch(_LEAST_USED, {**values, "limit": limit})
    ]
    [total] = transaction.fetch(_IN_ALL, values)
    return found, max(total["n"], len(found))


def enough_events(
    transaction: Transaction, task_id: int, stream: InputStream, events: int, pieces: int
) -> tuple[list[InputFile], int]:
    """As `least_used`: files that give `pieces` jobs so many events together, whole files each, however they are dealt."""
    limit = 2 * pieces
    while True:
        found, total = least_used(transaction, task_id, stream, limit)
        counts = sorted((file.n_events for file in found), reverse=True)
        # of the last file that each job gets it may need one event only
        if len(found) >= total or len(found) < limit or sum(counts[pieces:]) >= events:
            return found, total
        limit *= 4


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
