"""Tells whoever watches a queue that its pilots come without a token that will do: each ends quietly, and nothing runs.

Knows no token; anybody may come, so what is said is bounded: one line a minute for each queue there is.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

from core.database import Database
from core.errors import PandaError
from core.queues import check_queue_exists

log = logging.getLogger("panda.api")

_PERIOD_S = 60.0


class RefusedPilots:
    """Remembers which queues were spoken of lately. Shared by threads."""

    def __init__(self, period_s: float = _PERIOD_S) -> None:
        self._period_s = period_s
        self._lock = threading.Lock()
        self._next: dict[str, float] = {}
        """Queue -> when it may be spoken of again; only of queues there are."""

    def note(self, database: Database, queue: Any, reason: str) -> None:
        """A pilot that says it is of `queue` was refused: an incident of that queue, if there is such a one."""
        if not isinstance(queue, str) or not queue:
            return
        with self._lock:
            if time.monotonic() < self._next.get(queue, 0.0):
                return
        try:
            check_queue_exists(database, queue, "siteName")
        except PandaError:  # no such queue, or no database to look in: the pilot has its answer all the same
            return
        with self._lock:
            self._next[queue] = time.monotonic() + self._period_s
        log.warning(
            "pilots of %s are refused: %s",
            queue,
            reason,
            extra={"component": "api", "computing_site": queue, "fingerprint": f"pilots refused:{queue}"},
        )
