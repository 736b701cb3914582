"""Lets go what waited for something else: run jobs for their build job, tasks for their parent. Knows no rule itself."""

from __future__ import annotations

from core.agents.base import Agent
from core.database import Database
from core.taskengine.making.building import release_waiting_jobs
from core.taskengine.parents import follow_parents


class Releaser(Agent):
    """Run jobs after builds, children after parents."""

    name = "releaser"

    def __init__(self, database: Database, period_s: float) -> None:
        self._database = database
        self.period_s = period_s

    def cycle(self) -> int:
        """One look at everything that waits; returns how many jobs and tasks moved."""
        return release_waiting_jobs(self._database) + follow_parents(self._database)
