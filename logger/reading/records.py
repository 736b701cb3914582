"""What programs said: records one by one, how many there were of each kind, and who sends them. Reads, changes nothing."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from core.database import Database, Row
from core.errors import InvalidInput
from core.monitor.closed import closed_column
from core.monitor.filters import Compile, Condition, number_column, text_column
from core.monitor.question import Grammar, Question
from core.monitor.reading import decode_cursor, encode_cursor, envelope, read

_SEVERITIES = {"DEBUG": 10, "INFO": 20, "WARNING": 30, "ERROR": 40, "CRITICAL": 50}
_MOST_COMPONENTS = 100
_SHORTEST_SEARCH = 3


def _in_capitals(column: Compile) -> Compile:
    """As levels are stored: programs may have others than Python's, so that of records any word may be one."""

    def compiled(value: str, prefix: str) -> Condition:
        return column(value.upper(), prefix)

    return compiled


RECORD_GRAMMAR = Grammar(
    filters={
        **{name: text_column(name) for name in ("component", "host", "computing_site", "fingerprint")},
        "level": _in_capitals(text_column("level")),
        **{name: text_column(name) for name in ("name", "emitter", "source", "step", "error_class")},
        **{name: number_column(name) for name in ("panda_id", "jedi_task_id", "incident_id", "code")},
        "user": text_column("user", "user_name"),
    },
    identities=frozenset({"panda_id", "jedi_task_id", "incident_id"}),
    default_hours=1,
    options=("q", "severity"),
)
COUNT_GRAMMAR = Grammar(
    filters={
        "component": text_column("component"),
        "level": _in_capitals(closed_column("level", tuple(_SEVERITIES))),  # the counts know no others
    },
    default_hours=24,
)
SENDER_GRAMMAR = Grammar(filters={name: text_column(name) for name in ("emitter", "component", "host")})

_COLUMNS = """
record_id, received_time, time, level, name, component, message, traceback, host, process_id, file, line, panda_id,
jedi_task_id, computing_site, code, user_name, fingerprint, incident_id, emitter, fields, repeat_count, step, error_class,
culprit_line, source, is_trusted
"""

# the hours that the retention agent has counted, and the records since; both in one statement, so that none counts twice.
# log_hours by its primary key, which begins with hour; log_records by ix_log_records_time
_COUNTED = """
WITH progress AS (SELECT coalesce(max(hour) + interval '1 hour', '-infinity') AS counted_until FROM log_hours),
said AS (
    SELECT hour, component, level, record_count FROM log_hours
    WHERE hour >= date_trunc('hour', %(from)s::timestamptz) AND hour < %(to)s
    UNION ALL
    SELECT date_trunc('hour', received_time), component,
           CASE WHEN level IN ('DEBUG', 'WARNING', 'ERROR', 'CRITICAL') THEN level ELSE 'INFO' END, sum(repeat_count)
    FROM log_records
    WHERE received_time >= greatest(date_trunc('hour', %(from)s::timestamptz), (SELECT counted_until FROM progress))
      AND received_time < %(to)s
    GROUP BY 1, 2, 3
)
"""

# primary key
_DAYS = "SELECT day, kept_from, row_count, size_bytes, thinned_time FROM record_days ORDER BY day DESC LIMIT 100"


