"""What users do with the cache: upload, find again, touch, delete, fetch. Knows the rules; does not know HTTP."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from core.configuration import CacheLimits, Settings
from core.database import Database
from core.errors import InvalidInput, UnknownObject
from core.filecache import register
from core.filecache.content import gzip_checksum
from core.filecache.disk import CacheDisk
from core.filecache.naming import OVERWRITABLE, check_cache_name, check_size, size_limit_bytes


@dataclass(frozen=True)
class Found:
    """A file with the wanted content; `host` is empty when it is on this machine."""

    file_name: str
    host: str


class FileCache:
    """The uploaded files of one installation, as seen from one machine."""

    def __init__(self, database: Database, directory: Path, limits: CacheLimits) -> None:
        self._database = database
        self._disk = CacheDisk(directory)
        self._limits = limits
        self._host = socket.gethostname()

    @classmethod
    def of(cls, database: Database, settings: Settings) -> FileCache:
        """The cache that the settings describe."""
        return cls(database, settings.cache_path, settings.cache)

    def upload(self, user_name: str, name: str, content: IO[bytes], size_bytes: int) -> None:
        """Keep a file under the name its user gave it.

        Raises InvalidInput for a bad name, a file larger than one of its name may be, and a damaged archive; Conflict
        when there is one of this name, unless it ends with `.__ow__` and is the user's own; NoRoom.
        """
        check_cache_name(name, "file")
        check_size(size_bytes, size_limit_bytes(name, self._limits), "file")
        entry = register.Entry(name, user_name, size_bytes, gzip_checksum(content, "file"), self._host)
        may_replace = name.endswith(OVERWRITABLE)
        with self._disk.written(content) as written:
            self._keep(entry, written, may_replace)

    def _keep(self, entry: register.Entry, written: Path, may_replace: bool) -> None:
        """The file gets its name inside the transaction that lists it, and loses it when that fails."""
        target = self._disk.files / entry.file_name
        is_new = False
        try:
            with self._database.transaction() as transaction:
                register.list_file(transaction, entry, replace=may_replace)
                self._disk.publish(written, target, replace=may_replace)
                is_new = not may_replace
        except BaseException:
            if is_new:
                target.unlink(missing_ok=True)
            raise

    def announce(self, user_name: str, name: str, size_bytes: int, checksum: str) -> None:
        """Enter a file that came into the cache directory of this machine by another way.

        Its size and checksum are measured, not believed: InvalidInput names the one that differs. UnknownObject when
        there is no such file here.
        """
        check_cache_name(name, "file_name")
        path = self._disk.files / name
        if not path.is_file():
            raise UnknownObject(
                f"there is no file {name!r} in the cache of {self._host}",
                field="file_name",
                remedy="send it with file_server/upload_cache_file",
            )
        actual = path.stat().st_size
        if actual != size_bytes:
            raise InvalidInput(f"{name!r} has {actual} bytes", field="file_size", remedy="announce the file as it is")
        with path.open("rb") as content:
            measured = gzip_checksum(content, "file_name")
        if measured and measured != checksum:
            raise InvalidInput(f"that of {name!r} is {measured}", field="checksum", remedy="announce the file as it is")
        with self._database.transaction() as transaction:
            entry = register.Entry(name, user_name, size_bytes, measured, self._host)
            register.list_file(transaction, entry, replace=True)

    def find(self, user_name: str, size_bytes: int, checksum: str) -> Found | None:
        """A file of the user with this size and checksum that was uploaded lately, touched on the way."""
        if not 0 <= size_bytes < 2**63:
            return None
        for row in register.same_content(self._database, user_name, size_bytes, checksum, self._limits.reuse_s):
            is_here = self._is_kept(row["file_name"], size_bytes)
            is_elsewhere = not is_here and row["host"] != self._host
            if (is_here or is_elsewhere) and register.touch(self._database, row["file_name"]):
                return Found(row["file_name"], "" if is_here else row["host"])
        return None

    def _is_kept(self, name: str, size_bytes: int) -> bool:
        try:
            return (self._disk.files / name).stat().st_size == size_bytes
        except OSError:
            return False

    def touch(self, name: str) -> None:
        """Start the life of a file anew. Raises UnknownObject when there is none."""
        check_cache_name(name, "file_name")
        if not register.touch(self._database, name):
            raise UnknownObject(
                f"there is no file {name!r} in the cache",
                field="file_name",
                remedy="send it with file_server/upload_cache_file",
            )

    def delete(self, user_name: str, name: str) -> bool:
        """Delete a file of the user that no task needs any more; whether there was one."""
        check_cache_name(name, "file_name")
        if register.owner_of(self._database, name) != user_name or register.in_use(self._database, [name]):
            return False
        register.unlist(self._database, [name])
        (self._disk.files / name).unlink(missing_ok=True)
        return True

    def path_of(self, name: str) -> Path | None:
        """Where a file (or a checkpoint) lies on this machine; None when it is not here, whatever the name."""
        try:
            check_cache_name(name, "file_name")
        except InvalidInput:
            return None
        places = (self._disk.files / name, self._disk.checkpoints / name)
        return next((path for path in places if path.is_file()), None)
