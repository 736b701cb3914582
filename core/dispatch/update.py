"""Reports of pilots: heartbeats, state changes, the final verdict. Knows the rules, not the wire names.

A heartbeat is one statement; a final report one more. finished and failed become `holding` until the adder has
accounted for the outputs (domain.md 2.2). What must not change does not: wrong attempt, ended job, repeated verdict.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from core.database import Database, Row
from core.errors import InvalidInput
from core.states import ON_WORKER_NODE, JobStatus, job_statuses_before
from core.taskbuffer.killing import TO_BE_KILLED
from core.text import clean, clean_tail

REPORTABLE = ("running", "failed", "finished", "holding", "starting", "transferring", "stagein", "stageout")
"""What a pilot may say (server-api.md 1.3), and the two finer states of data movement (domain.md 2.2)."""

ALREADY_DONE = "alreadydone"
BAD_ATTEMPT = "badattemptnr"
LOG_TAIL_CHARACTERS = 65_536


@dataclass
class JobReport:
    """What a pilot says of its job. None = not said, the stored value stays."""

    panda_id: int
    job_status: str
    attempt_nr: int | None = None
    node: str | None = None
    pilot_id: str | None = None
    batch_id: str | None = None
    worker_id: str | None = None
    sub_status: str | None = None
    core_count: int | None = None
    trans_exit_code: int | None = None
    pilot_error_code: int | None = None
    pilot_error_diag: str | None = None
    exe_error_code: int | None = None
    exe_error_diag: str | None = None
    cpu_consumption_time_s: int | None = None
    cpu_consumption_unit: str | None = None
    max_rss_kb: int | None = None
    max_pss_kb: int | None = None
    work_dir_mb: int | None = None
    n_events: int | None = None
    job_metrics: str | None = None
    pilot_timing: str | None = None
    output_report: dict[str, Any] = field(default_factory=dict)
    logs: dict[str, str] = field(default_factory=dict)
    """Name of the log -> its last 64 kB."""


_TEXT_LIMITS = {
    "node": 128,
    "pilot_id": 200,
    "batch_id": 80,
    "worker_id": 80,
    "sub_status": 80,
    "pilot_error_diag": 500,
    "exe_error_diag": 500,
    "cpu_consumption_unit": 128,
    "job_metrics": 500,
    "pilot_timing": 100,
}
_NUMBERS = (
    "attempt_nr",
    "trans_exit_code",
    "pilot_error_code",
    "exe_error_code",
    "cpu_consumption_time_s",
    "max_rss_kb",
    "max_pss_kb",
    "work_dir_mb",
    "n_events",
)
_STORED = (
    *("pilot_id", "batch_id", "trans_exit_code", "pilot_error_code", "pilot_error_diag", "exe_error_code"),
    *("exe_error_diag", "cpu_consumption_time_s", "cpu_consumption_unit", "max_rss_kb", "max_pss_kb", "work_dir_mb"),
    *("n_events", "job_metrics", "pilot_timing"),
)
_SET_STORED = ",\n        ".join(f"{name} = coalesce(%({name})s, j.{name})" for name in _STORED)

# by primary key. `before` locks the row; `changed` touches it only while a pilot may still speak for this attempt.
_UPDATE = f"""
WITH before AS (
    SELECT panda_id, job_status, attempt_nr, command_to_pilot FROM jobs_live WHERE panda_id = %(panda_id)s FOR UPDATE
), changed AS (
    UPDATE jobs_live j SET
        job_status = CASE WHEN b.job_status = ANY(%(sources)s) THEN %(target)s ELSE j.job_status END,
        state_change_time = CASE WHEN b.job_status = ANY(%(sources)s) THEN clock_timestamp() ELSE j.state_change_time END,
        modification_time = clock_timestamp(),
        start_time = CASE WHEN %(target)s = 'running' AND j.start_time IS NULL THEN clock_timestamp() ELSE j.start_time END,
        end_time = CASE WHEN %(target)s = 'holding' THEN clock_timestamp() ELSE j.end_time END,
        job_sub_status = coalesce(%(sub_status)s, j.job_sub_status),
        modification_host = coalesce(nullif(%(node)s, ''), j.modification_host),
        worker_id = coalesce(nullif(%(worker_id)s, ''), j.worker_id),
        {_SET_STORED}
    FROM before b
    WHERE j.panda_id = b.panda_id AND b.job_status = ANY(%(speaking)s)
      AND (%(attempt_nr)s IS NULL OR b.attempt_nr = %(attempt_nr)s)
    RETURNING j.panda_id, j.jedi_task_id, j.attempt_nr, b.job_status AS previous_status, j.job_status, j.computing_site,
              j.prod_source_label, j.modification_host
), logged AS (
    INSERT INTO job_history (panda_id, jedi_task_id, attempt_nr, previous_status, job_status, computing_site,
                             prod_source_label, host, reason)
    SELECT panda_id, jedi_task_id, attempt_nr, previous_status, job_status, computing_site, prod_source_label,
           modification_host, %(reason)s
    FROM changed WHERE previous_status <> job_status
)%(final)s
SELECT b.job_status AS before_status, b.attempt_nr, b.command_to_pilot, c.job_status AS after_status
FROM before b LEFT JOIN changed c USING (panda_id)
"""

_KEEP_VERDICT = """, reported AS (
    INSERT INTO job_output_reports (panda_id, attempt_nr, verdict, report)
    SELECT panda_id, attempt_nr, %(verdict)s, %(output_report)s::jsonb FROM changed WHERE job_status = 'holding'
    ON CONFLICT (panda_id) DO NOTHING
), kept AS (
    INSERT INTO job_logs (panda_id, name, text, is_truncated)
    SELECT c.panda_id, l.name, l.text, l.is_truncated
    FROM changed c, unnest(%(log_names)s::text[], %(log_texts)s::text[], %(log_cuts)s::boolean[])
         AS l (name, text, is_truncated)
    ON CONFLICT (panda_id, name) DO UPDATE SET text = excluded.text, is_truncated = excluded.is_truncated
)"""
HEARTBEAT = _UPDATE.replace("%(final)s", "")
FINAL = _UPDATE.replace("%(final)s", _KEEP_VERDICT)


def update_job(database: Database, report: JobReport) -> str | None:
    """Apply a report and return the command for the pilot: None, tobekilled, alreadydone or badattemptnr.

    Raises InvalidInput when the state is none a pilot may report; nothing has changed then.
    """
    if report.job_status not in REPORTABLE:
        raise InvalidInput(
            f"a pilot may not report {report.job_status[:50]!r}",
            field="job_status",
            remedy="one of " + ", ".join(REPORTABLE),
        )
    is_final = report.job_status in ("finished", "failed")
    statement = FINAL if is_final else HEARTBEAT
    row = database.fetch_one(statement, report_parameters(report))
    if row is None:
        return _answer_for_ended(database, report, is_final=is_final)
    return _command(row, report, is_final=is_final)


def report_parameters(report: JobReport) -> dict[str, Any]:
    """The bound parameters of `HEARTBEAT` or, for finished and failed, of `FINAL`."""
    is_final = report.job_status in ("finished", "failed")
    target = JobStatus.HOLDING if is_final else JobStatus(report.job_status)
    values: dict[str, Any] = {name: getattr(report, name) for name in _NUMBERS}
    for name, limit in _TEXT_LIMITS.items():
        given = getattr(report, name)
        values[name] = None if given is None else clean(given, limit)
    values |= {
        "panda_id": report.panda_id,
        "target": target.value,
        "sources": [*job_statuses_before(target)],
        "speaking": [status.value for status in sorted(ON_WORKER_NODE)],
        "reason": f"pilot reported {report.job_status}",
    }
    if is_final:
        logs = {clean(name, 100): clean(text, 2**31) for name, text in report.logs.items()}
        values |= {
            "verdict": report.job_status,
            "output_report": json.dumps(report.output_report),
            "log_names": list(logs),
            "log_texts": [clean_tail(text, LOG_TAIL_CHARACTERS) for text in logs.values()],
            "log_cuts": [len(text) >= LOG_TAIL_CHARACTERS for text in logs.values()],
        }
    return values


def _command(row: Row, report: JobReport, *, is_final: bool) -> str | None:
    if report.attempt_nr is not None and report.attempt_nr != row["attempt_nr"]:
        return BAD_ATTEMPT
    if row["after_status"] is None:
        # holding and later: the verdict is known; before `sent`: no pilot has this job
        has_reported = row["before_status"] in ("holding", "merging", "transferring")
        return ALREADY_DONE if has_reported else TO_BE_KILLED
    if is_final:
        return None
    return row["command_to_pilot"] or None


def _answer_for_ended(database: Database, report: JobReport, *, is_final: bool) -> str:
    """The job is not live: its pilot must stop working, or has said what was known already."""
    # primary key of the archive, in each partition
    row = database.fetch_one(
        "SELECT attempt_nr FROM jobs_archive WHERE panda_id = %(panda_id)s", {"panda_id": report.panda_id}
    )
    if row is None:
        return TO_BE_KILLED
    if report.attempt_nr is not None and row["attempt_nr"] != report.attempt_nr:
        return BAD_ATTEMPT
    return ALREADY_DONE if is_final else TO_BE_KILLED
