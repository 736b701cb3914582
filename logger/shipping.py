"""The thread that empties the buffer: batches, back-off, spool. Knows JSON records as bytes, no LogRecord, no HTTP.

Whoever logs only appends to a bounded buffer (`Shipper.offer`). Everything that can take time (the network, the disk) happens in
one daemon thread. Records get their number when they leave the buffer, so that the server stores each of them once.
"""

from __future__ import annotations

import logging
import os
import random
import secrets
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar, Union

# relative: these files may be copied into a package of any name
from .delivery import Answer, Collector, Line, body_of, made, say_once

if TYPE_CHECKING:
    from .spool import Spool, Stretch
    from .spools import Spools

MAX_BATCH_RECORDS = 500
MAX_BATCH_BYTES = 1_000_000

Answered = TypeVar("Answered")
Record = Union[bytes, "Callable[[], bytes]"]
"""A JSON object, or what makes it in the shipping thread: of values that do not change meanwhile."""

_LINGER_S = 0.5
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0


@dataclass(frozen=True)
class Bounds:
    """Sizes of buffer and spool, and how long one HTTP call may take. `spool`: a directory, empty for memory only."""

    max_records: int = 10_000
    max_bytes: int = 8_000_000
    spool: str | os.PathLike[str] = ""
    spool_bytes: int = 64_000_000


