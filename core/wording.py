"""Durations, counts and times as people read them in sentences. Knows no table and no page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from core.clock import utc_now


def duration_words(seconds: float) -> str:
    """A duration in the two largest units, as in `2 h 5 min`; what took no whole second is `less than a second`."""
    whole = max(0, int(seconds))
    if not whole:
        return "less than a second"
    if whole < 60:
        return f"{whole} s"
    units = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))
    first = next(index for index, (size, _) in enumerate(units) if whole >= size)
    parts = []
    for size, name in units[first : first + 2]:
        count, whole = divmod(whole, size)
        if count:
            parts.append(f"{count} {name}")
    return " ".join(parts)


def counted(count: int, thing: str) -> str:
    """`1 job`, `2,000 jobs`."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def are(count: int, thing: str) -> str:
    """`1 job is`, `2,000 jobs are`."""
    return f"{counted(count, thing)} {'is' if count == 1 else 'are'}"


def named(names: Sequence[str], count: int) -> str:
    """The names given, and dots when there are more (`count` in all)."""
    return ", ".join(names) + (", ..." if count > len(names) else "")


def moment(time: datetime, now: datetime | None = None) -> str:
    """A time of day in UTC, with the date when it is not today's: `10:04 UTC`."""
    today = (now or utc_now()).date()
    return f"{time:%H:%M} UTC" if time.date() == today else f"{time:%Y-%m-%d %H:%M} UTC"
