"""Reads the ends of the payload's logs out of a stored log archive. Knows tar files; knows no job and no database.

Our own pilot sends the ends of its logs with the verdict; the production pilot of PanDA sends none, but stores the archive
(pilot-wire.md 6). Where the archive can be read from here, its failing line is as near as that of our own.
"""

from __future__ import annotations

import io
import lzma
import math
import stat
import tarfile
import time
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Self

TAIL_BYTES = 262_144
"""More than the 64 kB of characters that are kept, whatever the encoding."""
_MOST_ARCHIVE_BYTES = 200 * 2**20
_MOST_UNPACKED_BYTES = 1024 * 2**20
_MOST_HEADER_BYTES = 2**20
_MOST_ENTRIES = 100_000
_CHUNK_BYTES = 2**20

LOG_NAMES = {
    "payload.stderr": "payload.stderr",
    "payload.stdout": "payload.stdout",
    "pilotlog.txt": "pilot.log",
    "pilot.log": "pilot.log",
}
"""Names in the archive, of either pilot, and what the log is called here."""


def read_log_tails(pfn: str, *, until: float = math.inf) -> dict[str, str]:
    """The ends of the logs in the archive at `pfn`, by our names; empty when it cannot be read from this host.

    What is broken, too large, no archive or not read `until` then (time.monotonic()) gives what could be read before;
    nothing raises: a log is a help, not a duty.
    """
    found: dict[str, str] = {}
    try:
        for name, text in _tails(Path(pfn), until):
            found[name] = text
    except (OSError, EOFError, ValueError, tarfile.TarError, zlib.error, lzma.LZMAError):
        return found
    return found


class _Hurried(io.FileIO):
    """A file that can be read until a moment; then it raises TimeoutError, which is an OSError."""

    def __init__(self, path: Path, until: float) -> None:
        super().__init__(path)
        self._until = until

    def read(self, size: int | None = -1, /) -> bytes:
        """As any file, while there is time."""
        if time.monotonic() > self._until:
            raise TimeoutError
        return super().read(size)


class _Member(tarfile.TarInfo):
    """An entry of an archive nobody vouches for: what tarfile reads into memory by itself, whatever its size, is refused."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """Raises TarError for long names and attributes of more than a megabyte, and for sparse files."""
        entry = super().frombuf(buf, encoding, errors)
        is_header = not entry.isreg() and not entry.isdir()
        if entry.type == tarfile.GNUTYPE_SPARSE or (is_header and entry.size > _MOST_HEADER_BYTES):
            raise tarfile.ReadError(f"a header of {entry.size} bytes")
        return entry


def _tails(path: Path, until: float) -> Iterator[tuple[str, str]]:
    about = path.stat()
    if not path.is_absolute() or not stat.S_ISREG(about.st_mode) or about.st_size > _MOST_ARCHIVE_BYTES:
        return
    wanted, unpacked = set(LOG_NAMES.values()), 0
    # not as a stream: tarfile copies what it has unpacked over and over there, 5 s for 100 MB of zeros
    with _Hurried(path, until) as file, tarfile.open(fileobj=file, mode="r:*", tarinfo=_Member) as archive:
        for count, member in enumerate(archive):
            unpacked += member.size
            if unpacked > _MOST_UNPACKED_BYTES or count > _MOST_ENTRIES or not wanted:
                return
            name = LOG_NAMES.get(PurePosixPath(member.name).name, "")
            content = archive.extractfile(member) if member.isreg() and name in wanted else None
            if content is not None:
                wanted.discard(name)
                yield name, _end_of(content).decode("utf-8", "replace")


def _end_of(content: IO[bytes]) -> bytes:
    end = b""
    while chunk := content.read(_CHUNK_BYTES):
        end = (end + chunk)[-TAIL_BYTES:]
    return end
