"""Ends jobs: the row moves from live to archive, with history and task counters, in the caller's transaction.

This is the only way out of `jobs_live`. What is not in a state from which the end is legal is left alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.database import Transaction
from core.models import JobColumns
from core.states import FINAL_JOB_STATUSES, JOB_TRANSITIONS, JobStatus
from core.taskbuffer.task_accounts import account_to_tasks
from core.text import clean

ERROR_COMPONENTS = ("pilot", "exe", "sup", "ddm", "brokerage", "job_dispatcher", "task_buffer")


@dataclass(frozen=True)
class JobError:
    """An error that a server component adds to a job; `component` is one of ERROR_COMPONENTS."""

    component: str
    code: int
    diag: str


@dataclass(frozen=True)
class Ending:
    """How one job shall end."""

    panda_id: int
    status: JobStatus
    reason: str
    sub_status: str = ""
    error: JobError | None = None


_LEGAL_ENDS = ", ".join(
    f"('{before}', '{end}')"
    for before in sorted(JOB_TRANSITIONS)
    for end in sorted(JOB_TRANSITIONS[before] & FINAL_JOB_STATUSES)
)


def _archived_columns() -> tuple[str, str]:
    """The archive's columns, and the value each takes from the live row `j` and the ending `e`."""
    values = {
        "job_status": "e.job_status",
        "job_sub_status": "CASE WHEN e.sub_status <> '' THEN e.sub_status ELSE j.job_sub_status END",
        "state_change_time": "clock_timestamp()",
        "modification_time": "clock_timestamp()",
        "end_time": "coalesce(j.end_time, clock_timestamp())",
    }
    for component in ERROR_COMPONENTS:
        for part in ("code", "diag"):
            column = f"{component}_error_{part}"
            values[column] = f"CASE WHEN e.component = '{component}' THEN e.{part} ELSE j.{column} END"
    # a kill that came too late left its mark on a job that finished all the same
    for column, nothing in (("task_buffer_error_code", "0"), ("task_buffer_error_diag", "''")):
        values[column] = f"CASE WHEN e.job_status = 'finished' THEN {nothing} ELSE {values[column]} END"
    names = list(JobColumns.model_fields)
    return ", ".join(names), ", ".join(values.get(name, f"j.{name}") for name in names)


_COLUMNS, _VALUES = _archived_columns()

# by primary key of jobs_live; the delete takes the row lock, so two endings of one job cannot both find it
_END = f"""
WITH ending AS (
    SELECT * FROM unnest(%(panda_id)s::bigint[], %(job_status)s::text[], %(sub_status)s::text[], %(reason)s::text[],
                         %(component)s::text[], %(code)s::bigint[], %(diag)s::text[])
        AS t (panda_id, job_status, sub_status, reason, component, code, diag)
), gone AS (
    DELETE FROM jobs_live j USING ending e
    WHERE j.panda_id = e.panda_id AND (j.job_status, e.job_status) IN ({_LEGAL_ENDS})
    RETURNING j.*
), archived AS (
    INSERT INTO jobs_archive ({_COLUMNS})
    SELECT {_VALUES} FROM gone j JOIN ending e ON e.panda_id = j.panda_id
), logged AS (
    INSERT INTO job_history (panda_id, jedi_task_id, attempt_nr, previous_status, job_status, computing_site,
                             prod_source_label, host, reason)
    SELECT j.panda_id, j.jedi_task_id, j.attempt_nr, j.job_status, e.job_status, j.computing_site,
           j.prod_source_label, j.modification_host, e.reason
    FROM gone j JOIN ending e ON e.panda_id = j.panda_id
), forgotten AS (
    DELETE FROM job_output_reports r USING gone j WHERE r.panda_id = j.panda_id
)
SELECT j.panda_id, j.jedi_task_id, j.job_index, e.job_status, e.sub_status FROM gone j JOIN ending e ON e.panda_id = j.panda_id
"""

# ix_job_files_job; files that will never come or never be read, so that no one waits for them (server-api.md 5.4)
_FAIL_FILES = """
UPDATE job_files SET status = 'failed' WHERE panda_id = ANY(%(panda_ids)s) AND status IN ('defined', 'pending')
"""


def end_jobs(transaction: Transaction, endings: Sequence[Ending]) -> list[int]:
    """End jobs and return the PandaIDs that really ended now; the others had ended before or may not end so."""
    if not endings:
        return []
    ordered = sorted({ending.panda_id: ending for ending in endings}.values(), key=lambda ending: ending.panda_id)
    # locked in order first, so that two batches sharing jobs wait for each other instead of deadlocking
    transaction.execute(
        "SELECT 1 FROM jobs_live WHERE panda_id = ANY(%(ids)s) ORDER BY panda_id FOR UPDATE",
        {"ids": [ending.panda_id for ending in ordered]},
    )
    none = JobError("", 0, "")
    errors = [ending.error or none for ending in ordered]
    ended = transaction.fetch(
        _END,
        {
            "panda_id": [ending.panda_id for ending in ordered],
            "job_status": [ending.status.value for ending in ordered],
            "sub_status": [ending.sub_status for ending in ordered],
            "reason": [clean(ending.reason, 500) for ending in ordered],
            "component": [error.component for error in errors],
            "code": [error.code for error in errors],
            "diag": [clean(error.diag, 500) for error in errors],
        },
    )
    panda_ids = [row["panda_id"] for row in ended]
    if panda_ids:
        transaction.execute(_FAIL_FILES, {"panda_ids": panda_ids})
        account_to_tasks(transaction, ended)
    return panda_ids
