"""Who a queue belongs to: pledged or opportunistic capacity, and what its fairsharepolicy refuses. Knows no share tree."""

from __future__ import annotations

from functools import lru_cache
from math import floor

from core.brokerage.candidates import Candidate, Request
from core.brokerage.criterion import Criterion, amount, several
from core.brokerage.share_policy import SharePart, share_parts
from core.numbers import as_number

_parts_of = lru_cache(maxsize=4096)(lambda policy: tuple(share_parts(policy)))
"""One text stands for each queue, and is read once."""
_LARGEST = 10**10
"""No priority is larger."""


def priority_limits(policy: str) -> set[int]:
    """The priorities at which a fairsharepolicy changes its mind."""
    said = (value for part in _parts_of(policy) for key, value in part.conditions if key == "priority")
    numbers = [as_number(value.lstrip("<>=!")) for value in said]
    return {
        floor(number) + step for number in numbers if number is not None and abs(number) < _LARGEST for step in (0, 1)
    }


class QueueIsPledged(Criterion):
    """Urgent jobs and scouts avoid opportunistic queues (`pledgedcpu` -1), which may end at any moment."""

    name = "opportunistic"
    sentence = "the queue is not opportunistic if the job is urgent or a scout"

    def __init__(self, urgent_priority: int) -> None:
        self._urgent_priority = urgent_priority

    @property
    def parameters(self) -> dict[str, object]:
        """From which priority on it counts."""
        return {"urgent_priority": self._urgent_priority}

    def reason(self, request: Request, queue: Candidate) -> str | None:
        """Look at the pledge."""
        counts = request.priority >= self._urgent_priority or request.is_scout
        if counts and queue.stated.pledgedcpu == -1:
            what = "scouts" if request.is_scout else f"jobs of priority {request.priority}"
            return f"is opportunistic, {what} keep away"
        return None


class ShareIsNotZero(Criterion):
    """A queue may refuse kinds of work by giving them nothing of it (`fairsharepolicy`)."""

    name = "zero_share"
    sentence = "the queue gives a share to this kind of work"

    def reason(self, request: Request, queue: Candidate) -> str | None:
        """The first sub-policy that matches decides."""
        policy = queue.stated.fairsharepolicy
        if not policy:
            return None
        about = {
            "type": request.processing_type,
            "processingtype": request.processing_type,
            "group": request.working_group,
            "gshare": request.gshare,
            "prodsourcelabel": request.prod_source_label,
        }
        parts: tuple[SharePart, ...] = _parts_of(policy)
        part = next((part for part in parts if part.matches(about, request.priority)), None)
        return f"gives nothing to such work ({part.text})" if part is not None and part.percentage <= 0 else None


class ShareMayRun(Criterion):
    """A share may be kept on one kind of resource (`rtype`): dispatch gives its jobs to no other queue."""

    name = "share"
    sentence = "the share of the job may run at this kind of resource"

    def reason(self, request: Request, queue: Candidate) -> str | None:
        """Look the share up among those the queue never serves."""
        return f"is of no kind that share {request.gshare} runs at" if request.gshare in queue.barred_shares else None


class PledgeIsNotUsedUp(Criterion):
    """While work is short, queues beyond their pledge stand back (domain.md 5.2: non_pledged, over_pledged)."""

    name = "over_pledged"
    sentence = "the queue runs less than its pledge while work is short"
    is_temporary = True
    is_preference = True

    def __init__(self, work_is_short: bool) -> None:
        self._work_is_short = work_is_short

    @property
    def parameters(self) -> dict[str, object]:
        """Whether an operator said that work is short."""
        return {"work_shortage": self._work_is_short}

    def reason(self, request: Request, queue: Candidate) -> str | None:
        """Compare running cores with the pledge."""
        pledge = queue.stated.pledgedcpu
        if not self._work_is_short or pledge is None:
            return None
        if pledge <= 0:
            return "has no pledge, and work is short"
        if queue.running_cores > pledge:
            return f"runs {several(queue.running_cores, 'core')}, its pledge is {amount(pledge)}, and work is short"
        return None
