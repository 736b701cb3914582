"""GET /metrics: the numbers of the database and of the requests in the text format of Prometheus. Knows no SQL."""

from __future__ import annotations

import hmac
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

import anyio
import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.identity.access import Access, Forbidden, Gate
from api.operations import Services
from api.problems import problem_of
from api.request_numbers import BUCKETS_S, RequestNumbers
from core import tracing
from core.errors import NotAllowed, PandaError
from logger.metrics import FAMILIES, Sample, samples

_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_FRESH_S = 5.0
"""The database is asked at most once in so long by each process, however many scrape."""
_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
_PANDA_PATHS = ("/api/v1/{path:path}", "/api/latest/{path:path}")
_STREAM = "/api/monitor/stream"

_OF_REQUESTS = {
    "panda_http_requests_total": ("counter", "Requests answered by the processes of this machine."),
    "panda_http_request_seconds": ("histogram", "How long answers took."),
    "panda_stream_readers": ("gauge", "Live streams that are open."),
    "panda_stream_resyncs_total": (
        "counter",
        "How often a reader of the live stream was told to read everything anew.",
    ),
}


class Measured:
    """Counts and times every request by its route; names of PanDA's calls come from its own list."""

    def __init__(self, app: ASGIApp, numbers: RequestNumbers, calls: Collection[tuple[str, str]]) -> None:
        self._app = app
        self._numbers = numbers
        self._calls = calls

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request, then note it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500
        started = time.perf_counter()
        trace_headers: list[tuple[bytes, bytes]] = []

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message.get("headers", ()), *trace_headers]}
            await send(message)

        method = scope["method"] if scope["method"] in _METHODS else "other"
        with tracing.span(method, _traceparent(scope), **{"http.request.method": method}) as span:
            if span.trace_id:
                trace_headers.append((b"x-trace-id", span.trace_id.encode()))
            try:
                await self._app(scope, receive, noted)
            finally:
                route = self._route(scope)
                seconds = None if route == _STREAM else time.perf_counter() - started
                self._numbers.note(route, method, status, seconds)
                span.name(f"{method} {route}")
                facts: dict[str, str | int | float | bool] = {"http.route": route, "http.response.status_code": status}
                span.note(**facts)
                if status >= 500:
                    span.failed(str(status))

    def _route(self, scope: Scope) -> str:
        """A name of a fixed list, whatever was asked for."""
        path = getattr(scope.get("route"), "path", "")
        if path in _PANDA_PATHS:
            _, _, _, module, *rest = scope["path"].split("/")
            is_known = len(rest) == 1 and (module, rest[0]) in self._calls
            return f"/api/v1/{module}/{rest[0]}" if is_known else "/api/v1/unknown"
        return path.replace(":path}", "}") or "unknown"


def _traceparent(scope: Scope) -> dict[str, str]:
    """The header by which a caller says which trace its request belongs to, if there is one."""
    if not tracing.is_on():
        return {}
    return {name.decode(): value.decode("latin-1") for name, value in scope["headers"] if name == b"traceparent"}


def metrics_route(services: Services, gate: Gate, numbers: RequestNumbers, readers: anyio.CapacityLimiter) -> Route:
    """The route of /metrics. `readers`: the few threads of monitor questions."""
    page = _Page(services, numbers)

    async def endpoint(request: Request) -> Response:
        return await anyio.to_thread.run_sync(_answer, page, services, gate, request, limiter=readers)

    return Route("/metrics", endpoint, methods=["GET"])


def _answer(page: _Page, services: Services, gate: Gate, request: Request) -> Response:
    try:
        token = services.settings.metrics.token
        given = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
        if not (token and hmac.compare_digest(given.encode(), token.encode())):
            caller = gate.identify(request.headers, request.cookies)
            if token and not caller.is_known:
                raise NotAllowed("a token is needed", field="Authorization", remedy="the one of [metrics] token")
            gate.admit(caller, Access.READER)
        return Response(page.text(), media_type=None, headers={"Content-Type": _CONTENT_TYPE})
    except PandaError as error:
        return problem_of(error, is_anonymous=not isinstance(error, Forbidden))


class _Page:
    """What the database said lately, and the requests as they are."""

    def __init__(self, services: Services, numbers: RequestNumbers) -> None:
        self._services = services
        self._numbers = numbers
        self._lock = threading.Lock()
        self._known: list[Sample] = []
        self._known_until = 0.0
        live = services.live
        numbers.watch("panda_stream_readers", lambda: live.reader_count)
        numbers.watch("panda_stream_resyncs_total", lambda: live.resync_count)

    def text(self) -> str:
        """The page."""
        with self._lock:
            if time.monotonic() >= self._known_until:
                now: datetime = self._services.clock()
                self._known = list(samples(self._services.read_database, now))
                self._known_until = time.monotonic() + _FRESH_S
            known = self._known
        return exposition([*known, *of_requests(self._numbers.total())], {**FAMILIES, **_OF_REQUESTS})


def of_requests(total: Mapping[str, Any]) -> Iterator[Sample]:
    """Counts and durations of requests as samples."""
    for (route, method, status), count in total["counts"].items():
        yield Sample("panda_http_requests_total", {"route": route, "method": method, "status": status}, count)
    for route, (*buckets, seconds) in total["times"].items():
        below = 0.0
        for end, count in zip((*map(str, BUCKETS_S), "+Inf"), buckets, strict=True):
            below += count
            yield Sample("panda_http_request_seconds_bucket", {"route": route, "le": end}, below)
        yield Sample("panda_http_request_seconds_sum", {"route": route}, seconds)
        yield Sample("panda_http_request_seconds_count", {"route": route}, below)
    for name, value in total["gauges"].items():
        yield Sample(name, {}, value)


def exposition(found: Iterable[Sample], families: Mapping[str, tuple[str, str]]) -> str:
    """Samples in the text format of Prometheus, family by family."""
    lines: dict[str, list[str]] = {name: [] for name in families}
    for sample in found:
        family = sample.name
        if family not in lines:
            family = family.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count")
        labels = ",".join(f'{name}="{_escaped(value)}"' for name, value in sample.labels.items())
        lines[family].append(
            f"{sample.name}{{{labels}}} {sample.value:.15g}" if labels else f"{sample.name} {sample.value:.15g}"
        )
    parts = []
    for name, (kind, meaning) in families.items():
        if lines[name]:
            parts.extend([f"# HELP {name} {meaning}", f"# TYPE {name} {kind}", *lines[name]])
    return "\n".join(parts) + "\n"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
