"""Forgets what factories and pilots told of workers and nodes long ago. The rules are in core.harvester.retention."""

from __future__ import annotations

from core.agents.base import Agent
from core.database import Database
from core.harvester.retention import forget_old_news


class FactoryNews(Agent):
    """Deletes in batches until nothing is too old."""

    name = "factory_news"

    def __init__(self, database: Database, period_s: float) -> None:
        self._database = database
        self.period_s = period_s

    def cycle(self) -> int:
        """One batch of every rule; returns how many rows went."""
        return forget_old_news(self._database)
