"""PanDA's way of calling: `/api/v1/<module>/<function>`, typed parameters, one envelope. Knows no endpoint.

Rules from server-api.md section 0 with the leniency of its section 7: numeric text and whole floats pass for int, text
`True`/`None` are understood, unknown parameters are ignored; refusals are HTTP 200 with success=false.
"""

from __future__ import annotations

import inspect
import logging
import types
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Union, get_args, get_origin, get_type_hints

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api.bodies import gathered, parse_form, parse_json, read_body, refuse_nul
from api.identity.access import Access, Caller, Gate
from api.operations import Services
from api.problems import json_response
from core.errors import InvalidInput, NotAllowed, PandaError, Unavailable

log = logging.getLogger("panda.api")


class Auth(StrEnum):
    """PanDA's levels of access (server-api.md 0)."""

    OPEN = "open"
    SECURE = "secure"
    PRODUCTION = "production"


@dataclass(frozen=True)
class Call:
    """What a v1 endpoint may use while it answers."""

    services: Services
    caller: Caller


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


Result = Success | Refusal


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


def endpoint(
    *methods: str, auth: Auth = Auth.SECURE, takes_binary: bool = False
) -> Callable[[Callable[..., Result]], Callable[..., Result]]:
    """Mark a function of a PanDA module as callable by `methods` (GET, POST)."""

    def mark(function: Callable[..., Result]) -> Callable[..., Result]:
        hints = {name: kind for name, kind in get_type_hints(function).items() if name not in ("call", "return")}
        parameters = inspect.signature(function).parameters
        defaults = {name: parameters[name].default for name in hints if parameters[name].default is not inspect._empty}
        function.__panda__ = Endpoint(function, methods, auth, hints, defaults, takes_binary)  # type: ignore[attr-defined]
        return function

    return mark


class PandaApi:
    """All v1 modules behind one handler."""

    def __init__(self, modules: dict[str, types.ModuleType], services: Services, gate: Gate) -> None:
        self._services = services
        self._gate = gate
        self._limit_bytes = services.settings.request_body_limit_mb * 2**20
        self.endpoints: dict[tuple[str, str], Endpoint] = {
            (module_name, name): value.__panda__
            for module_name, module in modules.items()
            for name, value in vars(module).items()
            if hasattr(value, "__panda__")
        }

    async def handle(self, request: Request) -> Response:
        """Answer one request to `/api/v1/{module}/{function}`."""
        name = request.path_params["function"]
        found = self.endpoints.get((request.path_params["module"], name))
        if found is None:
            return _envelope(Refusal(f"ERROR : method {name} is forbidden"), 403)
        try:
            body = await read_body(request, self._limit_bytes) if request.method == "POST" else b""
        except PandaError as error:
            return _envelope(Refusal(str(error)))
        return await run_in_threadpool(self._answer, found, request, body)

    def _answer(self, found: Endpoint, request: Request, body: bytes) -> Response:
        try:
            caller = self._gate.identify(request.headers, request.cookies)
        except NotAllowed as error:
            return _envelope(Refusal(str(error)), 403)
        try:
            refusal = _may_call(found, caller, request.method)
            if refusal is not None:
                return _envelope(refusal)
            arguments = bind(found, _parameters(found, request, body))
            if isinstance(arguments, Refusal):
                return _envelope(arguments)
            return _envelope(found.function(Call(self._services, caller), **arguments))
        except Unavailable as error:
            return _envelope(Refusal(str(error), data=None), 503)
        except PandaError as error:
            return _envelope(Refusal(str(error), data=None))
        except Exception:  # the last door: the caller gets a sentence, the log the traceback
            log.exception("%s failed", request.url.path, extra={"component": "api"})
            return _envelope(Refusal("internal error; the reason is in the server's log and incident store"), 500)


def _may_call(found: Endpoint, caller: Caller, method: str) -> Refusal | None:
    if found.auth is not Auth.OPEN and not caller.is_known:
        return Refusal("SSL secure connection is required (send 'Authorization: Bearer <token>')")
    if found.auth is Auth.PRODUCTION and not caller.may(Access.PILOT):
        return Refusal("production or pilot role required")
    if method not in found.methods:
        return Refusal(f"expecting {' or '.join(found.methods)}, received {method}")
    return None


