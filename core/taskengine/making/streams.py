"""The datasets of a task: rows of `task_datasets`, and the datasets of the catalogue that its jobs fill. Knows no job."""

from __future__ import annotations

import json

from core.database import Row, Transaction
from core.dataservice.catalogue import ensure_dataset
from core.errors import Conflict, InvalidInput
from core.names import MAX_NAME_BYTES, UNMERGED
from core.taskengine.dialects.definition import InputStream, OutputStream, TaskDefinition
from core.taskengine.dialects.items import scope_of

FOLLOWS_PARENT = "mutable"
"""Status of the marker of a task while somebody still adds to its input."""
PARENT = "parent"
"""Type of the row that stands for whoever makes the input of a task: its parent, or, of a task without one, whoever fills
the datasets it follows. Mutable while that goes on, to be fed while the last of it is read."""
TO_BE_FED = "toupdate"
"""Status of an input dataset of which more may have to be read into `task_files`."""
COMPLETE = "ready"
LIBRARY_STREAM = "LIB"
MERGE_STREAM = "MERGE"
MERGE_INPUT = "merge_input"
"""Type of the dataset that holds what waits to be merged: a row for each run job that finished."""


def library_dataset(definition: TaskDefinition, task_id: int) -> str:
    """Where the build jobs of a task put what they make."""
    return f"{definition.base_name}.{task_id}.lib"


# ix_task_datasets_task
_PRESENT = """
SELECT dataset_id, stream, name, type, is_master, status, feed_cursor, n_files, n_events, n_skipped
FROM task_datasets WHERE jedi_task_id = %(id)s ORDER BY dataset_id
"""
_INSERT = """
INSERT INTO task_datasets (jedi_task_id, name, container, stream, type, is_master, status, template, attributes)
VALUES %s RETURNING dataset_id
"""


def register_streams(transaction: Transaction, task: Row, definition: TaskDefinition) -> list[Row]:
    """Add the datasets of the definition that the task does not have yet; all its datasets in order of registration.

    Raises NotAllowed or Conflict when an output dataset is somebody else's, holds input, or is read by the task itself.
    """
    task_id = task["jedi_task_id"]
    _check_names(definition)
    _check_no_circle(definition)
    present = {(row["stream"], row["name"]) for row in transaction.fetch(_PRESENT, {"id": task_id})}
    rows: list[tuple[object, ...]] = []
    for stream in definition.inputs:
        rows += _input_rows(task_id, stream, is_master=stream is definition.master, present=present)
    merged = [stream.target for stream in definition.merge.streams] if definition.merge is not None else []
    for output in (*definition.outputs, *merged):
        if (output.name, output.dataset) not in present:
            _make_dataset(transaction, task, output)
            rows.append(_output_row(task_id, output))
    if definition.merge is not None and (MERGE_STREAM, MERGE_STREAM) not in present:
        rows.append((task_id, MERGE_STREAM, "", MERGE_STREAM, MERGE_INPUT, False, "defined", "", "{}"))
    if definition.build is not None and (LIBRARY_STREAM, library_dataset(definition, task_id)) not in present:
        name = library_dataset(definition, task_id)
        _ensure(transaction, task, name, "lib", scope_of(definition.base_name), "taskName")
        rows.append((task_id, name, name, LIBRARY_STREAM, "lib", False, "defined", "", "{}"))
    transaction.insert_many(_INSERT, rows)
    return transaction.fetch(_PRESENT, {"id": task_id})


def _input_rows(
    task_id: int, stream: InputStream, *, is_master: bool, present: set[tuple[str, str]]
) -> list[tuple[object, ...]]:
    attributes = json.dumps({**stream.attributes, "offset": stream.offset})
    status = TO_BE_FED if stream.kind in ("input", "pseudo_input") else COMPLETE
    return [
        (task_id, name, name, stream.name, stream.kind, is_master, status, "", attributes)
        for name in stream.datasets
        if (stream.name, name) not in present
    ]


def _output_row(task_id: int, output: OutputStream) -> tuple[object, ...]:
    kind = "trn_output" if output.dataset.startswith(UNMERGED) else output.kind
    container, attributes = output.container or output.dataset, json.dumps(dict(output.attributes))
    return task_id, output.dataset, container, output.name, kind, False, "defined", output.template, attributes


def _check_names(definition: TaskDefinition) -> None:
    """Raise InvalidInput for input that no index could hold the name of: there is no such dataset either."""
    for stream in definition.inputs:
        for name in stream.datasets:
            if len(name.encode("utf-8", "surrogatepass")) > MAX_NAME_BYTES:
                raise InvalidInput(
                    f"{name[:40]!r}... is too long for a dataset",
                    field=stream.field,
                    remedy=f"at most {MAX_NAME_BYTES} bytes",
                )


def _check_no_circle(definition: TaskDefinition) -> None:
    read = {name.rstrip("/") for stream in definition.inputs for name in stream.datasets}
    for output in definition.outputs:
        if output.dataset.rstrip("/") in read:
            raise Conflict(
                f"the task reads {output.dataset[:200]!r} itself", field=_field_of(output), remedy="choose another name"
            )


def _field_of(output: OutputStream) -> str:
    is_item = output.field.endswith(".value")
    return output.field.removesuffix(".value") + ".dataset" if is_item else "taskName"


def _make_dataset(transaction: Transaction, task: Row, output: OutputStream) -> None:
    _ensure(transaction, task, output.dataset, output.kind, output.scope, _field_of(output))


def _ensure(transaction: Transaction, task: Row, name: str, kind: str, scope: str, field: str) -> None:
    ensure_dataset(
        transaction,
        name=name,
        scope=scope,
        kind=kind,
        owner=task["user_name"],
        vo=task["vo"],
        jedi_task_id=task["jedi_task_id"],
        field_name=field,
    )
