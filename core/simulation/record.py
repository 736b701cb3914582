"""Counts what happens in a simulation while it runs: waits, busy slots, shares. Knows no database and decides nothing.

Times are counted in ticks. Waits count from the first job; everything about slots and shares from the steady state on.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from core.dispatch.acquire import QUEUES_WITH_DISPATCH
from core.simulation.grid import SimulatedQueue
from core.simulation.reasons import ChanceBook
from core.simulation.workload import Fate


@dataclass
class Tally:
    """Jobs of a share, a user or a queue."""

    submitted: int = 0
    started: int = 0
    finished: int = 0
    failed: int = 0
    waits: Counter[int] = field(default_factory=Counter)
    """Ticks between submission and start -> how many jobs."""
    last_wait: int = 0
    """Ticks between the first submission and the last start."""
    first_tick: int | None = None

    def note_start(self, fate: Fate, tick: int) -> None:
        """One of the jobs has got a slot."""
        self.started += 1
        self.waits[tick - fate.submitted_tick] += 1
        self.last_wait = tick - (self.first_tick if self.first_tick is not None else fate.first_submitted_tick)

    def quantile(self, part: float) -> int | None:
        """Wait in ticks below which this part of the starts stayed; None without any."""
        wanted, seen = part * self.started, 0
        for wait in sorted(self.waits):
            seen += self.waits[wait]
            if seen >= wanted:
                return wait
        return None


@dataclass
class ShareIntegral:
    """What a leaf had over the steady state, summed over the samples."""

    executing: float = 0.0
    target: float = 0.0
    samples: int = 0
    with_work: int = 0
    """Samples at which jobs of it waited for a slot."""


@dataclass
class QueueIntegral:
    """Core-ticks of a queue over the steady state."""

    busy: int = 0
    available: int = 0
    idle: int = 0
    """Free although jobs waited somewhere."""


@dataclass
class ShareState:
    """A leaf at one moment: the power of its jobs in slots, what it is due, the power of jobs that wait for one."""

    executing_power: float
    target_power: float
    queued_power: float


class Recorder:
    """The books of one run."""

    def __init__(self, steady_tick: int) -> None:
        self._steady_tick = steady_tick
        self.chances = ChanceBook()
        self.shares: dict[str, Tally] = defaultdict(Tally)
        self.users: dict[str, Tally] = defaultdict(Tally)
        self.queues: dict[str, Tally] = defaultdict(Tally)
        self.share_integrals: dict[str, ShareIntegral] = defaultdict(ShareIntegral)
        self.queue_integrals: dict[str, QueueIntegral] = defaultdict(QueueIntegral)
        self.failed_core_ticks = 0
        self.closed = 0
        self.given_up = 0

    def is_steady(self, tick: int) -> bool:
        """Whether slots and shares count."""
        return tick >= self._steady_tick

    def submitted(self, fates: Iterable[Fate]) -> None:
        """Jobs have entered."""
        for fate in fates:
            user = self.users[fate.user]
            user.submitted += 1
            user.first_tick = fate.submitted_tick if user.first_tick is None else user.first_tick

    def started(self, fate: Fate, share: str, queue: str, tick: int) -> None:
        """A job has got a slot."""
        for tally in (self.shares[share], self.users[fate.user], self.queues[queue]):
            tally.note_start(fate, tick)

    def ended(self, fate: Fate, share: str, queue: str, tick: int, core_ticks: int, *, failed: bool) -> None:
        """A job has left its slot."""
        for tally in (self.shares[share], self.users[fate.user], self.queues[queue]):
            tally.failed += failed
            tally.finished += not failed
        if failed and tick >= self._steady_tick:
            # what it used before belongs to no steady state
            self.failed_core_ticks += min(core_ticks, fate.work.cores * (tick - self._steady_tick))

    def sample(
        self, tick: int, queues: Iterable[SimulatedQueue], shares: dict[str, ShareState], *, work_waits: bool
    ) -> None:
        """The grid and the shares as they are until the next tick."""
        if not self.is_steady(tick):
            return
        self.chances.note_targets({name: state.target_power for name, state in shares.items()})
        for queue in queues:
            integral = self.queue_integrals[queue.name]
            integral.busy += queue.busy_cores
            if queue.status in QUEUES_WITH_DISPATCH:
                self.chances.queue_powers[queue.name] += queue.slots * queue.kind.cores * queue.kind.power
                integral.available += max(queue.slots, queue.running) * queue.kind.cores
                integral.idle += queue.free_slots * queue.kind.cores if work_waits else 0
            else:
                integral.available += queue.busy_cores
        for name, state in shares.items():
            share = self.share_integrals[name]
            share.executing += state.executing_power
            share.target += state.target_power
            share.samples += 1
            share.with_work += state.queued_power > 0
