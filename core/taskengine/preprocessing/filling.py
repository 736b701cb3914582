"""Makes what a preprocessing job worked out the definition of its task, read and checked as at the door. Knows no job.

All of it in one transaction with the mark that it is done: it happens once, whoever is killed in between.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from core.database import Row, Transaction
from core.dataservice.catalogue import find_dataset
from core.errors import InvalidInput
from core.states import TaskStatus
from core.taskengine.beginning import Beginner, begin
from core.taskengine.dialects import fields
from core.taskengine.dialects.definition import InputStream, TaskDefinition
from core.taskengine.dialects.door import check_at_door
from core.taskengine.dialects.preprocessing import notes_on_preprocessing
from core.taskengine.dialects.reading import read_definition
from core.taskengine.named_queues import check_named_queues
from core.taskengine.preprocessing.report import filled_in, read_report
from core.taskengine.preprocessing_marker import mark_done
from core.taskengine.scouting.gate import DEFAULT_SCOUTS
from core.taskengine.status import change_status
from core.text import clean
from core.wording import counted, named
from core.workload_settings import ScoutSettings

WHO = "preprocessor"

# primary key of job_metadata
_METADATA = "SELECT text FROM job_metadata WHERE panda_id = %(panda_id)s"
# primary key
_STORE = """
UPDATE tasks SET parameters = %(parameters)s, split_rule = %(split_rule)s, site = %(site)s, ram_count = %(ram_count)s,
                 ram_unit = %(ram_unit)s, core_count = %(core_count)s, wall_time_s = %(walltime_s)s, cpu_time = %(cpu_time)s,
                 cpu_time_unit = %(cpu_time_unit)s, goal = %(goal)s, error_dialog = %(error_dialog)s
WHERE jedi_task_id = %(task_id)s
"""
# uq_files_dataset_lfn
_NOT_THERE = """
SELECT w.lfn FROM unnest(%(lfns)s::text[]) AS w (lfn)
WHERE NOT EXISTS (SELECT 1 FROM files f WHERE f.dataset_id = ANY(%(datasets)s::bigint[]) AND f.lfn = w.lfn)
LIMIT 1000
"""


def fill_in_definition(
    transaction: Transaction, task: Row, panda_id: int, scouts: ScoutSettings = DEFAULT_SCOUTS
) -> None:
    """Give a task in `preprocessing` the definition that its job `panda_id` brought, and let it begin its real work.

    The caller holds the task. Raises InvalidInput, UnknownObject, NotAllowed or Conflict naming the parameter that makes no
    task.
    """
    task_id = task["jedi_task_id"]
    row = transaction.fetch_one(_METADATA, {"panda_id": panda_id})
    report = read_report(None if row is None else row["text"], panda_id)
    parameters, said = filled_in(task["parameters"], report)
    split_rule = {name: value for name, value in task["split_rule"].items() if name not in report}
    definition = _read(task, parameters, split_rule)
    check_named_queues(transaction, parameters, definition)
    _check_files_are_there(transaction, definition)
    _store(transaction, task_id, parameters, split_rule, definition)
    mark_done(transaction, task_id)
    reason = f"job {panda_id} worked out {', '.join(said)}"
    change_status(transaction, task_id, TaskStatus.REGISTERED, who=WHO, reason=clean(reason, 500))
    waits = not fields.flag(parameters, "noWaitParent")
    parent_tid = task["parent_tid"] if task["parent_tid"] != task_id else None
    begin(transaction, Beginner(task_id, definition, WHO, parent_tid, waits_for_parent=waits), scouts)


def _read(task: Row, parameters: dict[str, Any], split_rule: dict[str, Any]) -> TaskDefinition:
    """As at the door; rules that were changed since still win."""
    definition = read_definition(
        {**parameters, **split_rule}, task_id=task["jedi_task_id"], user_name=task["user_name"], is_production=True
    )
    told = check_at_door(parameters, definition)
    is_over = notes_on_preprocessing(definition.preprocess)
    return replace(definition, notes=tuple(note for note in (*definition.notes, *told) if note not in is_over))


def _check_files_are_there(transaction: Transaction, definition: TaskDefinition) -> None:
    """Raise InvalidInput when a list names files that are in none of the datasets: they would be left out in silence."""
    for stream in definition.inputs:
        if stream.kind == "input" and stream.files and not _waits(definition):
            _check_stream(transaction, stream)


def _waits(definition: TaskDefinition) -> bool:
    return definition.waits_for_input or definition.runs_until_closed or definition.ignores_missing_datasets


def _check_stream(transaction: Transaction, stream: InputStream) -> None:
    found = [find_dataset(transaction, name) for name in stream.datasets]
    present = [dataset["dataset_id"] for dataset in found if dataset is not None]
    if len(present) < len(found):
        return  # that a dataset is missing is said when it is read
    missing = [row["lfn"] for row in transaction.fetch(_NOT_THERE, {"lfns": list(stream.files), "datasets": present})]
    if missing:
        where = "inputFiles" if stream.field == "inputDataset" else stream.field.removesuffix(".dataset") + ".files"
        raise InvalidInput(
            f"{counted(len(missing), 'file')} that the preprocessing job names "
            f"{'is' if len(missing) == 1 else 'are'} not in the input: {named(missing[:3], len(missing))[:200]}",
            field=where,
            remedy="name files of the dataset, or register them with it",
        )


def _store(
    transaction: Transaction,
    task_id: int,
    parameters: dict[str, Any],
    split_rule: dict[str, Any],
    definition: TaskDefinition,
) -> None:
    transaction.execute(
        _STORE,
        {
            "task_id": task_id,
            "parameters": parameters,
            "split_rule": split_rule,
            "site": definition.site,
            "ram_count": definition.ram_count or definition.needs.ram_mb,
            "ram_unit": definition.ram_unit,
            "core_count": definition.needs.core_count,
            "walltime_s": definition.needs.walltime_s,
            "cpu_time": definition.needs.cpu_time,
            "cpu_time_unit": definition.cpu_time_unit,
            "goal": definition.goal,
            "error_dialog": clean("; ".join(definition.notes), 510),
        },
    )
