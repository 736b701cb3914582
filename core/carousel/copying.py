"""Copies a file from one directory of this machine to another, and believes only what it has checked. Knows no table.

Whoever is killed at any moment leaves a `.part` behind, which the next attempt overwrites, or the whole file.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

_CHUNK_BYTES = 1 << 20
_PART = ".part"
OWN_DIRECTORY = "staged."
"""How the names of directories begin that hold nothing but copies of ours."""


class CopyFailed(Exception):
    """The copy is not there; the message says why, in a clause."""


class _Sum(Protocol):
    def update(self, data: bytes, /) -> None: ...

    def hexdigest(self) -> str: ...


class _Adler32:
    def __init__(self) -> None:
        self._value = 1

    def update(self, data: bytes, /) -> None:
        self._value = zlib.adler32(data, self._value)

    def hexdigest(self) -> str:
        return f"{self._value:08x}"


def is_visible(directory: str) -> bool:
    """Whether this machine sees the directory of a storage."""
    return bool(directory) and Path(directory).is_dir()


def local_path(pfn: str) -> Path | None:
    """The path of a copy on this machine; None for an address."""
    return Path(pfn.removeprefix("file://")) if pfn.startswith(("/", "file:///")) else None


def lies_below(path: Path, directory: str) -> bool:
    """Whether a copy really is in the directory of its storage, wherever links on the way lead."""
    try:
        return path.resolve().is_relative_to(Path(directory).resolve())
    except (OSError, RuntimeError):  # a circle of links
        return False


def bring(source: Path, target: Path, size_bytes: int, checksum: str, *, may_replace: bool) -> bool:
    """Copy a file whose size and checksum (`ad:` or `md5:`) the catalogue knows; whether it was not there already.

    `may_replace`: whether another file in its place is an earlier copy of ours. Raises CopyFailed; nothing but a `.part`
    is there then that was not before.
    """
    if exists(target):
        if _is_it(target, size_bytes, checksum):
            return False
        if not may_replace:
            raise CopyFailed(f"another file is at {target}")
    part = target.with_name(target.name + _PART)
    try:
        if not source.is_file():
            raise CopyFailed(f"it is not at {source}")
        target.parent.mkdir(parents=True, exist_ok=True)
        found, read = _copy(source, part, checksum)
        if read != size_bytes:
            raise CopyFailed(f"it has {read} bytes instead of {size_bytes}")
        if found != checksum:
            raise CopyFailed(f"its checksum is {found} instead of {checksum}")
        part.replace(target)
        _sync(target.parent)
    except CopyFailed:
        part.unlink(missing_ok=True)
        raise
    except OSError as error:
        raise CopyFailed(f"{error.filename or source}: {error.strerror or error}") from error
    return True


def exists(path: Path) -> bool:
    """Whether something is there; what cannot be looked at is not."""
    try:
        return path.exists()
    except OSError:
        return False


def remove(path: Path) -> bool:
    """Delete a copy, and a directory that was made for such copies when it is empty; whether it is gone.

    Directories of others stay: somebody may be about to write there.
    """
    try:
        path.unlink(missing_ok=True)
        path.with_name(path.name + _PART).unlink(missing_ok=True)
    except OSError:
        return False
    for directory in (path.parent, path.parent.parent) if path.parent.name.startswith(OWN_DIRECTORY) else ():
        try:
            directory.rmdir()
        except OSError:
            break
    return True


def _copy(source: Path, part: Path, checksum: str) -> tuple[str, int]:
    kind, summed, read = checksum.partition(":")[0], _sum(checksum), 0
    with source.open("rb") as incoming, part.open("wb") as outgoing:
        for chunk in _chunks(incoming):
            summed.update(chunk)
            outgoing.write(chunk)
            read += len(chunk)
        outgoing.flush()
        os.fsync(outgoing.fileno())
    return f"{kind}:{summed.hexdigest()}", read


def _is_it(path: Path, size_bytes: int, checksum: str) -> bool:
    try:
        if path.stat().st_size != size_bytes:
            return False
        summed = _sum(checksum)
        with path.open("rb") as file:
            for chunk in _chunks(file):
                summed.update(chunk)
    except OSError as error:
        raise CopyFailed(f"{path}: {error.strerror or error}") from error
    return f"{checksum.partition(':')[0]}:{summed.hexdigest()}" == checksum


def _sum(checksum: str) -> _Sum:
    return hashlib.md5(usedforsecurity=False) if checksum.startswith("md5:") else _Adler32()


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK_BYTES):
        yield chunk


def _sync(directory: Path) -> None:
    """So that a machine that loses its power keeps what the database is told next."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
