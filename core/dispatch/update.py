"""Reports of pilots: heartbeats, state changes, the final verdict. Knows the rules, not the wire names.

A heartbeat is one statement, shared with those that come at the same time. finished and failed become `holding` until the
adder has accounted for the outputs (domain.md 2.2). What must not change does not: wrong attempt, ended job, repeated
verdict.
"""

from __future__ import annotations

import json
import math
import threading
import time
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

import psycopg2.errors

from core.database import Database, Row
from core.database.prepared import PreparedStatement
from core.dispatch.coalescing import Coalescer
from core.errors import InvalidInput, Unavailable
from core.states import ON_WORKER_NODE, JobStatus, job_statuses_before
from core.taskbuffer.killing import TO_BE_KILLED
from core.text import clean, clean_tail

REPORTABLE = ("running", "failed", "finished", "holding", "starting", "transferring", "stagein", "stageout")
"""What a pilot may say (server-api.md 1.3), and the two finer states of data movement (domain.md 2.2)."""

INVALID_BATCH_ID = 1
"""supErrorCode: see _IS_FOREIGN."""
ALREADY_DONE = "alreadydone"
BAD_ATTEMPT = "badattemptnr"
LOG_TAIL_CHARACTERS = 65_536
DEBUG_LOG = "debug.stdout"
"""What a pilot in debug mode shows of its running payload."""


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
    metrics: dict[str, int | float | str] = field(default_factory=dict)
    """Further measurements by their names in the v1 API; they are added to those said before."""
    meta_data: str | None = None
    """The payload's own report (jobReport.json), kept as it came."""
    logs: dict[str, str] = field(default_factory=dict)
    """Name of the log -> its last 64 kB. Kept from the verdict; of a heartbeat only DEBUG_LOG."""

    @property
    def is_final(self) -> bool:
        """Whether this is the pilot's verdict."""
        return self.job_status in ("finished", "failed")

    @property
    def has_documents(self) -> bool:
        """Whether more than the job's own row is to be written."""
        return self.is_final or self.meta_data is not None or DEBUG_LOG in self.logs


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
_LONGEST_METRIC = 4000
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
_SET_STORED = ",\n        ".join(f"{name} = coalesce(r.{name}, j.{name})" for name in _STORED)
_SAID = ", ".join([f"{name} bigint" for name in _NUMBERS] + [f"{name} text" for name in _TEXT_LIMITS])
_REPORTED_STATES = {JobStatus.HOLDING if name in ("finished", "failed") else JobStatus(name) for name in REPORTABLE}
_LEGAL = ", ".join(
    f"('{before}', '{after}')" for after in sorted(_REPORTED_STATES) for before in job_statuses_before(after)
)
_AWAITING_VERDICT = ("holding", "transferring")
"""States that a pilot may report before its verdict: outputs wait to be stored, perhaps by a later pilot (domain.md 7.6)."""
_VERDICT_IS_DUE = f"(b.job_status IN {_AWAITING_VERDICT} AND b.end_time IS NULL AND r.verdict IS NOT NULL)"
# of a farm that runs a job twice; numbers come from batch systems that number their jobs anew after a requeue
_IS_FOREIGN = """(
    j.batch_id <> '' AND r.batch_id <> '' AND j.batch_id <> r.batch_id
    AND j.batch_id !~ '^[0-9.]+$' AND r.batch_id !~ '^[0-9.]+$'
)"""
"""Another batch job than the one that has the job says something of it (server-api.md 5.2). Null when it says no batch id."""
_SPEAKING = ", ".join(f"'{status}'" for status in sorted(ON_WORKER_NODE))

