"""Which input of a task lies on tape: asked before it is listed, and of each file while it is. Knows no job.

A file that must come from tape first is `staging` in `task_files` until it is on disk: no job is made of it, and the task
does not end before.
"""

from __future__ import annotations

from collections.abc import Sequence

from core.database import Row, Transaction
from core.dataservice import staging
from core.dataservice.staging import HELD, Wanted
from core.task_ends import is_set
from core.taskengine.dialects.definition import TaskDefinition

_ASKS_FOR_ALL = "inputPreStaging"
_DATASET_ID, _CATALOGUE_ID = 1, 3
"""Places in a row that is to be written to `task_files`."""


def asks_for_all(task: Row) -> bool:
    """Whether a task wants all of its input on disk before (inputPreStaging)."""
    return is_set({**task["parameters"], **task["split_rule"]}, _ASKS_FOR_ALL)


def ask_for_tape(transaction: Transaction, task: Row, definition: TaskDefinition) -> bool:
    """Have what a new task reads brought from tape, and say whether it must wait for the first of it.

    It need not wait when some of its master input is on disk, and all of its other input; with inputPreStaging it does.
    """
    takes_any = asks_for_all(task)
    if not takes_any and not staging.has_tape(transaction):
        return False
    names: dict[str, bool] = {}
    for stream in definition.inputs:
        for name in stream.datasets if stream.kind == "input" else ():
            names[name] = stream is definition.master and names.get(name, True)
    datasets = staging.wanted_datasets(transaction, names)
    staging.use(transaction, task["jedi_task_id"], datasets)
    is_begun, waits_for_others, comes = False, False, False
    for wanted in datasets:
        places = staging.places_of(transaction, wanted.dataset_id)
        is_begun |= wanted.is_master and places.is_begun
        if places.is_on_tape or (takes_any and places.is_incomplete):
            staging.want(transaction, task["jedi_task_id"], wanted, takes_any=takes_any)
            comes = True
            waits_for_others |= not wanted.is_master
    return comes and (takes_any or waits_for_others or not is_begun)


class TapeHold:
    """Finds the files that have to wait, among those that are being listed for a task."""

    def __init__(self, transaction: Transaction, task: Row, datasets: Sequence[Row]) -> None:
        """`datasets`: the task's rows of `task_datasets`. Keeps copies that are there from being deleted meanwhile."""
        self._transaction = transaction
        self._task_id = task["jedi_task_id"]
        self._takes_any = asks_for_all(task)
        self._datasets: dict[int, Wanted] = {}
        if not self._takes_any and not staging.has_tape(transaction):
            return
        inputs = [row for row in datasets if row["type"] == "input"]
        names = {row["name"]: bool(row["is_master"]) for row in inputs}
        for row in inputs:
            for wanted in staging.wanted_datasets(transaction, {row["name"]: names[row["name"]]}):
                self._datasets[row["dataset_id"]] = wanted
        staging.use(transaction, self._task_id, list(self._datasets.values()))

    def statuses(self, rows: Sequence[tuple[object, ...]]) -> list[str]:
        """ready, staging or failed for each row that is to be written; what must come is asked for."""
        held: set[int] = set()
        lost: set[int] = set()
        for key, wanted in self._datasets.items():
            ids = [
                row[_CATALOGUE_ID] for row in rows if row[_DATASET_ID] == key and isinstance(row[_CATALOGUE_ID], int)
            ]
            numbers = [number for number in ids if isinstance(number, int)]
            come = staging.to_be_held(self._transaction, numbers, takes_any=self._takes_any) if numbers else set()
            gone = staging.given_up(self._transaction, wanted.dataset_id, come) if come else set()
            if come - gone:
                staging.want(self._transaction, self._task_id, wanted, takes_any=self._takes_any, file_ids=come - gone)
            if wanted.is_master:
                held |= come
                lost |= gone
        return [
            "failed" if row[_CATALOGUE_ID] in lost else HELD if row[_CATALOGUE_ID] in held else "ready" for row in rows
        ]


# ix_task_files_status, primary keys of replicas and endpoints; what a command opened and has no copy on disk by now
_OPENED = f"""
SELECT f.file_id, f.catalogue_file_id, f.dataset_id, d.name FROM task_files f JOIN task_datasets d USING (dataset_id)
WHERE f.jedi_task_id = %(id)s AND f.status = 'ready' AND d.is_master AND d.type = 'input'
  AND f.catalogue_file_id IS NOT NULL AND f.file_id > %(after)s AND f.file_id <= %(upto)s
  AND NOT {staging.ON_DISK.replace("f.file_id", "f.catalogue_file_id")}
"""
# primary key
_HOLD = f"UPDATE task_files SET status = '{HELD}' WHERE file_id = ANY(%(ids)s)"


def hold_opened(transaction: Transaction, task: Row, after: int = 0, upto: int = 2**63 - 1) -> None:
    """Have files that were opened again wait where their copies on disk are gone. The caller holds the task.

    `after`, `upto`: between which of the task's files they lie.
    """
    takes_any = asks_for_all(task)
    if not takes_any and not staging.has_tape(transaction):
        return
    rows = transaction.fetch(_OPENED, {"id": task["jedi_task_id"], "after": after, "upto": upto})
    for name in sorted({row["name"] for row in rows}):
        own = {row["file_id"]: row["catalogue_file_id"] for row in rows if row["name"] == name}
        for wanted in staging.wanted_datasets(transaction, {name: True}):
            staging.use(transaction, task["jedi_task_id"], [wanted])
            come = staging.to_be_held(transaction, sorted(set(own.values())), takes_any=takes_any)
            if come:
                staging.want(transaction, task["jedi_task_id"], wanted, takes_any=takes_any, file_ids=come)
                transaction.execute(_HOLD, {"ids": [key for key, number in own.items() if number in come]})
