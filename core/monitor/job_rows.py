"""The row of a job as every list shows it: columns, primary error, culprit line. Knows no filter and no page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from core.database import Database, Row
from core.models.errors import ERROR_COMPONENTS, primary_error
from core.models.job import JobColumns

JOB_ROW_COLUMNS = (
    *("panda_id", "jedi_task_id", "job_name", "job_status", "job_sub_status", "computing_site", "prod_source_label"),
    *("processing_type", "prod_user_name", "vo", "current_priority", "attempt_nr", "max_attempt", "core_count"),
    *("min_ram_mb", "creation_time", "modification_time", "state_change_time", "start_time", "end_time"),
    *("modification_host", "pilot_id", "transformation", "command_to_pilot", "cpu_consumption_time_s", "max_rss_kb"),
)

ALL_JOB_COLUMNS = tuple(JobColumns.model_fields)

_ERROR_COLUMNS = tuple(
    column
    for component in ERROR_COMPONENTS
    for column in (component.code_column, component.diag_column)
    if column  # trans has no diagnosis
)

LIST_COLUMNS = ", ".join(dict.fromkeys((*JOB_ROW_COLUMNS, *_ERROR_COLUMNS)))
"""What a statement must select so that `job_row` can make the row."""

ERROR_KEY = (
    "CASE "
    + " ".join(
        f"WHEN {component.code_column} <> 0 THEN '{component.name}:' || {component.code_column}"
        for component in ERROR_COMPONENTS
    )
    + " END"
)
"""The primary error as `component:code` in SQL, from the same table as `primary_error`; null when there is none."""


def job_row(row: Mapping[str, Any]) -> Row:
    """The list row from a database row that holds `LIST_COLUMNS`, `culprit_line` and `incident_id`."""
    error = primary_error(row)
    return {
        **{name: row[name] for name in JOB_ROW_COLUMNS},
        "error": asdict(error) if error else None,
        "culprit_line": row["culprit_line"] or "",
        "incident_id": row["incident_id"],
    }


SHOWN_INCIDENT = "LEFT JOIN incidents i ON i.incident_id = c.incident_id AND i.opened_time IS NOT NULL"
"""Beside a job's row `c` of incident_jobs: its incident by primary key, but no candidate, of which nobody is told."""

# live by primary key; archive by primary key in each partition; incident_jobs and incidents by primary key
_ROWS_BY_ID = f"""
SELECT {", ".join(f"j.{name}" for name in LIST_COLUMNS.split(", "))}, c.culprit_line, i.incident_id
FROM (
    SELECT {LIST_COLUMNS} FROM jobs_live WHERE panda_id = ANY(%(ids)s::bigint[])
    UNION ALL
    SELECT {LIST_COLUMNS} FROM jobs_archive WHERE panda_id = ANY(%(ids)s::bigint[])
) j LEFT JOIN incident_jobs c USING (panda_id)
{SHOWN_INCIDENT}
ORDER BY j.panda_id DESC
"""


def job_rows(database: Database, panda_ids: Sequence[int]) -> list[Row]:
    """The rows of these jobs, newest first; unknown ids are left out."""
    if not panda_ids:
        return []
    return [job_row(row) for row in database.fetch(_ROWS_BY_ID, {"ids": list(panda_ids)})]
