"""The web monitor as one ASGI application, to be mounted behind the API's routes. Talks to the API through a client only.

Dash runs on its FastAPI backend, with the full prefix in Dash itself (its middleware compares whole paths) and without
its catch-all route: that one is installed by a start-up hook which mounts never get, and answers unknown API paths
with a page (monitor.md 4.4). `_DeepLinks` does that work instead, for pages below the prefix and nothing else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from dash import Dash
from fastapi import FastAPI

from dashboard import page, shell
from dashboard.context import ClientFactory, Monitor
from dashboard.links import Links
from dashboard.pages import PAGES

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

_ASSETS = Path(__file__).parent / "assets"
_INDEX = """<!DOCTYPE html>
<html lang="en">
  <head>
    {%metas%}
    <meta name="color-scheme" content="light dark">
    <title>{%title%}</title>
    <link rel="icon" type="image/svg+xml" href="PREFIXassets/favicon.svg">
    {%css%}
    <script>
      // before the first paint: the scheme that was chosen, else the one of the system (where Mantine looks too)
      (function () {
        let scheme = "auto";
        try { scheme = localStorage.getItem("mantine-color-scheme-value") || "auto"; } catch (error) { scheme = "auto"; }
        if (scheme === "auto") scheme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
        document.documentElement.setAttribute("data-mantine-color-scheme", scheme);
      })();
    </script>
  </head>
  <body>
    {%app_entry%}
    <footer>{%config%}{%scripts%}{%renderer%}</footer>
  </body>
</html>"""
_WORKER_SCRIPTS = r"_worker\.js$"
"""Scripts that run in their own thread; the page must not load them itself."""


class MountedMonitor:
    """What the program that composes the server needs: the application and its two hooks."""

    def __init__(self, asgi: AsgiApp, dash_app: Dash) -> None:
        self.asgi = asgi
        self.dash_app = dash_app

    async def startup(self) -> None:
        """Finish the set-up now, so that the first visitor does not wait for it."""
        setup: Any = self.dash_app
        setup._setup_server()  # what Dash otherwise does on the first request

    async def shutdown(self) -> None:
        """Nothing outlives a request; kept so that whoever mounts the monitor need not know that."""


def create_monitor(
    client_factory: ClientFactory, *, prefix: str = "/monitor/", stream_path: str = "/api/monitor/stream"
) -> MountedMonitor:
    """Build the monitor.

    `client_factory` makes a client that speaks as the visitor whose headers it gets; `prefix` is where the application
    answers (it must be called with the full path, not with the prefix cut off); `stream_path` is where the visitor's
    browser finds the live stream.
    """
    prefix = "/" + prefix.strip("/") + "/"
    monitor = Monitor(client_factory, Links(prefix), stream_path)
    options: dict[str, Any] = {"server": FastAPI(openapi_url=None, docs_url=None, redoc_url=None), "update_title": None}
    dash_app = Dash(
        "dashboard",
        backend="fastapi",
        routes_pathname_prefix=prefix,
        requests_pathname_prefix=prefix,
        assets_folder=str(_ASSETS),
        assets_ignore=_WORKER_SCRIPTS,
        serve_locally=True,
        use_pages=False,
        pages_folder="",
        suppress_callback_exceptions=True,
        title="pandascope",
        index_string=_INDEX.replace("PREFIX", prefix),
        **options,
        enable_mcp=False,
        compress=False,
    )
    shell.register(dash_app, monitor)
    for entry in PAGES:
        page.register(dash_app, monitor, entry)
    return MountedMonitor(_DeepLinks(dash_app.server, prefix, monitor.links), dash_app)


class _DeepLinks:
    """Lets every page's address answer with the index; addresses of no page answer with it too, but as 404."""

    def __init__(self, application: AsgiApp, prefix: str, links: Links) -> None:
        self._application = application
        self._prefix = prefix
        self._links = links
        self._own = (prefix + "_dash-", prefix + "assets/", prefix + "_favicon.ico", prefix + "_reload-hash")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD") or path.startswith(self._own):
            await self._application(scope, receive, send)
            return
        if path != self._prefix.rstrip("/") and not path.startswith(self._prefix):
            await _not_found(send)
            return
        status = 200 if self._links.parse(path) is not None else 404
        index = {**scope, "method": "GET", "path": self._prefix, "raw_path": self._prefix.encode(), "root_path": ""}
        await self._application(index, receive, _with_status(send, status))


def _with_status(send: Send, status: int) -> Send:
    async def send_changed(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start" and message["status"] == 200:
            message = {**message, "status": status}
        await send(message)

    return send_changed


async def _not_found(send: Send) -> None:
    await send({"type": "http.response.start", "status": 404, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"not found"})
