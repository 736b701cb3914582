"""The pilots of the described grid: they ask for jobs, report them running, and report their end.

They use the statements of production, for many jobs at once. Knows no share and no rule of who gets what.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

from core.database import Database, Row
from core.dispatch.acquire import SlotOffer, acquire_jobs
from core.dispatch.contacts import ContactBook
from core.dispatch.update import HEARTBEAT, JobReport, reports_parameters
from core.shares.ranking import Ranking
from core.simulation.clock import VirtualClock
from core.simulation.description import Description
from core.simulation.grid import SimulatedQueue
from core.states import JobStatus
from core.taskbuffer.endings import Ending, JobError, end_jobs

_BATCH = 2000
_PORTION = 500
"""Pilots that ask at once are at most one of so many slots of the grid."""
_FAILURE = JobError("exe", 1, "the described rate of failure")

T = TypeVar("T")


class Pilots:
    """All pilots of all queues."""

    def __init__(self, database: Database, clock: VirtualClock, description: Description) -> None:
        self._database = database
        # the only chance in dispatch: which requests are served by age
        chance = random.Random(f"{description.seed}/requests")
        tried = description.settings.shares
        slots = sum(kind.count * kind.slots for kind in description.queues)
        self._at_once = max(1, slots // _PORTION)
        self._ranking = Ranking(
            refresh_s=tried.refresh_s,
            sloppy=tried.sloppy,
            again_after=min(20, self._at_once),
            clock=lambda: clock.now().timestamp(),
            draw=chance.random,
        )
        self._contacts = ContactBook(period_s=0.0)

    def requests(self, free: Mapping[str, int]) -> list[str]:
        """The queues of which pilots ask, one after the other, so that each fills as many slots as it has `free`.

        Those of a queue come among those of all others: filled up one by one, the first queues would be divided by what
        executes in a grid that is half empty, and a share whose jobs fit few queues would always have too little.
        """
        return [queue for queue, count in free.items() for _ in range(-(-count // self._at_once))]

    def ask(self, queue: SimulatedQueue, count: int) -> tuple[list[Row], bool]:
        """Pilots of a queue ask for so many jobs, or as many as ask at once; the jobs, and whether there may be more.

        A request for many is served from the share that is first just then, so they ask in small portions of the grid.
        """
        portion = min(count, self._at_once)
        acquired = acquire_jobs(self._database, _offer(queue, portion), self._ranking) if portion > 0 else []
        return [one.job for one in acquired], 0 < portion == len(acquired)

    def note_contact(self, queue: SimulatedQueue, job_count: int) -> None:
        """Pilots of a queue have called, and got so many jobs."""
        self._contacts.note(self._database, _offer(queue, 1), job_count)

    def report_running(self, panda_ids: Sequence[int]) -> None:
        """The payloads of these jobs run."""
        self._report(panda_ids, "running")

    def report_ends(self, finished: Sequence[int], failed: Sequence[int]) -> None:
        """Payloads have ended; there are no outputs for the adder to account for."""
        self._report(finished, "holding")
        endings = [Ending(panda_id, JobStatus.FINISHED, "payload finished") for panda_id in finished]
        endings += [Ending(panda_id, JobStatus.FAILED, "payload failed", error=_FAILURE) for panda_id in failed]
        for batch in in_batches(endings, _BATCH):
            with self._database.transaction() as transaction:
                end_jobs(transaction, batch)

    def _report(self, panda_ids: Sequence[int], status: str) -> None:
        for batch in in_batches(panda_ids, _BATCH):
            reports = [JobReport(panda_id, status) for panda_id in batch]
            self._database.fetch_prepared(HEARTBEAT, reports_parameters(reports))


def in_batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """The items, at most `size` at a time."""
    for position in range(0, len(items), size):
        yield items[position : position + size]


def _offer(queue: SimulatedQueue, count: int) -> SlotOffer:
    return SlotOffer(
        queue.name,
        prod_source_label="unified",
        memory_mb=queue.kind.max_ram_mb or None,
        disk_mb=queue.kind.max_disk_mb or None,
        cores=queue.kind.cores,
        remaining_s=queue.kind.max_walltime_s or None,
        node="simulated",
        job_count=count,
    )
