"""Tells whoever watches a queue that its pilots come without a token that will do: each ends quietly, and nothing runs.

Knows no token; anybody may come, so what is said is bounded: one line a minute for each queue there is, and nothing before
the third refusal, unless the token was a good one until it expired or was revoked.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from core.database import Database
from core.errors import PandaError
from core.queues import check_queue_exists

log = logging.getLogger("panda.api")

_PERIOD_S = 60.0
_WINDOW_S = 600.0
_ENOUGH = 3
"""One that knocks at the wrong door twice is nobody's trouble."""

_WERE_GOOD = {
    "the token was refused: expired_token": "the token has expired",
    "the token was revoked": "the token was revoked",
}
"""How the gate refuses tokens that it has checked and that were good once -> what people are told."""


@dataclass
class _Queue:
    """What is remembered of one queue."""

    times: deque[float] = field(default_factory=lambda: deque(maxlen=_ENOUGH))
    unsaid: int = 0
    next_time: float = 0.0


class RefusedPilots:
    """Remembers which queues were spoken of lately. Shared by threads."""

    def __init__(self, period_s: float = _PERIOD_S, clock: Callable[[], float] = time.monotonic) -> None:
        self._period_s = period_s
        self._clock = clock
        self._lock = threading.Lock()
        self._queues: dict[str, _Queue] = {}
        """Only of queues there are."""

    def note(self, database: Database, queue: Any, reason: str) -> None:
        """A pilot that says it is of `queue` was refused: an incident of that queue, if there is such a one.

        `reason`: the gate's refusal as text.
        """
        if not isinstance(queue, str) or not queue:
            return
        if queue not in self._queues:
            try:
                check_queue_exists(database, queue, "siteName")
            except PandaError:  # no such queue, or no database to look in: the pilot has its answer all the same
                return
        was_good = _was_good(reason)
        refusals = self._count(queue, bool(was_good))
        if not refusals:
            return
        log.log(
            # a word of nobody known weighs less
            logging.ERROR if was_good else logging.WARNING,
            "pilots of %s are refused: %s",
            queue,
            was_good or reason,
            extra={
                **{"component": "api", "computing_site": queue, "kind": "service"},
                **{"fingerprint": f"pilots refused:{queue}", "step": "service", "class": "auth", "refusals": refusals},
            },
        )

    def _count(self, queue: str, is_certain: bool) -> int:
        """How many refusals are to be told of now; 0: nothing is to be said."""
        now = self._clock()
        with self._lock:
            known = self._queues.setdefault(queue, _Queue())
            known.unsaid += 1
            known.times.append(now)
            is_enough = len(known.times) == _ENOUGH and known.times[0] > now - _WINDOW_S
            if now < known.next_time or not (is_certain or is_enough):
                return 0
            refusals, known.unsaid = known.unsaid, 0
            known.next_time = now + self._period_s
            return refusals


def _was_good(reason: str) -> str:
    """What to tell of a token that was good once; empty for any other. The gate's own words come first in its refusal,
    whatever the token says of itself later in it."""
    said = reason.removeprefix("Authorization: ")
    return next((told for begins, told in _WERE_GOOD.items() if said.startswith(begins)), "")
