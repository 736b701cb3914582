"""Runs the criteria over the candidates and weighs what is left. Knows the order and what-if questions, no SQL, no rule."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from core.brokerage.candidates import ANALYSIS, Candidate, Request, Step
from core.brokerage.criteria import criteria_for
from core.brokerage.criteria.storage import NucleusIsInReach
from core.brokerage.criterion import Criterion
from core.brokerage.judging import cannot_be_judged
from core.brokerage.weighing import Weight, weigh, weight
from core.names import ANY_QUEUE

__all__ = ["BEST", "Decision", "broker", "places", "spread", "weight"]

_SHOWN_EXCLUSIONS = 20
"""Example queues kept per step; the counts are always complete."""
BEST = 10
"""Queues among which the jobs of a bunch are spread (domain.md 5.2), unless the settings say otherwise."""
_ALIKE = 0.8
"""Queues of at least so many times the best weight are as good as the best one."""
_LARGE = 0.5
"""Few jobs do not go where less than this part of the most runs."""
_LOW_WEIGHT = 0.1


@dataclass(frozen=True)
class Decision:
    """The queues that may take the jobs, best first, and how the others were left out."""

    accepted: list[Candidate]
    steps: list[Step]
    request: Request
    kind: str = ""
    """The list of criteria that ran: production, analysis or pinned."""
    candidate_count: int = 0
    is_without_locality: bool = False
    """Whether queues that read from elsewhere were admitted because no other was left."""
    criteria: Sequence[Criterion] = field(default=(), compare=False, repr=False)

    @property
    def binding_step(self) -> Step | None:
        """The step after which nobody was left; None when somebody is."""
        if self.accepted:
            return None
        return next((step for step in self.steps if step.after == 0), None)

    @property
    def is_temporary(self) -> bool:
        """Whether the binding reason goes by itself."""
        step = self.binding_step
        return step is not None and step.is_temporary

    def explanation(self) -> str:
        """Why no queue was found, in one sentence."""
        if self.accepted:
            return ""
        step = self.binding_step
        if step is None or step.before == 0:
            return "there is no queue"
        examples = "; ".join(_said(entry["queue"], entry["reason"]) for entry in step.excluded[:3])
        return f"no queue is left after '{step.sentence}': {examples}"

    def best(self, most: int = BEST, low_weight: float = _LOW_WEIGHT) -> list[Candidate]:
        """The queues among which jobs are spread: the first `most`, without those far lighter than the best."""
        first = self.accepted[:most]
        if self.request.kind == ANALYSIS or not first:
            return first
        least = low_weight * weight(first[0], self.request)
        return [queue for queue in first if weight(queue, self.request) >= least]

    def quickest(self, most: int, chance: random.Random) -> list[Candidate]:
        """`most` queues for a job each, drawn by how much runs there, so how often a slot comes free.

        Of those hardly lighter than the best tenth, and without the small ones: a share has its turn there too seldom.
        Drawn, for whoever sent all few jobs to the same queues would let them wait for one another.
        """
        if not self.accepted:
            return []
        tenth = self.accepted[max(1, len(self.accepted) // 10) - 1]
        least = _ALIKE * weight(tenth, self.request)
        good = [queue for queue in self.accepted if weight(queue, self.request) >= least]
        least_running = _LARGE * max(queue.running for queue in good)
        # the order in which they would come up if the free slots of all were drawn from (Efraimidis and Spirakis 2006)
        drawn = [(chance.expovariate(queue.running + 1), queue) for queue in good if queue.running >= least_running]
        return [queue for _, queue in sorted(drawn, key=lambda entry: entry[0])][:most]

    def weights(self, most: int = BEST) -> list[Weight]:
        """The weights of the best accepted queues, with the numbers they are made of."""
        return [weigh(self.request, queue) for queue in self.accepted[:most]]

    def funnel(self) -> list[dict[str, object]]:
        """All steps as they are stored and shown."""
        return [step.as_dict() for step in self.steps]


def _said(queue_name: str, reason: str) -> str:
    """`Q has 4 cores`, but `Q: its storage is offline`."""
    return f"{queue_name}{':' if reason.startswith('its ') else ''} {reason}"


def broker(request: Request, candidates: list[Candidate], criteria: Sequence[Criterion] | None = None) -> Decision:
    """Choose among `candidates` by the list for the kind of request, or by `criteria`.

    A pinned queue is taken as it is: the submitter decided (relocationFlag=1); all that is asked is whether it can store
    the outputs. Included queues with AUTO among them come first, and others only if none of them can take the jobs. The
    queue that jobs were cut for is asked before all others. Jobs of users, and of tasks that collect their outputs at one
    storage, which only lack their input everywhere may then read it from elsewhere (domain.md 5.3).
    """
    if request.pinned_queue:
        return _pinned(request, candidates)
    rules = criteria_for(request.kind) if criteria is None else criteria
    if request.first_queue:
        cut_for = [queue for queue in candidates if queue.queue_name == request.first_queue]
        anywhere = replace(request, first_queue="")
        first = broker(anywhere, cut_for, rules)
        return first if first.accepted else broker(anywhere, candidates, rules)
    if ANY_QUEUE in request.included:
        named = tuple(name for name in request.included if name != ANY_QUEUE)
        wanted = broker(replace(request, included=named), candidates, rules)
        return wanted if wanted.accepted or not named else broker(replace(request, included=()), candidates, rules)
    decision = _judged(request, candidates, rules)
    if decision.accepted or decision.is_temporary or not _may_read_elsewhere(request):
        return decision
    wider = _judged(replace(request, ignores_locality=True), candidates, rules)
    return replace(wider, is_without_locality=True) if wider.accepted else decision


def _may_read_elsewhere(request: Request) -> bool:
    is_possible = request.has_input and request.is_everywhere and request.allows_wan
    return is_possible and request.may_lack_locality and not request.ignores_locality


def _pinned(request: Request, candidates: list[Candidate]) -> Decision:
    pinned = [queue for queue in candidates if queue.queue_name == request.pinned_queue]
    others = [
        {"queue": queue.queue_name, "reason": f"is not {request.pinned_queue}, which the submitter chose"}
        for queue in [queue for queue in candidates if queue not in pinned][:_SHOWN_EXCLUSIONS]
    ]
    step = Step("pinned", "the submitter chose this queue", len(candidates), len(pinned), others)
    accepted, is_stored = _passed(NucleusIsInReach(), request, pinned)
    steps = [step] if len(accepted) == len(pinned) else [step, is_stored]
    return Decision(accepted, steps, request, "pinned", len(candidates))


def _judged(request: Request, candidates: list[Candidate], criteria: Sequence[Criterion]) -> Decision:
    left = candidates
    steps: list[Step] = []
    for criterion in criteria:
        left, step = _passed(criterion, request, left)
        steps.append(step)
        if not left:
            break
    ranked = sorted(left, key=lambda queue: (-weight(queue, request), queue.queue_name))
    return Decision(ranked, steps, request, request.kind, len(candidates), criteria=criteria)


def _passed(criterion: Criterion, request: Request, queues: list[Candidate]) -> tuple[list[Candidate], Step]:
    kept: list[Candidate] = []
    excluded: list[dict[str, str]] = []
    for queue in queues:
        reason = _reason(criterion, request, queue)
        if reason is None:
            kept.append(queue)
        elif len(excluded) < _SHOWN_EXCLUSIONS:
            excluded.append({"queue": queue.queue_name, "reason": reason})
    does_not_count = criterion.is_preference and not kept and bool(queues)
    kept = queues if does_not_count else kept
    step = Step(
        criterion.name,
        criterion.sentence,
        len(queues),
        len(kept),
        excluded,
        criterion.is_temporary,
        criterion.parameters if excluded else {},
        "it would leave no queue, so it does not count" if does_not_count else "",
    )
    return kept, step


def _reason(criterion: Criterion, request: Request, queue: Candidate) -> str | None:
    """What the criterion says; a queue that it fails at is left out, and keeps nobody from going to the others."""
    try:
        return criterion.reason(request, queue)
    except Exception as error:  # noqa: BLE001  (it is told)
        return cannot_be_judged(criterion.name, f"queue {queue.queue_name}", error)


def places(
    decision: Decision, count: int, most: int = BEST, low_weight: float = _LOW_WEIGHT, seed: int = 0
) -> list[Candidate]:
    """The queue of each of `count` jobs, which count there at once; empty when there is no queue.

    A bunch of more than `most` jobs is spread by weight. Fewer get a queue each: how much waits there matters less to
    them than how often their share has its turn, for a user of few jobs is early in its order (domain.md 2.6).
    `seed`: what the draw goes by, so that a run can be repeated.
    """
    few = decision.quickest(count, random.Random(seed)) if count <= most else []
    if not decision.accepted or len(few) < count:
        return spread(decision.best(most, low_weight), decision.request, count)
    for queue in few:
        queue.activated += 1
    return few


def spread(best: list[Candidate], request: Request, count: int) -> list[Candidate]:
    """The queue of each of `count` jobs: the best one, counting each in at once; of queues that are alike in turns.

    The best queue alone would get every small bunch. `best` may be empty: so is the answer then.
    """
    if not best:
        return []
    given = dict.fromkeys((queue.queue_name for queue in best), 0)
    chosen = []
    for _ in range(count):
        weights = {queue.queue_name: weight(queue, request) for queue in best}
        least = _ALIKE * max(weights.values())
        alike = [queue for queue in best if weights[queue.queue_name] >= least]
        queue = min(alike, key=lambda entry: (given[entry.queue_name], -weights[entry.queue_name], entry.queue_name))
        queue.activated += 1
        given[queue.queue_name] += 1
        chosen.append(queue)
    return chosen
