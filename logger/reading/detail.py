"""One incident with everything: its failing line, jobs, breakdown, records, verdict, history, and what was done of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from core.database import Database, Row
from core.monitor.job_rows import job_rows
from core.monitor.reading import envelope
from logger import life
from logger.culprit import around, numbered
from logger.reading.deeds import deeds_of_incident
from logger.reading.facts import economics, grouping_of, inhibited_below, links_of, previous_occurrences
from logger.reading.silences import silences_of
from logger.showing import ROW, with_trends
from logger.steps import owner_hint

DIMENSIONS = ("computing_site", "jedi_task_id", "prod_user_name", "modification_host", "storage", "dataset")

_MOST_JOBS = 20
_MOST_RECORDS = 50
_MOST_VALUES = 50
_MOST_ACTIVITY = 500

# primary key
_ONE = f"SELECT {ROW}, grouping, verdict_document, verdict_time FROM incidents WHERE incident_id = %(incident_id)s"

# ix_incident_jobs_incident
_JOBS = """
SELECT panda_id FROM incident_jobs WHERE incident_id = %(incident_id)s ORDER BY panda_id DESC LIMIT %(limit)s
"""

# ix_incident_jobs_incident for the newest jobs, job_logs by primary key: the newest whose log is kept
_CULPRIT = """
SELECT c.panda_id, c.culprit_log, c.culprit_line_number, c.culprit_line, l.text
FROM (
    SELECT * FROM incident_jobs WHERE incident_id = %(incident_id)s ORDER BY panda_id DESC LIMIT %(limit)s
) c JOIN job_logs l ON l.panda_id = c.panda_id AND l.name = c.culprit_log
ORDER BY c.panda_id DESC LIMIT 1
"""

# ix_incident_jobs_incident and the primary key of what was kept: of the first jobs, then of every hundredth
_CONTEXT = """
SELECT c.panda_id, c.culprit_line, k.log_name, k.first_line_number, k.culprit_line_number, k.lines
FROM (
    (SELECT panda_id, culprit_line FROM incident_jobs WHERE incident_id = %(incident_id)s ORDER BY panda_id LIMIT 200)
    UNION
    (SELECT panda_id, culprit_line FROM incident_jobs WHERE incident_id = %(incident_id)s ORDER BY panda_id DESC LIMIT 200)
) c JOIN culprit_contexts k USING (panda_id)
ORDER BY c.panda_id DESC LIMIT 1
"""

# primary key
_BREAKDOWN = """
SELECT value, event_count AS count FROM incident_breakdown
WHERE incident_id = %(incident_id)s AND dimension = %(dimension)s ORDER BY event_count DESC, value LIMIT %(limit)s
"""

# ix_log_records_incident; ix_log_records_job for what was said about the newest jobs
_RECORDS = """
SELECT time, level, component, message, traceback, host, fields FROM (
    (SELECT * FROM log_records WHERE incident_id = %(incident_id)s ORDER BY received_time DESC LIMIT %(limit)s)
    UNION
    (SELECT * FROM log_records WHERE panda_id = ANY(%(panda_ids)s::bigint[]) ORDER BY received_time DESC LIMIT %(limit)s)
) found ORDER BY time DESC, record_id DESC LIMIT %(limit)s
"""

# ix_incident_activity_incident; the newest when there are very many
_ACTIVITY = """
SELECT time, who, action, comment, change_seq, before, after, deed_id FROM (
    SELECT * FROM incident_activity WHERE incident_id = %(incident_id)s ORDER BY activity_id DESC LIMIT %(limit)s
) latest ORDER BY activity_id
"""


def incident_detail(database: Database, incident_id: int, as_of: datetime) -> dict[str, Any]:
    """Everything about one incident. Raises UnknownObject when there is none of this id."""
    key = {"incident_id": incident_id}
    found = database.fetch_one(_ONE, key)
    if found is None:
        raise life.no_incident(incident_id)
    grouping, document, judged = (found.pop(name) for name in ("grouping", "verdict_document", "verdict_time"))
    row = with_trends(database, [found], as_of)[0]
    panda_ids = [job["panda_id"] for job in database.fetch(_JOBS, {**key, "limit": _MOST_JOBS})]
    links = links_of(database, row)
    return envelope(
        as_of,
        count=1,
        incident=row,
        verdict=_verdict(row, document, judged),
        culprit=_culprit(database, incident_id),
        jobs=job_rows(database, panda_ids),
        breakdown={dimension: _breakdown(database, incident_id, dimension) for dimension in DIMENSIONS},
        records=database.fetch(_RECORDS, {**key, "panda_ids": panda_ids, "limit": _MOST_RECORDS}),
        activity=database.fetch(_ACTIVITY, {**key, "limit": _MOST_ACTIVITY}),
        grouping=grouping_of(row, grouping, links),
        economics=economics(row),
        owner_hint=owner_hint("central" if row["verdict"] == "central" else row["error_class"]),
        previous=previous_occurrences(database, row),
        inhibits=inhibited_below(database, incident_id),
        silences=silences_of(database, row, as_of),
        links=links,
        deeds=deeds_of_incident(database, incident_id),
    )


def _verdict(row: Row, document: Mapping[str, Any], judged: datetime | None) -> dict[str, Any] | None:
    """Who or what it is, with the numbers that it rests on; None while nobody has judged it."""
    if not row["verdict"]:
        return None
    return {
        "verdict": row["verdict"],
        "value": row["verdict_value"],
        "score": row["verdict_score"],
        "time": judged,
        "sentence": str(document.get("sentence", "")),
        "document": dict(document),
    }


def _culprit(database: Database, incident_id: int) -> Row | None:
    """The failing line with the lines around it: out of the newest log that is kept, or as they were kept of one."""
    found = database.fetch_one(_CULPRIT, {"incident_id": incident_id, "limit": _MOST_JOBS})
    if found is not None:
        return {
            "panda_id": found["panda_id"],
            "log_name": found["culprit_log"],
            "line_number": found["culprit_line_number"],
            "text": found["culprit_line"],
            "around": list(numbered(around(found["text"], found["culprit_line_number"]))),
            "is_kept": False,
        }
    kept = database.fetch_one(_CONTEXT, {"incident_id": incident_id})
    if kept is None:
        return None
    lines = enumerate(kept["lines"].split("\n"), start=kept["first_line_number"])
    return {
        "panda_id": kept["panda_id"],
        "log_name": kept["log_name"],
        "line_number": kept["culprit_line_number"],
        "text": kept["culprit_line"],
        "around": list(numbered(list(lines))),
        "is_kept": True,
    }


def _breakdown(database: Database, incident_id: int, dimension: str) -> list[Row]:
    rows = database.fetch(_BREAKDOWN, {"incident_id": incident_id, "dimension": dimension, "limit": _MOST_VALUES})
    if dimension != "jedi_task_id":
        return rows
    return [{**row, "value": int(row["value"])} for row in rows if row["value"].isdecimal()]
