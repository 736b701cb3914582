"""Serves declared operations over Starlette: one thread hop per request does identity, validation, work and encoding."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.to_thread
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.bodies import gathered, parse_json, read_body, refuse_nul
from api.identity.access import NOBODY, Access, Forbidden, Gate
from api.operations import Answer, Context, Created, Operation, RawBody, Services
from api.problems import json_response, problem, problem_of
from core.audit import asked_from
from core.errors import PandaError

log = logging.getLogger("panda.api")

Endpoint = Callable[[Request], Awaitable[Response]]

_RAW_THREADS = 16
_VIA_HEADER = "x-panda-via"
"""What programs of people say of themselves: cli, console or web (`core.audit.asked_from`)."""


def route_of(operation: Operation, services: Services, gate: Gate, readers: anyio.CapacityLimiter) -> Route:
    """The Starlette route of one operation. Monitor questions share the few threads of `readers`, so that slow ones
    wait for each other and never for or before a pilot; so do the senders of what is read raw, of which any number may
    come at once: they wait for one transaction, and need no connection meanwhile."""
    limiter = readers if operation.access is Access.READER else None
    if operation.raw_types:
        limiter = anyio.CapacityLimiter(_RAW_THREADS)
    limit_bytes = services.settings.request_body_limit_mb * 2**20

    async def endpoint(request: Request) -> Response:
        try:
            body = await read_body(request, limit_bytes) if operation.method in ("POST", "PUT") else b""
            if inspect.iscoroutinefunction(operation.handler):
                return await _answer_on_loop(operation, services, gate, request)
        except PandaError as error:
            return problem_of(error)
        return await anyio.to_thread.run_sync(_answer, operation, services, gate, request, body, limiter=limiter)

    return Route(operation.path, endpoint, methods=[operation.method])


def _answer(operation: Operation, services: Services, gate: Gate, request: Request, body: bytes) -> Response:
    caller = NOBODY
    try:
        caller = gate.identify(request.headers, request.cookies)
        gate.admit(caller, operation.access)
        context = Context(services, caller, request.query_params.multi_items())
        arguments = operation.arguments(*_address(request, context), _said(operation, request, body))
        with asked_from(request.headers.get(_VIA_HEADER, "")):
            return _response(operation.handler(context, **arguments))
    except PandaError as error:
        return problem_of(error, is_anonymous=not (caller.is_known or isinstance(error, Forbidden)))
    except Exception:  # the last door: whatever it was, the caller gets a sentence and the log the traceback
        log.exception("%s failed", operation.path, extra={"component": "api"})
        return _internal_error()


def _said(operation: Operation, request: Request, body: bytes) -> Any:
    """The document in the body; of an operation that reads it itself, the body. Looking for names that an object has twice
    takes 170 ms for each MB: too much for what comes all the time."""
    if operation.raw_types:
        return RawBody(body, request.headers.get("content-type", ""))
    return parse_json(body, takes_twins=False)


def _response(answer: Answer) -> Response:
    if isinstance(answer, Response):
        return answer
    if isinstance(answer, Created):
        return json_response(answer.content, 201)
    return json_response(answer)


async def _answer_on_loop(operation: Operation, services: Services, gate: Gate, request: Request) -> Response:
    """Streams stay on the event loop; only their identity check takes a thread."""
    caller = NOBODY
    try:
        caller = await run_in_threadpool(gate.identify, request.headers, request.cookies)
        gate.admit(caller, operation.access)
        context = Context(services, caller, request.query_params.multi_items())
        arguments = operation.arguments(*_address(request, context), None)
        response: Response = await operation.handler(context, request=request, **arguments)
        return response
    except PandaError as error:
        return problem_of(error, is_anonymous=not (caller.is_known or isinstance(error, Forbidden)))
    except Exception:  # the same last door
        log.exception("%s failed", operation.path, extra={"component": "api"})
        return _internal_error()


def _address(request: Request, context: Context) -> tuple[dict[str, str], dict[str, Any]]:
    """The names in the path and the query; what they hold ends in statements, so no NUL may be among it."""
    query = gathered(context.query_items)
    refuse_nul({**request.path_params, **query}, "")
    return request.path_params, query


def _internal_error() -> Response:
    return problem(
        500,
        "Internal error",
        code="internal_error",
        detail="the server could not answer; the reason is in its log and in the incident store",
        remedy="try again; if it persists, see `panda incidents`",
    )


async def unknown_path(request: Request, error: Exception) -> Response:
    """The answer for a path or a method that nobody serves, so that no page is mistaken for data (monitor.md 4.4)."""
    return problem(
        404,
        "No such operation",
        code="unknown_operation",
        detail=f"{request.method} {request.url.path} is not served here",
        remedy="see GET /api/openapi.json",
    )
