"""When shifts change, and whether one should be over. Knows times, no table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta

from logger.silences import GRACE, next_change

__all__ = ["is_overdue", "next_change", "watch_at"]


def watch_at(changes: Sequence[str], now: datetime) -> tuple[datetime, datetime]:
    """The beginning and end of the watch that `now` is in. `changes`: HH:MM, UTC; the moment of a change begins one."""
    today = now.astimezone(UTC).date()
    moments = [
        datetime.combine(today + timedelta(days=ahead), time.fromisoformat(change), UTC)
        for ahead in (-1, 0)
        for change in changes or ("00:00",)
    ]
    return max(moment for moment in moments if moment <= now), next_change(changes, now)


def is_overdue(start: datetime, changes: Sequence[str], now: datetime) -> bool:
    """Whether a shift that began at `start` should have been handed over long ago.

    Who comes within the grace before a change has the watch after it.
    """
    return now > next_change(changes, start + GRACE) + GRACE
