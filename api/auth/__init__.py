"""Signing in: `/auth`, where programs learn how, get their codes and tokens, and people confirm them."""

from __future__ import annotations

import logging
from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.auth.configuration import Configuration
from api.auth.device_page import DevicePage, problem_page
from api.auth.tokens import TokenEndpoints, oauth_error, oauth_refusal
from api.bodies import read_body
from api.identity.access import Gate
from api.identity.issuer import Issuer
from api.operations import Services
from api.problems import problem_of
from core.errors import PandaError

log = logging.getLogger("panda.api")

_BODY_LIMIT_BYTES = 2**20

Handler = Callable[[Request, bytes], Response]


def routes(services: Services, gate: Gate, issuer: Issuer) -> list[Route]:
    """The routes below `/auth`."""
    configuration = Configuration(services, issuer)
    tokens = TokenEndpoints(services, issuer)
    device = DevicePage(services, gate, issuer)
    return [
        _route("GET", "/auth/.well-known/openid-configuration", configuration.discovery, problem_of),
        _route("GET", "/auth/jwks", configuration.keys, problem_of),
        _route("POST", "/auth/device_authorization", tokens.device_authorization, oauth_refusal),
        _route("POST", "/auth/token", tokens.token, oauth_refusal),
        _route("GET", "/auth/device", device.show, problem_page),
        _route("POST", "/auth/device", device.decide, problem_page),
        _route("GET", "/auth/{file_name}", configuration.auth_configuration, problem_of),
    ]


def _route(method: str, path: str, handler: Handler, refusal: Callable[[PandaError], Response]) -> Route:
    """One thread hop per request; errors of ours in the form that this path's readers understand."""

    async def endpoint(request: Request) -> Response:
        try:
            body = await read_body(request, _BODY_LIMIT_BYTES) if method == "POST" else b""
            return await run_in_threadpool(handler, request, body)
        except PandaError as error:
            return refusal(error)
        except Exception:  # the last door: the caller gets a sentence, the log the traceback
            log.exception("%s failed", path, extra={"component": "api"})
            return oauth_error("server_error", "the reason is in the server's log and incident store", 500)

    return Route(path, endpoint, methods=[method])
