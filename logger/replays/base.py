"""What a replay gives back, and the limit of time that it keeps. Knows no table."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from core.database import Transaction

LIMIT_S = 10.0


@dataclass(frozen=True)
class Opening:
    """An incident that the rule would have opened. `value`: what had reached the limit; `would_last_s`: until it was over."""

    time: datetime
    subject: str
    value: float
    would_last_s: float
    title: str = ""
    incident_id: int | None = None
    """The real incident of that trouble, when there was one."""


@dataclass
class Replay:
    """The outcome. `exact_from`: since when the past is known; `cautions`: what could not be compared, in words."""

    openings: list[Opening] = field(default_factory=list)
    looked_at: int = 0
    is_complete: bool = True
    exact_from: datetime | None = None
    cautions: list[str] = field(default_factory=list)


class Limit:
    """Ten seconds for all of a replay, whatever it does."""

    def __init__(self, limit_s: float = LIMIT_S, timer: Callable[[], float] = time.monotonic) -> None:
        self._timer = timer
        self._end = timer() + limit_s

    @property
    def left_s(self) -> float:
        """Seconds that are left; negative when it is over."""
        return self._end - self._timer()

    def set(self, transaction: Transaction) -> bool:
        """Let the next statement take what is left; False when nothing is."""
        if self.left_s < 0.05:
            return False
        transaction.execute(
            "SELECT set_config('statement_timeout', %(limit_ms)s, true)", {"limit_ms": str(int(self.left_s * 1000))}
        )
        return True
