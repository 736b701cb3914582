"""Answers `/server/panda/<method>`: reads what old clients send, calls the v1 endpoint, answers JSON. Knows no method.

Bodies come as forms without a Content-Type, as JSON, and as gzip that does not say so (pilot-wire.md 1). The pilot ignores
HTTP status and takes any JSON as delivered, so a report that cannot be kept now is answered with 503 and text: it is
sent again. Everything else that goes wrong is told as JSON.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from api.addresses import base_url_of
from api.bodies import parse_json, read_body, refuse_nul
from api.identity.access import Access, Gate
from api.operations import Services
from api.panda.kernel import Auth, Bare, Call, Endpoint, PandaApi, Success, panda_json
from api.panda.legacy import LEGACY_METHODS, NOTHING_SAID, LegacyMethod
from api.panda.legacy_shapes import StatusCode, renamed, without_nonsense
from api.panda.pilot import NO_JOBS, ROLE_NEEDED
from api.uploads import receive_upload
from core.errors import InvalidInput, NotAllowed, PandaError, Unavailable

log = logging.getLogger("panda.api")

_MOST_FIELDS = 10_000
_LATER = "not now; send it again\n"
_CODES = {NO_JOBS: StatusCode.NO_JOBS, ROLE_NEEDED: StatusCode.ROLE}


class LegacyDoor:
    """All old methods behind one handler."""

    def __init__(self, panda: PandaApi, services: Services, gate: Gate) -> None:
        self._panda = panda
        self._services = services
        self._gate = gate
        self._limit_bytes = services.settings.request_body_limit_mb * 2**20

    async def handle(self, request: Request) -> Response:
        """Answer one request to `/server/panda/{method}`."""
        name = request.path_params["method"]
        method = LEGACY_METHODS.get(name)
        found = self._panda.endpoints.get((method.module, method.function)) if method else None
        if method is None or found is None:
            return _json(
                {"StatusCode": int(StatusCode.FAILED), "errorDialog": f"ERROR : method {name} is forbidden"}, 403
            )
        upload = None
        sends_body = request.method in ("POST", "PUT")  # a Harvester puts its logs (server-api.md 4)
        try:
            sent: dict[str, Any] = dict(request.query_params)
            if found.upload_name and sends_body:
                upload, fields = await receive_upload(request, found.upload_name, found.upload_limit_mb * 2**20)
                sent |= {**fields, found.upload_name: upload}
            elif sends_body:
                sent |= read_parameters(await read_body(request, self._limit_bytes))
            return await run_in_threadpool(self._answer, method, found, request, sent)
        except PandaError as error:
            return _json(method.shape.refusal(StatusCode.INVALID, str(error)))
        finally:
            if upload is not None:
                upload.file.close()

    def _answer(self, method: LegacyMethod, found: Endpoint, request: Request, sent: dict[str, Any]) -> Response:
        try:
            return self._called(method, found, request, sent)
        except Unavailable as error:
            log.warning("%s could not be answered: %s", request.url.path, error)
            if method.must_arrive:
                return PlainTextResponse(_LATER, 503)
            return _json(method.shape.refusal(StatusCode.TIMEOUT, str(error)))
        except NotAllowed as error:
            return _json(method.shape.refusal(StatusCode.PERMISSION, str(error)))
        except PandaError as error:
            return _json(method.shape.refusal(StatusCode.FAILED, str(error)))
        except Exception:  # the last door: the caller gets a sentence, the log the traceback
            log.exception("%s failed", request.url.path, extra={"component": "api"})
            if method.must_arrive:
                return PlainTextResponse(_LATER, 500)
            said = "internal error; the reason is in the server's log and incident store"
            return _json(method.shape.refusal(StatusCode.FAILED, said))

    def _called(self, method: LegacyMethod, found: Endpoint, request: Request, sent: dict[str, Any]) -> Response:
        try:
            # no cookies: old clients have none, and a link must not act for somebody who is logged in
            caller = self._gate.identify(request.headers, {})
        except NotAllowed as error:
            self._refused_pilot(method, sent, str(error))
            return _json(method.shape.refusal(StatusCode.INVALID, str(error)), 403)
        if found.auth is not Auth.OPEN and not caller.is_known:
            said = "SSL secure connection is required (send 'Authorization: Bearer <token>')"
            self._refused_pilot(method, sent, said)
            return _json(method.shape.refusal(StatusCode.INVALID, said))
        if found.auth is Auth.PRODUCTION and not (caller.may(Access.PILOT) or caller.may(Access.OPERATOR)):
            return _json(method.shape.refusal(StatusCode.ROLE, "production or pilot role required"))
        values = _v1_parameters(method, found, sent)
        if values is None:
            return _json(NOTHING_SAID)
        call = Call(
            self._services,
            caller,
            # the old names took either; what counts is how v1 is called
            request.method if request.method in found.methods else found.methods[0],
            base_url_of(request),
            request.headers,
            values,
            is_legacy=True,
        )
        result = self._panda.result(found, call)
        if isinstance(result, Bare):
            return _json(result.text)
        if isinstance(result, Success):
            return _json(method.shape.success(result, sent))
        return _json(method.shape.refusal(_CODES.get(result.message, StatusCode.FAILED), result.message))

    def _refused_pilot(self, method: LegacyMethod, sent: dict[str, Any], reason: str) -> None:
        if method.module == "pilot":
            self._panda.refused_pilots.note(self._services.database, sent.get("siteName"), reason)


def _v1_parameters(method: LegacyMethod, found: Endpoint, sent: Mapping[str, Any]) -> dict[str, Any] | None:
    values = method.prepare(renamed(sent, method.names))
    if values is not None and not found.takes_binary:
        refuse_nul(values, "")
    return values if values is None or not method.takes_nonsense else without_nonsense(values, found)


def read_parameters(body: bytes) -> dict[str, Any]:
    """The parameters of a body, which is an object in JSON or a form, whatever its headers say. Raises InvalidInput.

    Bytes that are not UTF-8 are replaced: a diagnosis with a broken character must not cost the report. Of a repeated
    key the last value counts.
    """
    text = body.lstrip()
    if text.startswith(b"{"):
        document = parse_json(text.decode("utf-8", "replace").encode(), takes_binary=True)
        return document if isinstance(document, dict) else {}
    try:
        pairs = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError as error:
        raise InvalidInput(
            f"not a form: {error}", field="body", remedy="send key=value&... or a JSON object"
        ) from error
    return dict(pairs)


def _json(content: Any, status: int = 200) -> Response:
    return Response(panda_json(content), status, media_type="application/json")
