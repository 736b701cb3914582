"""HTTP with a bearer token, time-outs, retries and typed errors, for threads and for coroutines.

Knows how the server says no (problem+json, PanDA's envelope); knows none of its calls. Pilots and clients stand on it.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from pandascope.environment import virtual_organisation
from pandascope.errors import ClientError, NotAuthorised, NotFound, Refused, ServerFault, ServerUnreachable
from pandascope.traceparent import outgoing

_IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE"})
_PASSING_STATUS = frozenset({502, 503, 504})
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
"""Failures after which the server cannot have seen the request, so that any method may be tried again."""

Parameters = Mapping[str, Any]


@dataclass(frozen=True)
class Request:
    """One call. `retry`: may it be repeated when it is unknown whether the server saw it (default: by the method)?
    `is_text`: the answer is a text, no JSON document."""

    method: str
    path: str
    params: Parameters | None = None
    json: Any = None
    retry: bool | None = None
    timeout_s: float | None = None
    is_text: bool = False

    @property
    def is_repeatable(self) -> bool:
        """May the call reach the server twice without harm?"""
        return self.method in _IDEMPOTENT if self.retry is None else self.retry


@dataclass(frozen=True)
class Manners:
    """How patient a transport is. Pauses grow twofold from `first_pause_s` up to `longest_pause_s`, with jitter."""

    connect_timeout_s: float = 5.0
    timeout_s: float = 60.0
    tries: int = 4
    first_pause_s: float = 0.25
    longest_pause_s: float = 10.0

    def pause_s(self, request: Request, attempt: int, outcome: httpx.Response | httpx.TransportError) -> float | None:
        """Seconds to wait before the next attempt, None when the outcome stands."""
        if attempt >= self.tries or not _is_passing(request, outcome):
            return None
        return min(self.longest_pause_s, self.first_pause_s * 2.0 ** (attempt - 1)) * random.uniform(0.5, 1.0)

    def timeout(self, request: Request) -> httpx.Timeout:
        """httpx's form of the time-outs of one call."""
        return httpx.Timeout(request.timeout_s or self.timeout_s, connect=self.connect_timeout_s)


