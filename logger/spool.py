"""Records on disk while nobody takes them: segments in order, bounded, outliving their process. Knows lines of bytes only.

<spool>/<component>-<boot>/   boot: 16 hex digits of one life of a process
    LOCK                      flock held while that process lives; whoever finds it free may take the directory over
    00000001.ndjson           one record a line, as it goes over the wire; a new segment after 1 MB
    SENT                      "00000001 40960 1234 0": segment, byte offset, last sequence number delivered, losses not told yet
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .delivery import Line

SEGMENT_BYTES = 1_000_000
_READ_BYTES = 2 * SEGMENT_BYTES
_WRITE_BYTES = 256_000
_MEASURED_FOR_S = 5.0
_SEGMENT = re.compile(r"(\d{8})\.ndjson")
OPEN = os.O_NOFOLLOW | os.O_CLOEXEC
"""How every file here is opened: no link is followed, no started program gets it."""

_open_spools: weakref.WeakSet[Spool] = weakref.WeakSet()


@dataclass(frozen=True)
class Appended:
    """Of the lines given, in order, `taken` + `dropped` are dealt with; `error` is why the others are not."""

    taken: int
    dropped: int
    error: OSError | None = None
    vanished: int = 0
    """Older records that somebody removed from below us."""


@dataclass(frozen=True)
class Stretch:
    """The oldest lines not delivered yet, and where they end. `broken`: lines beyond reading that lie among them."""

    lines: Sequence[bytes]
    end: int = 0
    broken: int = 0


class Room:
    """What may still be written by all processes of a component together; half of it is kept for what is important."""

    def __init__(self, limit_bytes: int, measure: Callable[[], int]) -> None:
        """`measure`: bytes that they have on disk; asked every 5 s, as others write and remove, too."""
        self.reserve = limit_bytes // 2
        self._limit_bytes = limit_bytes
        self._measure = measure
        self._measured = -_MEASURED_FOR_S
        self._used = 0

    def left(self, now: float) -> int:
        """Bytes; `now` is a monotonic time in seconds."""
        if now - self._measured >= _MEASURED_FOR_S:
            self._measured = now
            self._used = self._measure()
        return self._limit_bytes - self._used

    def use(self, size_bytes: int) -> None:
        """Note what was written or, negative, removed."""
        self._used += size_bytes


class Spool:
    """One directory of segments: of this process, which writes it, or of a dead one, whose lines are only read."""

    def __init__(self, path: Path, boot: str, lock: int, room: Room) -> None:
        """`lock`: descriptor of the LOCK file, held. What the directory holds already is counted."""
        self.boot = boot
        self.count = 0
        """Records here that are not delivered."""
        self.losses = 0
        """Records of that process that were lost and that nobody was told of."""
        self._room = room
        self._path = path
        self._lock = lock
        self._locked = _identity(lock)
        self._segments: list[int] = []
        self._next_segment = 1
        self._offset = 0
        self._last_sequence = 0
        self._is_torn = False
        _open_spools.add(self)
        self._look()

    @property
    def has_lines(self) -> bool:
        """Whether there is anything to read."""
        return bool(self._segments)

    def append(self, lines: Sequence[Line], now: float) -> Appended:
        """Write lines behind the others, as far as there is room; `now` is a monotonic time in seconds."""
        taken = dropped = 0
        for chunk in _chunks(lines):
            room = self._room.left(now)
            kept: list[bytes] = []
            for line in chunk:
                left = room - len(line.data) - 1
                if left >= (0 if line.is_important else self._room.reserve):
                    kept.append(line.data)
                    room = left
            if kept and (error := self._write(b"\n".join(kept) + b"\n")):
                return Appended(taken, dropped, error)
            self.count += len(kept)
            taken += len(kept)
            dropped += len(chunk) - len(kept)
        return Appended(taken, dropped)

    def read(self, most_records: int, most_bytes: int) -> Stretch:
        """The oldest lines; they stay until `delivered`. An empty stretch means that there are none (any more)."""
        while self._segments:
            stretch = self._stretch(self._segments[0], most_records, most_bytes)
            if stretch is not None and (stretch.lines or stretch.broken):
                return stretch
            self._remove_segment()
        return Stretch((), broken=self._forget_the_missing())

    def delivered(self, stretch: Stretch) -> None:
        """The server has these lines, or refused them for good: they are not sent again, by nobody."""
        self.count = max(0, self.count - len(stretch.lines) - stretch.broken)
        self._offset = stretch.end
        if stretch.lines:
            self._last_sequence = _sequence(stretch.lines[-1]) or self._last_sequence
        self.note(self.losses)
        if self._segments and self._offset >= self._segment_size(self._segments[0]):
            self._remove_segment()

    def note(self, losses: int) -> None:
        """Write down how far the lines are delivered and how many records were lost without anybody being told."""
        self.losses = losses
        segment = self._segments[0] if self._segments else self._next_segment
        text = f"{segment:08d} {self._offset} {self._last_sequence} {losses}\n"
        with contextlib.suppress(OSError):  # then some lines are sent twice, and the server knows their numbers
            descriptor = os.open(self._path / "SENT.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | OPEN, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(text)
            (self._path / "SENT.new").replace(self._path / "SENT")

    @property
    def is_gone(self) -> bool:
        """Whether somebody removed the directory below us."""
        return not (self._path / "LOCK").exists()

    def close(self) -> None:
        """Let go of the directory: an empty one is removed, another one waits for the next process."""
        with contextlib.suppress(OSError):
            if not self._segments and not self.losses:
                for name in ("SENT", "SENT.new", "LOCK"):  # LOCK last: until then nobody else takes it
                    (self._path / name).unlink(missing_ok=True)
                self._path.rmdir()
        self.leave()

    def leave(self) -> None:
        """Close our descriptor and touch nothing: a forked child does so with its parent's."""
        lock, self._lock = self._lock, -1
        # a program that becomes a daemon closes all descriptors: the number may be another file's by now
        if lock >= 0 and _identity(lock) == self._locked:
            os.close(lock)

    def _look(self) -> None:
        segment, offset, self._last_sequence, self.losses = self._read_sent()
        numbers = sorted(int(found[1]) for name in _names(self._path) if (found := _SEGMENT.fullmatch(name)))
        for number in numbers:
            if number < segment:
                self._unlink(number)
        self._segments = [number for number in numbers if number >= segment]
        self._offset = offset if self._segments and self._segments[0] == segment else 0
        self._next_segment = max([segment - 1, *numbers]) + 1
        self.count = sum(self._newlines(number) for number in self._segments)

    def _read_sent(self) -> tuple[int, int, int, int]:
        try:
            with os.fdopen(os.open(self._path / "SENT", os.O_RDONLY | OPEN), encoding="ascii") as file:
                segment, offset, sequence, losses = (int(word) for word in file.read(200).split())
        except (OSError, ValueError):
            return 1, 0, 0, 0
        return max(1, segment), max(0, offset), sequence, max(0, losses)

    def _newlines(self, segment: int) -> int:
        """Lines from where we stand, a torn last one included."""
        data = self._data(segment, self._offset if segment == self._segments[0] else 0)
        return 0 if not data else data.count(b"\n") + (not data.endswith(b"\n"))

    def _stretch(self, segment: int, most_records: int, most_bytes: int) -> Stretch | None:
        data = self._data(segment, self._offset)
        if not data:
            return None
        lines: list[bytes] = []
        position = size = broken = 0
        while position < len(data) and len(lines) < most_records:
            end = data.find(b"\n", position)
            line = data[position:end] if end >= 0 else b""  # without a line end: torn, when its writer died
            if _sequence(line) is None:
                broken += 1
            elif lines and size + len(line) > most_bytes:
                break
            else:
                lines.append(line)
                size += len(line)
            position = end + 1 if end >= 0 else len(data)
        return Stretch(lines, self._offset + position, broken)

    def _data(self, segment: int, offset: int) -> bytes:
        try:
            descriptor = os.open(self._path / _name(segment), os.O_RDONLY | OPEN)
        except OSError:
            return b""
        try:
            return os.pread(descriptor, max(0, min(_READ_BYTES, os.fstat(descriptor).st_size - offset)), offset)
        except OSError:  # a disk that cannot read this any more; what follows may still be read
            return b""
        finally:
            os.close(descriptor)

    def _write(self, data: bytes) -> OSError | None:
        """Append to the last segment, or begin one: all of it or nothing.

        Each call of the system gives the program its interpreter's lock back, and waits for it afterwards: as few as can be.
        """
        try:
            if not self._segments or self._is_torn:
                self._begin_segment()
            descriptor = self._opened_last()
            try:
                before = os.fstat(descriptor).st_size
                if before and before + len(data) > SEGMENT_BYTES:
                    self._begin_segment()
                    os.close(descriptor)
                    descriptor, before = self._opened_last(), 0
                self._append_all(descriptor, data, before)
            finally:
                os.close(descriptor)
        except OSError as error:
            return error
        self._room.use(len(data))
        return None

    def _begin_segment(self) -> None:
        self._segments.append(self._next_segment)
        self._next_segment += 1
        self._is_torn = False

    def _opened_last(self) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | OPEN
        return os.open(f"{self._path}/{_name(self._segments[-1])}", flags, 0o600)

    def _append_all(self, descriptor: int, data: bytes, before: int) -> None:
        try:
            _write_all(descriptor, data)
        except OSError:
            self._is_torn = True
            os.ftruncate(descriptor, before)
            self._is_torn = False
            raise

    def _segment_size(self, segment: int) -> int:
        try:
            return (self._path / _name(segment)).lstat().st_size
        except OSError:
            return 0

    def _remove_segment(self) -> None:
        segment = self._segments.pop(0)
        self._room.use(-self._segment_size(segment))
        self._unlink(segment)
        self._offset = 0

    def _unlink(self, segment: int) -> None:
        with contextlib.suppress(OSError):
            (self._path / _name(segment)).unlink()

    def _forget_the_missing(self) -> int:
        """Records that should be here and are not: somebody removed their segments."""
        missing, self.count = self.count, 0
        return missing


