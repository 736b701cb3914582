"""What the monitors read of the audit: who did what to which object, with before and after."""

from __future__ import annotations

from typing import Any

from core.audit import OBJECT_KINDS, VIAS
from core.database import Database
from core.monitor.closed import closed_column
from core.monitor.filters import number_column, text_column
from core.monitor.question import Grammar, Question
from core.monitor.selection import contains_text
from logger.reading.paging import newest_first

OUTCOMES = ("done", "partly", "failed")
"""How a deed went; what is no deed, and an undo, was done when it stands there."""

# the row of a deed itself has how it ended; a row of its undo or its revert, and of any other thing, is there when it was done
_OUTCOME = "CASE WHEN object_kind = 'deed' AND after->'done' IS NOT NULL THEN after->>'state' ELSE 'done' END"

AUDIT_GRAMMAR = Grammar(
    filters={
        **{name: text_column(name) for name in ("who", "action", "object_id")},
        "object_kind": closed_column("object_kind", OBJECT_KINDS),
        "via": closed_column("via", VIAS),
        "outcome": closed_column("outcome", OUTCOMES, _OUTCOME),
        "deed_id": number_column("deed_id"),
        "is_automatic": closed_column("is_automatic", ("true", "false"), "is_automatic::text"),
        "q": contains_text(("reason", "action", "object_id")),
    }
)

# primary key backwards; ix_audit_object, ix_audit_who, ix_audit_time as the filters are
_AUDIT = """
SELECT audit_id, time, who, roles, via, action, object_kind, object_id, before, after, reason, deed_id, is_automatic
FROM audit WHERE audit_id < %(before)s AND {where} ORDER BY audit_id DESC LIMIT %(limit)s
"""


def audit_list(database: Database, question: Question) -> dict[str, Any]:
    """A page of the audit, newest first. Raises InvalidInput for a cursor that is not ours, TooSlow."""
    rows, answer = newest_first(database, _AUDIT, question, "audit_id")
    return {**answer, "entries": rows}
