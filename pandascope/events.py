"""The live stream as a reader sees it: parsing server-sent events, and when to come back where after a break.

Knows no sockets: `client.py` feeds it lines. Every event is a plain dictionary with `event` and the server's data:
`change` {seq, time, topics}, `heartbeat` {seq, time}, `resync` (read everything anew), and two that this side adds,
`connected` and `disconnected` {detail, retry_in_s}.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from typing import Any

from pandascope.errors import ClientError, NotAuthorised, NotFound, ServerUnreachable

Event = dict[str, Any]
STREAM_PATH = "/api/monitor/stream"
SILENCE_S = 25.0
"""Heartbeats come every 10 s; after this long without a byte the connection counts as lost."""


class EventParser:
    """Server-sent events out of lines (WHATWG HTML, section 9.2), one parser per connection."""

    def __init__(self) -> None:
        self._name = ""
        self._data: list[str] = []
        self._id: str | None = None

    def feed(self, line: str) -> Event | None:
        """The event that this line completes, if it completes one."""
        if line:
            self._field(line)
            return None
        event = self._complete() if self._data or self._name else None
        self._name, self._data = "", []
        return event

    def _field(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._name = value
        elif name == "id" and "\0" not in value:
            self._id = value

    def _complete(self) -> Event:
        try:
            data = json.loads("\n".join(self._data) or "{}")
        except ValueError:
            data = {"data": "\n".join(self._data)}
        data = data if isinstance(data, dict) else {"data": data}
        return {**data, "event": self._name or "message", "id": self._id}


class Position:
    """Where a reader of the stream stands, and how long it pauses after a break (0.5 s doubling to 10 s, jitter)."""

    def __init__(self, topics: Iterable[str] = (), since: int | str | None = None) -> None:
        self._topics = ",".join(topics)
        self._last_id = None if since is None else str(since)
        self._breaks = 0

    def params(self) -> dict[str, str]:
        """Query parameters of the next connection."""
        return {"topics": self._topics} if self._topics else {}

    def headers(self) -> dict[str, str]:
        """Headers of the next connection: where to resume."""
        return {} if self._last_id is None else {"Last-Event-ID": self._last_id}

    def passed(self, event: Event) -> Event:
        """Remember that `event` was seen; returns it."""
        self._breaks = 0
        if event.get("id") is not None:
            self._last_id = event["id"]
        elif self._last_id is None and "seq" in event:
            self._last_id = str(event["seq"])
        return event

    def broken(self, error: ClientError | None) -> Event:
        """The event that tells a reader of a break, with the pause before the next attempt.

        Raises the error again when coming back cannot help (no access, no such stream).
        """
        if isinstance(error, NotAuthorised | NotFound):
            raise error
        pause_s = min(10.0, 0.5 * 2.0**self._breaks) * random.uniform(0.7, 1.0)
        self._breaks += 1
        closed = ServerUnreachable("the server closed the stream")
        return {"event": "disconnected", "id": None, "detail": (error or closed).detail, "retry_in_s": pause_s}
