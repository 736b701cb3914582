"""One job: what happened to it, in one sentence and in detail. Reads by PandaID only."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from core.database import Database, Row
from core.errors import UnknownObject
from core.models.errors import errors_of_job
from core.monitor.job_rows import ALL_JOB_COLUMNS, SHOWN_INCIDENT, job_row
from core.monitor.job_sentence import job_sentence
from core.monitor.reading import envelope
from core.monitor.retries import retries_of_job
from core.why.waiting import waiting_reason

_COLUMNS = ", ".join(ALL_JOB_COLUMNS)
_STEPS = ("getjob", "stagein", "payload", "stageout", "initial_setup", "setup")

# live by primary key; archive by primary key in each partition; incident_jobs and job_parameters by primary key
_JOB = f"""
SELECT j.*, c.culprit_line, i.incident_id, p.job_parameters
FROM (
    SELECT {_COLUMNS} FROM jobs_live WHERE panda_id = %(panda_id)s
    UNION ALL
    SELECT {_COLUMNS} FROM jobs_archive WHERE panda_id = %(panda_id)s
) j LEFT JOIN incident_jobs c USING (panda_id) LEFT JOIN job_parameters p USING (panda_id)
{SHOWN_INCIDENT}
"""

# ix_job_history_job
_HISTORY = """
SELECT job_status, modification_time, computing_site, host, reason,
       extract(epoch FROM lead(modification_time) OVER w - modification_time)::float AS duration_s
FROM job_history WHERE panda_id = %(panda_id)s
WINDOW w AS (ORDER BY modification_time, history_id) ORDER BY modification_time, history_id
"""

# ix_job_files_job
_FILES = """
SELECT row_id, lfn, local_name, scope, type, dataset, guid, size_bytes, checksum, status, endpoint, pfn
FROM job_files WHERE panda_id = %(panda_id)s ORDER BY row_id
"""

# job_logs by primary key
_LOGS = r"""
SELECT name, octet_length(text) AS size_bytes,
       length(text) - length(replace(text, E'\n', ''))
           + CASE WHEN text <> '' AND right(text, 1) <> E'\n' THEN 1 ELSE 0 END AS line_count
FROM job_logs WHERE panda_id = %(panda_id)s ORDER BY name
"""

# incident_jobs and incidents by primary key; ix_log_records_job, only for records of this job that an incident covers
_INCIDENTS = """
SELECT incident_id, title, state, severity FROM incidents WHERE incident_id IN (
    SELECT incident_id FROM incident_jobs WHERE panda_id = %(panda_id)s
    UNION SELECT incident_id FROM log_records WHERE panda_id = %(panda_id)s AND incident_id IS NOT NULL
) AND opened_time IS NOT NULL ORDER BY incident_id DESC
"""

# incident_jobs and incidents by primary key
_CANDIDATE = """
SELECT i.title, i.job_count, i.residue_count, i.first_seen, i.last_seen
FROM incident_jobs c JOIN incidents i USING (incident_id)
WHERE c.panda_id = %(panda_id)s AND i.opened_time IS NULL
"""

# job_brokerage and brokerage_decisions by primary key
_BROKERAGE = """
SELECT d.time, d.chosen, d.kind, d.candidate_count, d.binding_step, d.is_temporary, d.weights, d.funnel
FROM job_brokerage b JOIN brokerage_decisions d USING (decision_id)
WHERE b.panda_id = %(panda_id)s
"""


def job_detail(database: Database, panda_id: int, as_of: datetime) -> dict[str, Any]:
    """Everything known of one job. Raises UnknownObject when there is none of this PandaID."""
    key = {"panda_id": panda_id}
    with database.transaction() as transaction:
        transaction.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        row = transaction.fetch_one(_JOB, key)
        if row is None:
            raise UnknownObject(
                f"there is no job {panda_id}", field="panda_id", remedy="see `panda jobs`, or GET /api/monitor/jobs"
            )
        history = transaction.fetch(_HISTORY, key)
        files = transaction.fetch(_FILES, key)
        logs = transaction.fetch(_LOGS, key)
        incidents = transaction.fetch(_INCIDENTS, key)
        candidate = transaction.fetch_one(_CANDIDATE, key)
        brokerage = transaction.fetch_one(_BROKERAGE, key)
        retries = retries_of_job(transaction, row)
        waits_for = waiting_reason(transaction, row, as_of)
    errors = errors_of_job(row)
    return envelope(
        as_of,
        count=1,
        job=_full_row(row),
        timing=pilot_timing(row["pilot_timing"]),
        summary=job_sentence(row, history, as_of, waits_for),
        waits_for=waits_for,
        parameters=row["job_parameters"] or "",
        history=history,
        files=files,
        errors=[{**asdict(error), "primary": error is errors[0]} for error in errors],
        incidents=incidents,
        candidate=_counted_only(candidate),
        logs=logs,
        brokerage=brokerage,
        retries=retries,
    )


def _counted_only(candidate: Row | None) -> dict[str, Any] | None:
    """The trouble of a failed job that is no incident, and why it is none; None when it is one, or nothing failed."""
    if candidate is None:
        return None
    count, lost = candidate["job_count"], candidate["residue_count"]
    seen = "seen once" if count == 1 else f"seen {count} times"
    tried = f"{lost} of them lost after all attempts" if lost else "retried each time"
    return {**candidate, "sentence": f"{seen}, {tried}: no incident"}


def pilot_timing(text: str) -> dict[str, int]:
    """Seconds by step, out of what pilots send (pilot-wire.md 2.2); empty when it is nothing of the kind."""
    figures = text.split("|")
    if len(figures) != len(_STEPS) or not all(figure.isdecimal() and len(figure) < 10 for figure in figures):
        return {}
    return dict(zip(_STEPS, map(int, figures), strict=True))


def _full_row(row: Row) -> Row:
    return {**{name: row[name] for name in ALL_JOB_COLUMNS}, **job_row(row)}
