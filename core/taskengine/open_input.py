"""Tasks whose input is not there yet, or still grows: waitInput and runUntilClosed (domain.md 3.4). Knows no parent, no HTTP.

They wait until every dataset exists and the first file is in; with runUntilClosed they take further files as they come, until
nobody can add any more.
"""

from __future__ import annotations

from core.database import Database, Row, Transaction
from core.dataservice.catalogue import find_dataset
from core.dataservice.open_datasets import may_grow
from core.taskengine.dialects.definition import TaskDefinition
from core.taskengine.dialects.reading import definition_of
from core.taskengine.following import (
    begin_following,
    follow_each,
    hold_until_it_comes,
    read_to_the_end,
    say,
    take_what_is_there,
)
from core.taskengine.making.streams import FOLLOWS_PARENT, PARENT, TO_BE_FED

_CAME = "its input came"

# ix_task_datasets_following, primary keys of tasks: the marker of a task without a parent is of one that follows datasets
_FOLLOWERS = f"""
SELECT t.jedi_task_id FROM task_datasets d JOIN tasks t USING (jedi_task_id)
WHERE d.type = '{PARENT}' AND d.status IN ('{FOLLOWS_PARENT}', '{TO_BE_FED}') AND d.jedi_task_id > %(after)s
  AND t.parent_tid IS NULL AND NOT t.status = ANY(%(final)s)
ORDER BY d.jedi_task_id LIMIT %(page)s
"""
# uq_files_dataset_lfn
_ANY_FILE = "SELECT 1 FROM files WHERE dataset_id = %(id)s LIMIT 1"


def is_input_to_come(transaction: Transaction, definition: TaskDefinition) -> bool:
    """Whether a new task has to follow its input: something is not there yet, or grows and it takes that too."""
    return bool(missing_input(transaction, definition)) or _grows(transaction, definition)


def wait_for_input(transaction: Transaction, task_id: int, definition: TaskDefinition) -> None:
    """Let a new task follow its input: it begins with what is there, or waits."""
    begin_following(transaction, task_id)
    obstacle = missing_input(transaction, definition)
    if obstacle or not take_what_is_there(transaction, task_id, because=_CAME):
        dialog = obstacle or "waiting for files that it takes to come into its input"
        hold_until_it_comes(transaction, task_id, reason="waits for its input", dialog=dialog)


def follow_open_input(database: Database, *, page: int = 500) -> int:
    """Give tasks what has come into the datasets they follow; returns how many changed. `page`: tasks in one question."""
    return follow_each(database, _FOLLOWERS, lambda _: _look, page=page, whom="input")


def missing_input(transaction: Transaction, definition: TaskDefinition) -> str:
    """What a task waits for before it can begin, in a sentence; empty when it need not wait.

    Only tasks with waitInput wait for datasets that do not exist; those with runUntilClosed wait for a first file, too.
    """
    for stream in definition.inputs if definition.waits_for_input or definition.runs_until_closed else ():
        found = [(name, find_dataset(transaction, name)) for name in stream.datasets if stream.kind == "input"]
        for name, dataset in found if definition.waits_for_input else ():
            if dataset is None:
                return f"waiting for dataset {name[:200]!r} to be registered"
        present = [dataset for _, dataset in found if dataset is not None]
        is_awaited = definition.waits_for_input or any(may_grow(transaction, one["dataset_id"]) for one in present)
        if present and is_awaited and not any(_has_files(transaction, dataset) for dataset in present):
            return f"waiting for the first file of dataset {found[0][0][:200]!r}"
    return ""


def _look(transaction: Transaction, task: Row) -> bool:
    definition = definition_of(task)
    obstacle = missing_input(transaction, definition)
    if obstacle:
        if task["error_dialog"] != obstacle and not task["n_files"]:
            say(transaction, task["jedi_task_id"], obstacle)
        return False
    if _grows(transaction, definition):
        return take_what_is_there(transaction, task["jedi_task_id"], because=_CAME)
    return read_to_the_end(transaction, task, because=_CAME)


def _grows(transaction: Transaction, definition: TaskDefinition) -> bool:
    """Whether further files may come into the master input of a task that follows it."""
    if not definition.runs_until_closed or definition.master.kind != "input":
        return False
    found = [find_dataset(transaction, name) for name in definition.master.datasets]
    return any(dataset is not None and may_grow(transaction, dataset["dataset_id"]) for dataset in found)


def _has_files(transaction: Transaction, dataset: Row) -> bool:
    return transaction.fetch_one(_ANY_FILE, {"id": dataset["dataset_id"]}) is not None
