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


_BY_NAME = {component.name: component for component in ERROR_COMPONENTS}
_ENDED_BY_THE_SERVER = tuple(
    _BY_NAME[name] for name in ("sup", "job_dispatcher", "task_buffer", "brokerage", "ddm", "pilot", "exe", "trans")
)
"""First in time when no pilot gave a verdict: what ended the job, then what an earlier heartbeat left behind."""

_PAYLOAD_FAILED = frozenset({1305, 1315})
"""Pilot codes that only repeat that the payload failed (PAYLOADEXECUTIONFAILURE, UNKNOWNTRFFAILURE)."""


def errors_of_job(row: Mapping[str, Any], had_verdict: bool | None = None) -> list[JobError]:
    """All errors of a job, the primary one first. `row`: columns by name; a missing one is no error.

    `had_verdict`: whether a pilot gave its verdict on the job (its history has `holding`), when that is known: errors are
    then in the order of time, the more specific component first. None is the order that lists and facets share with SQL.
    """
    order = ERROR_COMPONENTS if had_verdict is not False else _ENDED_BY_THE_SERVER
    found = [error for component in order if (error := _error(component, row)) is not None]
    return _most_specific_first(found, row) if had_verdict else found


def primary_error(row: Mapping[str, Any], had_verdict: bool | None = None) -> JobError | None:
    """The error that counts for this job, or None when no component reported one; `had_verdict` as in `errors_of_job`."""
    return next(iter(errors_of_job(row, had_verdict)), None)


def _error(component: ErrorComponent, row: Mapping[str, Any]) -> JobError | None:
    code = row.get(component.code_column)
    if not code:
        return None
    diag = row.get(component.diag_column) or "" if component.diag_column else ""
    return JobError(
        component.name, code, error_name(component.name, code), diag or error_description(component.name, code)
    )


def _most_specific_first(errors: list[JobError], row: Mapping[str, Any]) -> list[JobError]:
    """A transformation that says what failed is more specific than the pilot's note that something did."""
    first_two = [error.component for error in errors[:2]]
    if first_two == ["pilot", "exe"] and abs(errors[0].code) in _PAYLOAD_FAILED and row.get("exe_error_diag"):
        return [errors[1], errors[0], *errors[2:]]
    return errors
