"""What the monitors read of the shift log: the list, one shift with its notes, draft and signatures."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from core.database import Database, Row
from core.monitor.closed import closed_column
from core.monitor.filters import number_column, text_column
from core.monitor.question import Grammar, Question
from core.monitor.reading import envelope
from logger.reading.paging import newest_first
from logger.shifts.calendar import is_overdue, watch_at
from logger.shifts.export import as_markdown
from logger.shifts.facts import notes_of
from logger.shifts.signing import HANDED_OVER, RUNNING, digest_of, shift_row, written_now

SHIFT_GRAMMAR = Grammar(
    filters={
        **{name: text_column(name) for name in ("name", "outgoing_by", "incoming_by")},
        "state": closed_column("state", (RUNNING, HANDED_OVER)),
        "shift_id": number_column("shift_id"),
    }
)

_ROW = """
    shift_id, name, start_time, end_time, people, state, is_edited, outgoing_by, outgoing_time, incoming_by, incoming_time,
    digest, previous_id
"""
# primary key backwards; notes by ix_shift_notes_shift
_SHIFTS = f"""
SELECT {_ROW}, (SELECT count(*) FROM shift_notes n WHERE n.shift_id = shifts.shift_id) AS note_count
FROM shifts WHERE shift_id < %(before)s AND {{where}} ORDER BY shift_id DESC LIMIT %(limit)s
"""
# uq_shifts_running
_RUNNING = "SELECT shift_id FROM shifts WHERE state = 'running' ORDER BY start_time DESC LIMIT 1"


def shift_list(database: Database, question: Question, changes: Sequence[str]) -> dict[str, Any]:
    """A page of shifts, newest first, with the watch that it is now by the plan."""
    rows, answer = newest_first(database, _SHIFTS, question, "shift_id", time="start_time")
    start, end = watch_at(changes, question.as_of)
    running = (database.fetch_one(_RUNNING) or {"shift_id": None})["shift_id"]
    return {
        **answer,
        "shifts": rows,
        "running": running,
        "watch": {"start": start, "end": end, "changes": list(changes)},
    }


def shift_detail(database: Database, shift_id: int, now: datetime, changes: Sequence[str]) -> dict[str, Any]:
    """One shift: its notes and its draft. Of a text that somebody wrote, what has happened since as a difference to the
    draft as it would be now. `draft_digest`: what a signature names, so that nothing is signed that was not read. Raises
    UnknownObject."""
    row = shift_row(database, shift_id)
    text, digest, fresh = _current(database, row, now)
    shown = {name: value for name, value in row.items() if name != "draft"}
    is_late = row["state"] == RUNNING and is_overdue(row["start_time"], changes, now)
    return envelope(
        now,
        count=1,
        shift={**shown, "is_overdue": is_late},
        draft=text,
        draft_digest=digest,
        difference=_difference(text, fresh) if fresh else [],
        notes=notes_of(database, shift_id),
    )


def shift_markdown(database: Database, shift_id: int, now: datetime) -> str:
    """One shift as a document. Raises UnknownObject."""
    row = shift_row(database, shift_id)
    return as_markdown(row, _current(database, row, now)[0], notes_of(database, shift_id))


def _current(database: Database, row: Row, now: datetime) -> tuple[str, str, str]:
    """The text of a handover, the digest by which it is signed as it was read, and what the draft would be now where that is
    not the same: when it was edited."""
    if row["outgoing_by"] or row["state"] != RUNNING:
        return row["draft"], row["digest"], ""
    written = written_now(database, row, now)
    if row["is_edited"]:
        return row["draft"], digest_of(row["draft"]), written.text
    return written.text, written.digest, ""


def _difference(text: str, fresh: str) -> list[str]:
    lines = difflib.unified_diff(
        text.splitlines(), fresh.splitlines(), "as it is written", "as it would be now", "", "", 1, ""
    )
    return list(lines)[:500]
