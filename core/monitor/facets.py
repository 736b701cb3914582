"""What the selected jobs have in common: counts of values of a few fields, exact or, past a time limit, estimated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from core.database import Database, Row
from core.monitor.filters import NOT_SPECIFIED
from core.monitor.job_rows import ERROR_KEY
from core.monitor.question import Question
from core.monitor.reading import FACET_LIMIT_S, TooSlow, read
from core.monitor.selection import selected_jobs, window_parameters
from core.monitor.throughput import PROGRESS
from core.states import FINAL_JOB_STATUSES

FACET_FIELDS: Mapping[str, str] = {
    "job_status": "job_status",
    "computing_site": "computing_site",
    "prod_user_name": "prod_user_name",
    "jedi_task_id": "jedi_task_id::text",
    "prod_source_label": "prod_source_label",
    "processing_type": "processing_type",
    "error": ERROR_KEY,
    "modification_host": "modification_host",
}
"""Field -> the expression that is counted."""

_ROLLED_UP = frozenset({"job_status", "computing_site", "prod_source_label"})
"""The fields that the minute counts know (monitor.md 4.3, rule 3)."""

MOST_VALUES = 200
"""A field shows at most so many values, the most frequent ones."""

_SAMPLE_PERCENT = 2

FacetValues = dict[str, list[dict[str, object]]]


@dataclass(frozen=True)
class Facets:
    """Values with counts per field, most frequent first; `count` is the number of selected jobs."""

    values: FacetValues
    count: int
    exact: bool
    warnings: list[str] = field(default_factory=list)


def count_jobs(database: Database, question: Question) -> Facets:
    """Count the selected jobs by every facet field; only their number when the question wants no facets.

    One pass over the rows with a limit of 2 s; past it the counts are estimated and the answer says so.
    """
    try:
        rows = read(database, count_statement(question), window_parameters(question), limit_s=FACET_LIMIT_S)
    except TooSlow:
        return estimate_jobs(database, question)
    return _facets(rows, _fields(question), exact=True)


def _fields(question: Question) -> tuple[str, ...]:
    return tuple(FACET_FIELDS) if question.wants_facets else ()


def count_statement(question: Question, *, sample: str = "") -> str:
    """The one pass over the selected jobs, or over a `sample` (a TABLESAMPLE clause) of the archive.

    Live by ix_jobs_live_*; archive by the index of filter and state_change_time in the partitions of the window.
    """
    fields = _fields(question)
    columns = [f"{FACET_FIELDS[name]} AS {name}" for name in fields]
    # of a sampled job of the archive there are so many; the exact counts do without a weight
    weight = 100 // _SAMPLE_PERCENT
    live, archive = [*columns, "1 AS weight"], [*columns, f"{weight} AS weight"]
    count = "sum(weight)::bigint" if sample else "count(*)"
    selected = selected_jobs(question, ", ".join(live), ", ".join(archive), sample=sample)
    if not fields:
        return f"SELECT 0 AS which, NULL AS value, {count} AS count, 0 AS hidden FROM ({selected}) selected"
    names = ", ".join(fields)
    return f"""
        WITH grouped AS MATERIALIZED (
            SELECT GROUPING({names}) AS which, coalesce({names}) AS value, {count} AS count
            FROM ({selected}) selected
            GROUP BY GROUPING SETS ((), {", ".join(f"({name})" for name in fields)})
        )
        SELECT which, value, count, of - {MOST_VALUES} AS hidden FROM (
            SELECT *, row_number() OVER (PARTITION BY which ORDER BY count DESC, value) AS place,
                   count(*) OVER (PARTITION BY which) AS of
            FROM grouped
        ) ranked WHERE place <= {MOST_VALUES} ORDER BY which, place
    """


def _facets(rows: list[Row], fields: tuple[str, ...], *, exact: bool) -> Facets:
    """GROUPING() has a bit per field, set when the row is not grouped by it; all set is the total."""
    everything = (1 << len(fields)) - 1
    values: FacetValues = {name: [] for name in fields}
    total, hidden = 0, {}
    for row in rows:
        if row["which"] == everything:
            total = row["count"] or 0
            continue
        name = fields[len(fields) - 1 - (everything ^ row["which"]).bit_length() + 1]
        if name == "error" and row["value"] is None:
            continue  # having no error is not something jobs have in common
        values[name].append({"value": row["value"] or NOT_SPECIFIED, "count": row["count"]})
        hidden[name] = row["hidden"]
    warnings = [
        f"{name}: the {MOST_VALUES} most frequent values of {MOST_VALUES + count}"
        for name, count in hidden.items()
        if count > 0
    ]
    return Facets(values, total, exact, warnings)


def estimate_jobs(database: Database, question: Question) -> Facets:
    """What `count_jobs` answers when exact counts take too long.

    Fields that the minute counts know come from there, unless another filter is in use; the rest from a sample.
    """
    sample = f"TABLESAMPLE SYSTEM ({_SAMPLE_PERCENT})"
    rows = read(database, count_statement(question, sample=sample), window_parameters(question))
    sampled = _facets(rows, _fields(question), exact=False)
    rolled: FacetValues = {}
    count = sampled.count
    if question.filtered <= _ROLLED_UP and question.window is not None:
        counted = read(database, _rollup_statement(question), window_parameters(question))
        rolled = {name: _summed(counted, name) for name in _fields(question) if name in _ROLLED_UP}
        count = sum(row["count"] for row in counted)
    warning = (
        f"estimated: exact counts take longer than {FACET_LIMIT_S:g} s; a shorter window or a filter makes them exact"
    )
    return Facets({**sampled.values, **rolled}, count, exact=False, warnings=[*sampled.warnings, warning])


_FINAL = ", ".join(f"'{status}'" for status in sorted(FINAL_JOB_STATUSES))


def _rollup_statement(question: Question) -> str:
    """throughput_hours and throughput_minutes by their primary keys, which begin with the time; jobs_live by
    ix_jobs_live_status. Full hours come from the hour counts: minutes are not kept for ever.
    """
    assert question.window is not None
    end = "" if question.window.reaches_now else "AND bin_time < %(window_end)s"
    live_end = (
        "" if question.window.reaches_now else "AND state_change_time BETWEEN %(window_start)s AND %(window_end)s"
    )
    names = ", ".join(sorted(_ROLLED_UP))
    return f"""
        WITH {PROGRESS}
        SELECT {names}, sum(job_count)::bigint AS count FROM (
            SELECT {names}, job_count FROM throughput_hours
            WHERE bin_time >= date_trunc('hour', %(window_start)s::timestamptz) {end}
              AND bin_time < (SELECT date_trunc('hour', counted_until) FROM progress) AND job_status IN ({_FINAL})
            UNION ALL
            SELECT {names}, job_count FROM throughput_minutes
            WHERE bin_time >= date_trunc('minute', %(window_start)s::timestamptz) {end}
              AND bin_time >= (SELECT date_trunc('hour', counted_until) FROM progress) AND job_status IN ({_FINAL})
            UNION ALL
            SELECT {names}, 1 FROM jobs_live WHERE true {live_end}
        ) counted WHERE {question.where()} GROUP BY {names}
    """


def _summed(rows: list[Row], name: str) -> list[dict[str, object]]:
    counts: dict[str, int] = {}
    for row in rows:
        counts[row[name] or NOT_SPECIFIED] = counts.get(row[name] or NOT_SPECIFIED, 0) + row["count"]
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [{"value": value, "count": count} for value, count in ordered[:MOST_VALUES]]
