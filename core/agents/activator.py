"""Sweeps assigned jobs whose input arrived without anybody telling (domain.md 4.2: repairs lost callbacks)."""

from __future__ import annotations

from core.agents.base import Agent
from core.database import Database
from core.dataservice.activation import activate_ready_jobs


class Activator(Agent):
    """The polling behind the arrival of replicas."""

    name = "activator"

    def __init__(self, database: Database, period_s: float) -> None:
        self._database = database
        self.period_s = period_s

    def cycle(self) -> int:
        """Activate what is ready; returns how many jobs."""
        with self._database.transaction() as transaction:
            return activate_ready_jobs(transaction)