@dataclass(frozen=True)
class _Wire:
    """What both transports share: where, who, how patient."""

    url: str
    token: str = ""
    origin: str = ""
    manners: Manners = field(default_factory=Manners)
    via: str = ""
    """What asks on behalf of people, for the audit: cli, console or web."""

    def client_options(self) -> dict[str, Any]:
        headers = {"Accept": "application/json", "User-Agent": "pandascope"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        origin = self.origin or virtual_organisation(self.token)
        if origin:
            headers["Origin"] = origin
        if self.via:
            headers["X-Panda-Via"] = self.via
        return {"base_url": self.url, "headers": headers}

    def request_options(self, request: Request) -> dict[str, Any]:
        params = {key: value for key, value in (request.params or {}).items() if value is not None}
        return {
            "method": request.method,
            "url": request.path,
            "params": params or None,
            "json": request.json,
            "headers": outgoing() or None,
            "timeout": self.manners.timeout(request),
        }

    def stream_options(self, request: Request, headers: Mapping[str, str] | None) -> dict[str, Any]:
        return {
            **self.request_options(request),
            "headers": {"Accept": "text/event-stream", **outgoing(), **(headers or {})},
        }

    def answer(self, request: Request, outcome: httpx.Response | httpx.TransportError) -> Any:
        if isinstance(outcome, httpx.TransportError):
            raise unreachable(self.url, outcome) from outcome
        return decode(request, outcome)


class Transport:
    """Blocking HTTP; one instance may be shared by threads. Close it, or use it in a `with` statement."""

    def __init__(
        self,
        url: str,
        token: str = "",
        *,
        origin: str = "",
        manners: Manners | None = None,
        via: str = "",
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._wire = _Wire(url.rstrip("/"), token, origin, manners or Manners(), via)
        self.url = self._wire.url
        self._http = httpx.Client(transport=transport, **self._wire.client_options())

    def get(self, path: str, params: Parameters | None = None, *, timeout_s: float | None = None) -> Any:
        """The JSON document at `path`."""
        return self.request(Request("GET", path, params, timeout_s=timeout_s))

    def post(self, path: str, json: Any = None, *, retry: bool = False, timeout_s: float | None = None) -> Any:
        """The JSON answer to a body; `retry=True` when the server takes the same body twice without harm."""
        return self.request(Request("POST", path, json=json, retry=retry, timeout_s=timeout_s))

    def put(self, path: str, json: Any = None) -> Any:
        """The JSON answer to a replacement."""
        return self.request(Request("PUT", path, json=json))

    def request(self, request: Request) -> Any:
        """Carry out one call with retries. Raises ServerUnreachable, NotAuthorised, NotFound, Refused, ServerFault."""
        for attempt in itertools.count(1):
            outcome = self._attempt(request)
            pause_s = self._wire.manners.pause_s(request, attempt, outcome)
            if pause_s is None:
                return self._wire.answer(request, outcome)
            time.sleep(pause_s)

    def _attempt(self, request: Request) -> httpx.Response | httpx.TransportError:
        try:
            return self._http.request(**self._wire.request_options(request))
        except httpx.TransportError as error:
            return error

    @contextmanager
    def lines(
        self,
        path: str,
        params: Parameters | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        silence_s: float | None = None,
    ) -> Iterator[Iterator[str]]:
        """The lines of an answer as they arrive; after `silence_s` without any the connection counts as lost.

        No retries: the reader knows where to resume.
        """
        try:
            with self._http.stream(
                **self._wire.stream_options(Request("GET", path, params, timeout_s=silence_s), headers)
            ) as response:
                if response.is_error:
                    response.read()
                    decode(Request("GET", path), response)
                yield response.iter_lines()
        except httpx.TransportError as error:
            raise unreachable(self.url, error) from error

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def __enter__(self) -> Transport:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncTransport:
    """The same for coroutines."""

    def __init__(
        self,
        url: str,
        token: str = "",
        *,
        origin: str = "",
        manners: Manners | None = None,
        via: str = "",
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._wire = _Wire(url.rstrip("/"), token, origin, manners or Manners(), via)
        self.url = self._wire.url
        self._http = httpx.AsyncClient(transport=transport, **self._wire.client_options())

    async def get(self, path: str, params: Parameters | None = None, *, timeout_s: float | None = None) -> Any:
        """The JSON document at `path`."""
        return await self.request(Request("GET", path, params, timeout_s=timeout_s))

    async def post(self, path: str, json: Any = None, *, retry: bool = False, timeout_s: float | None = None) -> Any:
        """The JSON answer to a body; `retry=True` when the server takes the same body twice without harm."""
        return await self.request(Request("POST", path, json=json, retry=retry, timeout_s=timeout_s))

    async def put(self, path: str, json: Any = None) -> Any:
        """The JSON answer to a replacement."""
        return await self.request(Request("PUT", path, json=json))

    async def request(self, request: Request) -> Any:
        """Carry out one call with retries. Raises ServerUnreachable, NotAuthorised, NotFound, Refused, ServerFault."""
        for attempt in itertools.count(1):
            outcome = await self._attempt(request)
            pause_s = self._wire.manners.pause_s(request, attempt, outcome)
            if pause_s is None:
                return self._wire.answer(request, outcome)
            await asyncio.sleep(pause_s)

    async def _attempt(self, request: Request) -> httpx.Response | httpx.TransportError:
        try:
            return await self._http.request(**self._wire.request_options(request))
        except httpx.TransportError as error:
            return error

    @asynccontextmanager
    async def lines(
        self,
        path: str,
        params: Parameters | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        silence_s: float | None = None,
    ) -> AsyncIterator[AsyncIterator[str]]:
        """The lines of an answer as they arrive; after `silence_s` without any the connection counts as lost.

        No retries: the reader knows where to resume.
        """
        try:
            async with self._http.stream(
                **self._wire.stream_options(Request("GET", path, params, timeout_s=silence_s), headers)
            ) as response:
                if response.is_error:
                    await response.aread()
                    decode(Request("GET", path), response)
                yield response.aiter_lines()
        except httpx.TransportError as error:
            raise unreachable(self.url, error) from error

    async def close(self) -> None:
        """Give the connections back."""
        await self._http.aclose()

    async def __aenter__(self) -> AsyncTransport:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def unwrap(envelope: Any) -> Any:
    """The data of PanDA's envelope; raises Refused with the server's sentence when it says success=false."""
    if not isinstance(envelope, dict) or "success" not in envelope:
        raise ServerFault("the answer has no PanDA envelope", remedy="is this the address of a PanDA server?")
    if envelope["success"]:
        return envelope.get("data")
    raise Refused(
        str(envelope.get("message") or "refused without a reason"),
        code=str(envelope.get("code") or ""),
        field=str(envelope.get("field") or ""),
        remedy=str(envelope.get("remedy") or ""),
    )


def decode(request: Request, response: httpx.Response) -> Any:
    """The JSON document (or the text) of a response; raises what its status and body say."""
    try:
        document = response.json()
    except ValueError:
        document = None
    if response.is_error or response.is_redirect:
        raise _refusal(request, response, document if isinstance(document, dict) else {})
    if request.is_text:
        return response.text
    if document is None:
        raise ServerFault(
            f"{request.method} {request.path} answered something that is not JSON",
            remedy="is this the address of a PanDA server?",
        )
    return document


def unreachable(url: str, error: httpx.TransportError) -> ServerUnreachable:
    """The failure of a connection in words."""
    if isinstance(error, httpx.TimeoutException) and not isinstance(error, httpx.ConnectTimeout):
        return ServerUnreachable(f"{url} did not answer in time", code="no_answer", remedy="try again; `panda status`")
    return ServerUnreachable(
        f"no server answers at {url} ({str(error) or type(error).__name__})",
        remedy="is it up? `panda status` tells, `panda up` starts it",
    )


def _is_passing(request: Request, outcome: httpx.Response | httpx.TransportError) -> bool:
    if isinstance(outcome, httpx.Response):
        return outcome.status_code in _PASSING_STATUS and request.is_repeatable
    return isinstance(outcome, _NEVER_SENT) or request.is_repeatable


def _refusal(request: Request, response: httpx.Response, problem: dict[str, Any]) -> ClientError:
    status = response.status_code
    detail = str(problem.get("detail") or problem.get("message") or problem.get("title") or "")
    detail = detail or f"{request.method} {request.path}: HTTP {status} {response.text[:300].strip()}".strip()
    words = {name: str(problem.get(name) or "") for name in ("code", "field", "remedy")}
    if status in (401, 403):
        if not words["remedy"] and "panda token create" not in detail:  # PanDA's envelope has it in the sentence
            words["remedy"] = "is PANDA_TOKEN the token for this server? `panda token create` makes one"
        return NotAuthorised(detail, status=status, problem=problem, **words)
    if status == 404:
        return NotFound(detail, status=status, problem=problem, **words)
    if status in _PASSING_STATUS:
        return ServerUnreachable(detail, **words)
    return Refused(detail, status=status, problem=problem, **words) if status < 500 else ServerFault(detail, **words)
