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
from core.brokerage.what_if import loosened, nearest_acceptable, relaxations, with_number
from core.wording import counted

_MOST_CHANGES = 3
"""Changes that are tried together when no single one opens a queue."""
_MOST_COMBINED = 24
"""Combinations of the fewest changes that are counted; each is one more brokerage."""
_DIMENSIONS = {
    "core_count": "cores",
    "min_ram_mb": "memory",
    "max_disk_mb": "scratch",
    "max_walltime_s": "walltime",
    "io_kb_s": "network I/O",
    "disk_io_kb_s": "local I/O",
}
_NEEDS_NO_NAME = frozenset({"core_count", "min_ram_mb"})
"""Of these numbers the unit says what they are; MB are of memory unless something else is said."""

_ABOUT_INPUT = frozenset({"input", "remote_io"})
"""Criteria that ask where input lies."""


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


@dataclass(frozen=True)
class _Part:
    """One thing that is asked for otherwise."""

    what: str
    """The attribute of the request that changes."""
    words: str
    value: Any

    def on(self, request: Request) -> Request:
        """The request with it."""
        if self.what == "complete_at":
            return _input_at(request, {self.value})
        if self.what in _DIMENSIONS:
            return with_number(request, self.what, self.value)
        changes: dict[str, Any] = {self.what: self.value}
        return replace(request, **changes)


def changes_that_help(
    decision: Decision, candidates: list[Candidate], criteria: Sequence[Criterion], request: Request | None = None
) -> list[Change]:
    """Every single change that lets further queues in, the smallest of each kind first; without any, one of several parts.

    `criteria`: the list that decides when no queue is named. `request`: as it was asked, where brokerage gave something
    up by itself to find anybody (locality, preferred queues).
    """
    asked = request or decision.request
    now, of_all = len(decision.accepted), len(candidates)
    adjustable = [] if asked.pinned_queue else relaxations(decision, candidates, asked)
    found = [
        Change(
            _DIMENSIONS.get(one.attribute, one.attribute),
            _with(one.attribute, one.proposed, one.unit),
            *(one.asked, one.proposed, one.unit, one.accepted_now, one.accepted_then, one.candidate_count),
        )
        for one in adjustable
    ]
    moves: list[Change] = []
    for part in _relaxed_wishes(asked):
        accepted = broker(part.on(asked), candidates, criteria).accepted
        change = Change("queues", part.words, None, None, "", now, len(accepted), of_all)
        # a queue that was named is taken as it is, however unfit: any other is something new
        is_move = part.what == "pinned_queue" and accepted and change.gain <= 0
        (moves if is_move else found).append(change)
    found += _input_elsewhere(asked, candidates, criteria, now)
    helping = [change for change in found if change.gain > 0] or moves
    if not helping and not now:
        several = _several(asked, candidates, criteria)
        helping = [several] if several else []
    return helping


def sentence_of(decision: Decision, changes: Sequence[Change]) -> str:
    """`Accepted by 2 of 120 queues; with 3000 MB by 61.` with the change that helps most for the least."""
    accepted = f"Accepted by {len(decision.accepted)} of {counted(decision.candidate_count, 'queue')}"
    best = best_of(changes)
    if decision.kind == "pinned" and decision.accepted:
        # it was taken as it is: neither its limits nor any other queue were looked at
        named = f"Its submitter named queue {decision.request.pinned_queue}, so no other is asked"
        return (
            f"{named}; {best.words}, {best.accepted_then} of {best.queue_count} would take it." if best else f"{named}."
        )
    return f"{accepted}; {best.words} by {best.accepted_then}." if best else f"{accepted}."


def best_of(changes: Sequence[Change]) -> Change | None:
    """The first change, which is the smallest of its kind, that brings at least half of the largest gain."""
    most = max((change.gain for change in changes), default=0)
    return next((change for change in changes if 2 * change.gain >= most), None)


def _with(attribute: str, value: int, unit: str) -> str:
    amount = f"with {value} {unit.removesuffix('s') if value == 1 and len(unit) > 1 else unit}"
    return amount if attribute in _NEEDS_NO_NAME else f"{amount} of {_DIMENSIONS.get(attribute, attribute)}"


