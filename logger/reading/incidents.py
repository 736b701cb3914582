"""The list of incidents: worst first, with facets, and the counts of the summary. Reads, and changes nothing."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from core.database import Database, Row
from core.monitor.closed import is_asked
from core.monitor.question import Question
from core.monitor.reading import decode_cursor, encode_cursor, envelope, read
from logger.selecting import IS_LIVING, IS_SHOWN
from logger.showing import ROW, with_trends

_FACETS = ("state", "severity", "kind", "component", "computing_site")

_NAMED = frozenset({"fingerprint", "incident_id", "inhibited", "inhibited_by", "previous_id"})
"""Filters that say which incidents are meant so well that also those are shown that a central one explains."""

_EXACT = _NAMED - {"inhibited"} | {"jedi_task_id"}
"""Filters that mean so few incidents that their past is read whole."""

_RESOLVED_DAYS = 30
"""Resolved incidents are of the last days unless a window or an exact filter says otherwise: in years they are a million."""

_LIVING = frozenset({"open", "reopened", "acknowledged", "silenced", "candidate"})

# worst first: open and reopened before acknowledged before silenced, severity, lost core-hours, last seen; all ascending
_RANKS = (
    "CASE state WHEN 'open' THEN 1 WHEN 'reopened' THEN 1 WHEN 'acknowledged' THEN 2 WHEN 'silenced' THEN 3"
    " WHEN 'candidate' THEN 4 ELSE 5 END",
    "array_position(ARRAY['critical', 'error', 'warning'], severity)",
    "-lost_core_s",
    "-(extract(epoch FROM last_seen) * 1000000)::bigint",
    "-incident_id",
)
_ORDER = ", ".join(_RANKS)

# ix_incidents_shown, of which what is living is a short range
_COUNTS = f"""
SELECT state, severity, inhibited_by IS NOT NULL AS is_inhibited, count(*) AS count
FROM incidents WHERE {IS_LIVING} GROUP BY 1, 2, 3
"""
_WORST = f"""
SELECT {ROW} FROM incidents WHERE {IS_LIVING} AND inhibited_by IS NULL ORDER BY {_ORDER} LIMIT %(limit)s
"""


def incident_counts(database: Database) -> dict[str, Any]:
    """`incidents` of the summary: how many are open (or again), acknowledged and silenced, and how severe those are.

    What a central incident explains is counted as `inhibited` and nowhere else.
    """
    counts: dict[str, Any] = {"open": 0, "acknowledged": 0, "silenced": 0, "inhibited": 0}
    severities = {"critical": 0, "error": 0, "warning": 0}
    for row in database.fetch(_COUNTS):
        if row["is_inhibited"]:
            counts["inhibited"] += row["count"]
            continue
        counts["open" if row["state"] == "reopened" else row["state"]] += row["count"]
        if row["state"] != "silenced":
            severities[row["severity"]] += row["count"]
    return {**counts, "by_severity": severities}


def worst_incidents(database: Database, now: datetime, limit: int = 10) -> list[Row]:
    """`worst` of the summary: rows of incidents that are not resolved, worst first."""
    return with_trends(database, database.fetch(_WORST, {"limit": limit}), now)


def incident_list(database: Database, question: Question) -> dict[str, Any]:
    """A page of incidents, worst first, with facets on the first page.

    Without a filter on state or fingerprint the resolved ones are left out, and those seen last more than thirty days ago
    when neither a window nor an exact filter is given; those that a central incident explains are shown when they are asked
    for, and candidates only with `candidates=1`. Raises InvalidInput for a cursor that is not ours.
    """
    where, warnings = _shown(question), list(question.warnings)
    bounds: Row = dict(question.parameters)
    if question.window is not None:  # given by the visitor
        where += " AND last_seen >= %(window_start)s AND first_seen < %(window_end)s"
        bounds |= {"window_start": question.window.start, "window_end": question.window.end}
    elif _may_show_resolved(question):
        # ix_incidents_shown for the living, ix_incidents_seen for the others
        where += f" AND (state IN ({', '.join(map(repr, sorted(_LIVING)))}) OR last_seen >= %(resolved_since)s)"
        bounds["resolved_since"] = question.as_of - timedelta(days=_RESOLVED_DAYS)
        warnings.append(f"resolved ones of the last {_RESOLVED_DAYS} days; more with days=365")
    key = (question.raw_filters, question.sortby, question.options.get("candidates", ""))
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
    # ix_incidents_shown for the states, ix_incidents_seen for a window, then a sort of what is left
    ranks = ", ".join(f"{rank} AS rank{index}" for index, rank in enumerate(_RANKS))
    statement = f"SELECT {ROW}, {ranks} FROM incidents WHERE {where} {after} ORDER BY {_ORDER} LIMIT %(limit)s"
    rows = read(database, statement, {**bounds, "limit": question.limit + 1})
    has_more = len(rows) > question.limit
    rows = rows[: question.limit]
    positions = [[row.pop(f"rank{index}") for index in range(len(_RANKS))] for row in rows]
    return envelope(
        question.as_of,
        window=question.window,
        count=count,
        next_cursor=encode_cursor(key, (*positions[-1], count)) if has_more else None,
        warnings=warnings,
        incidents=with_trends(database, rows, question.as_of),
        **content,
    )


def _shown(question: Question) -> str:
    """What the filters mean, and what they leave unsaid."""
    wants_candidates = is_asked(question, "candidates")
    parts = [question.where()]
    if not wants_candidates:
        parts.insert(0, IS_SHOWN)
    if not question.filtered & {"state", "fingerprint", "incident_id"}:
        # said as the states that there are, so that ix_incidents_shown is of use
        states = "'open', 'reopened', 'acknowledged', 'silenced'" + (", 'candidate'" if wants_candidates else "")
        parts.append(f"state IN ({states})")
    if not question.filtered & _NAMED and "state" not in question.filtered:
        parts.append("inhibited_by IS NULL")
    return " AND ".join(parts)


def _may_show_resolved(question: Question) -> bool:
    """Whether the filters on state let resolved ones in, and nothing else makes them few."""
    asked = [value for name, value in question.raw_filters if name == "state"]
    are_living = any({word.strip().lower() for word in value.split("|")} <= _LIVING for value in asked)
    return bool(asked) and not are_living and not question.filtered & _EXACT


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