# Any number of reports, each of another job, by primary key. `before` locks the rows in order of PandaID and leaves out
# those that somebody holds; `changed` touches a row only while a pilot may still speak for this attempt; no indexed
# column changes with a heartbeat.
_UPDATE = f"""
WITH said AS (
    SELECT * FROM jsonb_to_recordset(%(reports)s::jsonb)
        AS r (panda_id bigint, target text, reason text, verdict text, metrics jsonb, output_report jsonb, logs jsonb,
              meta_data text, {_SAID})
), before AS (
    SELECT j.panda_id, j.job_status, j.attempt_nr, j.command_to_pilot, j.end_time, {_IS_FOREIGN} IS TRUE AS is_foreign
    FROM jobs_live j JOIN said r USING (panda_id) ORDER BY j.panda_id FOR UPDATE OF j SKIP LOCKED
), changed AS (
    UPDATE jobs_live j SET
        job_status = CASE WHEN (b.job_status, r.target) IN ({_LEGAL}) THEN r.target ELSE j.job_status END,
        state_change_time =
            CASE WHEN (b.job_status, r.target) IN ({_LEGAL}) THEN clock_timestamp() ELSE j.state_change_time END,
        modification_time = clock_timestamp(),
        start_time = CASE WHEN r.target = 'running' AND j.start_time IS NULL THEN clock_timestamp() ELSE j.start_time END,
        end_time = CASE WHEN r.verdict IS NOT NULL THEN clock_timestamp() ELSE j.end_time END,
        job_sub_status = coalesce(r.sub_status, j.job_sub_status),
        modification_host = coalesce(nullif(r.node, ''), j.modification_host),
        worker_id = coalesce(nullif(r.worker_id, ''), j.worker_id),
        metrics = CASE WHEN r.metrics IS NULL THEN j.metrics ELSE j.metrics || r.metrics END,
        {_SET_STORED}
    FROM before b JOIN said r USING (panda_id)
    WHERE j.panda_id = b.panda_id AND (b.job_status IN ({_SPEAKING}) OR {_VERDICT_IS_DUE})
      AND (r.attempt_nr IS NULL OR b.attempt_nr = r.attempt_nr) AND NOT b.is_foreign
    RETURNING j.panda_id, j.jedi_task_id, j.attempt_nr, b.job_status AS previous_status, j.job_status, j.computing_site,
              j.prod_source_label, j.modification_host, r.reason
), logged AS (
    INSERT INTO job_history (panda_id, jedi_task_id, attempt_nr, previous_status, job_status, computing_site,
                             prod_source_label, host, reason)
    SELECT panda_id, jedi_task_id, attempt_nr, previous_status, job_status, computing_site, prod_source_label,
           modification_host, reason
    FROM changed WHERE previous_status <> job_status
)/* documents */
SELECT b.panda_id, b.job_status AS before_status, b.attempt_nr, b.command_to_pilot, c.job_status AS after_status, b.is_foreign
FROM before b LEFT JOIN changed c USING (panda_id)
"""

# primary keys; rare
_NOTE_FOREIGN = """
UPDATE jobs_live SET sup_error_code = %(code)s, sup_error_diag = %(diag)s
WHERE panda_id IN (SELECT panda_id FROM jobs_live WHERE panda_id = %(panda_id)s FOR UPDATE SKIP LOCKED)
"""
_STILL_LIVE = "SELECT panda_id FROM jobs_live WHERE panda_id = ANY(%(panda_ids)s)"
_WAIT_AT_MOST = "SELECT set_config('lock_timeout', %(ms)s, true)"

_KEEP_DOCUMENTS = f""", reported AS (
    INSERT INTO job_output_reports (panda_id, attempt_nr, verdict, report)
    SELECT c.panda_id, c.attempt_nr, r.verdict, r.output_report
    FROM changed c JOIN said r USING (panda_id) WHERE r.verdict IS NOT NULL AND c.job_status IN {_AWAITING_VERDICT}
    ON CONFLICT (panda_id) DO NOTHING
), kept AS (
    INSERT INTO job_logs (panda_id, name, text, is_truncated)
    SELECT c.panda_id, l.name, l.text, l.is_truncated
    FROM changed c JOIN said r USING (panda_id),
         jsonb_to_recordset(r.logs) AS l (name text, text text, is_truncated boolean)
    ON CONFLICT (panda_id, name) DO UPDATE SET
        text = excluded.text, is_truncated = excluded.is_truncated, received_time = clock_timestamp()
), described AS (
    INSERT INTO job_metadata (panda_id, text)
    SELECT c.panda_id, r.meta_data FROM changed c JOIN said r USING (panda_id) WHERE r.meta_data IS NOT NULL
    ON CONFLICT (panda_id) DO UPDATE SET text = excluded.text, received_time = clock_timestamp()
)"""
HEARTBEAT = PreparedStatement("pilot_heartbeats", _UPDATE.replace("/* documents */", ""), {"reports": "jsonb"})
FINAL = PreparedStatement("pilot_verdicts", _UPDATE.replace("/* documents */", _KEEP_DOCUMENTS), {"reports": "jsonb"})


