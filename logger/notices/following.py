"""Follows `incident_changes` without losing one that commits late. Knows the table's ids, not what a change means.

Ids come from a sequence before their transactions commit, so a higher id can be visible before a lower one. Every change
is handed out as soon as it is visible; only the stored cursor waits until whoever may own a smaller id has ended. What is
read twice after a restart does no harm: a notice has a unique key.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from core.database import Database, Row, Transaction

CURSOR_OWNER = "incident_notices"
"""The row of agent_runs that holds the cursor, a change_id."""

_PAGE = 500

_HAVE_CURSOR = "INSERT INTO agent_runs (name) VALUES (%(name)s) ON CONFLICT (name) DO NOTHING"
_LOCK_CURSOR = "SELECT cursor FROM agent_runs WHERE name = %(name)s FOR UPDATE"
_MOVE_CURSOR = "UPDATE agent_runs SET cursor = %(cursor)s WHERE name = %(name)s AND cursor < %(cursor)s"
_HORIZON = """
SELECT pg_snapshot_xmin(now)::text::bigint AS oldest_running, pg_snapshot_xmax(now)::text::bigint AS next
FROM pg_current_snapshot() AS now
"""
# primary key
_NEWER = f"""
SELECT change_id, incident_id, change_seq, time, what, previous_state, state, severity, who, reason FROM incident_changes
WHERE change_id > %(cursor)s AND change_id <> ALL(%(handed_out)s::bigint[]) ORDER BY change_id LIMIT {_PAGE}
"""


@dataclass(frozen=True)
class _Mark:
    """Ids up to `last` were drawn before the transaction `horizon` began; None until the round after they were seen:
    only then every owner of an id has its number."""

    last: int
    horizon: int | None = None


class ChangeFollower:
    """Hands out each committed change once, whatever the order of the commits; after a restart some of them again."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._handed_out: set[int] = set()
        self._mark: _Mark | None = None

    def follow(self, take: Callable[[Transaction, list[Row]], int]) -> tuple[int, bool]:
        """Give the next changes to `take`, in the transaction that moves the cursor.

        Returns what `take` returned, and whether there may be more at once.
        """
        self._database.execute(_HAVE_CURSOR, {"name": CURSOR_OWNER})
        with self._database.transaction() as transaction:
            locked = transaction.fetch_one(_LOCK_CURSOR, {"name": CURSOR_OWNER}) or {"cursor": 0}
            cursor = int(locked["cursor"])
            # the horizon first: what ended before it is visible to the statement after it
            horizon = transaction.fetch_one(_HORIZON) or {"oldest_running": 0, "next": 0}
            handed_out = [change_id for change_id in self._handed_out if change_id > cursor]
            rows = transaction.fetch(_NEWER, {"cursor": cursor, "handed_out": handed_out})
            done = take(transaction, rows) if rows else 0
            is_full = len(rows) == _PAGE
            safe, mark = self._settled(cursor, rows, horizon, is_full=is_full)
            transaction.execute(_MOVE_CURSOR, {"name": CURSOR_OWNER, "cursor": safe})
        # remembered only when it is committed, so that a failure loses no change
        self._mark = mark
        self._handed_out = {*(one for one in handed_out if one > safe), *(row["change_id"] for row in rows)}
        return done, is_full

    def _settled(self, cursor: int, rows: list[Row], horizon: Row, *, is_full: bool) -> tuple[int, _Mark | None]:
        """How far the cursor may go, and what it waits for next."""
        mark = self._mark
        highest = max([cursor, *self._handed_out, *(row["change_id"] for row in rows)])
        if mark is None:
            return cursor, _Mark(highest) if highest > cursor else None
        if mark.horizon is None:
            return cursor, _Mark(mark.last, horizon["next"])
        if horizon["oldest_running"] < mark.horizon:
            return cursor, mark
        # a full page may not have come to the mark
        safe = min(mark.last, rows[-1]["change_id"]) if is_full else mark.last
        return max(cursor, safe), _Mark(highest) if highest > safe else None
