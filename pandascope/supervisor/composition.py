"""Puts the server of one worker together: the API, and the web monitor behind it in the same process.

The one place that knows both; the monitor itself asks the API through the client, here without a network between.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from api.app import create_app
from core.configuration import Settings
from dashboard.app import create_monitor
from dashboard.visitors import visitor_clients
from pandascope.in_process import InProcessTransport

_INSIDE = "http://inside.panda"
"""Never resolved: requests to it stay in this process."""


def create_server(settings: Settings, database_url: str) -> PandaServer:
    """The ASGI application of one worker: `/monitor` is the pages, `/` leads there, everything else is the API's."""
    api = create_app(settings, database_url)
    monitor = create_monitor(visitor_clients(_INSIDE, InProcessTransport(api)))

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with api.router.lifespan_context(api):
            await monitor.startup()
            yield
            await monitor.shutdown()

    async def to_monitor(request: Request) -> RedirectResponse:
        return RedirectResponse("/monitor/")

    front = Starlette(routes=[Route("/", to_monitor)], lifespan=lifespan)
    doors: dict[str, ASGIApp] = {"/": front, "/monitor": GZipMiddleware(monitor.asgi, minimum_size=1024)}
    return PandaServer(api, doors, front, api.state.end_streams)


class PandaServer:
    """Chooses the application by the first part of the path and hands the whole path on; what has no door is the API's.

    `end_streams()` ends all live streams, so that the server may stop at once. Starlette's Mount would cut the prefix off,
    but API and Dash both know their full addresses (monitor.md 4.4).
    """

    def __init__(
        self, api: ASGIApp, doors: dict[str, ASGIApp], lifespan: ASGIApp, end_streams: Callable[[], None]
    ) -> None:
        """`lifespan`: the application that starts and stops them all."""
        self._api = api
        self._doors = doors
        self._lifespan = lifespan
        self.end_streams = end_streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
            return
        first = "/" + str(scope.get("path", "")).lstrip("/").split("/", 1)[0]
        await self._doors.get(first, self._api)(scope, receive, send)
