"""Reports a database that refuses requests into the incident store. Knows no request, and does not ask the database.

Whoever asked hears 503 and comes again; without this, nobody else would hear of it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from core.errors import Unavailable

log = logging.getLogger("panda.api")

_TOLD_AGAIN_S = 60.0


class DatabaseTroubles:
    """One record a minute, with how many requests were refused since the last one."""

    def __init__(self, timer: Callable[[], float] = time.monotonic) -> None:
        self._timer = timer
        self._lock = threading.Lock()
        self._refused = 0
        self._next = 0.0

    def report(self, trouble: Unavailable) -> None:
        """The database did not answer one statement of a request."""
        with self._lock:
            self._refused += 1
            if self._timer() < self._next:
                return
            refused, self._refused = self._refused, 0
            self._next = self._timer() + _TOLD_AGAIN_S
        log.error(
            "requests are refused: %s (%d since the last report)",
            trouble.detail,
            refused,
            # one trouble with what the agents and the rule `database_slow` say of it, which also ends it
            extra={"component": "database", "kind": "service", "fingerprint": "database does not answer"},
        )
