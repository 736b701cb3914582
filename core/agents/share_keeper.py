"""Counts what the shares use, and keeps samples of how well they hold (domain.md 6.1). Knows when, not how."""

from __future__ import annotations

import time

from core.agents.base import Agent
from core.database import Database
from core.shares.usage import keep_sample, refresh

_PART_OF_TIME = 0.1
"""Most of its time that the counting may take, so that a million live jobs do not keep the database busy with it."""


class ShareKeeper(Agent):
    """Keeps `share_usage` and `share_samples` up to date."""

    name = "share_keeper"

    def __init__(self, database: Database, period_s: float, sample_s: float) -> None:
        """`period_s`: pause between two counts, longer while counting takes long; `sample_s`: time between samples."""
        self._database = database
        self._shortest_s = period_s
        self._sample_s = sample_s
        self.period_s = period_s

    def cycle(self) -> int:
        """Count, and keep a sample when one is due. Always 0: there is never more to do at once."""
        started = time.monotonic()
        refresh(self._database)
        self.period_s = max(self._shortest_s, (time.monotonic() - started) / _PART_OF_TIME)
        keep_sample(self._database, self._sample_s)
        return 0
