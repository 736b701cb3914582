"""How good an accepted queue is: running over waiting, and what favours it (domain.md 5.2, 5.3). Knows no rule, no SQL.

The numbers a weight is made of stay with it, so that a person can work it out again.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from core.brokerage.candidates import ANALYSIS, Candidate, Request
from core.brokerage.site_classes import factor_of

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
    parts: dict[str, float | str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, object]:
        """The weight as it is stored and shown."""
        return {"queue": self.queue_name, "weight": round(self.value, 6), **self.parts}


def weight(queue: Candidate, request: Request = _PLAIN) -> float:
    """The weight of a queue for one more job of the request: what sorts queues, asked for every job."""
    if request.kind == ANALYSIS:
        return (queue.running + 1) / (queue.waiting + 1) * factor_of(request.task_class, queue.site_class)
    is_local, assigned, many_assigned = _assigned(request, queue)
    waiting = queue.activated + assigned + queue.starting + queue.defined
    return (_running(request, queue) + 1) / ((waiting + 10) * many_assigned) * _nearness(request, is_local)


def weigh(request: Request, queue: Candidate) -> Weight:
    """The weight with what it is made of.

    Analysis: (running + 1) / (waiting + 1) x the factor of task and site class. Production: (running + 1) /
    ((waiting + 10) x manyAssigned) x (available + total) / (total x (missing / 100 + 1)).
    """
    value = weight(queue, request)
    if request.kind == ANALYSIS:
        return Weight(
            queue.queue_name, value, {"running": queue.running, "waiting": queue.waiting, **_classes(request, queue)}
        )
    is_local, assigned, many_assigned = _assigned(request, queue)
    parts: dict[str, float | str] = {
        "running": _running(request, queue),
        "waiting": queue.activated + assigned + queue.starting + queue.defined,
        "many_assigned": many_assigned,
        "nearness": round(_nearness(request, is_local), 4),
    }
    return Weight(queue.queue_name, value, parts)


def _classes(request: Request, queue: Candidate) -> dict[str, float | str]:
    """What the waits at the queue add to the weight; nothing where nobody knows them."""
    if queue.expected_wait_s is None:
        return {}
    return {
        "site_class": queue.site_class,
        "expected_wait_s": round(queue.expected_wait_s),
        **({"task_class": request.task_class} if request.task_class else {}),
        "factor": factor_of(request.task_class, queue.site_class),
    }


def _assigned(request: Request, queue: Candidate) -> tuple[bool, int, float]:
    """Whether the input is there already; else the assigned jobs that wait for theirs, and how they slow a queue down."""
    if not request.has_input or queue.storage_endpoint in request.complete_at:
        return True, 0, 1.0
    return False, queue.assigned, min(2.0, max(1.0, queue.assigned / max(queue.activated, 1)))


def _nearness(request: Request, is_local: bool) -> float:
    return 2.0 if is_local else 1 / (max(request.input_count, 1) / 100 + 1)


def _running(request: Request, queue: Candidate) -> float:
    """What runs, or will as soon as there is work: the largest that can be said of it."""
    running = float(queue.running)
    if queue.running < _BOOTSTRAP_RUNNING and request.priority <= BOOTSTRAP_PRIORITY:
        running = max(running, float(min(queue.workers, _BOOTSTRAP_RUNNING)))
    if queue.slots is not None:
        declared = queue.slots / request.cores if queue.slots else queue.starting + queue.running
        running = max(running, float(declared))
    return running
