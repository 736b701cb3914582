"""Which waiting jobs would be better off at another queue: asks brokerage about them again, without their queue.

Knows no table of its own and decides nothing about when jobs are taken back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from core.brokerage.broker import broker
from core.brokerage.candidates import Candidate, Request
from core.brokerage.criteria import Criterion
from core.brokerage.weighing import weight
from core.database import Row


@dataclass(frozen=True)
class Elsewhere:
    """Jobs that another queue would take, and those that have no better place."""

    better_off: list[Row]
    staying: list[Row]
    example: str = ""
    """A queue that would take some of them."""


def better_elsewhere(
    groups: Mapping[Request, list[Row]],
    candidates: Sequence[Candidate],
    criteria: Mapping[str, Sequence[Criterion]],
    *,
    by_weight: bool,
    most: int | None = None,
) -> Elsewhere:
    """Divide jobs that wait at a queue. `by_weight`: another queue must be better, not only good enough.

    Every job that goes counts at once at both queues, so that a crowd is spread and does not just move on. Lowest PandaID
    first; no more than `most` go.
    """
    by_name = {queue.queue_name: queue for queue in candidates}
    going: list[Row] = []
    staying: list[Row] = []
    example = ""
    asked_of: dict[int, tuple[Request, Candidate | None, list[Candidate]]] = {}
    for request, members in groups.items():
        here = by_name.get(members[0]["computing_site"])
        asked = replace(request, pinned_queue="", first_queue="")
        others = [queue for queue in candidates if queue is not here]
        accepted = broker(asked, others, criteria[asked.kind]).accepted
        asked_of.update({job["panda_id"]: (asked, here, accepted) for job in members})
    jobs = sorted((job for members in groups.values() for job in members), key=lambda job: int(job["panda_id"]))
    for job in jobs:
        asked, here, accepted = asked_of[job["panda_id"]]
        there = _best(accepted, asked) if most is None or len(going) < most else None
        if there is None or (by_weight and here is not None and weight(there, asked) <= weight(here, asked)):
            staying.append(job)
            continue
        going.append(job)
        example = example or there.queue_name
        there.activated += 1
        if here is not None and here.activated:
            here.activated -= 1
    return Elsewhere(going, staying, example)


def _best(accepted: Sequence[Candidate], asked: Request) -> Candidate | None:
    return max(accepted, key=lambda queue: weight(queue, asked), default=None)
