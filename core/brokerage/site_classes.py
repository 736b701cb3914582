"""How long jobs of users wait at a queue, and which tasks are better off there for that (domain.md 5.3). Knows no SQL.

Queues are hi (quick), mid or lo (slow); tasks are S, A, B or C, see `core.brokerage.task_classes`. A queue of which no
wait is known is mid, and mid changes no weight.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.brokerage.candidates import Candidate

HI, MID, LO = "hi", "mid", "lo"
_QUICK_S = 3600.0
"""A wait below this is short, however quick the other queues are."""
_SLOW_S = 3 * 3600.0
"""A wait up to this is not long, however quick the other queues are."""
_LOWER_PART, _UPPER_PART = 0.33, 0.67
"""Where the queues are cut in three by their usual waits."""

# PanDA's table of task and site classes ("New basic weight" in its documentation of brokerage) has N_j > epsilon_1 >
# epsilon_2 in it. Here they are as 4 : 2 : 1, and each row is divided by its entry of mid, which so is always 1.
_FACTORS = {
    "S": {HI: 2.0, LO: 0.5},
    "A": {HI: 2.0, LO: 0.5},
    "B": {HI: 0.25, LO: 0.5},
    "C": {HI: 0.5, LO: 2.0},
}


def factor_of(task_class: str, site_class: str) -> float:
    """By what the weight of a queue is multiplied for tasks of a class; 1 for what has no class."""
    return _FACTORS.get(task_class, {}).get(site_class, 1.0)


def classify(candidates: Sequence[Candidate]) -> None:
    """Set `site_class` of each queue; the limits depend on what is usual at all of them."""
    usual = sorted(queue.usual_wait_s for queue in candidates if queue.usual_wait_s is not None)
    if not usual:
        return
    quick_s = max(_QUICK_S, percentile(usual, _LOWER_PART))
    slow_s = max(_SLOW_S, percentile(usual, _UPPER_PART))
    for queue in candidates:
        starts = queue.starts_of_day + queue.started_lately
        queue.site_class = class_of(queue.expected_wait_s, starts, quick_s, slow_s)


def class_of(wait_s: float | None, starts: int, quick_s: float, slow_s: float) -> str:
    """hi: waits less than `quick_s`, and `starts` of a day are not none; lo: waits more than `slow_s`; None = unknown."""
    if wait_s is None:
        return MID
    if wait_s > slow_s:
        return LO
    return HI if wait_s < quick_s and starts > 0 else MID


def percentile(ordered: Sequence[float], part: float) -> float:
    """Of values in ascending order, at least one; between two of them in proportion."""
    place = part * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])