_BRIEF_LOCKS_S = (0.01, 0.03, 0.1, 0.3)
"""A pilot that takes a job looks at rows that others have just taken, and holds them for a moment: such locks are no
trouble. What is held for longer than these pauses together is."""


class _Answer(Enum):
    HELD = auto()
    """Somebody holds the job, a command on its whole task perhaps."""


class PilotReports:
    """Takes the reports of pilots; those that come at the same time share a statement and a commit.

    Killing a task may hold its jobs for seconds. Their reports wait apart, a few at a time, so that they hold up no other
    pilot and take no thread or connection from it.
    """

    def __init__(self, database: Database, *, patience_s: float = 5.0, seats: int = 4) -> None:
        """`patience_s`: how long a report waits for a job that somebody holds; `seats`: how many reports may."""
        self._database = database
        self._patience_ms = str(int(1000 * patience_s))
        self._seats = threading.BoundedSemaphore(seats)
        self._reports: Coalescer[JobReport, str | _Answer | None] = Coalescer(self._apply, lambda said: said.panda_id)
        self._patient: Coalescer[JobReport, str | None] = Coalescer(self._wait, lambda said: said.panda_id, lanes=1)

    def update_job(self, report: JobReport) -> str | None:
        """Apply a report and return the command for the pilot: None, tobekilled, alreadydone or badattemptnr.

        Raises InvalidInput when the state is none a pilot may report, Unavailable when the job stays held for too long;
        nothing has changed then.
        """
        if report.job_status not in REPORTABLE:
            raise InvalidInput(
                f"a pilot may not report {report.job_status[:50]!r}",
                field="job_status",
                remedy="one of " + ", ".join(REPORTABLE),
            )
        answer = self._reports.submit(report)
        for pause_s in _BRIEF_LOCKS_S:
            if not isinstance(answer, _Answer):
                return answer
            time.sleep(pause_s)
            answer = self._reports.submit(report)
        if not isinstance(answer, _Answer):
            return answer
        if not self._seats.acquire(blocking=False):
            raise _held([report])
        try:
            return self._patient.submit(report)
        finally:
            self._seats.release()

    def _apply(self, reports: list[JobReport]) -> list[str | _Answer | None]:
        rows = _by_job(self._database.fetch_prepared(_statement_for(reports), reports_parameters(reports)))
        absent = [report.panda_id for report in reports if report.panda_id not in rows]
        held = self._database.fetch(_STILL_LIVE, {"panda_ids": absent}) if absent else []
        held_ids = {row["panda_id"] for row in held}
        return [
            _Answer.HELD if report.panda_id in held_ids else self._answer(rows.get(report.panda_id), report)
            for report in reports
        ]

    def _wait(self, reports: list[JobReport]) -> list[str | None]:
        statement = _statement_for(reports).statement.replace(" SKIP LOCKED", "")
        with self._database.transaction() as transaction:
            transaction.execute(_WAIT_AT_MOST, {"ms": self._patience_ms})
            try:
                rows = _by_job(transaction.fetch(statement, reports_parameters(reports)))
            except psycopg2.errors.LockNotAvailable as error:
                raise _held(reports) from error
        return [self._answer(rows.get(report.panda_id), report) for report in reports]

    def _answer(self, row: Row | None, report: JobReport) -> str | None:
        if row is None:
            return _answer_for_ended(self._database, report)
        if row["is_foreign"]:
            _note_foreign(self._database, report)
        return _command(row, report)


def _statement_for(reports: list[JobReport]) -> PreparedStatement:
    return FINAL if any(report.has_documents for report in reports) else HEARTBEAT


def _by_job(rows: list[Row]) -> dict[int, Row]:
    return {row["panda_id"]: row for row in rows}


