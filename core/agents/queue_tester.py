"""Takes queues out of production by their failing test jobs, and brings them back. Knows when, not how."""

from __future__ import annotations

import logging

from core.agents.base import Agent
from core.database import Database
from core.queue_status import judge_queues
from core.workload_settings import QueueTestSettings

log = logging.getLogger("panda.queue_tester")


class QueueTester(Agent):
    """Automatic exclusion and return of queues."""

    name = "queue_tester"

    def __init__(self, database: Database, settings: QueueTestSettings, period_s: float) -> None:
        self._database = database
        self._settings = settings
        self.period_s = period_s

    def cycle(self) -> int:
        """One look at all queues; there is never more to do at once."""
        for verdict in judge_queues(self._database, self._settings):
            log.warning(
                "queue %s: %s -> %s: %s",
                verdict.queue,
                verdict.previous_status,
                verdict.status,
                verdict.reason,
                extra={"component": "queue_tester", "computing_site": verdict.queue},
            )
        return 0
