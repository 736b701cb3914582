"""The columns of a task under the names PanDA's clients know (domain.md 3.2), as SQL over `tasks t`. Knows no question."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from core.states import SUPER_STATUS


@dataclass(frozen=True)
class TaskColumn:
    """How a column is compared (`expression`) and shown (`shown`, the same unless given)."""

    expression: str
    kind: type
    """int, str or datetime."""
    shown: str = ""


def _stored(column: str, kind: type = str) -> TaskColumn:
    return TaskColumn(f"t.{column}", kind)


def _submitted(name: str) -> TaskColumn:
    """What stands only in the dictionary the user submitted."""
    return TaskColumn(f"t.parameters->>'{name}'", str, f"t.parameters->'{name}'")


_SUPER = " ".join(f"WHEN '{status}' THEN '{word}'" for status, word in SUPER_STATUS.items() if status != word)

TASK_COLUMNS: dict[str, TaskColumn] = {
    "jediTaskID": _stored("jedi_task_id", int),
    "reqID": _stored("req_id", int),
    "taskName": _stored("task_name"),
    "status": _stored("status"),
    "superStatus": TaskColumn(f"CASE t.status {_SUPER} ELSE t.status END", str),
    "oldStatus": _stored("old_status"),
    "userName": _stored("user_name"),
    "vo": _stored("vo"),
    "workingGroup": _stored("working_group"),
    "taskType": _stored("task_type"),
    "prodSourceLabel": _stored("prod_source_label"),
    "processingType": _stored("processing_type"),
    "parent_tid": TaskColumn("coalesce(t.parent_tid, t.jedi_task_id)", int),
    "creationDate": _stored("creation_time", datetime),
    "modificationTime": _stored("modification_time", datetime),
    "startTime": _stored("start_time", datetime),
    "endTime": _stored("end_time", datetime),
    "taskPriority": _stored("task_priority", int),
    "currentPriority": _stored("current_priority", int),
    "gshare": _stored("gshare"),
    "site": _stored("site"),
    "nucleus": _stored("nucleus"),
    "coreCount": _stored("core_count", int),
    "ramCount": _stored("ram_count", int),
    "ramUnit": _stored("ram_unit"),
    "walltime": _stored("wall_time_s", int),
    "cpuTime": _stored("cpu_time", int),
    "cpuTimeUnit": _stored("cpu_time_unit"),
    "errorDialog": _stored("error_dialog"),
    "progress": TaskColumn("100 * t.n_files_finished / greatest(t.n_files, 1)", int),
    "failureRate": TaskColumn("100 * t.n_failed / greatest(t.n_finished + t.n_failed, 1)", int),
    **{
        name: _submitted(name)
        for name in (
            *("cloud", "campaign", "framework", "architecture", "transUses", "transHome", "transPath"),
            *("container_name", "goal", "termCondition", "ttcRequested", "outDiskCount", "outDiskUnit"),
            *("workDiskCount", "workDiskUnit", "ioIntensity", "ioIntensityUnit", "diskIO", "diskIOUnit"),
            *("baseRamCount", "baseWalltime", "cpuEfficiency", "eventService", "ticketID", "countryGroup"),
        )
    },
}

SHOWN_COLUMNS = ", ".join(f'{column.shown or column.expression} AS "{name}"' for name, column in TASK_COLUMNS.items())
"""A select list of all of them."""

_BY_LOWER_NAME = {name.lower(): name for name in TASK_COLUMNS}


def known_name(name: str) -> str | None:
    """PanDA's spelling of a column's name, None when there is no such column."""
    return _BY_LOWER_NAME.get(name.lower())
