"""Until when, as people type it: a time of day, a length, a moment, or what has to happen. Knows no server."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from pandascope.cli.rendering import plain
from pandascope.errors import Usage

REASONS = ("shift", "doubles", "second_queue", "fixed")
"""What ends a silence beside a time: the shift's end, twice as many events, a second queue, the trouble's own end."""

Until = Annotated[
    str | None,
    typer.Option(
        "--until",
        metavar="WHEN",
        help="18:00 (UTC), 2h, an ISO time; a silence also: shift, doubles, second_queue, fixed; a queue: tests:20, never.",
    ),
]

_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})")
_TIME_OF_DAY = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)(?: ?UTC)?", re.IGNORECASE)


def silence_end(words: str | None) -> tuple[str, str]:
    """Kind and time of a silence's end. Raises Usage when nothing is said."""
    said = (words or "").strip()
    if not said:
        raise Usage(
            "a silence has an end",
            field="--until",
            remedy="--until 2h, 18:00 (UTC), shift, doubles, second_queue or fixed",
        )
    kind = said.lower().replace("-", "_")
    return (kind, "") if kind in REASONS else ("time", said)


def moment_of(words: str, now: datetime | None = None) -> str:
    """A time of day as the moment that it means next, in UTC; anything else as it was typed."""
    found = _TIME_OF_DAY.fullmatch(words.strip())
    if found is None:
        return words
    present = now or datetime.now(UTC)
    today = present.replace(hour=int(found[1]), minute=int(found[2]), second=0, microsecond=0)
    return (today if today > present else today + timedelta(days=1)).isoformat()


def end_words(kind: str, time: str | None) -> str:
    """What ends a silence, in words."""
    if kind in ("time", "shift") and time:
        return f"{'the shift ends, ' if kind == 'shift' else ''}{clock_words(time)}"
    return {
        "shift": "the shift ends",
        "doubles": "its count doubles",
        "second_queue": "a second queue shows it",
        "fixed": "it ends by itself",
    }.get(kind, kind)


def clock_words(time: str | None) -> str:
    """A moment of the server: `18:00 UTC`, with the date when it is not today's."""
    if not time:
        return "-"
    moment = datetime.fromisoformat(time).astimezone(UTC)
    today = datetime.now(UTC).date()
    return f"{moment:%H:%M} UTC" if moment.date() == today else f"{moment:%Y-%m-%d %H:%M} UTC"


def moment_words(value: object) -> str:
    """A value of a deed's parameters: a moment as people read it, anything else as it is."""
    text = plain(value)
    return clock_words(text) if _MOMENT.fullmatch(text) else text
