"""Which of the notices that are due go into one message. Knows rows and times; pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from core.database import Row

MOST_INCIDENTS = 50
"""In an ordinary message."""
_LATE_AFTER = timedelta(seconds=60)


def chosen(route: Row, rows: Sequence[Row], now: datetime, most_changes: int) -> tuple[list[Row], bool]:
    """Notices of one message out of those that are due (oldest first), and whether they are late.

    What waited for a minute longer than the route wants is joined, whatever its group: the receiver was away or had too
    many messages, and hears all of it at once. Otherwise equal values of the route's `group_by` make a group.
    """
    oldest = min(row["created_time"] for row in rows)
    if oldest + timedelta(seconds=route["group_wait_s"]) + _LATE_AFTER < now:
        return list(rows[:most_changes]), True
    first = _group(route, rows[0])
    incidents: set[int] = set()
    found: list[Row] = []
    for row in rows[:most_changes]:
        is_new = row["incident_id"] not in incidents
        if _group(route, row) == first and not (is_new and len(incidents) >= MOST_INCIDENTS):
            incidents.add(row["incident_id"])
            found.append(row)
    return found, False


def _group(route: Row, row: Row) -> tuple[object, ...]:
    return tuple(row[name] for name in route["group_by"])
