"""From the row of a task to its definition, whichever dialect it came in. Knows the row, runs no statement."""

from __future__ import annotations

from typing import Any

from core.database import Row
from core.taskengine.dialects.definition import TaskDefinition
from core.taskengine.dialects.house import read_house_parameters
from core.taskengine.dialects.panda import is_panda_dialect, read_parameters


def effective_parameters(task: Row) -> dict[str, Any]:
    """The parameters as they hold now: what was changed since the submission wins."""
    return {**task["parameters"], **task["split_rule"]}


def definition_of(task: Row) -> TaskDefinition:
    """The definition of a task of the table, by its present parameters. Raises InvalidInput for bad changes."""
    return read_definition(
        effective_parameters(task),
        task_id=task["jedi_task_id"],
        user_name=task["user_name"],
        is_production=True,
    )


def read_definition(parameters: dict[str, Any], *, task_id: int, user_name: str, is_production: bool) -> TaskDefinition:
    """The definition of a task to be. Raises InvalidInput naming the key."""
    if is_panda_dialect(parameters):
        return read_parameters(parameters, is_production=is_production)
    return read_house_parameters(parameters, task_id=task_id, user_name=user_name, is_production=is_production)
