"""The job list: which jobs, and what they have in common. Exact counts, keyset pages, live and archive as one."""

from __future__ import annotations

from typing import Any

from core.database import Database
from core.monitor.facets import Facets, count_jobs
from core.monitor.job_rows import LIST_COLUMNS, SHOWN_INCIDENT, job_row
from core.monitor.question import Question
from core.monitor.reading import decode_cursor, encode_cursor, envelope, read
from core.monitor.selection import selected_jobs, window_parameters


def job_list(database: Database, question: Question) -> dict[str, Any]:
    """A page of job rows with the facets of all jobs that the question selects.

    Facets and count are made for the first page; later pages carry its count on. Raises TooSlow or InvalidInput.
    """
    after, counted = _position(question)
    facets = Facets({}, count=counted[0], exact=counted[1]) if counted else count_jobs(database, question)
    rows = read(
        database,
        page_statement(question),
        {**window_parameters(question), "limit": question.limit + 1, "after": after},
    )
    has_more = len(rows) > question.limit
    rows = rows[: question.limit]
    state = [rows[-1]["panda_id"], facets.count, facets.exact] if rows and has_more else None
    content: dict[str, Any] = {"jobs": [job_row(row) for row in rows]}
    if question.wants_facets and not counted:
        content["facets"] = facets.values
    return envelope(
        question.as_of,
        window=question.window,
        exact=facets.exact,
        count=facets.count,
        next_cursor=encode_cursor(_key(question), state) if state else None,
        warnings=[*question.warnings, *facets.warnings],
        **content,
    )


def _key(question: Question) -> tuple[Any, ...]:
    return (question.raw_filters, question.sortby)


def _position(question: Question) -> tuple[int | None, tuple[int, bool] | None]:
    if not question.cursor:
        return None, None
    after, count, exact = decode_cursor(question.cursor, _key(question), (int, int, bool))
    return after, (count, exact)


def page_statement(question: Question) -> str:
    """Live by primary key or ix_jobs_live_*; archive by its primary key or an index of filter and time, whichever
    PostgreSQL finds cheaper; incident_jobs and incidents by primary key for the rows of the page.
    """
    direction, comparison = ("ASC", ">") if question.sortby.endswith("ascending") else ("DESC", "<")
    after = f"panda_id {comparison} %(after)s" if question.cursor else ""
    order = f"ORDER BY panda_id {direction} LIMIT %(limit)s"
    return f"""
        SELECT page.*, c.culprit_line, i.incident_id
        FROM (
            SELECT * FROM ({selected_jobs(question, LIST_COLUMNS, after=after, tail=order)}) found {order}
        ) page LEFT JOIN incident_jobs c USING (panda_id)
        {SHOWN_INCIDENT}
        ORDER BY panda_id {direction}
    """
