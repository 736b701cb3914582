"""The live stream over HTTP: server-sent events with topics, numbers to resume from, and a heartbeat."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import AsyncIterator
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import unquote

import anyio
import anyio.to_thread
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import Message, Send

from api.counted_questions import CountedTopic, ReaderCounts, counted_topic
from api.identity.access import Access
from api.live import ChangeHub, Closed, Resync, Subscription
from api.operations import Context, operation
from api.problems import encode
from api.stream_filters import IncidentFilter
from core.clock import Clock
from core.errors import InvalidInput, PandaError, Unavailable
from core.monitor.signals import Signal

log = logging.getLogger("panda.live")

HEARTBEAT_S = 10.0
DRAIN_S = 30.0
"""A reader that takes nothing for so long is gone, or as good as gone."""
MOST_TOPICS = 200
"""Of one event; of more only the kinds are told."""
_MERGED_FROM = 50
_MERGED_AFTER = timedelta(seconds=30)
"""Who was away for longer and missed more hears it as one event: a page that was hidden reads anew once, not fifty times."""

_PLAIN = ("jobs", "incidents", "queues", "tasks", "agents", "silences", "shift", "notices", "rules", "deeds")
_TOPIC = re.compile(rf"{'|'.join(_PLAIN)}|(?:job|incident|task):[0-9]{{1,18}}|queue:[^\s,]{{1,120}}")
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class StreamQuery(BaseModel):
    """What the reader wants to hear, and from where on."""

    topics: str = ""
    since: str = ""
    filter: str = ""
    """Which incidents, as the query of the page Incidents: severity=critical|error&computing_site=CERN."""


class _EventStream(StreamingResponse):
    """A stream that ends when its reader takes nothing for a while, so that nothing is kept for the dead."""

    async def stream_response(self, send: Send) -> None:
        """Send the events; a reader that does not drain its socket ends the stream."""

        async def hurried(message: Message) -> None:
            await asyncio.wait_for(send(message), DRAIN_S)

        try:
            await super().stream_response(hurried)
        except TimeoutError:
            log.info("a live stream took nothing for %g s and was ended", DRAIN_S)


@dataclass(frozen=True)
class _Reader:
    """What one reader asked for."""

    hub: ChangeHub
    topics: frozenset[str]
    """Whose changes it hears; empty: of everything, or of nothing when it only watches counts."""
    counts: tuple[CountedTopic, ...]
    since: int | None
    incidents: IncidentFilter | None
    clock: Clock

    @property
    def hears_changes(self) -> bool:
        """Whether it wants events of changes."""
        return bool(self.topics) or not self.counts

    @property
    def needed(self) -> frozenset[str]:
        """The topics whose signals it needs; empty: all. With a filter that is known only when it is asked."""
        if self.incidents is not None or not self.hears_changes:
            return frozenset() if self.hears_changes else frozenset(topic.page for topic in self.counts)
        return self.topics | {topic.page for topic in self.counts} if self.topics else self.topics

    async def heard(self, signal: Signal) -> list[str]:
        """The topics of a signal that the reader cares for, in order."""
        if not self.hears_changes:
            return []
        found = signal.topics
        if self.incidents is not None:
            try:
                found = await anyio.to_thread.run_sync(
                    self.incidents.kept, found, signal.seq, limiter=self.hub.filters.limiter
                )
            except PandaError as error:  # better once too often than not at all
                log.info("a filter of the live stream is passed over: %s", error)
        return _shortened(found & self.topics if self.topics else found, self.topics)


@operation("GET", "/api/monitor/stream", access=Access.READER)
async def stream(context: Context, request: Request, query: StreamQuery) -> StreamingResponse:
    """Server-sent events: which topics changed, as it happens. Without topics: all of them."""
    clock, hub = context.services.clock, context.services.live
    topics, counts = _topics(query.topics, clock())
    since = _since(request.headers.get("last-event-id") or query.since)
    chosen = IncidentFilter(query.filter, clock(), hub.filters) if query.filter else None
    hub.counted.check_room(counts)
    hub.check_room()
    if chosen is not None:
        hub.filters.check_room(chosen.text)
    await run_in_threadpool(hub.start)
    if chosen is not None:
        await run_in_threadpool(chosen.begin)
    reader = _Reader(hub, topics, counts, since, chosen, clock)
    return _EventStream(_events(reader), media_type="text/event-stream", headers=_HEADERS)


async def _events(reader: _Reader) -> AsyncIterator[bytes]:
    hub, clock = reader.hub, reader.clock
    filtered = hub.filters.watched(reader.incidents.text) if reader.incidents is not None else nullcontext()
    with filtered, hub.counted.watched(reader.counts), hub.subscribed(reader.needed) as subscription:
        # a reader that resumes has not heard yet what it missed, so its number stays where it was
        yield b"retry: 2000\n\n" + _heartbeat(subscription.seq if reader.since is None else reader.since, clock)
        last_heartbeat = time.monotonic()
        if reader.since is not None:
            for text in await _missed(reader, subscription, reader.since):
                yield text
        known = subscription.seq
        counts = ReaderCounts(hub.counted, reader.counts, known)
        while True:
            wake = min(last_heartbeat + HEARTBEAT_S, counts.next_due())
            event = await subscription.next(wake - time.monotonic())
            if isinstance(event, Closed):
                return
            if isinstance(event, Resync):
                counts.changed(None, subscription.seq)
                yield _resync(reader, subscription.seq, event.reason)
            elif isinstance(event, Signal) and event.seq > known:
                counts.changed(event.topics, event.seq)
                if topics := await reader.heard(event):
                    yield _change(event, topics)
            for answer in await counts.answers(lambda: hub.seq, clock):
                yield _text("counts", answer, subscription.seq)
            if time.monotonic() >= last_heartbeat + HEARTBEAT_S:
                last_heartbeat = time.monotonic()
                yield _heartbeat(subscription.seq, clock)


async def _missed(reader: _Reader, subscription: Subscription, since: int) -> list[bytes]:
    """What happened since the reader was here last; the live signals queue up meanwhile."""
    try:
        signals = await run_in_threadpool(reader.hub.missed, since)
    except Unavailable:
        return []  # when the database is back, the hub tells everybody to read anew
    if signals is None or any(signal.is_everything for signal in signals):
        return [_resync(reader, subscription.seq, "foreign" if since > subscription.seq else "old")]
    subscription.seq = max([subscription.seq, *(signal.seq for signal in signals)])
    # what left a filter meanwhile nobody knows any more: of the past every change of an incident is told
    wanted = reader.topics
    if not reader.hears_changes:
        return []
    found = [(signal, topics) for signal in signals if (topics := _shortened(_of(signal, wanted), wanted))]
    if len(found) > _MERGED_FROM and signals[0].time < reader.clock() - _MERGED_AFTER:
        last = found[-1][0]
        return [_change(last, _shortened(frozenset().union(*(topics for _, topics in found)), wanted))]
    return [_change(signal, topics) for signal, topics in found]


def _of(signal: Signal, wanted: frozenset[str]) -> frozenset[str]:
    return signal.topics & wanted if wanted else signal.topics


def _shortened(topics: frozenset[str], wanted: frozenset[str]) -> list[str]:
    """The topics in order; of too many only their kinds, where the reader hears of kinds."""
    if len(topics) > MOST_TOPICS:
        topics = frozenset(kind if (kind := _kind_of(topic)) in wanted or not wanted else topic for topic in topics)
    return sorted(topics)


def _kind_of(topic: str) -> str:
    """jobs for job:17."""
    name, colon, _ = topic.partition(":")
    return f"{name}s" if colon else topic


def _resync(reader: _Reader, seq: int, reason: str) -> bytes:
    """The reader must read everything anew, and why: slow, old, foreign, database or much."""
    reader.hub.resync_count += 1
    return _text("resync", {"seq": seq, "time": reader.clock(), "reason": reason}, seq)


def _change(signal: Signal, topics: list[str]) -> bytes:
    return _text("change", {"seq": signal.seq, "time": signal.time, "topics": topics}, signal.seq)


def _heartbeat(seq: int, clock: Clock) -> bytes:
    """`seq`: the number up to which the reader knows everything."""
    return _text("heartbeat", {"seq": seq, "time": clock()}, seq)


def _text(name: str, data: dict[str, object], seq: int) -> bytes:
    number = f"id: {seq}\n" if seq else ""
    return f"{number}event: {name}\ndata: ".encode() + encode(data) + b"\n\n"


def _topics(text: str, now: datetime) -> tuple[frozenset[str], tuple[CountedTopic, ...]]:
    """The topics whose changes are heard, and the counts that are watched."""
    plain, counts = set(), []
    for topic in dict.fromkeys(topic for topic in text.split(",") if topic):
        # the filter of a count is encoded once more, so that its commas are its own
        counted = counted_topic(unquote(topic), now)
        if counted is not None:
            counts.append(counted)
        elif _TOPIC.fullmatch(topic):
            plain.add(topic)
        else:
            others = "job:<id>, incident:<id>, task:<id>, queue:<name>, counts:<page>?<filter>"
            remedy = f"{', '.join(_PLAIN)}, {others}, separated by commas"
            raise InvalidInput(f"there is no topic {topic[:40]!r}", field="topics", remedy=remedy)
    return frozenset(plain), tuple(counts)


def _since(text: str) -> int | None:
    if not text:
        return None
    if not re.fullmatch(r"[0-9]{1,18}", text):
        remedy = "the id of the last event that was received"
        raise InvalidInput(f"{text[:40]!r} is no event id", field="since", remedy=remedy)
    return int(text)
