"""The live stream over HTTP: server-sent events with topics, numbers to resume from, and a heartbeat."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator

from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import StreamingResponse

from api.identity.access import Access
from api.live import ChangeHub, Closed, Resync, Subscription
from api.operations import Context, operation
from api.problems import encode
from core.clock import Clock
from core.errors import InvalidInput, Unavailable
from core.monitor.signals import Signal

HEARTBEAT_S = 10.0

_TOPIC = re.compile(r"jobs|incidents|queues|tasks|(?:job|incident|task):[0-9]{1,18}")
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class StreamQuery(BaseModel):
    """What the reader wants to hear, and from where on."""

    topics: str = ""
    since: str = ""


@operation("GET", "/api/monitor/stream", access=Access.READER)
async def stream(context: Context, request: Request, query: StreamQuery) -> StreamingResponse:
    """Server-sent events: which topics changed, as it happens. Without topics: all of them."""
    topics = _topics(query.topics)
    since = _since(request.headers.get("last-event-id") or query.since)
    hub = context.services.live
    await run_in_threadpool(hub.start)
    content = _events(hub, topics, since, context.services.clock)
    return StreamingResponse(content, media_type="text/event-stream", headers=_HEADERS)


async def _events(hub: ChangeHub, topics: frozenset[str], since: int | None, clock: Clock) -> AsyncIterator[bytes]:
    with hub.subscribed() as subscription:
        # a reader that resumes has not heard yet what it missed, so its number stays where it was
        yield b"retry: 2000\n\n" + _heartbeat(subscription.seq if since is None else since, clock)
        last_heartbeat = time.monotonic()
        if since is not None:
            for text in await _missed(hub, subscription, topics, since):
                yield text
        heard = subscription.seq
        while True:
            event = await subscription.next(last_heartbeat + HEARTBEAT_S - time.monotonic())
            if isinstance(event, Closed):
                return
            if isinstance(event, Resync):
                yield _text("resync", {"seq": subscription.seq, "time": clock()}, subscription.seq)
            elif isinstance(event, Signal) and event.seq > heard and event.topics_for(topics):
                yield _change(event, topics)
            if time.monotonic() >= last_heartbeat + HEARTBEAT_S:
                last_heartbeat = time.monotonic()
                yield _heartbeat(subscription.seq, clock)


async def _missed(hub: ChangeHub, subscription: Subscription, topics: frozenset[str], since: int) -> list[bytes]:
    """What happened since the reader was here last; the live signals queue up meanwhile."""
    try:
        signals = await run_in_threadpool(hub.missed, since)
    except Unavailable:
        return []  # when the database is back, the hub tells everybody to read anew
    if signals is None or any(signal.is_everything for signal in signals):
        return [_text("resync", {"seq": subscription.seq}, subscription.seq)]
    subscription.seq = max([subscription.seq, *(signal.seq for signal in signals)])
    return [_change(signal, topics) for signal in signals if signal.topics_for(topics)]


def _change(signal: Signal, topics: frozenset[str]) -> bytes:
    return _text("change", {"seq": signal.seq, "time": signal.time, "topics": signal.topics_for(topics)}, signal.seq)


def _heartbeat(seq: int, clock: Clock) -> bytes:
    """`seq`: the number up to which the reader knows everything."""
    return _text("heartbeat", {"seq": seq, "time": clock()}, seq)


def _text(name: str, data: dict[str, object], seq: int) -> bytes:
    number = f"id: {seq}\n" if seq else ""
    return f"{number}event: {name}\ndata: ".encode() + encode(data) + b"\n\n"


def _topics(text: str) -> frozenset[str]:
    topics = frozenset(topic for topic in text.split(",") if topic)
    for topic in topics:
        if not _TOPIC.fullmatch(topic):
            remedy = "jobs, incidents, queues, tasks, job:<id>, incident:<id>, task:<id>, separated by commas"
            raise InvalidInput(f"there is no topic {topic[:40]!r}", field="topics", remedy=remedy)
    return topics


def _since(text: str) -> int | None:
    if not text:
        return None
    if not re.fullmatch(r"[0-9]{1,18}", text):
        remedy = "the id of the last event that was received"
        raise InvalidInput(f"{text[:40]!r} is no event id", field="since", remedy=remedy)
    return int(text)
