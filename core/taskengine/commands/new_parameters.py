"""Other parameters for a task that exists: merged over the stored ones and read as a whole. Knows no command."""

from __future__ import annotations

from typing import Any

from core.errors import InvalidInput, PandaError
from core.queues import check_queue_exists
from core.taskengine.commands.locking import LockedTask
from core.taskengine.dialects import fields
from core.taskengine.dialects.definition import TaskDefinition
from core.taskengine.dialects.reading import read_definition

_KEPT = frozenset(
    {
        *("taskName", "userName", "vo", "prodSourceLabel", "jobParameters", "buildSpec", "log", "uniqueTaskName"),
        # whose limits, priority, share and resources it has: who may work for a group was asked when the task came
        *("workingGroup", "countryGroup"),
    }
)
"""What makes a task this task (client-wire.md 4.3, 5.3)."""

# primary key
_STORE = """
UPDATE tasks SET parameters = %(parameters)s, split_rule = %(split_rule)s, site = %(site)s, ram_count = %(ram_count)s,
                 ram_unit = %(ram_unit)s, core_count = %(core_count)s, goal = %(goal)s, current_priority = %(priority)s,
                 modification_time = clock_timestamp()
WHERE jedi_task_id = %(task_id)s
"""


def take_over(task: LockedTask, new_parameters: dict[str, Any], *, prefix: str = "") -> TaskDefinition:
    """Store `new_parameters` over the old ones; jobs made from now on obey the definition returned.

    A rule that was changed since the submission gives way to a new parameter of its name. Raises InvalidInput or
    UnknownObject naming the parameter, with `prefix` before it.
    """
    for name in sorted(_KEPT & set(new_parameters)):
        raise InvalidInput("cannot be changed", field=f"{prefix}{name}", remedy="submit another task instead")
    parameters = {**task.row["parameters"], **new_parameters}
    split_rule = {name: value for name, value in task.row["split_rule"].items() if name not in new_parameters}
    if "loopingCheck" in new_parameters:
        # stored inverted, as the submission does (client-wire.md 4.3)
        parameters["noLoopingCheck"] = not fields.flag(new_parameters, "loopingCheck")
        split_rule.pop("noLoopingCheck", None)
    definition = _read(task, {**parameters, **split_rule}, prefix)
    if definition.site:
        check_queue_exists(task.transaction, definition.site, f"{prefix}site")
    task.execute(
        _STORE,
        parameters=parameters,
        split_rule=split_rule,
        site=definition.site,
        ram_count=definition.ram_count or definition.needs.ram_mb,
        ram_unit=definition.ram_unit,
        core_count=definition.needs.core_count,
        goal=definition.goal,
        # what production set stays unless it is asked for anew, within the limits of who asks
        priority=definition.priority if "currentPriority" in new_parameters else task.row["current_priority"],
    )
    return definition


def _read(task: LockedTask, parameters: dict[str, Any], prefix: str) -> TaskDefinition:
    issuer = task.issuer
    try:
        return read_definition(
            parameters, task_id=task.task_id, user_name=task.row["user_name"], is_production=issuer.is_production
        )
    except PandaError as error:
        raise InvalidInput(error.detail, field=f"{prefix}{error.field}", remedy=error.remedy) from error
