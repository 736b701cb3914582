"""Keeps the cache of uploaded files within bounds: expiry and repair. Every machine cleans its own disk."""

from __future__ import annotations

import socket
from pathlib import Path

from core.agents.base import Agent
from core.configuration import CacheLimits
from core.database import Database
from core.filecache.cleaning import Cleaning


class CacheCleaner(Agent):
    """Deletes what has expired, and repairs the rest once nothing is left to delete."""

    def __init__(self, database: Database, directory: Path, limits: CacheLimits, period_s: float) -> None:
        # the lease goes by the name: the agents of another machine cannot reach this one's disk
        self.name = f"cache_cleaner@{socket.gethostname()}"
        self.period_s = period_s
        self._cleaning = Cleaning(database, directory, limits)

    def cycle(self) -> int:
        """One round; returns how many expired files it dealt with."""
        done = self._cleaning.expire()
        if not done:
            self._cleaning.repair()
        return done
