"""How much happened when: state changes per bin from the minute counts, plus the minutes that are not counted yet.

The roll-up agent says how far the minute counts are complete (`agent_runs.cursor` of `ROLLUP_AGENT`, in epoch seconds);
from there on the history itself is counted. One statement sees both, so nothing is counted twice. By queue, bins of whole
hours are read from hour counts: a day of minutes is a lot of rows when there are many queues.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from core.database import Database, Row
from core.errors import InvalidInput
from core.monitor.filters import text_column
from core.monitor.question import Grammar, Question
from core.monitor.reading import envelope, read
from core.states import FINAL_JOB_STATUSES

ROLLUP_AGENT = "rollups"

MINUTES_KEPT_DAYS = 30
"""Minute counts by queue are kept for so long; hour counts, and those over all queues, for ever."""

_HOUR_S = 3600
_HOURS_FROM_S = 6 * _HOUR_S
"""Windows longer than this get bins of whole hours by queue, unless the question says otherwise."""
_MOST_BINS = 120
_LARGEST_ANSWER = 2000
_STEPS_S = (60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400)

_SPLITS = {"status": "job_status", "computing_site": "computing_site", "prod_source_label": "prod_source_label"}

THROUGHPUT_GRAMMAR = Grammar(
    filters={name: text_column(name) for name in ("computing_site", "prod_source_label", "job_status")},
    default_hours=24,
    options=("bin_s", "by"),
)

_BOUNDS = """bin_time >= %(from)s AND bin_time < least(%(to)s, (SELECT counted_until FROM progress))"""
_UNCOUNTED = """
    FROM job_history
    WHERE modification_time >= greatest(%(from)s, (SELECT counted_until FROM progress)) AND modification_time < %(to)s
"""

# throughput_minutes by its primary key, which begins with bin_time; job_history by ix_job_history_time
_BY_QUEUE = f"""
    SELECT bin_time, computing_site, job_status, prod_source_label, job_count FROM throughput_minutes WHERE {_BOUNDS}
    UNION ALL
    SELECT date_trunc('minute', modification_time), computing_site, job_status, prod_source_label, count(*) {_UNCOUNTED}
    GROUP BY 1, 2, 3, 4
"""
_HOURS_UNTIL = "(SELECT date_trunc('hour', least(%(to)s, counted_until)) FROM progress)"
# the same, and throughput_hours by its primary key; %(from)s is a full hour
_BY_QUEUE_AND_HOUR = f"""
    SELECT bin_time, computing_site, job_status, prod_source_label, job_count FROM throughput_hours
    WHERE bin_time >= %(from)s AND bin_time < {_HOURS_UNTIL}
    UNION ALL
    SELECT * FROM ({_BY_QUEUE}) minutes WHERE bin_time >= {_HOURS_UNTIL}
"""
# throughput_totals by its primary key, which begins with bin_time; job_history by ix_job_history_time
_OVER_ALL_QUEUES = f"""
    SELECT bin_time, job_status, prod_source_label, job_count FROM throughput_totals WHERE {_BOUNDS}
    UNION ALL
    SELECT date_trunc('minute', modification_time), job_status, prod_source_label, count(*) {_UNCOUNTED}
    GROUP BY 1, 2, 3
"""
PROGRESS = f"""
    progress AS MATERIALIZED (
        SELECT coalesce((SELECT to_timestamp(cursor) FROM agent_runs WHERE name = '{ROLLUP_AGENT}'), '-infinity') AS counted_until
    )
