"""Cuts one file into ranges of events for jobs that take fewer than it holds (domain.md 3.4). Knows no table."""

from __future__ import annotations

from collections.abc import Iterator

from core.errors import InvalidInput
from core.taskengine.dialects.definition import SplitRule


def ranges_of(events: int, left: int | None, rule: SplitRule) -> Iterator[tuple[int, int | None]]:
    """Number of events and first event of each part of a file with so many; no first event where it stays whole.

    `left`: events the task still takes, None = all.
    """
    available = events if left is None else min(events, left)
    size = rule.events_per_job or available
    if available == events <= size:
        yield available, None
        return
    for first in range(0, available, size):
        yield min(size, available - first), first


def count_ranges(events: int, left: int | None, rule: SplitRule) -> int:
    """How many parts `ranges_of` gives."""
    available = events if left is None else min(events, left)
    return max(1, -(-available // (rule.events_per_job or max(1, available))))


def check_events_are_known(rule: SplitRule, lfn: str) -> None:
    """Raise InvalidInput naming the rule that cannot be obeyed when nobody said how many events a file holds."""
    for name, value in (
        ("nEventsPerJob", rule.events_per_job),
        ("maxEventsPerJob", rule.max_events_per_job),
        ("nEvents", rule.max_events),
    ):
        if value:
            raise events_not_known(lfn, name)


def events_not_known(lfn: str, field: str) -> InvalidInput:
    """The refusal of a rule that counts events where nobody said how many a file holds."""
    return InvalidInput(
        f"the number of events in {lfn[:200]!r} is not known",
        field=field,
        remedy="give nEventsPerFile too, or register the dataset with n_events of every file",
    )
