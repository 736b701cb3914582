"""Empties the cache of what has expired, and repairs what a kill or a lost disk left behind. Knows one machine's disk."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from core.configuration import CacheLimits
from core.database import Database
from core.filecache import register
from core.filecache.disk import CacheDisk

GRACE_S = 3600.0
"""What is younger may be an upload that is under way: its file and its entry come one after the other."""


class Cleaning:
    """The rounds of one machine over its own cache directory."""

    def __init__(self, database: Database, directory: Path, limits: CacheLimits) -> None:
        self._database = database
        self._disk = CacheDisk(directory)
        self._limits = limits
        self._host = socket.gethostname()

    def expire(self) -> int:
        """Delete some of the files nobody touched for their lifetime; those an active task names live on.

        Returns how many expired files were dealt with: 0 means that there are no more.
        """
        candidates = register.expired(self._database, self._limits.lifetime_s)
        if not candidates:
            return 0
        for name in register.in_use(self._database, candidates):
            register.touch(self._database, name)
        for name in register.unlist_expired(self._database, candidates, self._limits.lifetime_s):
            (self._disk.files / name).unlink(missing_ok=True)
        return len(candidates)

    def repair(self) -> int:
        """Delete files without an entry, entries without a file, leftovers of uploads, old logs; returns how many."""
        return (
            self._remove_orphans()
            + self._strike_lost()
            + _remove_old(self._disk.incoming, GRACE_S)
            + _remove_old(self._disk.logs, self._limits.log_lifetime_s)
            + _remove_old(self._disk.checkpoints, self._limits.log_lifetime_s)
        )

    def _remove_orphans(self) -> int:
        removed = 0
        found = _older_than(self._disk.files, GRACE_S)
        while names := list(islice(found, 1000)):
            for name in set(names) - register.listed(self._database, names):
                (self._disk.files / name).unlink(missing_ok=True)
                removed += 1
        return removed

    def _strike_lost(self) -> int:
        """An empty directory is no proof: it may be a disk that is not mounted."""
        if not any(_entries(self._disk.files)):
            return 0
        struck, after = 0, ""
        while names := register.of_host(self._database, self._host, after, GRACE_S):
            lost = [name for name in names if not (self._disk.files / name).exists()]
            register.unlist(self._database, lost)
            struck, after = struck + len(lost), names[-1]
        return struck


def _entries(directory: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            yield from entries
    except FileNotFoundError:
        return


def _older_than(directory: Path, age_s: float) -> Iterator[str]:
    oldest = time.time() - age_s
    for entry in _entries(directory):
        try:
            if entry.stat(follow_symlinks=False).st_mtime < oldest:
                yield entry.name
        except FileNotFoundError:
            continue


def _remove_old(directory: Path, age_s: float) -> int:
    names = list(_older_than(directory, age_s))
    for name in names:
        (directory / name).unlink(missing_ok=True)
    return len(names)
