"""Where tests keep databases and whole installations: in memory where there is room for them, else on the disk.

A fresh database is a copy of 650 files: that takes an eighth of the time in memory, and a busy disk holds up no test.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

_MEMORY = Path("/dev/shm")
_ROOM_BYTES = 3 * 1024**3
"""What the servers of two test processes and the installations beside them stay well below."""
_OWNER = ".owner"
"""A file that is locked as long as the test process lives that made the directory."""


@contextmanager
def scratch_directory(prefix: str) -> Iterator[Path]:
    """A new directory that a database's system user can reach (pytest's own is closed to others), removed afterwards."""
    path = Path(tempfile.mkdtemp(prefix=prefix, dir=_MEMORY if _memory_serves() else None))
    path.chmod(0o711)
    with (path / f"{_OWNER}.new").open("wb") as owner:
        fcntl.flock(owner, fcntl.LOCK_EX)
        (path / f"{_OWNER}.new").rename(path / _OWNER)  # whoever finds it finds it locked
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)


def remove_leftovers() -> None:
    """End what test processes that were killed left running, and remove their directories."""
    for parent in (_MEMORY, Path(tempfile.gettempdir())):
        for path in parent.glob(f"panda-*/{_OWNER}"):
            with suppress(OSError), path.open("rb") as owner:
                fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _end_processes(path.parent)
                shutil.rmtree(path.parent, ignore_errors=True)


def _end_processes(directory: Path) -> None:
    """End every process of an installation in a directory: what works there, or was told of it."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            known = [process.cwd(), process.environ().get("PANDA_DATA", ""), *process.cmdline()]
            if any(Path(word).is_relative_to(directory) for word in known):
                process.kill()


def _memory_serves() -> bool:
    """Whether there is a file system in memory with room, from which programs may be run (containers often forbid it)."""
    if not _MEMORY.is_dir() or not os.access(_MEMORY, os.W_OK):
        return False
    may_run = not os.statvfs(_MEMORY).f_flag & os.ST_NOEXEC
    return may_run and min(shutil.disk_usage(_MEMORY).free, psutil.virtual_memory().available) > _ROOM_BYTES
