"""What would open further queues: the brokerage that decides, asked again with one thing changed, or few.

Numbers of the request (memory, cores, walltime, scratch, I/O) are `core.brokerage.what_if`'s; here wishes, the place of
the input and combinations join them. Knows no SQL.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from core.brokerage.broker import Decision, broker
from core.brokerage.candidates import Candidate, Request
from core.brokerage.criterion import Criterion
from core.brokerage.what_if import relaxations
from core.wording import counted

_MOST_CHANGES = 3
"""Changes that are tried together when no single one opens a queue."""
_DIMENSIONS = {
    "core_count": "cores",
    "min_ram_mb": "memory",
    "max_disk_mb": "scratch",
    "max_walltime_s": "walltime",
    "io_kb_s": "network I/O",
    "disk_io_kb_s": "local I/O",
}


@dataclass(frozen=True)
class Change:
    """Something else asked for, and how many queues would then take the jobs."""

    dimension: str
    """memory, cores, walltime, scratch, network I/O, local I/O, queues, input or several."""
    words: str
    """As in `with 3000 MB`, `without excludedSite`."""
    asked: int | None
    proposed: int | None
    unit: str
    accepted_now: int
    accepted_then: int
    queue_count: int

    @property
    def gain(self) -> int:
        """Queues more."""
        return self.accepted_then - self.accepted_now

    def as_dict(self) -> dict[str, Any]:
        """The change as it is answered."""
        return asdict(self)


def changes_that_help(decision: Decision, candidates: list[Candidate], criteria: Sequence[Criterion]) -> list[Change]:
    """Every single change that lets further queues in, the smallest of each kind first; without any, one of several parts.

    `criteria`: the list that decides when no queue is named.
    """
    now, of_all = len(decision.accepted), len(candidates)
    adjustable = [] if decision.request.pinned_queue else relaxations(decision, candidates)
    found = [
        Change(
            _DIMENSIONS.get(one.attribute, one.attribute),
            _with(one.proposed, one.unit),
            *(one.asked, one.proposed, one.unit, one.accepted_now, one.accepted_then, one.candidate_count),
        )
        for one in adjustable
    ]
    moves: list[Change] = []
    for dimension, words, request in _relaxed_wishes(decision.request):
        accepted = broker(request, candidates, criteria).accepted
        change = Change(dimension, words, None, None, "", now, len(accepted), of_all)
        # a queue that was named is taken as it is, however unfit: any other is something new
        is_move = request.pinned_queue != decision.request.pinned_queue and accepted and change.gain <= 0
        (moves if is_move else found).append(change)
    found += _input_elsewhere(decision, candidates, criteria)
    helping = [change for change in found if change.gain > 0] or moves
    if not helping and not now:
        several = _several(decision, candidates, criteria)
        helping = [several] if several else []
    return helping


def sentence_of(decision: Decision, changes: Sequence[Change]) -> str:
    """`Accepted by 2 of 120 queues; with 3000 MB by 61.` with the change that helps most for the least."""
    accepted = f"Accepted by {len(decision.accepted)} of {counted(decision.candidate_count, 'queue')}"
    best = best_of(changes)
    return f"{accepted}; {best.words} by {best.accepted_then}." if best else f"{accepted}."


def best_of(changes: Sequence[Change]) -> Change | None:
    """The first change, which is the smallest of its kind, that brings at least half of the largest gain."""
    most = max((change.gain for change in changes), default=0)
    return next((change for change in changes if 2 * change.gain >= most), None)


def _with(value: int, unit: str) -> str:
    return f"with {value} {unit.removesuffix('s') if value == 1 and len(unit) > 1 else unit}"


def _relaxed_wishes(request: Request) -> list[tuple[str, str, Request]]:
    relaxed = []
    if request.pinned_queue:
        words = f"without naming queue {request.pinned_queue}"
        relaxed.append(("queues", words, replace(request, pinned_queue="")))
    if request.included:
        relaxed.append(("queues", "without includedSite", replace(request, included=())))
    if request.excluded:
        relaxed.append(("queues", "without excludedSite", replace(request, excluded=())))
    return relaxed


def _input_elsewhere(decision: Decision, candidates: list[Candidate], criteria: Sequence[Criterion]) -> list[Change]:
    """With the input at the one further storage that opens most queues, and with the input everywhere."""
    request, now = decision.request, len(decision.accepted)
    if not request.has_input or request.pinned_queue:
        return []
    everywhere = broker(replace(request, has_input=False), candidates, criteria)
    gained = Counter(
        queue.storage_endpoint for queue in everywhere.accepted if queue.storage_endpoint not in request.complete_at
    )
    changes = []
    if gained:
        endpoint = min(gained, key=lambda name: (-gained[name], name))
        there = replace(request, complete_at=request.complete_at | {endpoint})
        then = len(broker(there, candidates, criteria).accepted)
        changes.append(Change("input", f"with its input at {endpoint}", None, None, "", now, then, len(candidates)))
    then = len(everywhere.accepted)
    return [*changes, Change("input", "with its input at every storage", None, None, "", now, then, len(candidates))]


def _several(decision: Decision, candidates: list[Candidate], criteria: Sequence[Criterion]) -> Change | None:
    """Open one binding criterion after the other; None when one cannot be opened from outside or three are not enough."""
    current, words = decision, list[str]()
    while not current.accepted and len(words) < _MOST_CHANGES:
        opened = _opened(current, candidates)
        if opened is None:
            return None
        words.append(opened[0])
        current = broker(opened[1], candidates, criteria)
    if not current.accepted:
        return None
    return Change(
        "several", " and ".join(words), None, None, "", len(decision.accepted), len(current.accepted), len(candidates)
    )


def _opened(decision: Decision, candidates: list[Candidate]) -> tuple[str, Request] | None:
    """The smallest change that lets somebody pass the binding criterion, in words and as a request."""
    step, request = decision.binding_step, decision.request
    if step is None or not step.before:
        return None
    if step.criterion in ("pinned", "included", "excluded"):
        return next(((words, relaxed) for _, words, relaxed in _relaxed_wishes(request)), None)
    if step.criterion == "input":
        return "with its input at every storage", replace(request, has_input=False)
    names = [criterion.name for criterion in decision.criteria]
    criterion = decision.criteria[names.index(step.criterion)]
    if not criterion.adjusts:
        return None
    before = decision.criteria[: names.index(step.criterion)]
    reached = [queue for queue in candidates if all(rule.reason(request, queue) is None for rule in before)]
    asked = int(getattr(request, criterion.adjusts))
    values = {value for queue in reached if (value := criterion.acceptable(request, queue)) is not None}
    if not values:
        return None
    value = min(values, key=lambda one: (abs(one - asked), one))
    changed: dict[str, Any] = {criterion.adjusts: value}
    return _with(value, criterion.unit), replace(request, **changed)
