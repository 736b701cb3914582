"""What the data carousel brings from tape: requests with their progress, their tasks and what is slow. Knows no page."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from core.carousel.turns import places_in_queue, queued
from core.database import Database, Row
from core.monitor.closed import closed_column
from core.monitor.filters import Condition, number_column, text_column
from core.monitor.question import Grammar, Question
from core.monitor.reading import decode_cursor, encode_cursor, envelope, read
from core.monitor.selection import contains_text
from core.states import StagingStatus
from core.workload_settings import CarouselSettings

_OF_TASK = number_column("jedi_task_id", "l.jedi_task_id")


def _of_task(value: str, prefix: str) -> Condition:
    """ix_data_carousel_relations_task"""
    wanted = _OF_TASK(value, prefix)
    inner = f"SELECT l.request_id FROM data_carousel_relations l WHERE {wanted.sql}"
    return Condition(f"request_id IN ({inner})", wanted.parameters)


STAGING_GRAMMAR = Grammar(
    filters={
        "status": closed_column("status", [status.value for status in StagingStatus]),
        **{name: text_column(name) for name in ("dataset", "source_endpoint", "destination_endpoint")},
        "request_id": number_column("request_id"),
        "jedi_task_id": _of_task,
        "q": contains_text(("dataset", "trouble", "reason")),
    },
    identities=frozenset({"request_id"}),
)

_UNDER_WAY = [StagingStatus.QUEUED.value, StagingStatus.STAGING.value]
_NAMING = frozenset({"status", "request_id", "jedi_task_id", "dataset"})
"""Who asks by one of these means those that are through, too."""
_TASKS = 20
_FAILED = 3

# primary key backwards, or ix_data_carousel_requests_status; of each row of the page a few by primary key and
# ix_data_carousel_files_status
_PAGE = f"""
SELECT q.*, t.tasks, t.n_tasks, t.user_names, f.failed FROM (
    SELECT request_id, dataset, status, source_endpoint, destination_endpoint, reason, trouble, is_forced, is_listed,
           n_files, n_staged, n_failed, greatest(n_files - n_staged - n_failed, 0) AS n_waiting, n_bytes, n_bytes_staged,
           n_asked, holds_copies, creation_time, start_time, progress_time, end_time, modification_time
    FROM data_carousel_requests WHERE request_id < %(before)s AND {{where}} ORDER BY request_id DESC LIMIT %(limit)s
) q CROSS JOIN LATERAL (
    SELECT coalesce((array_agg(r.jedi_task_id ORDER BY r.jedi_task_id))[1:{_TASKS}], '{{{{}}}}') AS tasks, count(*) AS n_tasks,
           coalesce((array_agg(DISTINCT k.user_name))[1:{_TASKS}], '{{{{}}}}') AS user_names
    FROM data_carousel_relations r JOIN tasks k USING (jedi_task_id) WHERE r.request_id = q.request_id
) t CROSS JOIN LATERAL (
    SELECT coalesce(jsonb_agg(jsonb_build_object('lfn', x.lfn, 'error', x.error)), '[]') AS failed FROM (
        SELECT o.lfn, c.error FROM data_carousel_files c JOIN files o USING (file_id)
        WHERE c.request_id = q.request_id AND c.status = 'failed' ORDER BY c.file_id LIMIT {_FAILED}) x
) f ORDER BY q.request_id DESC
"""


def staging_list(database: Database, question: Question, settings: CarouselSettings) -> dict[str, Any]:
    """A page of requests, the newest first; those that are through only if a status (`*`: all) or some request is named.

    Raises InvalidInput for a cursor that is not ours, TooSlow."""
    before = decode_cursor(question.cursor, question.raw_filters, (int,))[0] if question.cursor else 2**63 - 1
    values = {**question.parameters, "before": before, "limit": question.limit + 1, "under_way": _UNDER_WAY}
    where = question.where() if question.filtered & _NAMING else f"{question.where()} AND status = ANY(%(under_way)s)"
    rows = read(database, _PAGE.format(where=where), values)
    has_more, rows = len(rows) > question.limit, rows[: question.limit]
    waits = any(row["status"] == StagingStatus.QUEUED for row in rows)
    places = places_in_queue(queued(database)) if waits else {}
    return envelope(
        question.as_of,
        count=len(rows),
        next_cursor=encode_cursor(question.raw_filters, (rows[-1]["request_id"],)) if has_more else None,
        warnings=question.warnings,
        requests=[_shown(row, places, question.as_of, settings) for row in rows],
    )


def pace_of(row: Row, now: datetime, settings: CarouselSettings) -> str:
    """How a request that is under way gets on: `stuck` once it was asked for again, `slow` from half of that time on."""
    if row["status"] not in (StagingStatus.QUEUED, StagingStatus.STAGING):
        return ""
    if row["n_asked"]:
        return "stuck"
    if row["status"] == StagingStatus.QUEUED:
        return ""
    since = row["progress_time"] or row["start_time"] or row["creation_time"]
    return "slow" if now - since > timedelta(seconds=settings.stuck_s / 2) else ""


def _shown(row: Row, places: dict[int, int], now: datetime, settings: CarouselSettings) -> dict[str, Any]:
    pace = pace_of(row, now, settings)
    return {
        **row,
        "progress": row["n_staged"] / row["n_files"] if row["n_files"] else None,
        "place_in_queue": places.get(row["request_id"]),
        "pace": pace,
        "is_stuck": pace == "stuck",
    }
