"""Follows `job_history` as it grows without losing a row that commits late. Knows the table's ids, not what they mean.

Ids come from a sequence before their transactions commit, so a higher id can be visible before a lower one. The
follower remembers the ids it passed over and keeps looking for them until every transaction that was running when
the gap was seen has ended; what is missing then was rolled back.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.database import Database, Row

_MOST_ROWS = 20_000

# primary key, which begins with history_id, in the partitions of the last two days
_NEWER = f"""
SELECT history_id, panda_id, jedi_task_id, job_status FROM job_history
WHERE history_id > %(after)s AND modification_time > clock_timestamp() - interval '2 days'
ORDER BY history_id LIMIT {_MOST_ROWS}
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


@dataclass
class _Gap:
    """Ids from `first` to `last` not seen yet; given up when no transaction below `horizon` runs any more."""

    first: int
    last: int
    horizon: int


class HistoryFollower:
    """Hands out each committed row of the history once, whatever the order of the commits."""

    def __init__(self, database: Database, after: int) -> None:
        """`after`: the id up to which everything is known already."""
        self._database = database
        self._highest = after
        self._gaps: list[_Gap] = []

    @classmethod
    def from_now(cls, database: Database) -> HistoryFollower:
        """A follower of what happens from now on."""
        newest = database.fetch_one(_NEWEST)
        return cls(database, newest["newest"] if newest else 0)

    @property
    def safe_id(self) -> int:
        """Everything up to this id has been handed out; where to begin again after a restart."""
        return min((gap.first - 1 for gap in self._gaps), default=self._highest)

    def read(self) -> list[Row]:
        """The rows that became visible since the last call, at most 20 000 new ones."""
        horizon = self._database.fetch_one(_HORIZON) or {}
        late = self._read_gaps(horizon["oldest_running"])
        newer = self._database.fetch(_NEWER, {"after": self._highest})
        # transactions that begin after `horizon` was read cannot own an id that was passed over before
        self._note_gaps([row["history_id"] for row in newer], horizon)
        return late + newer

    def _read_gaps(self, oldest_running: int) -> list[Row]:
        if not self._gaps:
            return []
        bounds = {"firsts": [gap.first for gap in self._gaps], "lasts": [gap.last for gap in self._gaps]}
        rows = self._database.fetch(_MISSED, bounds)
        remaining = [gap for gap in self._gaps if oldest_running < gap.horizon]
        self._gaps = _without(remaining, sorted(row["history_id"] for row in rows))
        return rows

    def _note_gaps(self, ids: list[int], horizon: Row) -> None:
        raise NotImplementedError


def _without(gaps: list[_Gap], found: list[int]) -> list[_Gap]:
    raise NotImplementedError
