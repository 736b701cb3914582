"""Whether a queue is alive: pilots call, jobs start. A queue where no job waits proves nothing by its silence.

Factories that start pilots on demand send none to an empty queue, so silence counts only while jobs wait there.
"""

from __future__ import annotations

from core.brokerage.candidates import Candidate, Request
from core.brokerage.criterion import Criterion, several


class QueueStartsJobs(Criterion):
    """Urgent jobs, scouts and merge jobs avoid queues that had work and started nothing for a while."""

    name = "inactive"
    sentence = "the queue starts jobs if this one is urgent, a scout or a merge job"
    is_temporary = True

    def __init__(self, urgent_priority: int, inactive_s: float) -> None:
        self._urgent_priority = urgent_priority
        self._inactive_s = inactive_s

    @property
    def parameters(self) -> dict[str, object]:
        """From which priority on it counts, and after how long."""
        return {"urgent_priority": self._urgent_priority, "inactive_s": self._inactive_s}

    def reason(self, request: Request, queue: Candidate) -> str | None:
        """Look how long jobs have waited since the last one was given out."""
        if not (request.priority >= self._urgent_priority or request.is_scout or request.is_merge):
            return None
        silent_s = _silent_s(queue.job_age_s, queue.oldest_activated_s)
        if silent_s > self._inactive_s:
            return f"started no job for {hours(silent_s)}, with {queue.activated} waiting"
        return None


class PilotsCall(Criterion):
    """Queues at which no pilot was seen for long take no jobs; those that never saw one are new and are left alone."""

    name = "nopilot"
    sentence = "pilots of the queue ask for work"
    is_temporary = True

    def __init__(self, nopilot_s: float) -> None:
        self._nopilot_s = nopilot_s

    @property
    def parameters(self) -> dict[str, object]:
        """After how long."""
        return {"nopilot_s": self._nopilot_s}

    def reason(self, request: Request, queue: Candidate) -> str | None:
        """Look how long jobs have waited since the last pilot called."""
        if queue.pilot_age_s is None or queue.stated.expects_no_pilots:
            return None
        silent_s = _silent_s(queue.pilot_age_s, queue.oldest_activated_s)
        if silent_s > self._nopilot_s:
            return f"saw no pilot for {hours(silent_s)}, with {several(queue.activated, 'job')} waiting"
        return None


def _silent_s(since_s: float | None, waiting_s: float | None) -> float:
    return min(since_s, waiting_s) if since_s is not None and waiting_s is not None else 0.0


def hours(seconds: float) -> str:
    """`3.5 h`, below an hour `12 min`."""
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.0f} min"
