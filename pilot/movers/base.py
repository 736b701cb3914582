"""The contract every mover keeps: what it is given, what it promises, how it says that it failed.

A mover moves one file once. Retries, checksums and PanDA's error codes are the business of pilot/staging.py.
"""

from __future__ import annotations

import errno
import time
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

CHUNK_BYTES = 4 * 1024 * 1024
LONGEST_TRANSFER_S = 3 * 3600.0
MEGABYTE = 1_000_000
NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class TransferError(Exception):
    """A file could not be moved; another attempt may help."""

    worth_retrying = True


class FileMissing(TransferError):
    """There is no such file; it will not appear by trying again."""

    worth_retrying = False


class NoSpace(TransferError):
    """The place written to is full, or a quota is used up."""


class TransferTimeout(TransferError):
    """The transfer took longer than its size allows."""


def time_limit_s(size_bytes: int) -> float:
    """The longest time a file of this size may take: min(3 h, 400 s + size at 1 MB/s) (domain.md 7.3)."""
    return min(LONGEST_TRANSFER_S, 400.0 + size_bytes / MEGABYTE)


@dataclass(frozen=True)
class Transfer:
    """How long one attempt may go on. `interrupt` raises when the job must end; it is called between pieces."""

    interrupt: Callable[[], None]
    limit_s: float
    started: float

    @classmethod
    def begin(cls, interrupt: Callable[[], None], size_bytes: int, limit_s: float | None = None) -> Transfer:
        """An attempt that starts now, for a file of about this size."""
        limits = [time_limit_s(size_bytes), *([] if limit_s is None else [limit_s])]
        return cls(interrupt, min(limits), time.monotonic())

    def check(self) -> None:
        """Raise what ends the transfer: TransferTimeout, or whatever `interrupt` raises."""
        self.interrupt()
        if time.monotonic() - self.started > self.limit_s:
            raise TransferTimeout(f"not done after {self.limit_s:.0f} s")


class Mover(ABC):
    """Moves single files between the job's directory and a storage endpoint.

    Both methods leave either the complete file or nothing under the final name, call `transfer.check()` every few
    megabytes, and raise TransferError when they fail.
    """

    name: ClassVar[str]

    @abstractmethod
    def get(self, replica: str, destination: Path, transfer: Transfer) -> None:
        """Bring a replica to `destination`, whose directory exists."""

    @abstractmethod
    def put(self, source: Path, pfn: str, transfer: Transfer) -> None:
        """Store a file as `pfn`, making the directories above it, and make it last (synced to disk)."""

    @abstractmethod
    def adler32(self, pfn: str, transfer: Transfer) -> str:
        """The adler32 of a file at the endpoint, as eight hexadecimal digits."""


def adler32_of(path: Path, transfer: Transfer) -> str:
    """The adler32 of a local file, as eight hexadecimal digits. Raises OSError."""
    value = 1
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            transfer.check()
            value = zlib.adler32(chunk, value)
    return f"{value:08x}"
