"""PanDA's way of calling: `/api/v1/<module>/<function>`, typed parameters, one envelope. Knows no endpoint.

An endpoint is a typed function with `@endpoint`; casting, refusals, the level of access, uploads and the OpenAPI document
all come from that one declaration. Rules from server-api.md section 0 with the leniency of its section 7: unknown
parameters are ignored and named in a header; refusals are HTTP 200 with success=false; unknown methods and bad tokens are 403.
"""

from __future__ import annotations

import inspect
import logging
import re
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, get_type_hints

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api.addresses import base_url_of
from api.bodies import read_body
from api.identity.access import Access, Caller, Gate
from api.operations import Services
from api.panda.casting import cast, describe, says_none
from api.panda.parameters import sent_parameters
from api.panda.refused_pilots import RefusedPilots
from api.uploads import Upload, receive_upload
from core.errors import NotAllowed, PandaError, Unavailable
from core.tasks import task_owner

log = logging.getLogger("panda.api")


class Auth(StrEnum):
    """PanDA's levels of access (server-api.md 0)."""

    OPEN = "open"
    SECURE = "secure"
    OWNER = "owner"
    """The owner of the task named by `task_id`, or the production role."""
    PRODUCTION = "production"


@dataclass(frozen=True)
class Call:
    """What a v1 endpoint may use while it answers."""

    services: Services
    caller: Caller
    method: str = "POST"
    base_url: str = ""
    """Scheme, host and port as the client addressed this server, without a slash at the end."""
    headers: Mapping[str, str] = field(default_factory=dict)
    sent: Mapping[str, Any] = field(default_factory=dict)
    """The parameters as they came, those that the endpoint does not name included."""
    is_legacy: bool = False
    """It came through /server/panda: a pilot of today, which reads comma-joined lists (pilot-wire.md 3)."""

    @property
    def is_production(self) -> bool:
        """Whether the caller may act for others (production, operator or admin role)."""
        return self.caller.may(Access.PRODUCTION) or self.caller.may(Access.OPERATOR)


@dataclass(frozen=True)
class Success:
    """success=true with `data`."""

    data: Any = None
    message: str = ""


@dataclass(frozen=True)
class Refusal:
    """success=false with a message that says what to do."""

    message: str
    data: Any = None


@dataclass(frozen=True)
class Bare:
    """A bare JSON string instead of the envelope: two endpoints upstream answer so (server-api.md 0)."""

    text: str


Result = Success | Refusal | Bare

NOT_IMPLEMENTED = "not_implemented"

WARNING_HEADER = "X-Panda-Warning"
"""Says which parameters were ignored. Not the message: clients print that, and read ids out of it."""

_SHOWN_NAMES = 10
_SITE_NAME = "site_name"
"""What endpoints that pilots call for a queue call it."""


def not_built(feature: str) -> Refusal:
    """The honest answer of an endpoint whose feature does not exist here yet: typed, never a pretended success."""
    return Refusal(f"not implemented: this server has no {feature}", data={"code": NOT_IMPLEMENTED, "feature": feature})


@dataclass(frozen=True)
class Endpoint:
    """One function of PanDA's API and how it may be called."""

    function: Callable[..., Result]
    methods: tuple[str, ...]
    auth: Auth
    hints: dict[str, Any]
    defaults: dict[str, Any]
    """Parameters that may be left out."""
    takes_binary: bool
    """Cleans its texts itself, so that no diagnosis is lost; everywhere else a NUL character is refused."""
    upload_limit_mb: int
    takes_any: bool = False
    """Looks at parameters that it does not name."""

    @property
    def upload_name(self) -> str:
        """The parameter that is an uploaded file; empty when there is none."""
        return next((name for name, kind in self.hints.items() if kind is Upload), "")