def _parameters(found: Endpoint, request: Request, body: bytes) -> dict[str, Any]:
    values = gathered(request.query_params.multi_items())
    is_form = request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
    if is_form:
        values.update(parse_form(body))
    if not found.takes_binary:
        refuse_nul(values, "")
    if body and not is_form:
        document = parse_json(body, takes_binary=found.takes_binary)
        if not isinstance(document, dict):
            raise InvalidInput("not a JSON object", field="body", remedy="send {name: value, ...}")
        values.update(document)
    return values


def bind(found: Endpoint, values: dict[str, Any]) -> dict[str, Any] | Refusal:
    """The arguments of an endpoint out of what was sent, or the refusal with PanDA's words for what is wrong."""
    arguments: dict[str, Any] = {}
    for name, kind in found.hints.items():
        if name not in values:
            if name not in found.defaults:
                return Refusal(f"Argument error: missing a required argument: '{name}'")
            continue
        try:
            arguments[name] = cast(values[name], kind)
        except (TypeError, ValueError):
            given = repr(values[name])
            shown = given if len(given) <= 80 else given[:77] + "..."
            return Refusal(f"Type error: '{name}' must be {describe(kind)}, got {shown}")
    return arguments


def cast(value: Any, kind: Any) -> Any:
    """`value` as `kind` (server-api.md 0, GET casting). Raises ValueError or TypeError when it makes no sense."""
    origin = get_origin(kind)
    if kind is Any:
        return value
    if origin in (Union, types.UnionType):
        says_none = value is None or (isinstance(value, str) and value in ("None", "NULL", "null", ""))
        if says_none and type(None) in get_args(kind):
            return "" if value == "" and str in get_args(kind) else None
        return _cast_to_one(value, [option for option in get_args(kind) if option is not type(None)])
    if origin is list:
        items = value if isinstance(value, list) else _text_list(value)
        return [cast(item, get_args(kind)[0]) for item in items]
    if origin is dict or kind is dict:
        return _dictionary(value)
    if kind is bool:
        return _boolean(value)
    if kind is int:
        return _integer(value)
    if kind is float:
        return _real(value)
    if kind is str:
        if isinstance(value, (dict, list)) or value is None:
            raise TypeError(value)
        return str(value)
    raise TypeError(kind)


def _cast_to_one(value: Any, options: list[Any]) -> Any:
    """`value` as the first of the types it makes sense as."""
    for option in options[:-1]:
        try:
            return cast(value, option)
        except (TypeError, ValueError):
            continue
    return cast(value, options[-1])


def _document(text: str) -> Any:
    try:
        return parse_json(text.encode())
    except InvalidInput as error:
        raise ValueError(error.detail) from error


def _text_list(value: Any) -> list[Any]:
    if isinstance(value, str) and value.startswith("["):
        parsed = _document(value)
        if isinstance(parsed, list):
            return parsed
    return [value]


def _dictionary(value: Any) -> dict[str, Any]:
    parsed = _document(value) if isinstance(value, str) else value
    if parsed == []:
        return {}
    if not isinstance(parsed, dict):
        raise TypeError(value)
    return parsed


def _boolean(value: Any) -> bool:
    if isinstance(value, str) and value.lower() in ("true", "1", "false", "0", ""):
        return value.lower() in ("true", "1")
    if isinstance(value, (bool, int)):
        return bool(value)
    raise TypeError(value)


def _integer(value: Any) -> int:
    if isinstance(value, int) or (isinstance(value, str) and value.strip().lstrip("+-").isdecimal()):
        number = int(value)
    else:
        real = float(value)
        if not real.is_integer():
            raise ValueError(value)
        number = int(real)
    if abs(number) >= 2**63:
        raise ValueError(value)
    return number


def _real(value: Any) -> float:
    try:
        return float(value)
    except OverflowError as error:
        raise ValueError(value) from error


def describe(kind: Any) -> str:
    """A type in words, for refusals and documents."""
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return " or ".join(describe(option) for option in get_args(kind) if option is not type(None))
    if origin is list:
        return f"a list of {describe(get_args(kind)[0])}"
    names = {
        int: "an integer",
        str: "text",
        bool: "true or false",
        float: "a number",
        dict: "an object",
        Any: "anything",
    }
    return "an object" if origin is dict else names.get(kind, str(kind))


def _envelope(result: Result, status: int = 200) -> Response:
    body = {"success": isinstance(result, Success), "message": result.message, "data": result.data}
    return json_response(body, status)