def _held(reports: list[JobReport]) -> Unavailable:
    jobs = ", ".join(str(report.panda_id) for report in reports[:5])
    return Unavailable(f"job {jobs} is being changed", field="job_id", remedy="send the report again in a while")


def reports_parameters(reports: list[JobReport]) -> dict[str, Any]:
    """The bound parameter of `HEARTBEAT` or, when one of the reports has documents, of `FINAL`."""
    return {"reports": json.dumps([_said(report) for report in reports])}


def _said(report: JobReport) -> dict[str, Any]:
    target = JobStatus.HOLDING.value if report.is_final else report.job_status
    values: dict[str, Any] = {
        "panda_id": report.panda_id,
        "target": target,
        "reason": f"pilot reported {report.job_status}",
    }
    for name in _NUMBERS:
        values[name] = _number(getattr(report, name))
    for name, limit in _TEXT_LIMITS.items():
        given = getattr(report, name)
        values[name] = None if given is None else clean(given, limit)
    if report.is_final:
        values |= {"verdict": report.job_status, "output_report": _cleaned(report.output_report)}
    logs = [_log(name, text) for name, text in report.logs.items() if report.is_final or name == DEBUG_LOG]
    values["logs"] = logs or None
    values["metrics"] = _metrics(report.metrics) or None
    values["meta_data"] = None if report.meta_data is None else clean(report.meta_data, len(report.meta_data))
    return {name: value for name, value in values.items() if value is not None}


def _number(value: int | None) -> int | None:
    """A whole number that fits its column; what does not is as good as not said."""
    return value if value is not None and abs(value) < 2**63 else None


def _metrics(given: dict[str, int | float | str]) -> dict[str, int | float | str]:
    """What can be stored of the measurements: texts cut, figures finite."""
    metrics: dict[str, int | float | str] = {}
    for name, value in given.items():
        if isinstance(value, str):
            metrics[name] = clean(value, _LONGEST_METRIC)
        elif math.isfinite(value):
            metrics[name] = value
    return metrics


def _log(name: str, text: str) -> dict[str, Any]:
    kept = clean_tail(text, LOG_TAIL_CHARACTERS)
    return {"name": clean(name, 100), "text": kept, "is_truncated": len(kept) >= LOG_TAIL_CHARACTERS}


def _cleaned(value: Any) -> Any:
    """A JSON document without the characters that PostgreSQL cannot store."""
    if isinstance(value, str):
        return clean(value, 10_000)
    if isinstance(value, dict):
        return {clean(key, 4096): _cleaned(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_cleaned(entry) for entry in value]
    return value if not isinstance(value, float) or math.isfinite(value) else None


def _note_foreign(database: Database, report: JobReport) -> None:
    """The job goes on with the pilot that has it; should it get lost, this may be why."""
    diag = f"batch job {report.batch_id} on {report.node or 'an unnamed node'} reported too, and was told to stop"
    parameters = {"panda_id": report.panda_id, "code": INVALID_BATCH_ID, "diag": clean(diag, 500)}
    database.execute(_NOTE_FOREIGN, parameters)


def _command(row: Row, report: JobReport) -> str | None:
    if report.attempt_nr is not None and report.attempt_nr != row["attempt_nr"]:
        return BAD_ATTEMPT
    if row["is_foreign"]:
        return TO_BE_KILLED
    if row["after_status"] is None:
        # holding and later: the verdict is known; before `sent`: no pilot has this job
        has_reported = row["before_status"] in ("holding", "merging", "transferring")
        return ALREADY_DONE if has_reported else TO_BE_KILLED
    if report.is_final:
        return None
    return row["command_to_pilot"] or None


def _answer_for_ended(database: Database, report: JobReport) -> str:
    """The job is not live: its pilot must stop working, or has said what was known already."""
    # primary key of the archive, in each partition
    row = database.fetch_one(
        "SELECT attempt_nr FROM jobs_archive WHERE panda_id = %(panda_id)s", {"panda_id": report.panda_id}
    )
    if row is None:
        return TO_BE_KILLED
    if report.attempt_nr is not None and row["attempt_nr"] != report.attempt_nr:
        return BAD_ATTEMPT
    return ALREADY_DONE if report.is_final else TO_BE_KILLED