def endpoint(
    *methods: str,
    auth: Auth = Auth.SECURE,
    takes_binary: bool = False,
    upload_limit_mb: int = 0,
    takes_any: bool = False,
) -> Callable[[Callable[..., Result]], Callable[..., Result]]:
    """Mark a function of a PanDA module as callable by `methods` (GET, POST).

    With `auth=Auth.OWNER` it must have a parameter `task_id`. A parameter of type `Upload` takes a multipart file.
    """

    def mark(function: Callable[..., Result]) -> Callable[..., Result]:
        hints = {name: kind for name, kind in get_type_hints(function).items() if name not in ("call", "return")}
        parameters = inspect.signature(function).parameters
        defaults = {name: parameters[name].default for name in hints if parameters[name].default is not inspect._empty}
        declared = Endpoint(function, methods, auth, hints, defaults, takes_binary, upload_limit_mb, takes_any)
        function.__panda__ = declared  # type: ignore[attr-defined]
        return function

    return mark


class PandaApi:
    """All v1 modules behind one handler."""

    def __init__(self, modules: dict[str, types.ModuleType], services: Services, gate: Gate) -> None:
        self._services = services
        self._gate = gate
        self._limit_bytes = services.settings.request_body_limit_mb * 2**20
        self.refused_pilots = RefusedPilots()
        self.endpoints: dict[tuple[str, str], Endpoint] = {
            (module_name, name): value.__panda__
            for module_name, module in modules.items()
            for name, value in vars(module).items()
            if hasattr(value, "__panda__")
        }

    async def handle(self, request: Request) -> Response:
        """Answer one request to `/api/v1/<module>/<function>`; any other path below is an unknown method too."""
        module, _, name = request.path_params["path"].rstrip("/").rpartition("/")
        found = self.endpoints.get((module, name))
        if found is None:
            return envelope(Refusal(f"ERROR : method {name} is forbidden"), 403)
        if found.upload_name and request.method == "POST":
            return await self._take_upload(found, request)
        try:
            body = await read_body(request, self._limit_bytes) if request.method == "POST" else b""
        except PandaError as error:  # who may not call hears that first
            refusal = await run_in_threadpool(self._refusal_at_the_door, found, request)
            return refusal or envelope(Refusal(str(error)))
        return await run_in_threadpool(self._answer, found, request, body)

    async def _take_upload(self, found: Endpoint, request: Request) -> Response:
        """Uploads are checked for who sends them before their bytes are taken."""
        refusal = await run_in_threadpool(self._refusal_at_the_door, found, request)
        if refusal is not None:
            return refusal
        upload = None
        try:
            upload, values = await receive_upload(request, found.upload_name, found.upload_limit_mb * 2**20)
            return await run_in_threadpool(self._answer, found, request, b"", {**values, found.upload_name: upload})
        except PandaError as error:
            return envelope(Refusal(str(error)))
        finally:
            if upload is not None:
                upload.file.close()

    def _refusal_at_the_door(self, found: Endpoint, request: Request) -> Response | None:
        try:
            refusal = _may_call(found, self._gate.identify(request.headers, request.cookies), request.method)
        except NotAllowed as error:
            return envelope(Refusal(str(error)), 403)
        except Unavailable as error:
            return envelope(Refusal(str(error)), 503)
        return None if refusal is None else envelope(refusal)

    def _answer(
        self, found: Endpoint, request: Request, body: bytes, uploaded: dict[str, Any] | None = None
    ) -> Response:
        try:
            caller = self._gate.identify(request.headers, request.cookies)
        except NotAllowed as error:
            self._note_refused(found, request, body, str(error))
            return envelope(Refusal(str(error)), 403)
        except Unavailable as error:  # an external issuer that must be asked
            return envelope(Refusal(str(error)), 503)
        try:
            if (refusal := _may_call(found, caller, request.method)) is not None:
                if not caller.is_known:
                    self._note_refused(found, request, body, refusal.message)
                return envelope(refusal)
            sent = _parameters(found, request, body) if uploaded is None else uploaded
            call = Call(self._services, caller, request.method, base_url_of(request), request.headers, sent)
            response = envelope(self.result(found, call))
            if unknown := _unknown_to(found, sent):
                response.headers[WARNING_HEADER] = f"ignored unknown parameters: {unknown}"
            return response
        except Unavailable as error:
            return envelope(Refusal(str(error)), 503)
        except PandaError as error:
            return envelope(Refusal(str(error)))
        except Exception:  # the last door: the caller gets a sentence, the log the traceback
            log.exception("%s failed", request.url.path, extra={"component": "api"})
            return envelope(Refusal("internal error; the reason is in the server's log and incident store"), 500)

    def _note_refused(self, found: Endpoint, request: Request, body: bytes, reason: str) -> None:
        """Pilots and factories name their queue as `site_name`; what they sent is looked at for nothing else."""
        if _SITE_NAME not in found.hints:
            return
        try:
            sent = _parameters(found, request, body)
        except PandaError:  # the caller hears that he may not call, whatever he sent
            return
        self.refused_pilots.note(self._services.database, sent.get(_SITE_NAME), reason)

    def result(self, found: Endpoint, call: Call) -> Result:
        """What an endpoint says to `call.sent`, its order of checks included (server-api.md 0). Raises PandaError."""
        if (refusal := _may_call(found, call.caller, call.method)) is not None:
            return refusal
        arguments = bind(found, call.sent)
        if isinstance(arguments, Refusal):
            return arguments
        if found.auth is Auth.OWNER and (refusal := _must_own(call, arguments.get("task_id"))) is not None:
            return refusal
        return found.function(call, **arguments)


