"""What the monitors read of incidents: counts, the list, one incident. Shapes are those of docs/api.md."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from core.database import Database, Row
from core.errors import UnknownObject
from core.monitor.filters import (
    Condition,
    TextFilter,
    number_column,
    parse_text,
    text_column,
    text_condition,
)
from core.monitor.job_rows import job_rows
from core.monitor.question import Grammar, Question
from core.monitor.reading import decode_cursor, encode_cursor, envelope, read
from core.monitor.selection import contains_text
from logger.culprit import around, numbered
from logger.folding import BIN_S, bin_start

TREND_BINS = 12
_FACETS = ("state", "severity", "kind", "component", "computing_site")
_DIMENSIONS = ("computing_site", "jedi_task_id", "prod_user_name", "modification_host")
_MOST_JOBS = 20
_MOST_RECORDS = 50
_MOST_VALUES = 50


def _at_queue(value: str, prefix: str) -> Condition:
    """Incidents that hit a queue, not only those with most events there; incident_breakdown by primary key."""
    wanted = parse_text(value, "computing_site")
    hit = text_condition("b.value", TextFilter(False, wanted.patterns, False), prefix)
    parts = ["computing_site = ''"] if wanted.or_empty else []
    if wanted.patterns:
        parts.append(
            "EXISTS (SELECT 1 FROM incident_breakdown b WHERE b.incident_id = incidents.incident_id"
            f" AND b.dimension = 'computing_site' AND {hit.sql})"
        )
    either = f"({' OR '.join(parts)})"
    return Condition(f"NOT {either}" if wanted.is_negated else either, hit.parameters if wanted.patterns else {})


def _of_task(value: str, prefix: str) -> Condition:
    """Incidents that cover jobs of a task; ix_incident_jobs_task."""
    is_negated = value.strip().startswith("!")
    # the name stands for the job's task within the parentheses and for the incident's own outside
    task = number_column("jedi_task_id")(value.strip().removeprefix("!"), prefix)
    either = f"(incident_id IN (SELECT incident_id FROM incident_jobs WHERE {task.sql}) OR {task.sql})"
    return Condition(f"NOT coalesce({either}, false)" if is_negated else either, task.parameters)


INCIDENT_GRAMMAR = Grammar(
    filters={
        **{name: text_column(name) for name in ("state", "severity", "kind", "component", "owner", "fingerprint")},
        "code": number_column("code"),
        "computing_site": _at_queue,
        "jedi_task_id": _of_task,
        "q": contains_text(("title", "culprit_line", "owner")),
    },
)

_ROW = """
    incident_id, title, kind, severity, state, owner, component, code, computing_site, queue_count, job_count, task_count,
    user_count, record_count, lost_core_s, first_seen, last_seen, culprit_line, fingerprint, sample_panda_id
