"""The checks of a running payload, as a table: what is looked at, how often, and the code it is killed with.

A check sees the payload through `Watched` and knows neither how it was started nor how it is killed (domain.md 7.4).
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from pilot import errors
from pilot.description import JobDescription
from pilot.directory import JobDirectory, Usage, UsageGauge
from pilot.errors import ErrorCode, JobFailure
from pilot.meter import Meter
from pilot.options import PilotOptions
from pilot.orders import Orders
from pilot.probe import MEGABYTE, free_disk_mb

STDOUT_LIMIT_BYTES = 2_000_000_000
MEMORY_GRACE = 2.0
LONGEST_LOOPING_PERIOD_S = 900.0


@dataclass(frozen=True)
class Watched:
    """What the checks may look at."""

    job: JobDescription
    options: PilotOptions
    directory: JobDirectory
    usage: UsageGauge
    meter: Meter
    orders: Orders
    payload_started: float
    pilot_started: float
    last_delivery: Callable[[], float]
    """When the server last answered a report (all three by time.monotonic)."""


class Check(ABC):
    """One reason to kill a payload."""

    error: ClassVar[ErrorCode | None]
    sentence: ClassVar[str]
    """What it guards against, for people."""
    period_s: float = 60.0

    def __init__(self, watched: Watched) -> None:
        self.watched = watched

    @abstractmethod
    def violation(self) -> str | None:
        """Why the payload must be killed, in words with numbers; None when all is well."""

    def enforce(self) -> None:
        """Raise JobFailure when the payload must be killed."""
        reason = self.violation()
        if reason is not None and self.error is not None:
            raise JobFailure(self.error, reason)


class OrderedToStop(Check):
    """The server's command in the answer to a heartbeat, or a signal to the pilot."""

    error = None
    sentence = "the server or a signal ends the job"
    period_s = 0.0

    def violation(self) -> None:
        """Raises what the order says: the code depends on who gave it."""
        self.watched.orders.check()


class WallTime(Check):
    """The job's own limit of wall time."""

    error = errors.REACHED_MAX_TIME
    sentence = "the payload runs longer than its job may"
    period_s = 1.0

    def violation(self) -> str | None:
        """Compare with maxWalltime of the job."""
        limit_s = self.watched.job.max_walltime_s
        if limit_s and time.monotonic() - self.watched.payload_started > limit_s:
            return f"the job may run {limit_s} s (maxWalltime)"
        return None


class PilotLifetime(Check):
    """The end of the batch slot the pilot sits in."""

    error = errors.REACHED_MAX_TIME
    sentence = "the pilot's own time is over"
    period_s = 1.0

    def violation(self) -> str | None:
        """Compare with the pilot's lifetime."""
        limit_s = self.watched.options.lifetime_s
        if limit_s and time.monotonic() - self.watched.pilot_started > limit_s:
            return f"the pilot may run {limit_s:.0f} s (--lifetime)"
        return None


class ServerSilence(Check):
    """No report gets through: the server has given the job up, or will before it hears of its end."""

    error = errors.COMMUNICATION_FAILED
    sentence = "no heartbeat has reached the server for hours"
    period_s = 10.0

    def violation(self) -> str | None:
        """Compare the age of the last delivered report with the limit."""
        limit_s = self.watched.options.silence_limit_s
        if limit_s and time.monotonic() - self.watched.last_delivery() > limit_s:
            return f"no report reached the server for {limit_s:.0f} s"
        return None


class LogSize(Check):
    """Standard output or error grow without end."""

    error = errors.STDOUT_TOO_BIG
    sentence = "payload.stdout or payload.stderr is larger than 2 GB"
    period_s = 5.0

    def violation(self) -> str | None:
        """Compare the sizes of both files with the limit."""
        for path in (self.watched.directory.stdout, self.watched.directory.stderr):
            if (size_bytes := path.stat().st_size) > STDOUT_LIMIT_BYTES:
                return f"{path.name} has {size_bytes} bytes, {STDOUT_LIMIT_BYTES} are allowed"
        return None