def _may_call(found: Endpoint, caller: Caller, method: str) -> Refusal | None:
    if found.auth is not Auth.OPEN and not caller.is_known:
        return Refusal("SSL secure connection is required (send 'Authorization: Bearer <token>')")
    if found.auth is Auth.PRODUCTION and not (caller.may(Access.PILOT) or caller.may(Access.OPERATOR)):
        return Refusal("production or pilot role required")
    if method not in found.methods:
        return Refusal(f"expecting {' or '.join(found.methods)}, received {method}")
    return None


def _must_own(call: Call, task_id: int | None) -> Refusal | None:
    """A task that does not exist is nobody's; those who may act for others hear that it does not exist."""
    if call.is_production or task_id is None:
        return None
    if task_owner(call.services.database, task_id) != call.caller.user_name:
        return Refusal("not the task owner or no production role")
    return None


def _parameters(found: Endpoint, request: Request, body: bytes) -> dict[str, Any]:
    content_type = request.headers.get("content-type", "")
    query: bytes = request.scope["query_string"]
    return sent_parameters(query, body, content_type, takes_binary=found.takes_binary)


def _unknown_to(found: Endpoint, sent: Mapping[str, Any]) -> str:
    """The parameters that an endpoint takes no notice of, fit for a header."""
    names = [] if found.takes_any else [name for name in sent if name not in found.hints]
    return ", ".join(re.sub(r"[^\w.-]", "?", name, flags=re.ASCII)[:40] for name in names[:_SHOWN_NAMES])


def bind(found: Endpoint, values: Mapping[str, Any]) -> dict[str, Any] | Refusal:
    """The arguments of an endpoint out of what was sent, or the refusal with PanDA's words for what is wrong."""
    for name in found.hints:
        if name not in values and name not in found.defaults:
            return Refusal(f"Argument error: missing a required argument: '{name}'")
    arguments: dict[str, Any] = {}
    for name, kind in found.hints.items():
        if name not in values:
            continue
        if kind is bool and name in found.defaults and says_none(values[name]):
            continue
        try:
            arguments[name] = cast(values[name], kind)
        except (TypeError, ValueError):
            given = repr(values[name])
            shown = given if len(given) <= 80 else given[:77] + "..."
            return Refusal(f"Type error: '{name}' must be {describe(kind)}, got {shown}")
    return arguments


def envelope(result: Result, status: int = 200) -> Response:
    """A result as PanDA's clients read it; times as `{"__datetime__": ...}` in naive UTC (client-wire.md 0.9)."""
    content: Any
    if isinstance(result, Bare):
        content = result.text
    else:
        content = {"success": isinstance(result, Success), "message": result.message, "data": result.data}
    return Response(panda_json(content), status, media_type="application/json")


def panda_json(content: Any) -> bytes:
    """JSON in PanDA's dialect."""
    return orjson.dumps(content, default=_special, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_PASSTHROUGH_DATETIME)


def _special(value: Any) -> Any:
    if isinstance(value, datetime):
        # whole seconds, as upstream: clients print the text as it comes
        naive = (value.astimezone(UTC) if value.tzinfo else value).replace(tzinfo=None, microsecond=0)
        return {"__datetime__": naive.isoformat()}
    return str(value)