def record_list(database: Database, question: Question) -> dict[str, Any]:
    """A page of records, newest first; without a window, a job, a task or an incident those of the last hour.

    `q` looks for a text in messages, whatever its capitals; `severity` is the least level. Raises InvalidInput for an
    option or a cursor that makes no sense, TooSlow when it would read too much.
    """
    where = [question.where()]
    bounds: Row = {**question.parameters, "limit": question.limit + 1}
    if question.window is not None:
        where.append("received_time >= %(window_start)s AND received_time < %(window_end)s")
        bounds |= {"window_start": question.window.start, "window_end": question.window.end}
    if severity := _least(question.options["severity"]):
        # as a number of ours, so that ix_log_records_component (from WARNING on) is of use
        where.append(f"severity_number >= {severity}")
    if text := _searched(question.options["q"]):
        where.append("message ILIKE %(q)s")
        bounds["q"] = text
    key = (question.raw_filters, sorted(question.options.items()))
    if question.cursor:
        received, bounds["record_id"] = decode_cursor(question.cursor, key, (str, int))
        bounds["received"] = _moment(received)
        where.append("(received_time, record_id) < (%(received)s, %(record_id)s)")
    # ix_log_records_job, _task or _incident for their filters, else ix_log_records_component or _time, read backwards
    statement = f"""
        SELECT {_COLUMNS} FROM log_records WHERE {" AND ".join(where)}
        ORDER BY received_time DESC, record_id DESC LIMIT %(limit)s
    """
    rows = read(database, statement, bounds)
    has_more = len(rows) > question.limit
    rows = rows[: question.limit]
    last = (rows[-1]["received_time"].isoformat(), rows[-1]["record_id"]) if has_more else None
    return envelope(
        question.as_of,
        window=question.window,
        exact=not has_more and not question.cursor,
        count=len(rows),
        next_cursor=encode_cursor(key, last) if last else None,
        warnings=question.warnings,
        records=rows,
    )


def record_counts(database: Database, question: Question) -> dict[str, Any]:
    """How many records there were per hour and level, which components said most, and how much is stored of each day.

    What was collapsed counts as often as it was said. Hours stay for years, when the records are long gone.
    """
    window = question.window
    bounds: Row = {
        **question.parameters,
        "from": window.start if window else None,
        "to": window.end if window else None,
    }
    hours = f"{_COUNTED} SELECT hour, level, sum(record_count)::bigint AS count FROM said WHERE {question.where()} "
    components = f"""
        {_COUNTED} SELECT component, level, sum(record_count)::bigint AS count FROM said WHERE {question.where()}
        GROUP BY component, level
    """
    rows = read(database, f"{hours} GROUP BY hour, level ORDER BY hour, level", bounds)
    return envelope(
        question.as_of,
        window=window,
        count=sum(row["count"] for row in rows),
        warnings=question.warnings,
        hours=rows,
        components=_by_component(read(database, components, bounds)),
        days=database.fetch(_DAYS),
    )


def sender_list(database: Database, question: Question) -> dict[str, Any]:
    """The processes that send records, the last seen first: what came of each, what was lost, how its clock goes."""
    # ix_log_sources_seen
    statement = f"""
        SELECT source, emitter, component, host, last_seen, last_seq, skew_ms, token_expiry, record_count, dropped_count,
            refused_count
        FROM log_sources WHERE {question.where()} ORDER BY last_seen DESC, source LIMIT %(limit)s
    """
    rows = read(database, statement, {**question.parameters, "limit": question.limit + 1})
    has_more = len(rows) > question.limit
    return envelope(
        question.as_of,
        exact=not has_more,
        count=min(len(rows), question.limit),
        warnings=question.warnings,
        senders=rows[: question.limit],
    )


def _by_component(rows: list[Row]) -> list[Row]:
    components: dict[str, dict[str, int]] = {}
    for row in rows:
        components.setdefault(row["component"], {})[row["level"]] = row["count"]
    said = [{"component": name, "count": sum(levels.values()), "levels": levels} for name, levels in components.items()]
    return sorted(said, key=_most_first)[:_MOST_COMPONENTS]


def _most_first(row: Row) -> tuple[int, str]:
    return -row["count"], row["component"]


def _least(level: str) -> int:
    if not level:
        return 0
    if level.upper() not in _SEVERITIES:
        remedy = f"one of {', '.join(_SEVERITIES)}"
        raise InvalidInput(f"{level[:40]!r} is no level", field="severity", remedy=remedy)
    return _SEVERITIES[level.upper()]


def _searched(text: str) -> str:
    """The text as a pattern of ILIKE that finds it anywhere."""
    if not text:
        return ""
    if len(text) < _SHORTEST_SEARCH:
        remedy = f"at least {_SHORTEST_SEARCH} characters"
        raise InvalidInput("is too short to be looked for", field="q", remedy=remedy)
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        remedy = "pass next_cursor of the last page unchanged, with the same filters; leave it out for the first page"
        raise InvalidInput("is no cursor of ours", field="cursor", remedy=remedy) from error
