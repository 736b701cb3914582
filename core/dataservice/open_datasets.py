"""Datasets that grow: files are added while they are open, and tasks follow them until they are closed. Knows no task rule."""

from __future__ import annotations

from core.database import Database, Row, Transaction
from core.dataservice.catalogue import NewCatalogueFile, check_files, find_dataset, insert_files
from core.errors import Conflict, InvalidInput, NotAllowed, UnknownObject
from core.states import DATASET_TRANSITIONS, FINAL_TASK_STATUSES, DatasetStatus, check_transition

# primary key; whoever adds files waits for who does so already: their ids then stand in the order in which they can be
# seen, and nobody adds to a dataset that is being closed
_LOCK = "SELECT status, kind, scope FROM datasets WHERE dataset_id = %(id)s FOR UPDATE"
# uq_files_dataset_lfn
_PRESENT = "SELECT lfn FROM files WHERE dataset_id = %(id)s AND lfn = ANY(%(lfns)s)"
_SET = "UPDATE datasets SET status = %(status)s WHERE dataset_id = %(id)s"
# primary keys
_GROWS = """
SELECT d.status = 'open' AND (d.jedi_task_id IS NULL OR NOT coalesce(t.status = ANY(%(final)s), true)) AS grows
FROM datasets d LEFT JOIN tasks t USING (jedi_task_id) WHERE d.dataset_id = %(id)s
"""


def add_files(database: Database, name: str, files: list[NewCatalogueFile], *, by: str, is_manager: bool) -> Row:
    """Add files to an open dataset of registered input; its counts are given.

    Raises InvalidInput for bad files, UnknownObject, NotAllowed for the dataset of somebody else, and Conflict when it is
    closed, is filled by jobs, or has a file of one of the names.
    """
    check_files(files)
    if not files:
        raise InvalidInput("there is none", field="files", remedy="list the files to add")
    with database.transaction() as transaction:
        dataset_id, row = _locked(transaction, name, by, is_manager=is_manager)
        if row["kind"] not in ("input", "sandbox"):
            raise Conflict(f"{name!r} is filled by jobs", field="dataset", remedy="register a dataset of your own")
        if row["status"] != DatasetStatus.OPEN:
            raise Conflict(f"{name!r} is {row['status']}", field="dataset", remedy="open it first, or use another one")
        values = {"id": dataset_id, "lfns": [file.lfn for file in files]}
        present = {found["lfn"] for found in transaction.fetch(_PRESENT, values)}
        for position, file in enumerate(files):
            if file.lfn in present:
                where = f"files.{position}.lfn"
                raise Conflict(
                    f"{file.lfn[:200]!r} is in it already", field=where, remedy="names are unique in a dataset"
                )
        insert_files(transaction, dataset_id, row["scope"], files)
    return {"dataset": name, "n_files": len(files), "total_bytes": sum(file.size_bytes for file in files)}


def set_dataset_status(database: Database, name: str, status: DatasetStatus, *, by: str, is_manager: bool) -> Row:
    """Close a dataset, which lets tasks that follow it end, or open it again. As it is already: nothing happens.

    Raises UnknownObject, NotAllowed, and IllegalTransition (core/states.py).
    """
    with database.transaction() as transaction:
        dataset_id, row = _locked(transaction, name, by, is_manager=is_manager)
        if row["status"] != status:
            check_transition(DATASET_TRANSITIONS, DatasetStatus(row["status"]), status)
            transaction.execute(_SET, {"id": dataset_id, "status": status.value})
    return {"dataset": name, "status": status.value}


def may_grow(transaction: Transaction, dataset_id: int) -> bool:
    """Whether further files may come: it is open, and the task that fills it, if one does, has not ended."""
    final = [status.value for status in FINAL_TASK_STATUSES]
    row = transaction.fetch_one(_GROWS, {"id": dataset_id, "final": final})
    return row is not None and bool(row["grows"])


def _locked(transaction: Transaction, name: str, by: str, *, is_manager: bool) -> tuple[int, Row]:
    dataset = find_dataset(transaction, name)
    if dataset is None:
        raise UnknownObject(f"there is no dataset {name[:200]!r}", field="dataset", remedy="register it first")
    if not is_manager and dataset["owner"] != by:
        raise NotAllowed(
            f"dataset {name[:200]!r} belongs to {dataset['owner']}", field="dataset", remedy="ask its owner"
        )
    row = transaction.fetch_one(_LOCK, {"id": dataset["dataset_id"]})
    assert row is not None
    return int(dataset["dataset_id"]), row
