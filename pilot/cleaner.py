"""Removes the directories of jobs whose pilot is dead. A living pilot holds a lock in the directory of its job.

Directories with something worth keeping (a report the server never got, outputs that could not be stored) stay for
a week, others for half a day, so that a person may look (domain.md 7.6).
"""

from __future__ import annotations

import fcntl
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pilot.directory import PREFIX, JobDirectory

log = logging.getLogger("pilot.cleaner")

KEPT = "kept"
ABANDONED_S = 12 * 3600.0
KEPT_S = 7 * 24 * 3600.0
MAX_PER_RUN = 30


@contextmanager
def held(directory: JobDirectory) -> Iterator[None]:
    """Hold the directory while the block runs; the kernel lets go of it when this process dies."""
    with directory.lock.open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def keep(directory: JobDirectory, reason: str) -> None:
    """Mark a directory as worth keeping, if the disk takes the mark."""
    log.warning("keeping %s: %s", directory.path, reason)
    try:
        (directory.path / KEPT).write_text(reason + "\n", encoding="utf-8")
    except OSError as error:
        log.warning("%s could not be marked: %s", directory.path, error)


def clean(work_directory: Path) -> int:
    """Remove old directories that nobody holds; how many."""
    removed = 0
    for path in sorted(work_directory.glob(f"{PREFIX}*")):
        if removed < MAX_PER_RUN and _is_old(path) and _is_free(path):
            log.info("removing %s: its pilot is dead", path)
            JobDirectory(path).remove()
            removed += 1
    return removed


def _is_old(path: Path) -> bool:
    try:
        limit_s = KEPT_S if (path / KEPT).exists() else ABANDONED_S
        return time.time() - max(path.stat().st_mtime, JobDirectory(path).lock.stat().st_mtime) > limit_s
    except OSError:
        return False


def _is_free(path: Path) -> bool:
    try:
        with JobDirectory(path).lock.open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
