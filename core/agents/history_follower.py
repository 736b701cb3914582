"""Follows `job_history` as it grows without losing a row that commits late. Knows the table's ids, not what they mean.

Ids come from a sequence before their transactions commit, so a higher id can be visible before a lower one. The
follower remembers the ids it passed over and looks for them until every transaction that may own them has ended; what
is missing then was rolled back.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.database import Database, Row

MOST_ROWS = 20_000
"""New rows per read, at most."""

# primary key, which begins with history_id, in the partitions of the last two days
_NEWER = f"""
SELECT history_id, panda_id, jedi_task_id, job_status FROM job_history
WHERE history_id > %(after)s AND modification_time > clock_timestamp() - interval '2 days'
ORDER BY history_id LIMIT {MOST_ROWS}
"""
_MISSED = """
SELECT h.history_id, h.panda_id, h.jedi_task_id, h.job_status
FROM unnest(%(firsts)s::bigint[], %(lasts)s::bigint[]) AS gap (first, last)
JOIN job_history h ON h.history_id BETWEEN gap.first AND gap.last
WHERE h.modification_time > clock_timestamp() - interval '2 days'
"""
_NEWEST = "SELECT coalesce(max(history_id), 0) AS newest FROM job_history"
_HORIZON = """
SELECT pg_snapshot_xmin(now)::text::bigint AS oldest_running, pg_snapshot_xmax(now)::text::bigint AS next
FROM pg_current_snapshot() AS now
"""


@dataclass(frozen=True)
class _Gap:
    """Ids from `first` to `last` not seen yet, to be given up when no transaction below `horizon` runs any more."""

    first: int
    last: int
    horizon: int | None = None
    """None until the read after the one that found the gap: only then every owner of an id has its number."""


def newest_history_id(database: Database) -> int:
    """The highest id that is visible now; 0 in an empty table."""
    row = database.fetch_one(_NEWEST)
    return int(row["newest"]) if row else 0


class HistoryFollower:
    """Hands out each committed row of the history once, whatever the order of the commits."""

    def __init__(self, database: Database, after: int) -> None:
        """`after`: the id up to which everything is known already."""
        self._database = database
        self._highest = after
        self._gaps: list[_Gap] = []

    @property
    def safe_id(self) -> int:
        """Everything up to this id has been handed out; where to begin again after a restart."""
        return min((gap.first - 1 for gap in self._gaps), default=self._highest)

    def read(self) -> list[Row]:
        """The rows that became visible since the last call, at most `MOST_ROWS` new ones."""
        late, waiting = self._late_rows() if self._gaps else ([], [])
        newer = self._database.fetch(_NEWER, {"after": self._highest})
        # nothing is remembered before both statements have answered, so that a failure loses no row
        self._gaps = waiting
        for row in newer:
            if row["history_id"] > self._highest + 1:
                self._gaps.append(_Gap(self._highest + 1, row["history_id"] - 1))
            self._highest = row["history_id"]
        return late + newer

    def _late_rows(self) -> tuple[list[Row], list[_Gap]]:
        # the horizon first: what ended before it is visible to the statement after it
        horizon = self._database.fetch_one(_HORIZON) or {"oldest_running": 0, "next": 0}
        bounds = {"firsts": [gap.first for gap in self._gaps], "lasts": [gap.last for gap in self._gaps]}
        rows = self._database.fetch(_MISSED, bounds)
        waiting = []
        for gap in self._gaps:
            if gap.horizon is None or gap.horizon > horizon["oldest_running"]:
                waiting.append(_Gap(gap.first, gap.last, gap.horizon or horizon["next"]))
        return rows, _without(waiting, sorted(row["history_id"] for row in rows))


def _without(gaps: list[_Gap], found: list[int]) -> list[_Gap]:
    """The gaps less the ids that turned up, which cut a gap in two."""
    left: list[_Gap] = []
    for gap in gaps:
        first = gap.first
        for history_id in found:
            if first <= history_id <= gap.last:
                if history_id > first:
                    left.append(_Gap(first, history_id - 1, gap.horizon))
                first = history_id + 1
        if first <= gap.last:
            left.append(_Gap(first, gap.last, gap.horizon))
    return left