def _chunks(lines: Sequence[Line]) -> Iterator[Sequence[Line]]:
    """The lines in pieces of one write each, so that a segment keeps its size and a full disk loses little."""
    start = size = 0
    for position, line in enumerate(lines):
        size += len(line.data) + 1
        if size > _WRITE_BYTES and position > start:
            yield lines[start:position]
            start, size = position, len(line.data) + 1
    if start < len(lines):
        yield lines[start:]


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _refuse(constant: str) -> None:
    """NaN and infinity, which Python reads and the server refuses with all that comes in the same batch."""
    raise ValueError(constant)


_DECODER = json.JSONDecoder(parse_constant=_refuse)


def _sequence(line: bytes) -> int | None:
    """The number of a record; None for what is no record (a disk can give back anything after a crash)."""
    try:
        record = _DECODER.decode(line.decode("utf-8"))
        number = record["seq"]
        return number if isinstance(number, int) else None
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _names(path: Path) -> list[str]:
    try:
        return os.listdir(path)  # noqa: PTH208 - names alone, without a Path for each
    except OSError:
        return []


def size_of(path: Path) -> int:
    """Bytes of the segments in a directory."""
    size = 0
    for name in _names(path):
        if _SEGMENT.fullmatch(name):
            with contextlib.suppress(OSError):
                size += (path / name).lstat().st_size
    return size


def _leave_to_the_parent() -> None:
    for spool in list(_open_spools):
        spool.leave()


def _identity(descriptor: int) -> tuple[int, int] | None:
    try:
        state = os.fstat(descriptor)
        return state.st_dev, state.st_ino
    except OSError:
        return None


def _name(segment: int) -> str:
    return f"{segment:08d}.ndjson"


# a lock is held as long as any process has its descriptor: a child would keep its dead parent's records from everybody
os.register_at_fork(after_in_child=_leave_to_the_parent)
