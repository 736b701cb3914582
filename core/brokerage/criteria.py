"""The criteria of brokerage, in the order they run. Each says in words why it excludes a queue (domain.md 5)."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Protocol

from core.brokerage.candidates import Candidate, Request


class Criterion(Protocol):
    """One reason not to use a queue."""

    name: str
    sentence: str
    """What the criterion asks of a queue, for people."""

    def reason(self, request: Request, queue: Candidate) -> str | None:
        """Why `queue` cannot take the jobs of `request`; None when it can."""
        ...


class QueueIsOnline:
    """Only test jobs may go to a queue in test; nothing goes elsewhere than to online queues."""

    name = "status"
    sentence = "the queue is online"

    def reason(self, request: Request, queue: Candidate) -> str | None:
        """Compare the status of the queue with the label of the jobs."""
        is_test = request.prod_source_label in ("test", "prod_test", "ptest") or request.prod_source_label.startswith(
            "rc_"
        )
        allowed = ("online", "test") if is_test else ("online",)
        return None if queue.status in allowed else f"is {queue.status}"


class QueueIsIncluded:
    """The submitter may name the queues that are wanted (includedSite, client-wire.md 4.4)."""

    name = "included"
    sentence = "the queue is among those that the submitter named"

    def reason(self, request: Request, queue: Candidate) -> str | None:
        """Look the queue up among the wanted names and patterns."""
        if request.included and not _is_among(queue, request.included):
            return "is not among includedSite"
        return None


class QueueIsNotExcluded:
    """The submitter may name queues that shall not be used (excludedSite, client-wire.md 4.4)."""

    name = "excluded"
    sentence = "the submitter did not exclude the queue"

    def reason(self, request: Request, queue: Candidate) -> str | None:
        """Look the queue up among the unwanted names and patterns."""
        return "is among excludedSite" if _is_among(queue, request.excluded) else None


def _is_among(queue: Candidate, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(queue.queue_name, pattern) for pattern in patterns)


class StorageIsOnline:
    """Every job stores at least its log, so a queue is of no use without a storage that takes files."""

    name = "storage"
    sentence = "the queue's storage endpoint is online"

    def reason(self, request: Request, queue: Candidate) -> str | None:
        """Ask for an endpoint, and for its state."""
        if not queue.storage_endpoint:
            return "has no storage endpoint"
        return None if queue.storage_is_online else f"its storage {queue.storage_endpoint} is offline"


class MemoryFits:
    """The job's memory against the queue's limit per job."""

    name = "memory"
    sentence = "the queue allows the memory the job needs"

    def reason(self, request: Request, queue: Candidate) -> str | None:
        """Compare in MB."""
        if queue.max_ram_mb and request.min_ram_mb > queue.max_ram_mb:
            return f"allows {queue.max_ram_mb} MB, the job needs {request.min_ram_mb} MB"
        return None


class CoresFit:
    """The job's cores against the largest slot of the queue."""

    name = "cores"
    sentence = "the queue has slots with enough cores"

    def reason(self, request: Request, queue: Candidate) -> str | None:
        """Compare cores."""
        if queue.max_core_count and request.core_count > queue.max_core_count:
            return f"has slots of {queue.max_core_count} cores, the job needs {request.core_count}"
        return None


class DiskFits:
    """The job's scratch space against the queue's."""

    name = "disk"
    sentence = "the queue has the scratch space the job needs"

    def reason(self, request: Request, queue: Candidate) -> str | None:
        """Compare in MB."""
        if queue.max_disk_mb and request.max_disk_mb > queue.max_disk_mb:
            return f"has {queue.max_disk_mb} MB of scratch, the job needs {request.max_disk_mb} MB"
        return None


class WalltimeFits:
    """The job's walltime against the queue's limit."""

    name = "walltime"
    sentence = "the queue lets jobs run as long as this one needs"

    def reason(self, request: Request, queue: Candidate) -> str | None:
        """Compare in seconds."""
        if queue.max_walltime_s and request.max_walltime_s > queue.max_walltime_s:
            return f"ends jobs after {queue.max_walltime_s} s, the job needs {request.max_walltime_s} s"
        return None


class InputIsThere:
    """Every input has a replica at the storage of the queue: work goes to its data (domain.md 4.3)."""

    name = "input"
    sentence = "every input is at the storage of the queue"

    def reason(self, request: Request, queue: Candidate) -> str | None:
        """Look the queue's storage endpoint up among the complete ones."""
        if request.has_input and queue.storage_endpoint not in request.complete_at:
            return f"its storage {queue.storage_endpoint} lacks input"
        return None


CRITERIA: list[Criterion] = [
    QueueIsOnline(),
    QueueIsIncluded(),
    QueueIsNotExcluded(),
    StorageIsOnline(),
    MemoryFits(),
    CoresFit(),
    DiskFits(),
    WalltimeFits(),
    InputIsThere(),
]
"""Persistent reasons first, so that the step that stops a job is the one worth mending."""
