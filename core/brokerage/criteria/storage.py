"""Where input lies and output goes: endpoints, free space, reading from elsewhere, I/O rates. Rates are in kB/s."""

from __future__ import annotations

from core.brokerage.candidates import Candidate, Request
from core.brokerage.criterion import Criterion, amount


class StorageIsOnline(Criterion):
    """Every job stores at least its log, so a queue is of no use without a storage that takes files."""

    name = "storage"
    sentence = "the queue's storage endpoint is online"

    def reason(self, request: Request, queue: Candidate) -> str | None:
        """Ask for an endpoint, and for its state."""
        if not queue.storage_endpoint:
            return "has no storage endpoint"
        return None if queue.storage_is_online else f"its storage {queue.storage_endpoint} is offline"


class NucleusIsInReach(Criterion):
    """Outputs of a task that collects them at one storage must be written there: at the queue's own site, or over the
    network where the queue allows that (`write_wan`)."""

    name = "nucleus"
    sentence = "the queue can write to the storage where the task collects its outputs"

    def reason(self, request: Request, queue: Candidate) -> str | None:
        """Look the endpoint up among those the queue may write to."""
        if not request.nucleus:
            return None
        if not request.nucleus_is_online:
            return f"cannot write to {request.nucleus}, where the outputs are collected: it is offline"
        if queue.writes_to(request.nucleus):
            return None
        return f"does not write to {request.nucleus}, where the outputs are collected"


class StorageHasSpace(Criterion):
    """Outputs need room; storages that report nothing are taken to have it."""

    name = "space"
    sentence = "the queue's storage has space for outputs"
    is_temporary = True

    def __init__(self, reserve_mb: int) -> None:
        self._reserve_mb = reserve_mb

    @property
    def parameters(self) -> dict[str, object]:
        """The space that must stay."""
        return {"storage_reserve_mb": self._reserve_mb}

    def reason(self, request: Request, queue: Candidate) -> str | None:
        """Compare in MB."""
        if request.nucleus and request.nucleus != queue.storage_endpoint:
            return None
        free = queue.free_storage_mb
        if free is not None and free < self._reserve_mb:
            return f"its storage {queue.storage_endpoint} has {free} MB left, {self._reserve_mb} MB must stay free"
        return None


def reads_from_elsewhere(request: Request, queue: Candidate) -> bool:
    """Whether jobs of the request may run at the queue and read their input from other storages."""
    return bool(queue.stated.reads_wan) and request.allows_wan and request.is_everywhere


class InputIsThere(Criterion):
    """Every input has a replica at the storage of the queue: work goes to its data (domain.md 4.3).

    Where locality does not matter (domain.md 5.3: very urgent, light I/O, or nobody else is left) a queue that reads
    from elsewhere will do.
    """

    name = "input"
    sentence = "every input is at the storage of the queue"

    def __init__(self, urgent_priority: int) -> None:
        self._urgent_priority = urgent_priority

    @property
    def parameters(self) -> dict[str, object]:
        """The priority from which locality does not matter."""
        return {"no_locality_priority": self._urgent_priority}

    def reason(self, request: Request, queue: Candidate) -> str | None:
        """Look the queue's storage endpoint up among the complete ones."""
        if not request.has_input or queue.storage_endpoint in request.complete_at:
            return None
        if not (request.ignores_locality or request.priority >= self._urgent_priority):
            return f"its storage {queue.storage_endpoint} lacks input"
        if reads_from_elsewhere(request, queue):
            return None
        why = "it does not read from elsewhere" if request.allows_wan else "the task must not read from elsewhere"
        why = why if request.is_everywhere else "some of it is nowhere"
        return f"its storage {queue.storage_endpoint} lacks input, and {why}"


class HeavyInputIsThere(Criterion):
    """A task that moves much data goes only where its input is, whatever else is allowed."""

    name = "io"
    sentence = "a task with heavy I/O has its input at the storage of the queue"
    is_preference = True

    def __init__(self, heavy_kb_s: float) -> None:
        self._heavy_kb_s = heavy_kb_s

    @property
    def parameters(self) -> dict[str, object]:
        """From which rate on I/O is heavy."""
        return {"io_heavy_kb_s": self._heavy_kb_s}

    def reason(self, request: Request, queue: Candidate) -> str | None:
        """Compare the rate; then look the endpoint up."""
        is_heavy = request.io_kb_s > self._heavy_kb_s and request.has_input
        if is_heavy and queue.storage_endpoint not in request.complete_at:
            return f"its storage {queue.storage_endpoint} lacks input of a task that moves {request.io_kb_s} kB/s"
        return None


class DirectAccessIsPossible(Criterion):
    """Tasks that open their input where it lies need queues that allow it (direct_access_lan)."""

    name = "remote_io"
    sentence = "the queue lets jobs open their input in place if the task must"

    def reason(self, request: Request, queue: Candidate) -> str | None:
        """Only a queue that says no is left out."""
        if not request.needs_direct_access or not request.has_input:
            return None
        is_local = queue.storage_endpoint in request.complete_at
        if (queue.stated.reads_lan if is_local else queue.stated.reads_wan) is False:
            return "lets no job open its input in place"
        return None


class DiskRateFits(Criterion):
    """Reading and writing of the local disk per core against what the queue bears (`maxdiskio`)."""

    name = "disk_io"
    sentence = "the queue bears the task's load on local disks"
    adjusts = "disk_io_kb_s"
    unit = "kB/s"

    def reason(self, request: Request, queue: Candidate) -> str | None:
        """Compare per core."""
        limit = queue.stated.maxdiskio
        if limit and request.disk_io_kb_s / request.cores > limit:
            cores = f" with {request.cores} cores" if request.cores > 1 else ""
            return f"bears {amount(limit)} kB/s on local disks for a core, the job makes {request.disk_io_kb_s} kB/s{cores}"
        return None

    def acceptable(self, request: Request, queue: Candidate) -> int | None:
        """What the queue bears for all cores of the job."""
        limit = queue.stated.maxdiskio
        return (int(limit * request.cores) or None) if limit else None


class InputRateFits(Criterion):
    """The task's traffic against what the queue bears (`max_io_intensity`)."""

    name = "max_io_intensity"
    sentence = "the queue bears the task's traffic"
    adjusts = "io_kb_s"
    unit = "kB/s"

    def reason(self, request: Request, queue: Candidate) -> str | None:
        """Compare in kB/s."""
        limit = queue.stated.max_io_intensity
        if limit and request.io_kb_s > limit:
            return f"bears {amount(limit)} kB/s of traffic, the job makes {request.io_kb_s} kB/s"
        return None

    def acceptable(self, request: Request, queue: Candidate) -> int | None:
        """What the queue bears."""
        return int(queue.stated.max_io_intensity or 0) or None
