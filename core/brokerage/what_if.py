"""What would have to change for more queues to take jobs: the same criteria, asked again with other numbers.

Knows no SQL. Used to explain decisions ("with 3000 MB 61 of 120 queues would take it"), never to make them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from core.brokerage.broker import Decision, broker
from core.brokerage.candidates import Candidate, Request
from core.brokerage.criterion import Criterion
from core.names import ANY_QUEUE
from core.resource_types import resource_type

_TRIED = 24
"""Values tried at most for the one that helps most, evenly among those that queues would accept, the nearest and the
farthest with them; each is one more brokerage."""

_CORES = "core_count"
_COUNT_BY_CORES = frozenset({"memory", "low_memory", "disk", "disk_io"})
"""Criteria whose limits are those of a slot and count for the part of it that a job takes, or for a core."""
_MOST_CORES = 128
"""Of jobs at queues that state no size of their slots."""


@dataclass(frozen=True)
class Relaxation:
    """One changed number, and how many queues would then take the jobs."""

    criterion: str
    attribute: str
    """The attribute of the request: min_ram_mb, core_count, max_disk_mb, max_walltime_s, io_kb_s, disk_io_kb_s."""
    unit: str
    asked: int
    proposed: int
    accepted_now: int
    accepted_then: int
    candidate_count: int

    def sentence(self) -> str:
        """`accepted by 2 of 120 queues; with 3000 MB by 61`."""
        return (
            f"accepted by {self.accepted_now} of {self.candidate_count} queues; "
            f"with {self.proposed} {self.unit} by {self.accepted_then}"
        )


def relaxations(decision: Decision, candidates: list[Candidate], request: Request | None = None) -> list[Relaxation]:
    """For each number of the request for which somebody was excluded: the nearest change that helps, then the one that
    helps most. Of a decision without queues the number of the binding criterion comes first.

    `request`: as it was asked, where brokerage gave something up by itself (locality, preferred queues) to find
    anybody: with another number it may not have to, so it is asked from the beginning.
    """
    named = {criterion.name: criterion for criterion in decision.criteria if criterion.adjusts}
    steps = [step for step in decision.steps if step.before > step.after and step.criterion in named]
    binding = decision.binding_step
    steps.sort(key=lambda step: step is not binding)
    excluding = [named[step.criterion] for step in steps]
    by_attribute: dict[str, list[Criterion]] = {}
    for criterion in excluding:
        by_attribute.setdefault(criterion.adjusts, []).append(criterion)
    if any(criterion.name in _COUNT_BY_CORES for criterion in excluding):
        by_attribute.setdefault(_CORES, [])
    if _CORES in by_attribute:
        # a queue that one of them excluded was not shown to the others
        by_attribute[_CORES] = [rule for rule in decision.criteria if rule.name in {"cores", *_COUNT_BY_CORES}]
    found: list[Relaxation] = []
    for attribute, criteria in by_attribute.items():
        found += _of(attribute, criteria, decision, candidates, request or decision.request)
    return found


def nearest_acceptable(criterion: Criterion, request: Request, queue: Candidate, attribute: str = "") -> int | None:
    """The value nearest to the request's with which `criterion` lets `queue` pass, 1 or more; None when there is none.

    Of the number that the criterion adjusts, or of the cores for one that counts by them. What a criterion names
    itself is a limit of the queue; a part of the need may be enough for it, so the border is looked for between the two.
    """
    attribute = attribute or criterion.adjusts

    def is_enough(value: int) -> bool:
        return criterion.reason(with_number(request, attribute, value), queue) is None

    accepted = next((end for end in _ends(criterion, request, queue, attribute) if is_enough(end)), None)
    if accepted is None:
        return None
    refused = int(getattr(request, attribute))
    while abs(accepted - refused) > 1:
        between = (accepted + refused) // 2
        if is_enough(between):
            accepted = between
        else:
            refused = between
    return accepted


def _ends(criterion: Criterion, request: Request, queue: Candidate, attribute: str) -> tuple[int, ...]:
    """Values that would do if any does."""
    if attribute == criterion.adjusts:
        named = criterion.acceptable(request, queue)
        return (named,) if named is not None and named > 0 else ()
    return (max(queue.core_limit, queue.stated.corecount or 0) or _MOST_CORES, 1)


def passes(request: Request, queue: Candidate, criteria: Sequence[Criterion]) -> bool:
    """Whether nothing but a preference keeps the queue from the jobs."""
    return all(rule.is_preference or rule.reason(request, queue) is None for rule in criteria)


def loosened(request: Request) -> Request:
    """The request after brokerage has given up whatever it gives up by itself."""
    may_read_elsewhere = (
        request.may_lack_locality and request.has_input and request.is_everywhere and request.allows_wan
    )
    included = () if ANY_QUEUE in request.included else request.included
    return replace(request, ignores_locality=request.ignores_locality or may_read_elsewhere, included=included)


def with_number(request: Request, attribute: str, value: int) -> Request:
    """The request with another number, and the resource type that it then has."""
    changes: dict[str, Any] = {attribute: value}
    changed = replace(request, **changes)
    if not request.resource_type or attribute not in ("core_count", "min_ram_mb"):
        return changed
    return replace(changed, resource_type=resource_type(changed.core_count, changed.min_ram_mb))


def _of(
    attribute: str, criteria: list[Criterion], decision: Decision, candidates: list[Candidate], request: Request
) -> list[Relaxation]:
    """`criteria`: all that excluded somebody, and would not with another value of `attribute`."""
    asked, unit = int(getattr(request, attribute)), _unit_of(attribute, decision)
    loosest = loosened(request)
    reasons: dict[int, Criterion] = {}
    for criterion in criteria:
        for queue in candidates:
            if criterion.reason(request, queue) is None:
                continue
            value = nearest_acceptable(criterion, request, queue, attribute)
            # what the queue does not take then for another reason is no step
            if value is not None and passes(with_number(loosest, attribute, value), queue, decision.criteria):
                reasons.setdefault(value, criterion)
    nearest: Relaxation | None = None
    most: Relaxation | None = None
    by_distance = sorted(reasons, key=lambda value: (abs(value - asked), value))
    spread = set(_spread(by_distance))
    for value in by_distance:
        if nearest is not None and value not in spread:
            continue
        then = broker(with_number(request, attribute, value), candidates, decision.criteria)
        tried = Relaxation(
            *(reasons[value].name, attribute, unit, asked, value),
            *(len(decision.accepted), len(then.accepted), decision.candidate_count),
        )
        if tried.accepted_then <= tried.accepted_now:
            continue
        nearest = nearest or tried
        if most is None or tried.accepted_then > most.accepted_then:
            most = tried
    if nearest is None or most is None:
        return []
    return [nearest] if most is nearest else [nearest, most]


def _unit_of(attribute: str, decision: Decision) -> str:
    return next(criterion.unit for criterion in decision.criteria if criterion.adjusts == attribute)


def _spread(values: list[int]) -> list[int]:
    """At most `_TRIED` of them, the first and the last always among them."""
    if len(values) <= _TRIED:
        return values
    return [values[place * (len(values) - 1) // (_TRIED - 1)] for place in range(_TRIED)]
