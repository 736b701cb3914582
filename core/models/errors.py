"""Which of a job's errors counts: the one rule that the incident store, the job lists and the facets share.

A job has one primary error, for counting; the others are shown and never summed (monitor.md 6.1). Knows no SQL; the
monitor derives its expression from `ERROR_COMPONENTS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.error_codes import error_description, error_name


@dataclass(frozen=True)
class ErrorComponent:
    """A part that reports errors of jobs, and the columns it reports them in."""

    name: str
    code_column: str
    diag_column: str


ERROR_COMPONENTS: tuple[ErrorComponent, ...] = (
    ErrorComponent("pilot", "pilot_error_code", "pilot_error_diag"),
    ErrorComponent("exe", "exe_error_code", "exe_error_diag"),
    ErrorComponent("trans", "trans_exit_code", ""),
    ErrorComponent("ddm", "ddm_error_code", "ddm_error_diag"),
    ErrorComponent("brokerage", "brokerage_error_code", "brokerage_error_diag"),
    ErrorComponent("sup", "sup_error_code", "sup_error_diag"),
    ErrorComponent("job_dispatcher", "job_dispatcher_error_code", "job_dispatcher_error_diag"),
    ErrorComponent("task_buffer", "task_buffer_error_code", "task_buffer_error_diag"),
)
"""Nearest to the payload first: what happened there happened before the server noticed (domain.md 10.4)."""


@dataclass(frozen=True)
class JobError:
    """One error of a job. `diag` is what the component said, or the table's sentence when it said nothing."""

    component: str
    code: int
    name: str
    diag: str


def errors_of_job(row: Mapping[str, Any]) -> list[JobError]:
    """All errors of a job, the primary one first. `row`: columns by name; a missing one is no error."""
    found = []
    for component in ERROR_COMPONENTS:
        code = row.get(component.code_column)
        if code:
            diag = row.get(component.diag_column) or "" if component.diag_column else ""
            found.append(
                JobError(
                    component.name,
                    code,
                    error_name(component.name, code),
                    diag or error_description(component.name, code),
                )
            )
    return found


def primary_error(row: Mapping[str, Any]) -> JobError | None:
    """The error that counts for this job, or None when no component reported one."""
    return next(iter(errors_of_job(row)), None)
