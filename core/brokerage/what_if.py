"""What would have to change for more queues to take jobs: the same criteria, asked again with other numbers.

Knows no SQL. Used to explain decisions ("with 3000 MB 61 of 120 queues would take it"), never to make them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from core.brokerage.broker import Decision, broker
from core.brokerage.candidates import Candidate
from core.brokerage.criterion import Criterion

_TRIED = 24
"""Values tried at most, evenly among those that queues would accept, the nearest and the farthest with them; each is one
more brokerage."""


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


def relaxations(decision: Decision, candidates: list[Candidate]) -> list[Relaxation]:
    """For each criterion that excluded somebody for a number of the request: the nearest change that helps, then the one
    that helps most. Of a decision without queues the binding criterion comes first.
    """
    named = {criterion.name: criterion for criterion in decision.criteria if criterion.adjusts}
    steps = [step for step in decision.steps if step.before > step.after and step.criterion in named]
    binding = decision.binding_step
    steps.sort(key=lambda step: step is not binding)
    found: list[Relaxation] = []
    for step in steps:
        found += _of(named[step.criterion], decision, candidates)
    return found


def _of(criterion: Criterion, decision: Decision, candidates: list[Candidate]) -> list[Relaxation]:
    request, asked = decision.request, int(getattr(decision.request, criterion.adjusts))
    values = {
        value
        for queue in candidates
        if criterion.reason(request, queue) is not None
        and (value := criterion.acceptable(request, queue)) is not None
        and value != asked
    }
    tried: list[Relaxation] = []
    by_distance = sorted(values, key=lambda value: (abs(value - asked), value))
    for value in _spread(by_distance):
        changes: dict[str, Any] = {criterion.adjusts: value}
        then = broker(replace(request, **changes), candidates, decision.criteria)
        tried.append(
            Relaxation(
                *(criterion.name, criterion.adjusts, criterion.unit, asked, value),
                *(len(decision.accepted), len(then.accepted), decision.candidate_count),
            )
        )
    helping = [one for one in tried if one.accepted_then > one.accepted_now]
    if not helping:
        return []
    nearest, most = helping[0], max(helping, key=lambda one: one.accepted_then)
    return [nearest] if most.accepted_then == nearest.accepted_then else [nearest, most]


def _spread(values: list[int]) -> list[int]:
    """At most `_TRIED` of them, the first and the last always among them."""
    if len(values) <= _TRIED:
        return values
    return [values[place * (len(values) - 1) // (_TRIED - 1)] for place in range(_TRIED)]
