"""How full a queue is, of all, of this user, of this task's lost jobs. Numbers are jobs; all reasons go by themselves.

The jobs exist already when a queue is chosen for them, so a queue that is only full stands back for emptier ones and
never keeps a job from the last queue that can take it (docs/decisions.md).
"""

from __future__ import annotations

from core.brokerage.candidates import Candidate, Request
from core.brokerage.criterion import Criterion, amount, several

_LEAST_RUNNING = 20
"""A queue is judged as if it ran so many jobs at least (domain.md 5.3)."""


def _are(number: float) -> str:
    return "is" if number == 1 else "are"


class TransfersFlow(Criterion):
    """Outputs that pile up at a queue: it takes no further jobs until they went (domain.md 5.2)."""

    name = "transferring"
    sentence = "outputs do not pile up at the queue"
    is_temporary = True

    def __init__(self, most: int) -> None:
        self._most = most

    @property
    def parameters(self) -> dict[str, object]:
        """The limit of queues that state none."""
        return {"max_transferring": self._most}

    def reason(self, request: Request, queue: Candidate) -> str | None:
        """Compare with the limit, or twice what runs."""
        limit = max(queue.stated.transferringlimit or self._most, 2 * queue.running)
        if queue.transferring > limit:
            return f"has {several(queue.transferring, 'job')} whose outputs are on their way, {limit} {_are(limit)} the limit"
        return None


class QueueIsNotOverloaded(Criterion):
    """Analysis: more queued than so many times what runs."""

    name = "overloaded"
    sentence = "the queue has no more queued jobs than it will soon run"
    is_temporary = True
    is_preference = True

    def __init__(self, ratio: float) -> None:
        self._ratio = ratio

    @property
    def parameters(self) -> dict[str, object]:
        """Queued for each running job."""
        return {"max_overloaded": self._ratio}

    def reason(self, request: Request, queue: Candidate) -> str | None:
        """Compare; a queue that runs little counts as if it ran twenty."""
        limit = self._ratio * max(_LEAST_RUNNING, queue.running)
        if queue.waiting > limit:
            return f"has {several(queue.waiting, 'job')} queued and {queue.running} running, {limit:.0f} may be queued"
        return None


class QueueIsNotFull(Criterion):
    """Production: the caps after weighing (domain.md 5.2: cap, cap_rt), where a queue has enough to do."""

    name = "cap"
    sentence = "the queue has not enough to do already"
    is_temporary = True
    is_preference = True

    def __init__(self, most: int, ratio: float) -> None:
        self._most = most
        self._ratio = ratio

    @property
    def parameters(self) -> dict[str, object]:
        """Queued jobs that always pass, and queued for each running job."""
        return {"max_queued": self._most, "max_overloaded": self._ratio}

    def reason(self, request: Request, queue: Candidate) -> str | None:
        """Compare all queued jobs, and those of the request's resource type."""
        limit = max(self._most, self._ratio * queue.running)
        if queue.waiting > limit:
            return f"has {several(queue.waiting, 'job')} queued and {queue.running} running, {limit:.0f} may be queued"
        queued, running = queue.by_resource_type.get(request.resource_type, (0, 0))
        limit = max(self._most, self._ratio * running)
        if queued > limit:
            kind = request.resource_type
            return f"has {several(queued, 'job')} of {kind} queued and {running} running, {limit:.0f} may be queued"
        return None


class TaskSucceedsThere(Criterion):
    """Analysis: a queue where jobs of this task end badly is left alone for some hours (domain.md 5.3: closed)."""

    name = "closed"
    sentence = "jobs of this task do not fail or get closed at the queue"
    is_temporary = True
    is_preference = True

    def __init__(self, hours: float, least: int) -> None:
        self._hours = hours
        self._least = least

    @property
    def parameters(self) -> dict[str, object]:
        """The window, and how many it takes at least."""
        return {"closed_hours": self._hours, "closed_minimum": self._least}

    def reason(self, request: Request, queue: Candidate) -> str | None:
        """Compare lost with finished jobs of the task."""
        here = request.at(queue)
        if here.lost and here.lost >= max(2 * here.finished, self._least):
            return (
                f"lost {several(here.lost, 'job')} of this task in the last {amount(self._hours)} h (failed or closed) "
                f"and finished {here.finished}"
            )
        return None


class UserHasRoom(Criterion):
    """Analysis, the stabilizer: what one user may have queued at one queue (domain.md 5.3)."""

    name = "user_queue"
    sentence = "the user has not enough queued at the queue already"
    is_temporary = True
    is_preference = True

    def __init__(self, base: int, base_of_user: int, ratio: float, base_hours: float, most_hours: float) -> None:
        self._base = base
        self._base_of_user = base_of_user
        self._ratio = ratio
        self._base_hours = base_hours
        self._most_hours = most_hours

    @property
    def parameters(self) -> dict[str, object]:
        """The numbers of the rule."""
        return {
            "queue_base": self._base,
            "user_queue_base": self._base_of_user,
            "max_overloaded": self._ratio,
            "queue_base_hours": self._base_hours,
            "queue_max_hours": self._most_hours,
        }

    def reason(self, request: Request, queue: Candidate) -> str | None:
        """Compare the user's queued jobs with his part of what may be queued."""
        here = request.at(queue)
        rate = queue.started_lately / 6
        if not here.user_queued or queue.waiting < max(self._base, self._base_hours * rate):
            return None
        total = max(self._base, self._ratio * queue.running, self._most_hours * rate)
        part = max(here.user_running / max(queue.running, 1), 1 / max(queue.user_count, 1))
        limit = max(self._base_of_user, self._ratio * here.user_running, total * min(part, 1.0))
        if here.user_queued > limit:
            return (
                f"has {several(here.user_queued, 'job')} of {request.user_name} queued, {limit:.0f} {_are(limit)} this "
                f"user's part of {total:.0f}"
            )
        return None
