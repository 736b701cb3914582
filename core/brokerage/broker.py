"""Runs the criteria over the candidates and weighs what is left. Knows the order and the weight, no SQL."""

from __future__ import annotations

from dataclasses import dataclass, replace

from core.brokerage.candidates import Candidate, Request, Step
from core.brokerage.criteria import CRITERIA, Criterion
from core.names import ANY_QUEUE

_SHOWN_EXCLUSIONS = 20
"""Example queues kept per step; the counts are always complete."""


@dataclass(frozen=True)
class Decision:
    """The queues that may take the jobs, best first, and how the others were left out."""

    accepted: list[Candidate]
    steps: list[Step]

    @property
    def binding_step(self) -> Step | None:
        """The step after which nobody was left; None when somebody is."""
        if self.accepted:
            return None
        return next((step for step in self.steps if step.after == 0), None)

    def explanation(self) -> str:
        """Why no queue was found, in one sentence."""
        step = self.binding_step
        if step is None:
            return ""
        if step.before == 0:
            return "there is no queue"
        examples = "; ".join(f"{entry['queue']} {entry['reason']}" for entry in step.excluded[:3])
        return f"no queue is left after '{step.sentence}': {examples}"


def broker(request: Request, candidates: list[Candidate], criteria: list[Criterion] = CRITERIA) -> Decision:
    """Choose among `candidates`. A pinned queue is taken as it is: the submitter decided (relocationFlag=1).

    Included queues with AUTO among them come first, and others only if none of them can take the jobs.
    """
    if request.pinned_queue:
        pinned = [queue for queue in candidates if queue.queue_name == request.pinned_queue]
        others = [
            {"queue": queue.queue_name, "reason": f"is not {request.pinned_queue}, which the submitter chose"}
            for queue in candidates
            if queue not in pinned
        ]
        step = Step(
            "pinned", "the submitter chose this queue", len(candidates), len(pinned), others[:_SHOWN_EXCLUSIONS]
        )
        return Decision(pinned, [step])
    if ANY_QUEUE in request.included:
        named = tuple(name for name in request.included if name != ANY_QUEUE)
        wanted = broker(replace(request, included=named), candidates, criteria)
        return wanted if wanted.accepted or not named else broker(replace(request, included=()), candidates, criteria)
    left = candidates
    steps: list[Step] = []
    for criterion in criteria:
        reasons = [(queue, criterion.reason(request, queue)) for queue in left]
        excluded = [{"queue": queue.queue_name, "reason": reason} for queue, reason in reasons if reason is not None]
        kept = [queue for queue, reason in reasons if reason is None]
        steps.append(Step(criterion.name, criterion.sentence, len(left), len(kept), excluded[:_SHOWN_EXCLUSIONS]))
        left = kept
        if not left:
            break
    return Decision(sorted(left, key=_rank), steps)


def weight(queue: Candidate) -> float:
    """Running over waiting: a queue that drains its work fast gets more of it (domain.md 5.2, first form)."""
    return (queue.running + 1) / (queue.waiting + 1)


def take_best(accepted: list[Candidate]) -> Candidate:
    """The best queue for one more job, counting it in at once so that a bunch of jobs spreads."""
    best = min(accepted, key=_rank)
    best.waiting += 1
    return best


def _rank(queue: Candidate) -> tuple[float, str]:
    return -weight(queue), queue.queue_name
