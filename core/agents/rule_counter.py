"""Keeps the counts of the retry rules: how often each matched and acted. Knows no rule itself."""

from __future__ import annotations

from core.agents.base import Agent
from core.database import Database
from core.retrial.counting import count_deeds


class RuleCounter(Agent):
    """Lines of the log of retries into the counts of the rules."""

    name = "rule_counter"

    def __init__(self, database: Database, period_s: float) -> None:
        self._database = database
        self.period_s = period_s

    def cycle(self) -> int:
        """Count what came; returns how many lines."""
        return count_deeds(self._database)
