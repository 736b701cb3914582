"""The one sentence that says how a job is doing. Knows states and durations, no table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from core.models.errors import primary_error
from core.states import JOB_STATUS_MEANING, ON_WORKER_NODE, JobStatus
from core.taskbuffer.killing import TO_BE_KILLED
from core.wording import duration_words


def job_sentence(
    row: Mapping[str, Any], history: Sequence[Mapping[str, Any]], as_of: datetime, waits_for: str = ""
) -> str:
    """What happened to the job, where, for how long, and why.

    `row`: its columns; `history`: oldest first; `waits_for`: why it does not run yet (core/why/waiting.py).
    """
    status = JobStatus(row["job_status"])
    place = f" at {row['computing_site']}" if row["computing_site"] else ""
    node = f" on {row['modification_host']}" if row["modification_host"] else ""
    ran = _ran_for(row)
    match status:
        case JobStatus.FINISHED:
            return f"Finished{place}{node}{ran}."
        case JobStatus.FAILED:
            return f"Failed{place}{node}{ran}: {_why(row)}."
        case JobStatus.CANCELLED | JobStatus.CLOSED:
            reason = _last_reason(history) or _why(row)
            return f"{status.capitalize()}{place}{ran}: {reason.rstrip('.')}."
    since = duration_words((as_of - row["state_change_time"]).total_seconds())
    reason = f"; {waits_for}" if waits_for else ""
    return f"{status.capitalize()}{place} for {since}: {JOB_STATUS_MEANING[status]}{reason}.{_asked(row)}"


def _asked(row: Mapping[str, Any]) -> str:
    command = row["command_to_pilot"]
    if not command or row["job_status"] not in ON_WORKER_NODE:
        return ""
    told = (
        "A kill was requested; the pilot learns of it" if TO_BE_KILLED in command else f"The pilot is told {command!r}"
    )
    return f" {told} with its next heartbeat."


def _ran_for(row: Mapping[str, Any]) -> str:
    if row["start_time"] is None or row["end_time"] is None:
        return " without having run" if row["start_time"] is None and row["job_status"] != "finished" else ""
    return f" after running for {duration_words((row['end_time'] - row['start_time']).total_seconds())}"


def _why(row: Mapping[str, Any]) -> str:
    error = primary_error(row)
    if error is None:
        return "no error was reported"
    lines = (row.get("culprit_line") or error.diag).strip().splitlines() or [error.name]
    said = lines[0] if len(lines[0]) <= 200 else lines[0][:199] + "…"
    name = f" {error.name}" if error.name else ""
    return f"{said.rstrip('.')} ({error.component} {error.code}{name})"


def _last_reason(history: Sequence[Mapping[str, Any]]) -> str:
    return str(history[-1]["reason"]) if history and history[-1]["reason"] else ""
