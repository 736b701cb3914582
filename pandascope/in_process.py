"""An httpx transport that speaks to an ASGI application in this process and passes on bytes as they are made.

httpx has an ASGI transport too, but it hands over an answer only when it is complete, so a live stream never arrives.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import unquote

import httpx

Message = MutableMapping[str, Any]
Application = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]
_QUEUED_CHUNKS = 16


class InProcessTransport(httpx.AsyncBaseTransport):
    """Carries requests of an httpx.AsyncClient to `application`, streaming answers."""

    def __init__(self, application: Application) -> None:
        self._application = application

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Start the application on the request; returns as soon as the status line is there."""
        assert isinstance(request.stream, httpx.AsyncByteStream)
        exchange = _Exchange(b"".join([chunk async for chunk in request.stream]))
        exchange.task = asyncio.create_task(exchange.run(self._application, _scope(request)))
        try:
            start = await exchange.started
        except BaseException:
            await exchange.aclose()
            raise
        return httpx.Response(start["status"], headers=start.get("headers", []), stream=exchange)


class _Exchange(httpx.AsyncByteStream):
    """One request and its answer; closing it tells the application that the client went away."""

    def __init__(self, body: bytes) -> None:
        self.started: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self.task: asyncio.Task[None] | None = None
        self._body = body
        self._body_taken = False
        self._gone = asyncio.Event()
        self._chunks: asyncio.Queue[bytes | None] = asyncio.Queue(_QUEUED_CHUNKS)

    async def run(self, application: Application, scope: Message) -> None:
        failure: BaseException | None = None
        try:
            await application(scope, self._receive, self._send)
        except Exception as error:  # noqa: BLE001 - handed to the caller of the request, below
            failure = error
        if not self.started.done():
            failure = failure or RuntimeError("the application ended without an answer")
            self.started.set_exception(httpx.ReadError(f"{type(failure).__name__}: {failure}"))
        await self._put(None)

    async def _receive(self) -> Message:
        if not self._body_taken:
            self._body_taken = True
            return {"type": "http.request", "body": self._body, "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started.set_result(message)
        elif message["type"] == "http.response.body" and message.get("body"):
            await self._put(message["body"])
        if message["type"] == "http.response.body" and not message.get("more_body"):
            await self._put(None)

    async def _put(self, chunk: bytes | None) -> None:
        """Hand a chunk to the reader; dropped once the reader is gone, as a closed socket would."""
        while not self._gone.is_set():
            with contextlib.suppress(TimeoutError):
                return await asyncio.wait_for(self._chunks.put(chunk), 0.2)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (chunk := await self._chunks.get()) is not None:
            yield chunk

    async def aclose(self) -> None:
        """Tell the application that nobody reads any more, and give it a moment to end by itself."""
        self._gone.set()
        if self.task is not None and not self.task.done():
            _, unfinished = await asyncio.wait([self.task], timeout=1.0)
            for task in unfinished:
                task.cancel()


def _scope(request: httpx.Request) -> Message:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "scheme": request.url.scheme,
        "path": unquote(request.url.path),
        "raw_path": request.url.raw_path.split(b"?")[0],
        "query_string": request.url.query,
        "server": (request.url.host, request.url.port or 80),
        "client": ("127.0.0.1", 0),
        "root_path": "",
    }
