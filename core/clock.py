"""Time as a part that tests can hold still. Everything is UTC and timezone-aware."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The present moment, timezone-aware."""
    return datetime.now(UTC)
