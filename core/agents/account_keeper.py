"""Keeps users and groups within their limits and writes down what they used. Knows the rounds, not their rules."""

from __future__ import annotations

import logging
import time

from core.accounts.limits import Account, publish_settings
from core.accounts.usage import USAGE_CURSOR, account_usage
from core.agents.base import Agent
from core.clock import Clock, utc_now
from core.database import Database
from core.taskbuffer.user_caps import Held, Holder
from core.workload_settings import AccountSettings

log = logging.getLogger("panda.account_keeper")


_CLOSE_PERIOD_S = 2.0
"""Pause while an account comes close to a cap."""
_PART_OF_TIME = 0.1
"""Most of its time that looking may take, except while there is something to do."""


class AccountKeeper(Agent):
    """Caps, quotas and bans of jobs that wait; the accounting of those that ended."""

    name = USAGE_CURSOR

    def __init__(self, database: Database, settings: AccountSettings, period_s: float, clock: Clock = utc_now) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock
        self._said: set[Account] = set()
        self._holder = Holder(database, settings.release_below)
        self._usual_period_s = self.period_s = period_s

    def cycle(self) -> int:
        """Count what has ended, then hold and release; 1 while there is more to count or to hold."""
        started = time.monotonic()
        publish_settings(self._database, self._settings)
        has_more = account_usage(self._database)
        done = self._holder.round(self._clock())
        self._tell(done)
        # pilots go on taking jobs between two looks
        pause_s = min(_CLOSE_PERIOD_S, self._usual_period_s) if done.is_close else self._usual_period_s
        self.period_s = pause_s if done.count else max(pause_s, (time.monotonic() - started) / _PART_OF_TIME)
        return int(has_more or done.has_more)

    def _tell(self, done: Held) -> None:
        for account, (number, reason) in done.held.items():
            # jobs that come later are held for the same reason: people need to hear it once
            level = logging.INFO if account in self._said else logging.WARNING
            self._said.add(account)
            log.log(level, "userCap: %s; %d jobs held", reason, number, extra={"component": "account_keeper"})
        for account, number in done.released.items():
            self._said.discard(account)
            log.info("userCap: %d jobs of %s released", number, account, extra={"component": "account_keeper"})
