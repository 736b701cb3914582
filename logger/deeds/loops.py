"""The loops of deeds: one carries out what was begun and not ended, one takes back what is due. Knows no action."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from core.agents.base import Agent
from core.clock import Clock
from core.database import Database
from core.errors import Unavailable
from logger.deeds.carrying_out import go_on
from logger.deeds.giving_up import Failures
from logger.deeds.previews import forget_old
from logger.deeds.reverting import revert_due

log = logging.getLogger("panda.deeds")

_PATIENCE_S = 5.0
"""After which another deed has its turn."""
_FORGET_EVERY = timedelta(minutes=10)

# ix_deeds_open
_OPEN = """
SELECT deed_id FROM deeds WHERE state = 'executing' AND (lease_until IS NULL OR lease_until <= %(now)s)
ORDER BY deed_id LIMIT 20
"""


class DeedWorker(Agent):
    """Carries out large deeds page by page, also those whose process was killed."""

    name = "deed_worker"

    def __init__(self, database: Database, clock: Clock, period_s: float = 1.0, page: int | None = None) -> None:
        """`page`: targets per transaction instead of what each action takes."""
        self._database = database
        self._clock = clock
        self._page = page
        self._failures = Failures()
        self._next_forget: datetime | None = None
        self.period_s = period_s

    def cycle(self) -> int:
        """Go on with every deed that nobody works on; returns how many targets were carried out."""
        now = self._clock()
        if self._next_forget is None or now >= self._next_forget:
            self._next_forget = now + _FORGET_EVERY
            with self._database.transaction() as transaction:
                forget_old(transaction, now)
        done = 0
        for row in self._database.fetch(_OPEN, {"now": now}):
            deed_id = row["deed_id"]
            page = self._failures.page(deed_id, self._page)
            try:
                done += go_on(self._database, deed_id, self._clock, patience_s=_PATIENCE_S, page=page)
            except Unavailable:
                raise
            except Exception as error:
                trouble = {"component": "deeds", "kind": "service", "fingerprint": f"deed {deed_id} fails"}
                log.exception("deed %d could not be carried out", deed_id, extra=trouble)
                self._failures.note(self._database, deed_id, self._clock, error)
        return done


class DeedReverter(Agent):
    """Takes back what was to hold until a time, or until test jobs had finished."""

    name = "deed_reverter"

    def __init__(self, database: Database, clock: Clock, period_s: float = 1.0) -> None:
        self._database = database
        self._clock = clock
        self.period_s = period_s

    def cycle(self) -> int:
        """One look; returns 0, because the next look comes with the next period."""
        revert_due(self._database, self._clock)
        return 0
