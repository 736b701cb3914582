"""Cores, memory and scratch of a slot against what a job needs. A limit of 0 is none; unknown limits exclude nobody."""

from __future__ import annotations

from core.brokerage.candidates import Candidate, Request
from core.brokerage.criterion import Criterion, amount, several


def of_slot(whole: int | None, request: Request, queue: Candidate) -> int:
    """What of a slot's memory or scratch is the job's, by cores where the queue states slots of several; 0 = not stated."""
    slot = queue.stated.corecount
    if not whole or not slot or request.cores >= slot:
        return whole or 0
    return max(1, whole * request.cores // slot)


class CoresFit(Criterion):
    """The job's cores against the largest slot of the queue, and the kind of slots it has (`capability`)."""

    name = "cores"
    sentence = "the queue has slots with enough cores"
    adjusts = "core_count"
    unit = "cores"

    def reason(self, request: Request, queue: Candidate) -> str | None:
        """Compare cores."""
        if queue.core_limit and request.core_count > queue.core_limit:
            return f"has slots of {several(queue.core_limit, 'core')}, the job needs {request.core_count}"
        kind, slot = queue.stated.capability, queue.stated.corecount
        if kind == "score" and request.cores > 1:
            return f"has slots of one core only, the job needs {request.core_count}"
        if kind == "mcore" and slot and request.cores < slot:
            return f"has whole slots of {several(slot, 'core')} only, the job needs {request.cores}"
        return None

    def acceptable(self, request: Request, queue: Candidate) -> int | None:
        """The cores of its slots."""
        kind, slot = queue.stated.capability, queue.stated.corecount
        if kind == "score":
            return 1
        return slot if kind == "mcore" and slot and request.cores < slot else queue.core_limit or None


class MemoryFits(Criterion):
    """The job's memory against the queue's limit, per core where the queue states slots of several cores."""

    name = "memory"
    sentence = "the queue allows the memory the job needs"
    adjusts = "min_ram_mb"
    unit = "MB"

    def __init__(self, part: float = 1.0) -> None:
        """`part` of the stated need must fit: needs are estimates with a margin (domain.md 5.2: 0.9 in production)."""
        self._part = part

    @property
    def parameters(self) -> dict[str, object]:
        """The part that must fit."""
        return {"memory_part": self._part}

    def reason(self, request: Request, queue: Candidate) -> str | None:
        """Compare in MB."""
        limit = _ram_limit(request, queue)
        if limit and request.min_ram_mb * self._part > limit:
            part = f", of which {amount(100 * self._part)} % must fit" if self._part < 1 else ""
            return f"allows {limit} MB, the job needs {request.min_ram_mb} MB{part}"
        return None

    def acceptable(self, request: Request, queue: Candidate) -> int | None:
        """The most of which the part fits into what the queue allows."""
        return int(_ram_limit(request, queue) / self._part) or None


def _ram_limit(request: Request, queue: Candidate) -> int:
    """Of the column for a job, whatever its cores; of `maxrss` its part of the slot."""
    return queue.max_ram_mb or of_slot(queue.stated.maxrss, request, queue)


class MemoryIsUsed(Criterion):
    """Queues with much memory may be kept for jobs that need it (`minrss`)."""

    name = "low_memory"
    sentence = "the job needs as much memory as the queue is kept for"
    adjusts = "min_ram_mb"
    unit = "MB"

    def reason(self, request: Request, queue: Candidate) -> str | None:
        """Compare in MB; a job that states no memory may go anywhere."""
        least = self._least(request, queue)
        if request.min_ram_mb and request.min_ram_mb < least:
            return f"is kept for jobs of {least} MB and more, the job needs {request.min_ram_mb} MB"
        return None

    def acceptable(self, request: Request, queue: Candidate) -> int | None:
        """The least the queue is kept for."""
        return self._least(request, queue) or None

    @staticmethod
    def _least(request: Request, queue: Candidate) -> int:
        return of_slot(queue.stated.minrss, request, queue)


class DiskFits(Criterion):
    """The job's scratch space, inputs it copies included, against the queue's."""

    name = "disk"
    sentence = "the queue has the scratch space the job needs"
    adjusts = "max_disk_mb"
    unit = "MB"

    def reason(self, request: Request, queue: Candidate) -> str | None:
        """Compare in MB."""
        limit = disk_limit_of(request, queue)
        if limit and request.max_disk_mb > limit:
            return f"has {limit} MB of scratch, the job needs {request.max_disk_mb} MB"
        return None

    def acceptable(self, request: Request, queue: Candidate) -> int | None:
        """What the queue has."""
        return disk_limit_of(request, queue) or None


def disk_limit_of(request: Request, queue: Candidate) -> int:
    """MB of scratch for one job: the column, or its part of the slot's `maxwdir`; 0 = no limit."""
    return queue.max_disk_mb or of_slot(queue.stated.maxwdir, request, queue)
