"""Pages of what is only ever added to: newest first, by the number of the row. Knows no table."""

from __future__ import annotations

from typing import Any

from core.database import Database, Row
from core.monitor.question import Question
from core.monitor.reading import decode_cursor, encode_cursor, envelope, read


def newest_first(
    database: Database, statement: str, question: Question, key: str, *, time: str = "time"
) -> tuple[list[Row], dict[str, Any]]:
    """A page of rows, and the envelope of its answer without them.

    `statement` has `{where}`, and takes rows whose `key` is less than `%(before)s` in descending order, `%(limit)s` at most.
    `time`: the column that a window cuts by. Raises InvalidInput for a cursor that is not ours, TooSlow.
    """
    where, bounds = question.where(), dict(question.parameters)
    if question.window is not None:
        where += f" AND {time} >= %(window_start)s AND {time} < %(window_end)s"
        bounds |= {"window_start": question.window.start, "window_end": question.window.end}
    filters = (key, *question.raw_filters)
    before = decode_cursor(question.cursor, filters, (int,))[0] if question.cursor else 2**63 - 1
    bounds |= {"before": before, "limit": question.limit + 1}
    found = read(database, statement.replace("{where}", where), bounds)
    rows = found[: question.limit]
    following = encode_cursor(filters, [rows[-1][key]]) if len(found) > question.limit else None
    return rows, envelope(
        question.as_of,
        window=question.window,
        count=len(rows),
        exact=False,
        next_cursor=following,
        warnings=question.warnings,
    )
