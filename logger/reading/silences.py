"""Silences as monitors show them: by whom, why, until when, and how the trouble grew meanwhile."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from core.database import Database, Row
from core.monitor.closed import closed_column, is_asked
from core.monitor.filters import number_column, text_column
from core.monitor.question import Grammar, Question
from core.monitor.reading import decode_cursor, encode_cursor, envelope, read
from logger.silences import UNTIL_KINDS

SILENCE_GRAMMAR = Grammar(
    filters={
        "incident_id": number_column("incident_id", "s.incident_id"),
        "who": text_column("who", "s.who"),
        "until_kind": closed_column("until_kind", UNTIL_KINDS, "s.until_kind"),
    },
    options=("ended",),
)
"""`ended=1`: also those that are over."""

_ROW = """
    s.silence_id, s.incident_id, s.matcher, s.until_kind, s.until_time, s.shift_id, s.base_count, s.who, s.reason,
    s.start_time, s.end_time, s.ended_by, s.end_reason, i.title, i.state, i.severity, i.computing_site,
    i.job_count + i.record_count AS event_count, (
        SELECT count(*) FROM silences c WHERE s.incident_id IS NULL AND c.end_time IS NULL
          AND c.matcher @> jsonb_build_object('silence_id', s.silence_id)) AS caught
"""
# ix_silences_live (silence_id where live), or the primary key backwards for all; incidents by primary key
_PAGE = """
SELECT {row} FROM silences s LEFT JOIN incidents i USING (incident_id)
WHERE {where} ORDER BY s.silence_id DESC LIMIT %(limit)s
"""
# ix_silences_time: none began before its incident
_OF_INCIDENT = f"""
SELECT {_ROW} FROM silences s LEFT JOIN incidents i USING (incident_id)
WHERE s.incident_id = %(incident_id)s AND s.start_time >= %(since)s ORDER BY s.silence_id DESC LIMIT 20
"""


def silence_list(database: Database, question: Question) -> dict[str, Any]:
    """A page of silences, newest first; those that are over only with `ended=1`. Raises InvalidInput for a cursor that
    is not ours."""
    where = [question.where()]
    bounds: Row = {**question.parameters, "limit": question.limit + 1}
    if not is_asked(question, "ended"):
        where.append("s.end_time IS NULL")
    if question.window is not None:
        where.append("s.start_time < %(window_end)s AND coalesce(s.end_time, %(window_end)s) >= %(window_start)s")
        bounds |= {"window_start": question.window.start, "window_end": question.window.end}
    key = ("silences", question.raw_filters, question.options.get("ended", ""))
    if question.cursor:
        (after,) = decode_cursor(question.cursor, key, (int,))
        where.append("s.silence_id < %(after)s")
        bounds["after"] = after
    rows = read(database, _PAGE.format(row=_ROW, where=" AND ".join(where)), bounds)
    has_more = len(rows) > question.limit
    rows = rows[: question.limit]
    return envelope(
        question.as_of,
        window=question.window,
        count=len(rows),
        exact=not has_more and not question.cursor,
        next_cursor=encode_cursor(key, (rows[-1]["silence_id"],)) if has_more else None,
        warnings=question.warnings,
        silences=[silence_row(row, question.as_of) for row in rows],
    )


def silences_of(database: Database, incident: Row, now: datetime) -> list[Row]:
    """The silences of an incident, newest first."""
    since = min(incident["first_seen"], incident["opened_time"] or incident["first_seen"])
    rows = database.fetch(_OF_INCIDENT, {"incident_id": incident["incident_id"], "since": since})
    return [silence_row(row, now) for row in rows]


# primary key
_ONE = f"SELECT {_ROW} FROM silences s LEFT JOIN incidents i USING (incident_id) WHERE s.silence_id = %(silence_id)s"


def shown_silence(database: Database, silence: Row, now: datetime) -> Row:
    """A silence that was just made or ended, as the list shows it."""
    return silence_row(database.fetch(_ONE, silence)[0], now)


def silence_row(row: Row, now: datetime) -> Row:
    """With its age in seconds and what came since: `growth` {"events", "factor"}, None for one by a matcher."""
    base, count = row["base_count"], row["event_count"]
    ended = row["end_time"] or now
    growth = None
    if row["incident_id"] is not None and count is not None and row["end_time"] is None:
        growth = {"events": count - base, "factor": round(count / base, 2) if base else None}
    matcher = {name: value for name, value in row["matcher"].items() if name != "silence_id"}
    of_silence = row["matcher"].get("silence_id")
    return {
        **row,
        "matcher": matcher,
        "by_silence_id": of_silence,
        "age_s": max(int((ended - row["start_time"]).total_seconds()), 0),
        "growth": growth,
    }
