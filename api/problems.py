"""Refusals as `application/problem+json` (RFC 9457), with the field and the remedy. Knows the errors of core, no operation."""

from __future__ import annotations

from math import ceil
from typing import Any

import orjson
from starlette.responses import Response

from api.bodies import UnsupportedEncoding
from core.errors import Conflict, InvalidInput, NotAllowed, PandaError, TooMany, Unavailable, UnknownObject
from core.tracing import trace_id

_STATUS: list[tuple[type[PandaError], int, str]] = [
    (UnsupportedEncoding, 415, "Unsupported media type"),
    (InvalidInput, 422, "Invalid input"),
    (UnknownObject, 404, "Not found"),
    (Conflict, 409, "Conflict"),
    (NotAllowed, 403, "Not allowed"),
    (TooMany, 429, "Too many requests"),
    (Unavailable, 503, "Unavailable"),
]


def encode(content: Any) -> bytes:
    """JSON bytes; times as ISO 8601, anything unknown as text."""
    return orjson.dumps(content, default=str, option=orjson.OPT_NON_STR_KEYS)


def json_response(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """An ordinary JSON answer."""
    return Response(encode(content), status, headers, media_type="application/json")


def problem(status: int, title: str, *, code: str, detail: str, field: str = "", remedy: str = "") -> Response:
    """A problem document; where requests are traced it names the trace, for whoever is asked what happened."""
    trace = trace_id()
    body = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "code": code,
        "detail": f"{field}: {detail}" if field else detail,
        "field": field,
        "remedy": remedy,
        **({"trace_id": trace} if trace else {}),
    }
    headers = {"Retry-After": "2"} if status == 503 else {}
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="pandascope"'
    return Response(encode(body), status, headers, media_type="application/problem+json")


def problem_of(error: PandaError, *, is_anonymous: bool = False) -> Response:
    """The problem document of one of our errors; a refusal to somebody without a token is 401."""
    for kind, status, title in _STATUS:
        if isinstance(error, kind):
            is_unknown = kind is NotAllowed and is_anonymous
            answer = problem(
                401 if is_unknown else status,
                "Who are you?" if is_unknown else title,
                code=error.code,
                detail=error.detail,
                field=error.field,
                remedy=error.remedy,
            )
            if isinstance(error, TooMany):
                answer.headers["Retry-After"] = str(max(1, ceil(error.retry_after_s)))
            if isinstance(error, UnsupportedEncoding):
                answer.headers["Accept-Encoding"] = "gzip"  # of requests: RFC 9110 15.5.16
            return answer
    return problem(400, "Refused", code=error.code, detail=error.detail, field=error.field, remedy=error.remedy)