"""

# worst first: open before acknowledged before resolved, severity, lost core-hours, last seen; all ascending
_RANKS = (
    "array_position(ARRAY['open', 'acknowledged', 'resolved'], state)",
    "array_position(ARRAY['critical', 'error', 'warning'], severity)",
    "-lost_core_s",
    "-(extract(epoch FROM last_seen) * 1000000)::bigint",
    "-incident_id",
)
_ORDER = ", ".join(_RANKS)

# primary key
_ONE = f"SELECT {_ROW}, grouping FROM incidents WHERE incident_id = %(incident_id)s"

# primary key of incident_bins
_TREND = """
SELECT incident_id, bin_time, event_count FROM incident_bins
WHERE incident_id = ANY(%(incident_ids)s::bigint[]) AND bin_time >= %(first)s
"""

# ix_incidents_state, of which what is not resolved is a short range
_COUNTS = """
SELECT state, severity, count(*) AS count FROM incidents WHERE state IN ('open', 'acknowledged') GROUP BY 1, 2
"""
_WORST = f"""
SELECT {_ROW} FROM incidents WHERE state IN ('open', 'acknowledged') ORDER BY {_ORDER} LIMIT %(limit)s
"""


def incident_counts(database: Database) -> dict[str, Any]:
    """`incidents` of the summary: how many are open and acknowledged, and how severe those are."""
    counts: dict[str, Any] = {"open": 0, "acknowledged": 0, "by_severity": {"critical": 0, "error": 0, "warning": 0}}
    for row in database.fetch(_COUNTS):
        counts[row["state"]] += row["count"]
        counts["by_severity"][row["severity"]] += row["count"]
    return counts


def worst_incidents(database: Database, now: datetime, limit: int = 10) -> list[Row]:
    """`worst` of the summary: rows of incidents that are not resolved, worst first."""
    return _with_trends(database, database.fetch(_WORST, {"limit": limit}), now)


def incident_list(database: Database, question: Question) -> dict[str, Any]:
    """A page of incidents, worst first, with facets on the first page; without a filter on state or fingerprint the
    resolved ones are left out. Raises InvalidInput for a cursor that is not ours."""
    where = question.where()
    if not question.filtered & {"state", "fingerprint"}:
        where = f"state IN ('open', 'acknowledged') AND {where}"
    bounds: Row = dict(question.parameters)
    if question.window is not None:  # given by the visitor: there is no default
        where += " AND last_seen >= %(window_start)s AND first_seen < %(window_end)s"
        bounds |= {"window_start": question.window.start, "window_end": question.window.end}
    key = (question.raw_filters, question.sortby)
    content: dict[str, Any] = {}
    after = ""
    if question.cursor:
        *position, count = decode_cursor(question.cursor, key, (int,) * (len(_RANKS) + 1))
        after = f"AND ({_ORDER}) > (%(after0)s, %(after1)s, %(after2)s, %(after3)s, %(after4)s)"
        bounds |= {f"after{index}": value for index, value in enumerate(position)}
    else:
        facets, count = _facets(database, where, bounds)
        if question.wants_facets:
            content["facets"] = facets
    # ix_incidents_state for the states, then a sort of what is left: hundreds unless all resolved ones are asked for
    ranks = ", ".join(f"{rank} AS rank{index}" for index, rank in enumerate(_RANKS))
    statement = f"SELECT {_ROW}, {ranks} FROM incidents WHERE {where} {after} ORDER BY {_ORDER} LIMIT %(limit)s"
    rows = read(database, statement, {**bounds, "limit": question.limit + 1})
    has_more = len(rows) > question.limit
    rows = rows[: question.limit]
    positions = [[row.pop(f"rank{index}") for index in range(len(_RANKS))] for row in rows]
    return envelope(
        question.as_of,
        window=question.window,
        count=count,
        next_cursor=encode_cursor(key, (*positions[-1], count)) if has_more else None,
        warnings=question.warnings,
        incidents=_with_trends(database, rows, question.as_of),
        **content,
    )


def _facets(database: Database, where: str, bounds: Row) -> tuple[dict[str, list[Row]], int]:
    """Counts per value of each facet in one pass, and the count of all."""
    sets = ", ".join(f"({name})" for name in _FACETS)
    rows = read(
        database,
        f"SELECT {', '.join(_FACETS)}, grouping({', '.join(_FACETS)}) AS which, count(*) AS count"
        f" FROM incidents WHERE {where} GROUP BY GROUPING SETS ({sets}, ())",
        bounds,
    )
    facets: dict[str, list[Row]] = {name: [] for name in _FACETS}
    total = 0
    for row in sorted(rows, key=lambda row: -row["count"]):
        if row["which"] == 2 ** len(_FACETS) - 1:
            total = row["count"]
        for position, name in enumerate(_FACETS):
            # the bit of a column is 0 in the grouping set that it makes
            if row["which"] == 2 ** len(_FACETS) - 1 - 2 ** (len(_FACETS) - 1 - position):
                facets[name].append({"value": row[name], "count": row["count"]})
    return facets, total


def incident_row(database: Database, incident_id: int, now: datetime) -> Row:
    """The row of one incident with its trend. Raises UnknownObject when there is none of this id."""
    row, _ = _incident(database, incident_id, now)
    return row


def _incident(database: Database, incident_id: int, now: datetime) -> tuple[Row, str]:
    row = database.fetch_one(_ONE, {"incident_id": incident_id})
    if row is None:
        raise UnknownObject(
            f"there is no incident {incident_id}", field="incident_id", remedy="see `panda incidents state=*`"
        )
    grouping = row.pop("grouping")
    return _with_trends(database, [row], now)[0], grouping


def _with_trends(database: Database, rows: Sequence[Row], now: datetime) -> list[Row]:
    first = bin_start(now) - timedelta(seconds=(TREND_BINS - 1) * BIN_S)
    trends = {row["incident_id"]: [0] * TREND_BINS for row in rows}
    for row in database.fetch(_TREND, {"incident_ids": list(trends), "first": first}) if trends else []:
        place = int((row["bin_time"] - first).total_seconds()) // BIN_S
        trends[row["incident_id"]][min(place, TREND_BINS - 1)] += row["event_count"]
    return [{**row, "trend": trends[row["incident_id"]]} for row in rows]


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

# ix_incident_activity_incident
_ACTIVITY = """
SELECT time, who, action, comment FROM incident_activity WHERE incident_id = %(incident_id)s ORDER BY activity_id
"""


def incident_detail(database: Database, incident_id: int, as_of: datetime) -> dict[str, Any]:
    """Everything about one incident. Raises UnknownObject when there is none of this id."""
    row, grouping = _incident(database, incident_id, as_of)
    key = {"incident_id": incident_id}
    panda_ids = [job["panda_id"] for job in database.fetch(_JOBS, {**key, "limit": _MOST_JOBS})]
    return envelope(
        as_of,
        count=1,
        incident=row,
        culprit=_culprit(database, incident_id),
        jobs=job_rows(database, panda_ids),
        breakdown={dimension: _breakdown(database, incident_id, dimension) for dimension in _DIMENSIONS},
        records=database.fetch(_RECORDS, {**key, "panda_ids": panda_ids, "limit": _MOST_RECORDS}),
        activity=database.fetch(_ACTIVITY, key),
        grouping=grouping,
    )


def _culprit(database: Database, incident_id: int) -> Row | None:
    found = database.fetch_one(_CULPRIT, {"incident_id": incident_id, "limit": _MOST_JOBS})
    if found is None:
        return None
    return {
        "panda_id": found["panda_id"],
        "log_name": found["culprit_log"],
        "line_number": found["culprit_line_number"],
        "text": found["culprit_line"],
        "around": list(numbered(around(found["text"], found["culprit_line_number"]))),
    }


def _breakdown(database: Database, incident_id: int, dimension: str) -> list[Row]:
    rows = database.fetch(_BREAKDOWN, {"incident_id": incident_id, "dimension": dimension, "limit": _MOST_VALUES})
    return [{**row, "value": int(row["value"])} for row in rows] if dimension == "jedi_task_id" else rows
