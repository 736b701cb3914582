"""The hub of the live stream: one listening thread per process, any number of readers on event loops.

Knows signals and topics; does not know how they travel to the reader (api/monitor/stream.py).
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from api.counted_questions import CountedQuestions
from api.stream_filters import IncidentFilters
from core.database import Database
from core.errors import PandaError, Unavailable
from core.monitor.signals import Signal, listen, newest_signal, signals_after

log = logging.getLogger("panda.live")

QUEUE_SIZE = 100
"""Signals that may wait for a slow reader; past it the reader is told to read everything anew."""
QUEUE_BYTES = 256 * 1024
"""The same in characters of topics, so that the memory of all readers is bounded."""
MOST_READERS = 1000
"""Of one process; whoever comes then is sent away for a moment."""
_LISTEN_TIMEOUT_S = 0.5
_RECONNECT_PAUSE_S = 1.0
_ROUNDS_PER_LOOK = 20
"""How often to look unasked; the first round does, for what came between looking and listening."""


@dataclass(frozen=True)
class Resync:
    """Signals were lost for this reader: whatever it shows may be out of date. `reason`: slow (it did not keep up), database
    (that was away), much (more changed than is worth telling)."""

    reason: str = "slow"


@dataclass(frozen=True)
class Closed:
    """The server stops; nothing more will come."""


Event = Signal | Resync | Closed


class Subscription:
    """The place where one reader waits for events. Its methods but `offer` belong to the reader's event loop."""

    def __init__(self, seq: int, topics: frozenset[str] = frozenset()) -> None:
        """`topics`: what the reader wants to hear of; empty: everything."""
        self.seq = seq
        """Everything up to this number has been taken or was not meant for this reader."""
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[Event] = asyncio.Queue(QUEUE_SIZE)
        self._topics = topics
        self._newest = seq
        self._bytes = 0
        self._is_closed = False

    async def next(self, timeout_s: float) -> Event | None:
        """The next event, or None when none came in time."""
        try:
            event = await asyncio.wait_for(self._queue.get(), max(0.0, timeout_s))
        except TimeoutError:
            event = None
        if isinstance(event, Signal):
            self._bytes -= _size(event)
            self.seq = max(self.seq, event.seq)
        elif self._queue.empty():  # all that came has been taken
            self.seq = max(self.seq, self._newest)
        return event

    def offer(self, event: Event) -> None:
        """Hand over an event, from any thread; a reader that is gone is no trouble."""
        with suppress(RuntimeError):  # its event loop is closed
            self._loop.call_soon_threadsafe(self._put, event)

    def _put(self, event: Event) -> None:
        if self._is_closed:
            return
        self._is_closed = isinstance(event, Closed)
        if isinstance(event, Signal):
            self._newest = max(self._newest, event.seq)
            if self._topics and self._topics.isdisjoint(event.topics):
                return  # a reader of one job is not slow because a million others change
            self._bytes += _size(event)
        if self._queue.full() or self._bytes > QUEUE_BYTES or isinstance(event, Resync | Closed):
            while not self._queue.empty():
                self._queue.get_nowait()
            self._bytes = 0
            event = event if isinstance(event, Resync | Closed) else Resync()
        self._queue.put_nowait(event)


def _size(signal: Signal) -> int:
    return sum(map(len, signal.topics))


class ChangeHub:
    """Hears of change signals and hands them to the subscribed readers; survives a database that restarts."""

    def __init__(self, database: Database) -> None:
        """`database`: the one that takes changes, for a standby cannot be listened to."""
        self._database = database
        self._subscriptions: set[Subscription] = set()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._seq: int | None = None
        self._was_tried = threading.Event()
        self._is_away = False
        self.filters = IncidentFilters(database)
        self.counted = CountedQuestions(database)
        self.resync_count = 0
        """How often a reader was told to read everything anew."""

    @property
    def seq(self) -> int:
        """Number of the last signal that was heard."""
        return self._seq or 0

    @property
    def reader_count(self) -> int:
        """How many streams are open."""
        return len(self._subscriptions)

    def check_room(self) -> None:
        """Raise Unavailable while as many streams are open as this process holds."""
        if self.reader_count >= MOST_READERS:
            raise Unavailable(
                f"{MOST_READERS} live streams are open already", remedy="try again in a moment, or ask without a stream"
            )

    def start(self) -> None:
        """Begin to listen, once; blocks at most a second, until it is known where the signals stand."""
        with self._lock:
            if self._thread is None and not self._stop.is_set():
                self._thread = threading.Thread(target=self._run, name="change-hub", daemon=True)
                self._thread.start()
        self._was_tried.wait(1.0)

    def end_streams(self) -> None:
        """End all streams, also those that are opened from now on. Returns at once."""
        self._stop.set()
        self._broadcast(Closed())

    def close(self) -> None:
        """End all streams and the thread. Blocks for a moment."""
        self.end_streams()
        if self._thread is not None:
            self._thread.join(timeout=5)

    @contextmanager
    def subscribed(self, topics: frozenset[str] = frozenset()) -> Iterator[Subscription]:
        """A subscription to `topics` (empty: all) that begins now, on the running event loop."""
        with self._lock:
            subscription = Subscription(self._seq or 0, topics)
            self._subscriptions.add(subscription)
        if self._stop.is_set():
            subscription.offer(Closed())
        try:
            yield subscription
        finally:
            with self._lock:
                self._subscriptions.discard(subscription)

    def missed(self, since: int) -> list[Signal] | None:
        """The signals after `since`; None when some are lost. Blocks; raises Unavailable without a database."""
        return signals_after(self._database, since)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._listen()
            except PandaError as error:
                if not self._is_away:
                    log.warning("the live stream has lost the database: %s", error)
                self._is_away = True
            except Exception:  # a loop that must not die
                log.exception("the live stream failed and starts again", extra={"component": "api"})
                self._is_away = True
            self._was_tried.set()
            self._stop.wait(_RECONNECT_PAUSE_S)

    def _listen(self) -> None:
        self._catch_up()
        self._was_tried.set()
        for rounds, announced in enumerate(listen(self._database, _LISTEN_TIMEOUT_S)):
            if self._stop.is_set():
                return
            if announced or rounds % _ROUNDS_PER_LOOK == 0:
                self._catch_up()
            if self._is_away:
                self._is_away = False
                self._broadcast(Resync("database"))

    def _catch_up(self) -> None:
        if self._seq is None:
            self._seq = newest_signal(self._database)
            return
        signals = signals_after(self._database, self._seq)
        if signals is None:
            self._seq = newest_signal(self._database)
            self._broadcast(Resync("database"))
            return
        for signal in signals:
            self._seq = signal.seq
            self._broadcast(Resync("much") if signal.is_everything else signal)

    def _broadcast(self, event: Event) -> None:
        with self._lock:
            subscriptions = list(self._subscriptions)
        for subscription in subscriptions:
            subscription.offer(event)