"""
"""A common table expression: until when the minutes are counted, and with them every full hour before."""


def throughput(database: Database, question: Question) -> dict[str, Any]:
    """State changes per bin, split `by` status, computing_site or prod_source_label.

    Split by anything but status the ended jobs are counted, unless job_status asks for another state.
    """
    by = question.options["by"] or "status"
    if by not in _SPLITS:
        raise InvalidInput(f"{by[:40]!r} is no way to split", field="by", remedy=f"one of {', '.join(_SPLITS)}")
    assert question.window is not None
    start, end = question.window.start, question.window.end
    needs_queues = by == "computing_site" or "computing_site" in question.filtered
    has_hours_only = needs_queues and start < question.as_of - timedelta(days=MINUTES_KEPT_DAYS)
    wants_hours = has_hours_only or (needs_queues and (end - start).total_seconds() > _HOURS_FROM_S)
    smallest_s = _HOUR_S if wants_hours else 60
    bin_s = _bin_size(question.options["bin_s"], (end - start).total_seconds(), smallest_s)
    first = _floor(start, bin_s)
    bins = [
        first + timedelta(seconds=bin_s * index) for index in range(math.ceil((end - first).total_seconds() / bin_s))
    ]
    if has_hours_only and bin_s % _HOUR_S:
        said = f"counts by queue are kept by the hour after {MINUTES_KEPT_DAYS} days"
        raise InvalidInput(said, field="bin_s", remedy=f"a multiple of {_HOUR_S}")
    source = _OVER_ALL_QUEUES
    if needs_queues:
        source = _BY_QUEUE if bin_s % _HOUR_S else _BY_QUEUE_AND_HOUR
    only_ended = by != "status" and "job_status" not in question.filtered
    statement = f"""
        WITH {PROGRESS}
        SELECT {_SPLITS[by]} AS name,
               floor(extract(epoch FROM bin_time - %(from)s) / %(bin_s)s)::bigint AS place, sum(job_count)::bigint AS count
        FROM ({source}) changes
        WHERE {question.where()} {"AND job_status = ANY(%(ended)s)" if only_ended else ""}
        GROUP BY 1, 2
    """
    bounds = {"from": first, "to": end, "bin_s": bin_s, "ended": [status.value for status in FINAL_JOB_STATUSES]}
    rows = read(database, statement, {**question.parameters, **bounds})
    return envelope(
        question.as_of,
        window=question.window,
        count=sum(row["count"] for row in rows),
        warnings=question.warnings,
        bin_s=bin_s,
        bins=bins,
        series=_series(rows, len(bins)),
    )


def count_changes(database: Database, start: datetime, end: datetime, statuses: Sequence[str]) -> list[Row]:
    """`bin_time`, `job_status`, `count`: how many jobs went into one of `statuses`, from the full minute of `start` on."""
    statement = f"""
        WITH {PROGRESS}
        SELECT bin_time, job_status, sum(job_count)::bigint AS count
        FROM ({_OVER_ALL_QUEUES}) changes WHERE job_status = ANY(%(statuses)s) GROUP BY 1, 2
    """
    return read(database, statement, {"from": _floor(start, 60), "to": end, "statuses": list(statuses)})


def count_changes_by_queue(database: Database, start: datetime, end: datetime, statuses: Sequence[str]) -> list[Row]:
    """`computing_site`, `job_status`, `count`: the same by queue."""
    statement = f"""
        WITH {PROGRESS}
        SELECT computing_site, job_status, sum(job_count)::bigint AS count
        FROM ({_BY_QUEUE}) changes WHERE job_status = ANY(%(statuses)s) GROUP BY 1, 2
    """
    return read(database, statement, {"from": _floor(start, 60), "to": end, "statuses": list(statuses)})


def _series(rows: list[Row], length: int) -> dict[str, list[int]]:
    series: dict[str, list[int]] = {}
    for row in sorted(rows, key=lambda row: str(row["name"])):
        counts = series.setdefault(row["name"] or "Not specified", [0] * length)
        counts[row["place"]] += row["count"]
    return series


def _bin_size(text: str, length_s: float, smallest_s: int) -> int:
    if not text:
        fitting = (step for step in _STEPS_S if step >= smallest_s and length_s / step <= _MOST_BINS)
        return next(fitting, 86_400 * math.ceil(length_s / 86_400 / _MOST_BINS))
    size = int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else 0
    if size == 0 or size % 60:
        raise InvalidInput(f"{text[:40]!r} will not do", field="bin_s", remedy="a multiple of 60, in seconds")
    if length_s / size > _LARGEST_ANSWER:
        raise InvalidInput(
            f"makes more than {_LARGEST_ANSWER} bins", field="bin_s", remedy="larger bins or a shorter window"
        )
    return size


def _floor(moment: datetime, bin_s: int) -> datetime:
    return datetime.fromtimestamp(moment.timestamp() // bin_s * bin_s, tz=UTC)
