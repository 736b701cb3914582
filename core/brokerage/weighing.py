"""How good an accepted queue is: running over waiting, and what favours it (domain.md 5.2, 5.3). Knows no rule, no SQL.

The numbers a weight is made of stay with it, so that a person can work it out again.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from core.brokerage.candidates import ANALYSIS, Candidate, Request

_BOOTSTRAP_RUNNING = 20
"""A queue that runs less counts the workers its factories have there, up to so many."""
BOOTSTRAP_PRIORITY = 150
"""Only jobs of at most this priority are used to wake queues up."""
_PLAIN = Request(1, 0, 0, 0, "user", has_input=False, complete_at=frozenset())


@dataclass(frozen=True)
class Weight:
    """A weight, and its parts by name."""

    queue_name: str
    value: float
    parts: dict[str, float] = field(default_factory=dict)

    def as_dict(self) -> dict[str, object]:
        """The weight as it is stored and shown."""
        return {"queue": self.queue_name, "weight": round(self.value, 6), **self.parts}


def weigh(request: Request, queue: Candidate) -> Weight:
    """The weight of a queue for one more job of the request."""
    return _analysis(queue) if request.kind == ANALYSIS else _production(request, queue)


def weight(queue: Candidate, request: Request = _PLAIN) -> float:
    """The bare number of `weigh`: what sorts queues, and is asked for every job."""
    return weigh(request, queue).value


def _analysis(queue: Candidate) -> Weight:
    waiting = queue.waiting
    parts: dict[str, float] = {"running": queue.running, "waiting": waiting}
    return Weight(queue.queue_name, (queue.running + 1) / (waiting + 1), parts)


def _production(request: Request, queue: Candidate) -> Weight:
    """(running + 1) / ((waiting + 10) x manyAssigned) x (available + total) / (total x (missing / 100 + 1))."""
    is_local = not request.has_input or queue.storage_endpoint in request.complete_at
    assigned = 0 if is_local else queue.assigned
    waiting = queue.activated + assigned + queue.starting + queue.defined
    many_assigned = 1.0 if is_local else min(2.0, max(1.0, queue.assigned / max(queue.activated, 1)))
    running = _running(request, queue)
    total = max(request.input_count, 1)
    nearness = 2.0 if is_local else 1 / (total / 100 + 1)
    value = (running + 1) / ((waiting + 10) * many_assigned) * nearness
    parts = {"running": running, "waiting": waiting, "many_assigned": many_assigned, "nearness": round(nearness, 4)}
    return Weight(queue.queue_name, value, parts)


def _running(request: Request, queue: Candidate) -> float:
    """What runs, or will as soon as there is work: the largest that can be said of it."""
    running = float(queue.running)
    if queue.running < _BOOTSTRAP_RUNNING and request.priority <= BOOTSTRAP_PRIORITY:
        running = max(running, float(min(queue.workers, _BOOTSTRAP_RUNNING)))
    if queue.slots is not None:
        declared = queue.slots / request.cores if queue.slots else queue.starting + queue.running
        running = max(running, float(declared))
    return running
