"""The loops of the incident store, for the agent runner (core/agents/base.py)."""

from __future__ import annotations

from core.agents.base import Agent
from core.clock import Clock, utc_now
from core.configuration import Settings
from core.database import Database
from logger.failures import CURSOR_OWNER
from logger.retention import keep_days
from logger.store import IncidentStore
from logger.watching import watch

_WATCH_PERIOD_S = 30.0


def build_agents(database: Database, settings: Settings) -> list[Agent]:
    """The agents of the incident store with their periods; an `AgentFactory` for `core.agents.run_agents`."""
    periods = settings.agents
    return [
        IncidentBuilder(database, utc_now, periods.incidents_s),
        RuleWatcher(database, utc_now, _WATCH_PERIOD_S),
        Retention(database, utc_now, periods.partitions_s),
    ]


class IncidentBuilder(Agent):
    """Makes incidents of failed jobs."""

    name = CURSOR_OWNER

    def __init__(self, database: Database, clock: Clock, period_s: float) -> None:
        self._store = IncidentStore(database, clock)
        self.period_s = period_s

    def cycle(self) -> int:
        """Fold the jobs that failed since the last round; returns how many."""
        return self._store.ingest_ended_jobs()


class RuleWatcher(Agent):
    """Looks for what does not happen, and for what takes too long."""

    name = "rule_watcher"

    def __init__(self, database: Database, clock: Clock, period_s: float) -> None:
        self._database = database
        self._clock = clock
        self.period_s = period_s

    def cycle(self) -> int:
        """Apply the watch rules once; returns 0, because the next look comes with the next period."""
        watch(self._database, self._clock)
        return 0


class Retention(Agent):
    """Makes and drops the days of the log records."""

    name = "record_days"

    def __init__(self, database: Database, clock: Clock, period_s: float) -> None:
        self._database = database
        self._clock = clock
        self.period_s = period_s

    def cycle(self) -> int:
        """Make what is missing, drop what is old; returns 0, because there is never more to do at once."""
        keep_days(self._database, self._clock)
        return 0
