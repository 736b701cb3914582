"""What the monitors read of the audit: who did what to which object, with before and after."""

from __future__ import annotations

from typing import Any

from core.database import Database
from core.monitor.filters import number_column, text_column
from core.monitor.question import Grammar, Question
from core.monitor.reading import decode_cursor, encode_cursor, envelope, read
from core.monitor.selection import contains_text

AUDIT_GRAMMAR = Grammar(
    filters={
        **{name: text_column(name) for name in ("who", "action", "object_kind", "object_id", "via")},
        "deed_id": number_column("deed_id"),
        "is_automatic": text_column("is_automatic", "is_automatic::text"),
        "q": contains_text(("reason", "action", "object_id")),
    }
)

# primary key backwards; ix_audit_object, ix_audit_who, ix_audit_time as the filters are
_AUDIT = """
SELECT audit_id, time, who, roles, via, action, object_kind, object_id, before, after, reason, deed_id, is_automatic
FROM audit WHERE audit_id < %(before_id)s AND {where} ORDER BY audit_id DESC LIMIT %(limit)s
"""


def audit_list(database: Database, question: Question) -> dict[str, Any]:
    """A page of the audit, newest first. Raises InvalidInput for a cursor that is not ours, TooSlow."""
    where, bounds = question.where(), dict(question.parameters)
    if question.window is not None:
        where += " AND time >= %(window_start)s AND time < %(window_end)s"
        bounds |= {"window_start": question.window.start, "window_end": question.window.end}
    key = ("audit", *question.raw_filters)
    before = decode_cursor(question.cursor, key, (int,))[0] if question.cursor else 2**63 - 1
    statement = _AUDIT.replace("{where}", where)
    found = read(database, statement, {**bounds, "before_id": before, "limit": question.limit + 1})
    rows = found[: question.limit]
    following = encode_cursor(key, [rows[-1]["audit_id"]]) if len(found) > question.limit else None
    return envelope(
        question.as_of,
        window=question.window,
        count=len(rows),
        exact=False,
        next_cursor=following,
        warnings=question.warnings,
        entries=rows,
    )
