"""Runs the priority massage every few minutes. Knows when, not how."""

from __future__ import annotations

import logging

from core.accounts.massage import massage
from core.agents.base import Agent
from core.database import Database
from core.workload_settings import AccountSettings

log = logging.getLogger("panda.massage")


class PriorityMassage(Agent):
    """Lifts waiting jobs of users who have little running."""

    name = "massage"

    def __init__(self, database: Database, settings: AccountSettings, period_s: float) -> None:
        self._database = database
        self._settings = settings
        self.period_s = period_s

    def cycle(self) -> int:
        """One massage; there is never more to do at once."""
        lifted = massage(self._database, factor=self._settings.massage_factor, window_s=self._settings.massage_window_s)
        if lifted:
            words = ", ".join(f"{number} of {account}" for account, number in sorted(lifted.items())[:5])
            log.info("priorities of %d jobs lifted: %s", sum(lifted.values()), words, extra={"component": "massage"})
        return 0
