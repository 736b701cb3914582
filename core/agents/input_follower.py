"""Gives tasks what comes into the datasets they wait for or follow (waitInput, runUntilClosed). Knows no rule itself."""

from __future__ import annotations

from core.agents.base import Agent
from core.database import Database
from core.taskengine.open_input import follow_open_input


class InputFollower(Agent):
    """Files as they come, and the end of it when their dataset is closed."""

    name = "input_follower"

    def __init__(self, database: Database, period_s: float) -> None:
        self._database = database
        self.period_s = period_s

    def cycle(self) -> int:
        """One look at every task that follows its input; returns how many moved."""
        return follow_open_input(self._database)
