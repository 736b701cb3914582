"""The cache directory: files appear in it whole or not at all, under names checked before. Knows no table and no rule.

A file is written below `incoming` and then linked or renamed to its name, so that no reader ever sees half of it, and a
process killed meanwhile leaves nothing but a temporary file for the cleaner.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from core.errors import Conflict, Unavailable

_CHUNK_BYTES = 2**20


class NoRoom(Unavailable):
    """The disk of the cache is full, or cannot be written."""


class CacheDisk:
    """The directories of a cache, made when first written to."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.files = directory / "files"
        """What clients upload."""
        self.logs = directory / "jedilog"
        """Logs of tasks."""
        self.checkpoints = directory / "checkpoints"
        self.incoming = directory / "incoming"
        """What is being written."""

    @contextmanager
    def written(self, content: IO[bytes]) -> Iterator[Path]:
        """A temporary copy of `content` from its beginning; removed at the end unless it was moved away.

        Raises NoRoom when it could not be written; nothing of it is left then.
        """
        path = self.incoming / uuid.uuid4().hex
        try:
            with _room_needed(self.directory):
                self.incoming.mkdir(parents=True, exist_ok=True)
                with path.open("xb") as copy:
                    content.seek(0)
                    shutil.copyfileobj(content, copy, _CHUNK_BYTES)
                    copy.flush()
                    os.fsync(copy.fileno())
            yield path
        finally:
            with suppress(OSError):  # it was moved, or there never was a place for it
                path.unlink()

    def publish(self, written: Path, target: Path, *, replace: bool) -> None:
        """Give a temporary file its name. Raises Conflict when there is a file of this name that may not be replaced."""
        with _room_needed(self.directory):
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                if replace:
                    written.replace(target)
                else:
                    os.link(written, target)
            except FileExistsError as error:
                raise Conflict("cannot overwrite file", field="file", remedy="choose another name") from error

    def append(self, target: Path, content: bytes, limit_bytes: int) -> bool:
        """Put `content` at the end of a file, made when there is none; whole or not at all.

        Returns False, without a change, when the file would grow beyond the limit. Raises NoRoom.
        """
        with _room_needed(self.directory):
            target.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(target, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)  # one at a time, so that what is taken back is ours
                size = os.fstat(descriptor).st_size
                if size + len(content) > limit_bytes:
                    return False
                try:
                    _write_all(descriptor, content)
                except OSError:
                    os.ftruncate(descriptor, size)
                    raise
            finally:
                os.close(descriptor)
        return True


def _write_all(descriptor: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


@contextmanager
def _room_needed(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise NoRoom(
            f"cannot write file: {error.strerror}",
            field="file",
            remedy=f"make room in {directory} on the server, or make it writable; then send it again",
        ) from error
