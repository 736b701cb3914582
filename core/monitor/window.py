"""The time window of a monitor question: `hours`, `days`, `date_from`, `date_to` (monitor.md 1.2). Knows no table."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from core.errors import InvalidInput

WINDOW_PARAMETERS = ("hours", "days", "date_from", "date_to")

_LONGEST_DAYS = 3660
_REMEDY = "for example hours=6, days=2, date_from=2026-11-20&date_to=2026-11-21T12:00"


@dataclass(frozen=True)
class Window:
    """From `start` until `end`; `reaches_now` when nobody named an end, so that nothing newer is cut off."""

    start: datetime
    end: datetime
    reaches_now: bool

    def as_answer(self) -> dict[str, datetime]:
        """The form of the envelope (docs/api.md)."""
        return {"from": self.start, "to": self.end}


def read_window(parameters: Mapping[str, str], now: datetime, default_hours: float | None) -> Window | None:
    """The window that the parameters ask for, or the default; None when there is neither.

    A date without a time means the whole day: its beginning as `date_from`, its end as `date_to`. A length (`hours` or
    `days`) with `date_to` ends there, with `date_from` begins there.
    Raises InvalidInput when parameters contradict each other or are no times.
    """
    length = _length(parameters)
    date_from = _moment(parameters, "date_from")
    date_to = _moment(parameters, "date_to")
    if length is not None and date_from is not None and date_to is not None:
        raise InvalidInput("date_from and date_to say it all", field=_length_field(parameters), remedy="leave it out")
    if length is None and date_from is None and date_to is None:
        if default_hours is None:
            return None
        length = timedelta(hours=default_hours)
    reaches_now = date_to is None and (date_from is None or length is None)
    end = date_to or (date_from + length if date_from is not None and length is not None else now)
    start = date_from or end - (length or timedelta(hours=default_hours or 24))
    if start > end:
        beyond = "date_from" if date_from is not None else "date_to"
        raise InvalidInput("the window ends before it begins", field=beyond, remedy=_REMEDY)
    return Window(start, end, reaches_now)


def _length_field(parameters: Mapping[str, str]) -> str:
    return "hours" if parameters.get("hours") else "days"


def _length(parameters: Mapping[str, str]) -> timedelta | None:
    hours, days = parameters.get("hours", "").strip(), parameters.get("days", "").strip()
    if hours and days:
        raise InvalidInput("days is given too", field="hours", remedy="give one of the two")
    if not hours and not days:
        return None
    field = _length_field(parameters)
    try:
        number = float(hours or days)
    except ValueError as error:
        raise InvalidInput(f"{hours or days!r} is no number", field=field, remedy=_REMEDY) from error
    in_days = number / 24 if hours else number
    if not math.isfinite(number) or not 0 < in_days <= _LONGEST_DAYS:
        remedy = f"more than 0 and at most {_LONGEST_DAYS} days"
        raise InvalidInput(f"{hours or days} is out of range", field=field, remedy=remedy)
    return timedelta(days=in_days)


def _moment(parameters: Mapping[str, str], field: str) -> datetime | None:
    text = parameters.get(field, "").strip()
    if not text:
        return None
    try:
        return _parse(text, end_of_day=field == "date_to")
    except (ValueError, OverflowError) as error:
        remedy = "an ISO 8601 time, as in 2026-11-21 or 2026-11-21T10:00:00Z"
        raise InvalidInput(f"{text!r} is no time", field=field, remedy=remedy) from error


def _parse(text: str, *, end_of_day: bool) -> datetime:
    """A date or time; without a zone it is UTC. `+` of a zone may have become a blank on its way through an address."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        moment = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
    else:
        moment = datetime.combine(day, time.min) + timedelta(days=1 if end_of_day else 0)
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    if not 1900 <= moment.year <= 9000:
        raise ValueError(text)
    return moment
