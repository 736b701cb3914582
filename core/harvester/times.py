"""Times as factories write them. Knows no table."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from core.errors import InvalidInput

_PREFIX = "datetime/"
"""What Harvester puts before a time inside JSON."""
_OTHER_FORMATS = ("%d-%b-%y %H:%M:%S", "%d-%b-%y %H:%M:%S.%f", "%d.%m.%y %H:%M:%S", "%d.%m.%y %H:%M:%S.%f")
"""Oracle's spellings, which its operators use."""


def _by_format(layout: str, text: str) -> datetime:
    return datetime.strptime(text, layout)


_READERS: tuple[Callable[[str], datetime], ...] = (
    datetime.fromisoformat,
    *(partial(_by_format, layout) for layout in _OTHER_FORMATS),
)


def parse_time(value: object, field: str) -> datetime:
    """A time in ISO 8601, in Harvester's or in Oracle's spelling; without a zone it is UTC.

    Raises InvalidInput naming `field`.
    """
    text = value.strip() if isinstance(value, str) else ""
    text = text.removeprefix(_PREFIX)
    for read in _READERS:
        try:
            found = read(text)
            return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError):
            continue
    raise InvalidInput(
        f"{str(value)[:40]!r} is no time", field=field, remedy="for example 2026-11-21 10:00:00.000000, in UTC"
    )
