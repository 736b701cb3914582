"""Numbers, sizes, durations and times as people read them. Knows no component and no page."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_UNITS_OF_TIME = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
_UNITS_OF_SIZE = ("B", "kB", "MB", "GB", "TB", "PB")
_STAMP = re.compile(
    r"^\d{4}-\d\d-\d\d[T ][\d:.,]+(?:Z|[+-]\d\d:?\d\d)?\s+(?:(?:DEBUG|INFO|WARNING|ERROR|CRITICAL)\s+)?"
)
_BLANK = "–"


def count(value: float | None) -> str:
    """A whole number with thin groups: 12 345."""
    return _BLANK if value is None else f"{round(value):,}".replace(",", "\u202f")


def plural(value: int, noun: str) -> str:
    """'1 job', '2 jobs', '3 queries'."""
    if value == 1:
        return f"1 {noun}"
    many = noun[:-1] + "ies" if noun.endswith("y") and noun[-2:-1] not in "aeiou" else noun + "s"
    return f"{count(value)} {many}"


def ordinal(value: int) -> str:
    """'1st', '2nd', '11th'."""
    ending = "th" if value % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(value % 10, "th")
    return f"{value}{ending}"


def duration(seconds: float | None) -> str:
    """The two largest units: '2 d 4 h', '3 min 20 s', '0.4 s', '12 ms'."""
    if seconds is None:
        return _BLANK
    if seconds < 0:
        return "0 s"
    if 0 < seconds < 0.1:
        return f"{max(1, round(seconds * 1000))} ms"
    if seconds < 10:
        return f"{seconds:.1f}".rstrip("0").rstrip(".") + " s"
    rest, words = round(seconds), list[str]()
    for size, unit in _UNITS_OF_TIME:
        whole, rest = divmod(rest, size)
        if whole:
            words.append(f"{whole} {unit}")
        elif words:
            break
    return " ".join(words[:2]) or "0 s"


def steps(timing: dict[str, int]) -> str:
    """How long the steps of a pilot took, as in `stagein 3 s, payload 2 min`; those that took no time are left out."""
    return ", ".join(f"{name.replace('_', ' ')} {duration(taken)}" for name, taken in timing.items() if taken)


def size(n_bytes: float | None) -> str:
    """Bytes in decimal units: '1.5 MB'."""
    if n_bytes is None:
        return _BLANK
    value = float(n_bytes)
    for unit in _UNITS_OF_SIZE:
        if value < 1000 or unit == _UNITS_OF_SIZE[-1]:
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"


def hours(value: float) -> str:
    """A number of hours: '0', '< 0.1', '0.4', '1 200'."""
    if 0 < value < 0.05:
        return "< 0.1"
    return f"{value:.1f}" if 0 < value < 100 else count(value)


def core_hours(core_seconds: float | None) -> str:
    """Core-seconds as core-hours: '0.4 core-h', '1 200 core-h'."""
    return _BLANK if core_seconds is None else f"{hours(core_seconds / 3600)} core-h"


def per_cent(fraction: float | None) -> str:
    """A fraction as '12 %', with one digit below ten."""
    if fraction is None:
        return _BLANK
    value = fraction * 100
    return f"{value:.1f} %" if 0 < value < 10 else f"{value:.0f} %"


def moment(text: str | None) -> datetime | None:
    """The time in an answer, in UTC; None when there is none."""
    if not text:
        return None
    return datetime.fromisoformat(text).astimezone(UTC)


def clock_time(text: str | None) -> str:
    """A time to the second in UTC: '2026-11-21 10:00:00'."""
    at = moment(text)
    return _BLANK if at is None else at.strftime("%Y-%m-%d %H:%M:%S")


def day_time(text: str | None) -> str:
    """A time to the minute in UTC with the day in words: '21 Nov 10:00'."""
    at = moment(text)
    return _BLANK if at is None else at.strftime("%d %b %H:%M")


def utc(text: str | None) -> str:
    """A time to the second that says its zone, for places where nothing around it does: '2026-11-21 10:00:00 UTC'."""
    return f"{clock_time(text)} UTC" if text else _BLANK


def until(text: str) -> str:
    """The end of something: 'until 2026-11-21 10:00 UTC', 'for good'."""
    return "for good" if text.startswith("9999") else f"until {clock_time(text)[:16]} UTC"


def gist(line: str | None) -> str:
    """A log line without the time and level that a logger put before it: lists have no room for them."""
    return _STAMP.sub("", line or "")


def window(answer_window: dict[str, str] | None) -> str:
    """The window of an answer in words: 'last 6 h', '10 Nov 08:00 to 10 Nov 09:00 UTC', 'all times'."""
    if not answer_window:
        return "all times"
    start, end = moment(answer_window.get("from")), moment(answer_window.get("to"))
    if start is None or end is None:
        return "all times"
    return f"{start:%d %b %H:%M} to {end:%d %b %H:%M} UTC"
