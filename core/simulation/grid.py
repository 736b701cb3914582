"""Slots and running jobs of the described queues, in memory. Knows what was described; no database, no rule of dispatch."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from core.dispatch.acquire import QUEUES_WITH_DISPATCH
from core.simulation.description import Description, QueueChange, QueueKind


@dataclass
class SimulatedQueue:
    """A queue as the batch system and its pilots have it; its limits stand in the table `queues`."""

    name: str
    kind: QueueKind
    status: str
    slots: int
    failure_rate: float
    running: int = 0
    """Slots with a job; more than `slots` while a queue that has shrunk drains."""
    busy_cores: int = 0

    @property
    def free_slots(self) -> int:
        """Pilots that ask for a job."""
        return max(0, self.slots - self.running)

    @property
    def gives_work(self) -> bool:
        """Whether its status lets pilots have jobs."""
        return self.status in QUEUES_WITH_DISPATCH

    @property
    def trouble(self) -> str:
        """Why no pilot asks, if none does: `has no slots`."""
        return f"is {self.status}" if not self.gives_work else "has no slots" if not self.slots else ""

    def apply(self, change: QueueChange) -> None:
        """Let something happen to the queue."""
        self.status = change.status or self.status
        self.slots = self.slots if change.slots is None else change.slots
        self.failure_rate = self.failure_rate if change.failure_rate is None else change.failure_rate


@dataclass
class Grid:
    """All queues, and which job ends when."""

    queues: dict[str, SimulatedQueue]
    _ends: list[tuple[int, int, str, int]] = field(default_factory=list)
    """Heap of (tick, PandaID, queue, cores)."""

    @classmethod
    def of(cls, description: Description) -> Grid:
        """The grid as described, with nothing running."""
        queues = [
            SimulatedQueue(name, kind, kind.status, kind.slots, kind.failure_rate)
            for kind in description.queues
            for name in kind.names
        ]
        return cls({queue.name: queue for queue in queues})

    @property
    def running(self) -> int:
        """Jobs in slots."""
        return len(self._ends)

    def start(self, panda_id: int, queue: str, cores: int, until_tick: int) -> None:
        """Put a job into a slot."""
        heapq.heappush(self._ends, (until_tick, panda_id, queue, cores))
        self.queues[queue].running += 1
        self.queues[queue].busy_cores += cores

    def ended(self, tick: int) -> Iterator[tuple[int, str]]:
        """Take the jobs whose time is over out of their slots: PandaID and queue."""
        while self._ends and self._ends[0][0] <= tick:
            _, panda_id, queue, cores = heapq.heappop(self._ends)
            self.queues[queue].running -= 1
            self.queues[queue].busy_cores -= cores
            yield panda_id, queue


def changes_by_tick(description: Description) -> dict[int, list[tuple[str, QueueChange]]]:
    """The described changes of queues, by the tick at which they happen."""
    changes: dict[int, list[tuple[str, QueueChange]]] = {}
    for kind in description.queues:
        for change in sorted(kind.changes, key=lambda entry: entry.at_hour):
            tick = round(timedelta(hours=change.at_hour).total_seconds() / description.tick_s)
            for name in kind.names:
                changes.setdefault(tick, []).append((name, change))
    return changes
