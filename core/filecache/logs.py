"""Logs of tasks and checkpoints: written again and again by the machinery, read by whoever works on the task."""

from __future__ import annotations

import re
import zlib
from pathlib import Path
from typing import IO

from core.configuration import CacheLimits, Settings
from core.errors import InvalidInput
from core.filecache.disk import CacheDisk
from core.filecache.naming import check_cache_name, check_size

_MB = 2**20
_CHECKPOINT = re.compile(r"([0-9]{1,18})_([A-Za-z0-9.\-]{1,100})", re.ASCII)


class TaskLogs:
    """The logs of tasks on this machine's disk."""

    def __init__(self, directory: Path, limits: CacheLimits) -> None:
        self._disk = CacheDisk(directory)
        self._limit_bytes = int(limits.log_mb * _MB)

    @classmethod
    def of(cls, settings: Settings) -> TaskLogs:
        """The logs of an installation."""
        return cls(settings.cache_path, settings.cache)

    def replace(self, name: str, content: IO[bytes], size_bytes: int) -> None:
        """Keep a log, in place of the one of the same name. Raises InvalidInput for a bad name or size; NoRoom."""
        check_cache_name(name, "file")
        check_size(size_bytes, self._limit_bytes, "file")
        with self._disk.written(content) as written:
            self._disk.publish(written, self._disk.logs / name, replace=True)

    def append(self, name: str, packed: IO[bytes]) -> None:
        """Put zlib data at the end of a log, made when there is none; all of it or nothing.

        Raises InvalidInput for a bad name, for data that is damaged, and when the log would grow too large; NoRoom.
        """
        check_cache_name(name, "file")
        content = self._unpacked(packed.read())
        if not self._disk.append(self._disk.logs / name, content, self._limit_bytes):
            raise self._too_large()

    def read(self, name: str, offset: int) -> str:
        """The text of a log from a byte on; empty when there is no such log or nothing behind `offset`."""
        path = self.path_of(name)
        if path is None:
            return ""
        with path.open("rb") as file:
            file.seek(max(0, offset))
            return file.read(self._limit_bytes).decode("utf-8", "replace")

    def path_of(self, name: str) -> Path | None:
        """Where a log lies; None when it is not here, whatever the name."""
        try:
            check_cache_name(name, "log_name")
        except InvalidInput:
            return None
        path = self._disk.logs / name
        return path if path.is_file() else None

    def _unpacked(self, packed: bytes) -> bytes:
        unpacker = zlib.decompressobj()
        try:
            content = unpacker.decompress(packed, self._limit_bytes + 1)
        except zlib.error as error:
            raise _damaged(str(error)) from error
        if len(content) > self._limit_bytes:
            raise self._too_large()
        if not unpacker.eof:
            raise _damaged("it ends too early")
        return content

    def _too_large(self) -> InvalidInput:
        detail = f"upload failure. Exceeded size limit {self._limit_bytes}."
        return InvalidInput(detail, field="file", remedy="begin a new log")


class Checkpoints:
    """Checkpoints of hyperparameter optimisations, one per task and sub-task."""

    def __init__(self, directory: Path, limits: CacheLimits) -> None:
        self._disk = CacheDisk(directory)
        self._limit_bytes = int(limits.checkpoint_mb * _MB)

    @classmethod
    def of(cls, settings: Settings) -> Checkpoints:
        """The checkpoints of an installation."""
        return cls(settings.cache_path, settings.cache)

    def replace(self, task_id: int, sub_id: str, content: IO[bytes], size_bytes: int) -> Path:
        """Keep a checkpoint in place of the one before; where it lies. Raises InvalidInput, NoRoom."""
        target = self._path_of(task_id, sub_id)
        check_size(size_bytes, self._limit_bytes, "file")
        with self._disk.written(content) as written:
            self._disk.publish(written, target, replace=True)
        return target

    def delete(self, task_id: int, sub_id: str) -> bool:
        """Delete a checkpoint; whether there was one."""
        try:
            self._path_of(task_id, sub_id).unlink()
        except FileNotFoundError:
            return False
        return True

    def _path_of(self, task_id: int, sub_id: str) -> Path:
        parse_checkpoint(f"{task_id}_{sub_id}", "sub_id")
        return self._disk.checkpoints / f"hpo_cp_{task_id}_{sub_id}"


def parse_checkpoint(name: str, field: str) -> tuple[int, str]:
    """Task and sub-task of a checkpoint called `<task>_<sub>`. Raises InvalidInput naming `field`."""
    match = _CHECKPOINT.fullmatch(name)
    if match is None:
        raise InvalidInput(
            "Failed to extract task and sub IDs", field=field, remedy="name it <task id>_<sub id>, as in 10000001_7"
        )
    return int(match[1]), match[2]


def _damaged(reason: str) -> InvalidInput:
    return InvalidInput(f"the data is damaged: {reason}", field="file", remedy="pack it with zlib and send it again")
