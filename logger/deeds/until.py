"""Reads until when something holds: a time of day, a moment, so many test jobs, or never. Knows no deed and no clock."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from core.errors import InvalidInput
from core.wording import moment
from logger import silences
from logger.deeds.base import Revert

MOST_TESTS = 1000
NEVER = "never"

_TIME_OF_DAY = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)(?: ?UTC)?")
_TESTS = re.compile(r"tests:(\d{1,4})")
_MOMENTS = "18:00 (UTC), 2h, or a moment such as 2026-12-31T12:00:00Z"
FIELD = "parameters.until"
"""Where it stands in what is asked for."""

_REMEDY_WITHOUT_TESTS = f"{_MOMENTS}, or never"
_REMEDY = "18:00 (UTC), 2h, a moment such as 2026-12-31T12:00:00Z, tests:20, or never"


def read_until(words: str, now: datetime, *, takes_tests: bool = True) -> Revert:
    """Until when, from the words of a person. Raises InvalidInput for what means nothing or has passed.

    `takes_tests`: whether test jobs can end it, or the remedy names other ways only.
    """
    words = words.strip()
    if words == NEVER:
        return Revert()
    tests = _TESTS.fullmatch(words)
    if tests is not None:
        count = int(tests[1])
        if not 1 <= count <= MOST_TESTS:
            raise InvalidInput(f"{count} test jobs", field=FIELD, remedy=f"1 to {MOST_TESTS}")
        return Revert("tests", count=count)
    return Revert("time", read_moment(words, now, FIELD, _REMEDY if takes_tests else _REMEDY_WITHOUT_TESTS))


def read_moment(words: str, now: datetime, name: str, remedy: str = _MOMENTS) -> datetime:
    """A time to come: `18:00` is the next 18:00 UTC, `2h` two hours from now. Raises InvalidInput naming `name`."""
    of_day = _TIME_OF_DAY.fullmatch(words.strip())
    if of_day is not None:
        today = now.astimezone(UTC).replace(hour=int(of_day[1]), minute=int(of_day[2]), second=0, microsecond=0)
        return today if today > now else today + timedelta(days=1)
    try:
        time = silences.read_moment(words, now)
    except InvalidInput as error:
        raise InvalidInput(error.detail, field=name, remedy=remedy) from error
    if time is None:
        raise InvalidInput("until when?", field=name, remedy=remedy)
    if time <= now:
        raise InvalidInput(f"{time:%Y-%m-%d %H:%M} UTC has passed", field=name, remedy="a time to come")
    return time


def canonical(revert: Revert) -> str:
    """As it stands in the parameters of a deed: a moment, not a time of day, so that it means the same an hour later."""
    if revert.kind == "tests":
        return f"tests:{revert.count}"
    return revert.time.isoformat() if revert.time is not None else NEVER


def until_words(revert: Revert, now: datetime) -> str:
    """For sentences: `until 18:00 UTC`, `until 20 test jobs have finished there`, `until somebody changes it`."""
    if revert.kind == "tests":
        return f"until {revert.count} test job{' has' if revert.count == 1 else 's have'} finished there"
    return f"until {moment(revert.time, now)}" if revert.time is not None else "until somebody changes it"
