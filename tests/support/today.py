"""A "now" for tests about the use of a day: the day does not end before the test does."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

_MARGIN = timedelta(seconds=30)
"""No test takes as long."""


def now_within_a_day() -> datetime:
    """Now; shortly before midnight UTC, where days of accounting end, it waits for the next day."""
    while (now := datetime.now(UTC)).date() != (now + _MARGIN).date():
        time.sleep(1)
    return now
