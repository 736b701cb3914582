"""Where the processes of one component spool: a directory each, one limit for all, and the dead leave theirs to the living."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from .delivery import Line, say_once
from .spool import OPEN, Appended, Room, Spool, Stretch, size_of

MOST_ADOPTED = 50
"""Directories of the dead that one process holds open at a time."""

_LOOK_EVERY_S = 60.0
_BROKEN_FOR_S = 60.0


class Spools:
    """The spool of this process, made when it is needed first, and those of the dead that it took over."""

    def __init__(self, directory: str, component: str, limit_bytes: int, boot: str) -> None:
        """`limit_bytes`: for all processes of the component. `boot`: 16 hex digits, this life of the process."""
        self.own: Spool | None = None
        self._directory = Path(directory).expanduser().absolute()  # the program may change its directory
        self._prefix = (re.sub(r"[^A-Za-z0-9_.-]", "_", component).lstrip(".")[:80] or "program") + "-"
        self._boot = boot
        self._room = Room(limit_bytes, lambda: sum(size_of(path) for path in self._paths()))
        self._dead: list[Spool] = []
        self._broken_until = 0.0
        self._next_look = 0.0
        self._noted = 0

    @property
    def count(self) -> int:
        """Records on disk that are not delivered."""
        return sum(spool.count for spool in ([self.own] if self.own else []) + self._dead)

    @property
    def has_own_lines(self) -> bool:
        """Whether records of this process are on disk: then later ones have to go behind them."""
        return self.own is not None and self.own.has_lines

    @property
    def has_lines(self) -> bool:
        """Whether there is anything to deliver."""
        return self.has_own_lines or bool(self._dead)

    def has_leftovers(self) -> bool:
        """Whether there are directories of other processes of the component, living or dead."""
        return next(self._paths(), None) is not None

    def oldest_of_the_dead(self) -> Spool | None:
        """Whose records are to be sent when there are none of our own."""
        return self._dead[0] if self._dead else None

    def look_for_the_dead(self, now: float) -> int:
        """Once a minute, take over what processes left that live no more. Returns the losses they told nobody of."""
        if now < self._next_look:
            return 0
        self._next_look = now + _LOOK_EVERY_S
        losses = 0
        for _, path in sorted((_age(path), path) for path in self._paths()):
            if len(self._dead) >= MOST_ADOPTED:
                break
            lock = _lock_of_the_dead(path)
            if lock is None:
                continue
            spool = Spool(path, path.name.removeprefix(self._prefix), lock, self._room)
            losses += spool.losses
            if spool.has_lines:
                spool.note(0)
                self._dead.append(spool)
            else:
                spool.losses = 0
                spool.close()
        return losses

    def is_usable(self, now: float) -> bool:
        """Whether to try the disk: for a minute after it refused, memory has to do. `now`: monotonic seconds."""
        return now >= self._broken_until

    def append(self, lines: Sequence[Line], now: float) -> Appended:
        """Write records behind the others of this process; what the disk does not take stays with the caller."""
        vanished = 0
        if self.own is not None and self.own.is_gone:
            vanished = self.own.count
            self.own.leave()
            self.own = None
        try:
            self.own = self.own or self._create()
            done = self.own.append(lines, now)
        except OSError as error:
            done = Appended(0, 0, error)
        if done.error is not None:
            self._broken_until = now + _BROKEN_FOR_S
            say_once(f"spool {self._directory}: {done.error.strerror}; records wait in memory", key="spool")
        return Appended(done.taken, done.dropped, done.error, vanished)

    def note(self, losses: int) -> None:
        """Write down how many records were lost without the server being told, for whoever comes after us."""
        if self.own is not None and losses != self._noted:
            self._noted = losses
            self.own.note(losses)

    def settle(self, spool: Spool, stretch: Stretch, losses: int) -> None:
        """The lines that were read from this spool last are dealt with."""
        if spool is self.own:
            spool.losses = self._noted = losses
        spool.delivered(stretch)
        if spool in self._dead and not spool.has_lines:
            self._dead.remove(spool)
            spool.close()

    def close(self, losses: int) -> None:
        """Let go of everything. What is not delivered waits for the next process of the component."""
        if self.own is not None:
            self.own.note(losses)
        for spool in ([self.own] if self.own else []) + self._dead:
            spool.close()
        self.own, self._dead = None, []

    def _create(self) -> Spool:
        """Our directory, locked before anybody else can see it by its name. Raises OSError."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft, final = (self._directory / f"{start}{self._prefix}{self._boot}" for start in (".new-", ""))
        draft.mkdir(mode=0o700)
        try:
            lock = os.open(draft / "LOCK", os.O_RDWR | os.O_CREAT | os.O_EXCL | OPEN, 0o600)
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            draft.rename(final)
        except OSError:
            with contextlib.suppress(OSError):
                (draft / "LOCK").unlink(missing_ok=True)
                draft.rmdir()
            raise
        return Spool(final, self._boot, lock, self._room)

    def _paths(self) -> Iterator[Path]:
        """The component's directories: real ones, with a name that only we give."""
        try:
            with os.scandir(self._directory) as entries:
                for entry in entries:
                    is_ours = re.fullmatch(re.escape(self._prefix) + "[0-9a-f]{16}", entry.name)
                    if is_ours and entry.is_dir(follow_symlinks=False):
                        yield self._directory / entry.name
        except OSError:
            return


def _age(path: Path) -> float:
    try:
        return (path / "LOCK").lstat().st_mtime
    except OSError:
        return 0.0


def _lock_of_the_dead(path: Path) -> int | None:
    """The descriptor of its LOCK, now ours; None when its process lives, or it is not ours to take."""
    try:
        if path.lstat().st_uid != os.geteuid():
            return None
        lock = os.open(path / "LOCK", os.O_RDWR | OPEN)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(lock).st_ino == (path / "LOCK").lstat().st_ino:  # else somebody removed it between the two lines
            return lock
    except OSError:
        pass
    os.close(lock)
    return None