def _relaxed_wishes(request: Request) -> list[_Part]:
    relaxed = []
    if request.pinned_queue:
        relaxed.append(_Part("pinned_queue", f"without naming queue {request.pinned_queue}", ""))
    if request.included:
        relaxed.append(_Part("included", "without includedSite", ()))
    if request.excluded:
        relaxed.append(_Part("excluded", "without excludedSite", ()))
    return relaxed


def _input_at(request: Request, endpoints: set[str]) -> Request:
    """With every input there; what lies at a storage that is online can be read from elsewhere, too."""
    return replace(request, complete_at=request.complete_at | endpoints, is_everywhere=True)


def _input_elsewhere(
    request: Request, candidates: list[Candidate], criteria: Sequence[Criterion], now: int
) -> list[Change]:
    """With the input at the one further storage that opens most queues, and with the input everywhere."""
    if not request.has_input or request.pinned_queue:
        return []
    endpoints = {queue.storage_endpoint for queue in candidates if queue.storage_endpoint}
    everywhere = broker(_input_at(request, endpoints), candidates, criteria).accepted
    gained = Counter(
        queue.storage_endpoint for queue in everywhere if queue.storage_endpoint not in request.complete_at
    )
    changes = []
    if gained:
        part = _moved_input(min(gained, key=lambda name: (-gained[name], name)))
        then = len(broker(part.on(request), candidates, criteria).accepted)
        changes.append(Change("input", part.words, None, None, "", now, then, len(candidates)))
    words = "with its input at every storage"
    return [*changes, Change("input", words, None, None, "", now, len(everywhere), len(candidates))]


def _moved_input(endpoint: str) -> _Part:
    return _Part("complete_at", f"with its input at {endpoint}", endpoint)


def _several(request: Request, candidates: list[Candidate], criteria: Sequence[Criterion]) -> Change | None:
    """The fewest changes that open a queue together, and of as few those that open most; None when it takes too many."""
    combinations = Counter(parts for queue in candidates if (parts := _needed(request, queue, criteria)))
    fewest = min(map(len, combinations), default=0)
    best: tuple[int, tuple[_Part, ...]] = (0, ())
    for parts, _ in [one for one in combinations.most_common() if len(one[0]) == fewest][:_MOST_COMBINED]:
        then = len(broker(_changed(request, parts), candidates, criteria).accepted)
        if then > best[0]:
            best = (then, parts)
    then, parts = best
    words = " and ".join(part.words for part in parts)
    return Change("several", words, None, None, "", 0, then, len(candidates)) if then else None


def _changed(request: Request, parts: Sequence[_Part]) -> Request:
    for part in parts:
        request = part.on(request)
    return request


def _needed(request: Request, queue: Candidate, criteria: Sequence[Criterion]) -> tuple[_Part, ...]:
    """What must change for one queue; empty when something cannot be changed from outside, or it is more than three."""
    parts = [part for part in _relaxed_wishes(request) if part.what == "pinned_queue"]
    while len(parts) <= _MOST_CHANGES:
        now = loosened(_changed(request, parts))
        failing = [rule for rule in criteria if not rule.is_preference and rule.reason(now, queue) is not None]
        if not failing:
            return tuple(parts)
        # limits of a slot count for its cores: these are settled first
        first = next((rule for rule in failing if rule.adjusts == "core_count"), failing[0])
        part = _opening(first, now, queue)
        if part is None or any(part.what == other.what for other in parts):
            return ()
        parts.append(part)
    return ()


def _opening(criterion: Criterion, request: Request, queue: Candidate) -> _Part | None:
    """The smallest change with which a criterion lets a queue pass; None when nobody outside can change it."""
    if criterion.name in ("included", "excluded"):
        return next((part for part in _relaxed_wishes(request) if part.what == criterion.name), None)
    if criterion.name in _ABOUT_INPUT:
        is_elsewhere = queue.storage_endpoint not in request.complete_at
        return _moved_input(queue.storage_endpoint) if queue.storage_endpoint and is_elsewhere else None
    if not criterion.adjusts:
        return None
    value = nearest_acceptable(criterion, request, queue)
    return _Part(criterion.adjusts, _with(criterion.adjusts, value, criterion.unit), value) if value else None