class ScratchSpace(Check):
    """The disk of the node fills up; better this job ends than all that share the node."""

    error = errors.NO_LOCAL_SPACE
    sentence = "the disk of the node is nearly full"
    period_s = 5.0

    def violation(self) -> str | None:
        """Compare the free space with the minimum."""
        free_mb, wanted_mb = free_disk_mb(self.watched.directory.path), self.watched.options.scratch_min_mb
        return f"{free_mb} MB are left on the node's disk, {wanted_mb} MB are needed" if free_mb < wanted_mb else None


class WorkDirectorySize(Check):
    """The job's own limit of disk space."""

    error = errors.WORK_DIRECTORY_TOO_LARGE
    sentence = "the job's directory is larger than its limit"

    def violation(self) -> str | None:
        """Compare the size of all files with maxDiskCount of the job."""
        limit_mb = self.watched.job.max_disk_mb
        if limit_mb and (usage := self.watched.usage.read(max_age_s=1.0)).size_bytes > limit_mb * MEGABYTE:
            return f"{usage.size_mb} MB in the job's directory, {limit_mb} MB are allowed (maxDiskCount)"
        return None


class Memory(Check):
    """More memory than asked for, with a grace factor; better the pilot than the kernel, which leaves no hints."""

    error = errors.MEMORY_EXCEEDED
    sentence = "the payload uses more than twice the memory its job asked for"
    period_s = 10.0

    def violation(self) -> str | None:
        """Measure the tree and compare its PSS with twice minRamCount."""
        used_mb = self.watched.meter.measure().pss_kb // 1024
        limit_mb = self.watched.job.min_ram_mb * MEMORY_GRACE
        if limit_mb and used_mb > limit_mb:
            return f"the payload uses {used_mb} MB, {limit_mb:.0f} MB are allowed ({MEMORY_GRACE:.0f} x minRamCount)"
        return None


class Looping(Check):
    """A payload that touches no file for long is stuck. Time in which the node was suspended does not count."""

    error = errors.LOOPING
    sentence = "the payload has touched no file for longer than its limit"

    def __init__(self, watched: Watched) -> None:
        super().__init__(watched)
        self._limit_s = watched.job.looping_limit_s or watched.options.looping_limit_s
        self._seen = Usage()
        self._last_change = time.monotonic()
        self.period_s = min(LONGEST_LOOPING_PERIOD_S, self._limit_s / 4)

    def violation(self) -> str | None:
        """Has anything changed since the last look, and when was that?"""
        now = self.watched.usage.read(self.period_s / 2)
        if now != self._seen:
            self._seen, self._last_change = now, time.monotonic()
        if self._limit_s and time.monotonic() - self._last_change > self._limit_s:
            return f"no file was touched for {self._limit_s:.0f} s"
        return None


CHECKS: tuple[type[Check], ...] = (
    OrderedToStop,
    WallTime,
    PilotLifetime,
    ServerSilence,
    LogSize,
    ScratchSpace,
    WorkDirectorySize,
    Memory,
    Looping,
)


class Watch:
    """Makes every check when its time has come."""

    def __init__(self, watched: Watched) -> None:
        longest_s = watched.options.check_period_s
        self._checks = [check(watched) for check in CHECKS]
        self._period_s = {check: min(check.period_s, longest_s) for check in self._checks}
        self._due = {check: time.monotonic() + period_s for check, period_s in self._period_s.items()}

    def enforce(self) -> float:
        """Make the checks that are due; the time until the next, in seconds. Raises JobFailure or JobAbandoned."""
        for check, due in self._due.items():
            if due <= time.monotonic():
                check.enforce()
                self._due[check] = time.monotonic() + self._period_s[check]
        timed = [due for check, due in self._due.items() if self._period_s[check] > 0]
        return max(0.0, min(timed) - time.monotonic())