class Shipper:
    """The bounded buffer, the thread that empties it, and the spool for what the server does not take now."""

    def __init__(self, collector: Collector, bounds: Bounds, component: str) -> None:
        """`component`: names the spool; processes of one component share its limit and take over from their dead."""
        self._collector = collector
        self._bounds = bounds
        self._boot = secrets.token_hex(8)
        self._sequence = 0
        self._lock = threading.RLock()  # reentrant: a signal handler may log while its thread logs
        self._changed = threading.Condition(self._lock)
        self._custody = threading.RLock()  # held by whoever moves records out of the buffer
        self._lines: deque[tuple[Record, int, int]] = deque()  # each with its level and its size in bytes
        self._pending: list[Line] = []  # numbered, not delivered, not on disk
        self._bytes = 0
        self._batch_limit = MAX_BATCH_RECORDS
        self._unreported = 0
        self._tried: int | None = None  # losses told with a batch that was not answered
        self._thread: threading.Thread | None = None
        self.calling_thread = 0
        """The shipping thread, while it talks to the server: what it logs there must not come back to it."""
        self._hurry = False
        self._is_idle = False  # the thread waits for a first record, to write it half a second later
        self._flushes_asked = 0
        self._flushes_done = 0
        self._close_at: float | None = None
        self._is_abandoned = False
        self._pause_s = 0.0
        self._retry_at = 0.0
        self._disk = _spools(bounds, component, self._boot)
        self.dropped = 0
        self.sent = 0
        if self._disk and self._disk.has_leftovers():
            self._is_running()

    @property
    def waiting(self) -> int:
        """Records in memory."""
        return len(self._lines) + len(self._pending)

    @property
    def spooled(self) -> int:
        """Records on disk, also those of dead processes that this one took over."""
        return self._disk.count if self._disk else 0

    def is_current_thread(self) -> bool:
        """Whether the caller is the shipping thread itself."""
        return self._thread is threading.current_thread()

    def offer(self, record: Record, level: int, size: int = 0) -> None:
        """Take a record into the buffer, or count it as dropped; `level` as logging numbers it. Never waits.

        `size`: what it takes in memory, about, when it is to be made later.
        """
        size = size or len(record)  # type: ignore[arg-type]  # bytes, then
        share = 1.0 if level >= logging.WARNING else 0.5
        with self._lock:
            count = len(self._lines)
            has_room = (
                count + len(self._pending) < self._bounds.max_records * share
                and self._bytes + size <= self._bounds.max_bytes * share
            )
            if not has_room or self._close_at is not None or not (self._thread or self._is_running()):
                self.lose(1)
                return
            self._lines.append((record, level, size))
            self._bytes += size
            if self._retry_at:  # the thread sleeps until its next try or its next write
                if self._is_idle:
                    self._changed.notify_all()
                return
            self._hurry = self._hurry or level >= logging.ERROR
            if self._hurry or not count or count + 1 == MAX_BATCH_RECORDS:
                self._changed.notify_all()

    def lose(self, count: int) -> None:
        """Count records as lost, to be told to the server."""
        if count:
            with self._changed:
                self.dropped += count
                self._unreported += count

    def flush(self, timeout_s: float) -> None:
        """Try at once to send what is there; return when that is done, has failed, or after `timeout_s`."""
        with self._changed:
            if self._thread is None or not self._thread.is_alive() or self.is_current_thread():
                return
            self._flushes_asked += 1
            mine = self._flushes_asked
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._flushes_done >= mine, timeout_s)

    def close(self, timeout_s: float) -> None:
        """Try once more, end the thread, and leave on disk what the server did not take."""
        with self._changed:
            self._close_at = time.monotonic() + timeout_s
            self._changed.notify_all()
        if self.is_current_thread():
            return
        if self._thread is not None and self._thread.is_alive():
            self._thread.join(timeout_s)
        # the thread may be in a call that hangs: then its records are written from here
        if self._custody.acquire(timeout=1.0):
            try:
                self._end()
            finally:
                self._custody.release()

    def _is_running(self) -> bool:
        if self._thread is None:
            # noted before it starts: a signal handler that logs meanwhile must not start a second one
            self._thread = threading.Thread(target=self._run, name="panda-logger", daemon=True)
            try:
                self._thread.start()
            except RuntimeError:  # no new thread can start: out of threads, or the interpreter is ending
                self._thread = None
                return False
        return True

    def _run(self) -> None:
        while not self._has_ended():
            try:
                if self._cycle():
                    break
            except Exception:  # noqa: BLE001 - the edge of the loop; a program must keep its log whatever happens here
                say_once(f"shipping failed\n{traceback.format_exc()}", key="shipping")
                self._note_failure(0.0)
                if self._close_at is not None:
                    break
        self._collector.close()

    def _cycle(self) -> bool:
        """Wait, then move one batch. True when the work is at its end."""
        if self._disk:
            with self._custody:
                self.lose(0 if self._has_ended() else self._disk.look_for_the_dead(time.monotonic()))
        asked = self._wait()
        with self._custody:
            if self._has_ended():
                return True
            if self._disk and (self._retry_at or self._disk.has_own_lines):  # behind those on disk: the order is kept
                self._spill()
        if self._retry_at > time.monotonic() and not self._is_asked():
            return False
        is_done = self._ship()
        with self._custody:
            if self._has_ended():
                return True
            is_late = self._close_at is not None and time.monotonic() >= self._close_at
            if is_done and not is_late and (self.waiting or (self._disk and self._disk.has_lines)):
                return False
            if self._close_at is not None:
                self._end()
        with self._changed:
            self._flushes_done = max(self._flushes_done, asked)
            self._changed.notify_all()
        return self._has_ended()

    def _has_ended(self) -> bool:
        return self._is_abandoned

    def _end(self) -> None:
        """Leave on disk what is here. Whoever comes second, the thread or the one who closes, finds it done."""
        if not self._is_abandoned:
            self._is_abandoned = True
            self._spill(is_last=True)
            self._give_up()
            if self._disk:
                self._disk.close(self._unreported)

    def _give_up(self) -> None:
        """What neither the server nor the disk took until now is lost: count it, so that our successor can tell."""
        with self._changed:
            count = self.waiting
            self._lines.clear()
            self._forget(len(self._pending))
            self.lose(count)
        if count and self._disk:  # who asked for a spool relies on it
            say_once(f"{count} records are lost: neither the server nor the spool took them until the end", key="lost")

    def _wait(self) -> int:
        """Sleep until there is something to do; returns how many flushes have been asked for."""
        with self._changed:
            if self._retry_at:
                self._wait_to_try_again()
            elif not self._pending and not (self._disk and self._disk.has_lines):
                self._changed.wait_for(lambda: bool(self._lines) or self._is_asked())
                self._changed.wait_for(
                    lambda: self._hurry or len(self._lines) >= MAX_BATCH_RECORDS or self._is_asked(), _LINGER_S
                )
            self._hurry = False
            return self._flushes_asked

    def _wait_to_try_again(self) -> None:
        """Until the next try; where there is a disk, half a second at most with records in memory.

        A program that logs all the time wakes nobody: the thread wakes by itself twice a second.
        """
        if self._disk and self._linger() and not self._lines:
            self._is_idle = True
            remaining = self._retry_at - time.monotonic()
            self._changed.wait_for(lambda: bool(self._lines) or self._is_asked(), max(0, remaining))
            self._is_idle = False
            self._linger()
        elif not self._disk:
            self._changed.wait_for(self._is_asked, max(0, self._retry_at - time.monotonic()))

    def _linger(self) -> bool:
        """Whether nobody is in a hurry after half a second, and the next try is not due."""
        remaining = self._retry_at - time.monotonic()
        return not self._changed.wait_for(self._is_asked, max(0, min(_LINGER_S, remaining))) and remaining > _LINGER_S

    def _is_asked(self) -> bool:
        return self._close_at is not None or self._flushes_asked > self._flushes_done

    def _ship(self) -> bool:
        """Send one batch: of our own spool, else of memory, else of a dead process. False when the server does not take it."""
        left_s = None if self._close_at is None else self._close_at - time.monotonic()
        is_behind = bool(self._retry_at and self._disk and self._disk.has_own_lines)
        if is_behind and not self._called(lambda: self._collector.reach(left_s)):  # then none is read for nothing
            self._note_failure(0.0)
            return False
        with self._custody:
            source = self._disk.own if self._disk and self._disk.has_own_lines else None
            if source is None and not self._take() and self._disk:
                source = self._disk.oldest_of_the_dead()
            stretch = source.read(self._batch_limit, MAX_BATCH_BYTES) if source else None
            batch = stretch.lines if stretch else [line.data for line in self._pending[: self._batch_limit]]
            told = self._unreported if self._tried is None else self._tried
            if not batch:
                self._settle(batch, source, stretch)
                return True
        body = body_of(source.boot if source else self._boot, told, batch)
        answer = self._called(lambda: self._collector.post(body, left_s))
        with self._custody:
            if self._has_ended():
                return False
            is_settled = self._judge(answer, len(batch), told)
            if is_settled:
                self._reported(told if answer.is_taken else 0)
                self._settle(batch, source, stretch)
            elif not answer.is_too_large:
                self._spill()
        return is_settled or answer.is_too_large  # the smaller batch goes at once

    def _called(self, call: Callable[[], Answered]) -> Answered:
        self.calling_thread = threading.get_ident()
        try:
            return call()
        finally:
            self.calling_thread = 0

    def _reported(self, count: int) -> None:
        with self._changed:
            self._unreported -= count

    def _settle(self, batch: Sequence[bytes], source: Spool | None, stretch: Stretch | None) -> None:
        """These records are dealt with: they leave the disk, or the memory."""
        if self._disk and source and stretch:
            self.lose(stretch.broken)
            self._disk.settle(source, stretch, self._unreported)
        else:
            with self._changed:
                self._forget(len(batch))

    def _judge(self, answer: Answer, count: int, told: int = 0) -> bool:
        """Whether the batch is dealt with, for good or ill; if not, when to try again.

        A batch that may have been stored is sent again as it was, with the losses it told of: then the server knows it all.
        """
        is_refused = answer.is_final or (answer.is_too_large and count == 1)
        if not answer.is_taken and not is_refused:
            self._batch_limit, self._tried = (max(1, count // 2), None) if answer.is_too_large else (count, told)
            if not answer.is_too_large:
                self._note_failure(answer.retry_after_s)
            return False
        self._batch_limit, self._tried = MAX_BATCH_RECORDS, None
        self._pause_s = self._retry_at = 0.0
        if is_refused:
            self.lose(count)
        else:
            rejected = min(count, answer.rejected)
            self.sent += count - rejected
            with self._changed:
                self.dropped += rejected  # the server knows of these
        return True

    def _note_failure(self, retry_after_s: float) -> None:
        self._pause_s = min(max(2 * self._pause_s, _FIRST_PAUSE_S), _LONGEST_PAUSE_S)
        self._retry_at = time.monotonic() + max(retry_after_s, self._pause_s * random.uniform(0.8, 1.2))

    def _take(self) -> bool:
        """Number the oldest records of the buffer for the next batch, unless one is waiting already."""
        if not self._pending:
            self._number(MAX_BATCH_RECORDS, MAX_BATCH_BYTES)
        return bool(self._pending)

    def _number(self, most_records: int, most_bytes: int) -> None:
        """Only who has the custody takes from the buffer; whoever logs meanwhile waits for no encoding."""
        written = 0
        while self._lines and most_records > 0 and written < most_bytes:
            record, level, size = self._lines[0]
            data = record if isinstance(record, bytes) else made(record)
            with self._lock:
                if data:
                    self._sequence += 1
                    data = b'%b,"seq":%d}' % (data[:-1], self._sequence)
                    self._pending.append(Line(data, level >= logging.WARNING))
                else:
                    self.lose(1)
                self._lines.popleft()
                self._bytes += len(data) - size
            most_records -= 1
            written += len(data)

    def _spill(self, *, is_last: bool = False) -> None:
        """What is in memory now goes to disk, as far as the disk takes it; at last also to one that refused lately."""
        remaining = self.waiting
        while self._disk and remaining > 0 and (is_last or self._disk.is_usable(time.monotonic())):
            if len(self._pending) < MAX_BATCH_RECORDS:
                self._number(MAX_BATCH_RECORDS, MAX_BATCH_BYTES)
            lines = self._pending[:MAX_BATCH_RECORDS]
            done = self._disk.append(lines, time.monotonic())
            gone, lost = done.taken + done.dropped, done.dropped + done.vanished
            self._disk.note(self._unreported + lost)  # before memory forgets them: a kill -9 may come in between
            with self._changed:
                self._forget(gone)
                self.lose(lost)
            remaining = remaining - gone if gone else 0

    def _forget(self, count: int) -> None:
        """The oldest records are not in memory any more."""
        self._bytes -= sum(len(line.data) for line in self._pending[:count])
        del self._pending[:count]
        if not self.waiting:
            self._bytes = (
                0  # a signal handler may have shifted it, that logs between two steps of its program's log call
            )


def _spools(bounds: Bounds, component: str, boot: str) -> Spools | None:
    if not bounds.spool:
        return None
    try:
        from .spools import Spools
    except ImportError:  # no fcntl: not a POSIX system
        say_once("spool: this system knows no flock, so that records wait in memory only")
        return None
    return Spools(os.fspath(bounds.spool), component, bounds.spool_bytes, boot)
