"""Receivers that took a message and gave no answer: what they are given next, and when. Knows no table.

What stays without an answer is lost, and is not sent again. So a receiver that hangs gets one change at a time, later each
time, and everything else waits until it answers. Kept in memory: who begins anew finds out by one message.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from logger.notices.outbox import pause_s


@dataclass(frozen=True)
class _Doubt:
    messages: int
    """So many in a row stayed without an answer."""
    until: datetime


class Doubts:
    """The doubts about the receivers of routes."""

    def __init__(self) -> None:
        self._of: dict[int, _Doubt] = {}

    def is_left_alone(self, route_id: int, now: datetime) -> bool:
        """Whether the receiver of a route is given nothing now."""
        return route_id in self._of and now < self._of[route_id].until

    def most_changes(self, route_id: int, usual: int) -> int:
        """How many changes its next message may have, which are lost if it gives no answer again."""
        return 1 if route_id in self._of else usual

    def note(self, route_id: int, *, is_lost: bool, now: datetime) -> None:
        """A message was answered in whatever way, or is lost."""
        before = self._of.pop(route_id, None)
        if is_lost:
            messages = before.messages + 1 if before else 1
            self._of[route_id] = _Doubt(messages, now + timedelta(seconds=pause_s(messages)))
