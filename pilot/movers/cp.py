"""Copies files within the node's file systems: a local disk, NFS, anything that is mounted."""

from __future__ import annotations

import os
import shutil
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pilot.movers.base import (
    CHUNK_BYTES,
    NO_SPACE,
    FileMissing,
    Mover,
    NoSpace,
    Transfer,
    TransferError,
    adler32_of,
)


class CopyMover(Mover):
    """Reads and writes, piece by piece, under a temporary name until the file is complete."""

    name = "cp"

    def get(self, replica: str, destination: Path, transfer: Transfer) -> None:
        """Copy a replica with its permissions and times. Not synced: after a power cut nobody wants it."""
        with failures_in_words(replica):
            copy(regular_file(replica), destination, transfer, lasting=False)

    def put(self, source: Path, pfn: str, transfer: Transfer) -> None:
        """Copy a file to the endpoint, replacing what an earlier attempt may have left there."""
        with failures_in_words(pfn):
            destination = Path(pfn)
            if destination.exists() and not destination.is_file():
                raise TransferError(f"{pfn} exists and is not a file")
            destination.parent.mkdir(parents=True, exist_ok=True)
            copy(source, destination, transfer, lasting=True)

    def adler32(self, pfn: str, transfer: Transfer) -> str:
        """Read the stored file back."""
        with failures_in_words(pfn):
            return adler32_of(Path(pfn), transfer)


def regular_file(replica: str) -> Path:
    """The path of a replica. Raises FileMissing, and TransferError for what is no file (reading a pipe never ends)."""
    path = Path(replica)
    if not stat.S_ISREG(path.stat().st_mode):
        raise TransferError(f"{replica} is not a file")
    return path


def copy(source: Path, destination: Path, transfer: Transfer, lasting: bool) -> None:
    """Copy under a temporary name beside `destination`, then rename. `lasting`: sync file and directory to disk."""
    partial = destination.with_name(f".panda-{uuid.uuid4().hex}.part")
    try:
        with source.open("rb") as reader, partial.open("xb") as writer:
            while chunk := reader.read(CHUNK_BYTES):
                transfer.check()
                writer.write(chunk)
            if lasting:
                writer.flush()
                os.fsync(writer.fileno())
        shutil.copystat(source, partial)
        partial.replace(destination)
    except BaseException:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise
    if lasting:
        _sync_directory(destination.parent)


@contextmanager
def failures_in_words(name: str) -> Iterator[None]:
    """Turn what the operating system says about a file into a TransferError."""
    try:
        yield
    except FileNotFoundError as error:
        raise FileMissing(f"{error.filename or name} does not exist") from error
    except OSError as error:
        kind = NoSpace if error.errno in NO_SPACE else TransferError
        raise kind(f"{error.filename or name}: {error.strerror or error}") from error


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
