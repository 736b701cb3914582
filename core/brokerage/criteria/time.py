"""How long a queue lets jobs run against how long they need. All in seconds."""

from __future__ import annotations

from core.brokerage.candidates import Candidate, Request
from core.brokerage.criterion import Criterion


class UnknownWalltimeFits(Criterion):
    """Jobs of which nobody knows how long they take go where there is time (domain.md 5.2: scout_walltime)."""

    name = "unknown_walltime"
    sentence = "the queue allows long jobs if nobody knows how long this one takes"
    is_preference = True

    def __init__(self, least_s: float) -> None:
        self._least_s = least_s

    @property
    def parameters(self) -> dict[str, object]:
        """The least that counts as long."""
        return {"min_walltime_unknown_s": self._least_s}

    def reason(self, request: Request, queue: Candidate) -> str | None:
        """Compare the queue's limit with what counts as long."""
        limit = queue.walltime_limit_s
        if limit and not request.max_walltime_s and limit < self._least_s:
            return f"ends jobs after {limit} s, the walltime of the job is unknown and {self._least_s:.0f} s are safe"
        return None


class WalltimeFits(Criterion):
    """The job's walltime against the queue's limit."""

    name = "walltime"
    sentence = "the queue lets jobs run as long as this one needs"
    adjusts = "max_walltime_s"
    unit = "s"

    def reason(self, request: Request, queue: Candidate) -> str | None:
        """Compare in seconds."""
        limit = queue.walltime_limit_s
        if limit and request.max_walltime_s > limit:
            return f"ends jobs after {limit} s, the job needs {request.max_walltime_s} s"
        return None

    def acceptable(self, request: Request, queue: Candidate) -> int | None:
        """What the queue allows."""
        return queue.walltime_limit_s or None


class WalltimeIsUsed(Criterion):
    """Queues for long jobs may turn short ones away (`mintime`)."""

    name = "short_walltime"
    sentence = "the job runs as long as the queue is kept for"
    adjusts = "max_walltime_s"
    unit = "s"

    def reason(self, request: Request, queue: Candidate) -> str | None:
        """Compare in seconds; a job of unknown walltime may go anywhere."""
        least = queue.stated.mintime or 0
        if request.max_walltime_s and request.max_walltime_s < least:
            return f"is kept for jobs of {least} s and more, the job needs {request.max_walltime_s} s"
        return None

    def acceptable(self, request: Request, queue: Candidate) -> int | None:
        """The least the queue is kept for."""
        return queue.stated.mintime
