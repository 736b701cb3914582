"""What an agent's loop tells of its cycles: that one failed, and that this is over. Knows no lease and no work.

It speaks through Python's logging; the incident store makes of it one incident an agent, which ends with `over`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import psycopg2

from core.errors import Unavailable

log = logging.getLogger("panda.agents")

TOLD_AGAIN_S = 60.0
STEADY_S, STEADY_CYCLES = 600.0, 3
"""An agent whose cycles did not fail for so long and so often is well again: what fails seldom is one trouble, not many."""


class AgentTroubles:
    """The failures of one agent in a row. One thread."""

    def __init__(self, name: str, timer: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._timer = timer
        self._reported: tuple[str, float] = ("", 0.0)
        # what an earlier process told of this agent is over, too, if it runs well from now on: perhaps with the remedy
        self._is_told_well = False
        self._since = timer()
        self._cycles = 0

    def failed(self, error: Exception) -> None:
        """Report a failure: one record per kind of trouble and minute, so that a database that is away is no flood."""
        now = self._timer()
        self._is_told_well, self._since, self._cycles = False, now, 0
        kind = f"{type(error).__name__}: {error}"
        if self._reported[0] == kind and now - self._reported[1] < TOLD_AGAIN_S:
            return
        self._reported = (kind, now)
        is_away = isinstance(error, Unavailable | psycopg2.OperationalError | psycopg2.InterfaceError)
        log.error(
            "agent %s: %s",
            self._name,
            error,
            exc_info=None if is_away else error,
            # a database that is away is one trouble, whoever notices
            extra={"component": "database", "kind": "service", "fingerprint": "database does not answer"}
            if is_away
            else {"component": self._name, "kind": "service", "fingerprint": self._key},
        )

    def worked(self) -> None:
        """A cycle did not fail; once it did so steadily, what was told of this agent is over."""
        if self._is_told_well:
            return
        self._cycles += 1
        steady_s = self._timer() - self._since
        if steady_s < STEADY_S or self._cycles < STEADY_CYCLES:
            return
        self._is_told_well = True
        about = {"component": self._name, "over": self._key}
        log.info("agent %s has not failed for %.0f minutes", self._name, steady_s / 60, extra=about)

    @property
    def _key(self) -> str:
        return f"agent fails:{self._name}"
