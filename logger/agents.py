"""The loops of the incident store, for the agent runner (core/agents/base.py)."""

from __future__ import annotations

import time

from core.agents.base import Agent
from core.clock import Clock, utc_now
from core.configuration import Settings
from core.database import Database
from core.incident_settings import IncidentSettings, IngestSettings
from logger.deeds.loops import DeedReverter, DeedWorker
from logger.failures import CURSOR_OWNER, FailureFolder
from logger.job_incidents import JobIncidents
from logger.notices.sending import NoticeSender
from logger.retention import keep_days
from logger.silence_keeper import SilenceKeeper
from logger.verdicts import VerdictKeeper
from logger.waits import WaitHours
from logger.watching import Watcher

_QUICK_LOOK_S = 2.0
_FULL_LOOK_S = 30.0
_WAITS_PERIOD_S = 300.0
_INCIDENTS_PERIOD_S = 1.0
_SILENCES_PERIOD_S = 1.0
_NOTICES_PERIOD_S = 1.0


def build_agents(database: Database, settings: Settings, clock: Clock = utc_now) -> list[Agent]:
    """The agents of the incident store with their periods; an `AgentFactory` for `core.agents.run_agents`."""
    periods = settings.agents
    return [
        IncidentBuilder(database, clock, periods.incidents_s, settings.incidents),
        IncidentOpener(database, clock, _INCIDENTS_PERIOD_S, settings.incidents),
        IncidentJudge(database, clock, _INCIDENTS_PERIOD_S, settings.incidents),
        RuleWatcher(database, clock, with_own_disks(settings)),
        WaitHours(database, clock, _WAITS_PERIOD_S),
        SilenceEnds(database, clock, _SILENCES_PERIOD_S),
        DeedWorker(database, clock),
        DeedReverter(database, clock),
        Retention(database, clock, settings.ingest, periods.partitions_s),
        NoticeSender(database, settings, clock, _NOTICES_PERIOD_S),
    ]


def with_own_disks(settings: Settings) -> IncidentSettings:
    """The incident settings with the disks that the installation itself writes to."""
    own = [str(settings.data), *([settings.cache_directory] if settings.cache_directory else [])]
    return settings.incidents.model_copy(update={"watch_disks": [*own, *settings.incidents.watch_disks]})


class IncidentBuilder(Agent):
    """Makes incidents of failed jobs."""

    name = CURSOR_OWNER

    def __init__(
        self, database: Database, clock: Clock, period_s: float, settings: IncidentSettings | None = None
    ) -> None:
        self._failures = FailureFolder(database, clock, settings)
        self.period_s = period_s

    def cycle(self) -> int:
        """Fold the jobs that failed since the last round; returns how many."""
        return self._failures.fold()


class IncidentOpener(Agent):
    """Opens bursts of failures, and ends what is over."""

    name = "incident_opener"

    def __init__(
        self, database: Database, clock: Clock, period_s: float, settings: IncidentSettings | None = None
    ) -> None:
        self._incidents = JobIncidents(database, clock, settings)
        self.period_s = period_s

    def cycle(self) -> int:
        """One round over candidates and incidents; returns 0, because the next look comes with the next period."""
        self._incidents.look()
        return 0


class IncidentJudge(Agent):
    """Says of each incident who or what it is, and which of them a central one explains."""

    name = "incident_judge"

    def __init__(
        self, database: Database, clock: Clock, period_s: float, settings: IncidentSettings | None = None
    ) -> None:
        self._verdicts = VerdictKeeper(database, clock, settings)
        self.period_s = period_s

    def cycle(self) -> int:
        """Judge what opened or changed; returns 0, because the next look comes with the next period."""
        self._verdicts.look()
        return 0


class RuleWatcher(Agent):
    """Looks for what does not happen, and for what takes too long: by the quick rules every time, by all now and then."""

    name = "rule_watcher"

    def __init__(
        self, database: Database, clock: Clock, settings: IncidentSettings, period_s: float = _QUICK_LOOK_S
    ) -> None:
        self._watcher = Watcher(database, clock, settings)
        self._next_full = 0.0
        self.period_s = period_s

    def cycle(self) -> int:
        """Apply the rules once; returns 0, because the next look comes with the next period."""
        begun = time.monotonic()
        is_full = begun >= self._next_full
        self._watcher.look(only_quick=not is_full)
        if is_full:
            self._next_full = begun + _FULL_LOOK_S
        return 0


class SilenceEnds(Agent):
    """Ends silences when their reason comes, and silences what matchers find."""

    name = "silence_keeper"

    def __init__(self, database: Database, clock: Clock, period_s: float) -> None:
        self._keeper = SilenceKeeper(database, clock)
        self.period_s = period_s

    def cycle(self) -> int:
        """Do what is due; returns how many silences began or ended."""
        return self._keeper.look()


class Retention(Agent):
    """Makes the days of the log records, counts and thins them, drops them."""

    name = "record_days"

    def __init__(self, database: Database, clock: Clock, limits: IngestSettings, period_s: float) -> None:
        self._database = database
        self._clock = clock
        self._limits = limits
        self.period_s = period_s

    def cycle(self) -> int:
        """Make what is missing, thin and drop what is old; returns 0, because there is never more to do at once."""
        keep_days(self._database, self._clock, self._limits)
        return 0
