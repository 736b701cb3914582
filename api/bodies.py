"""Reads request bodies: JSON or forms, gzip with or without saying so, never more than the limit. Knows no operation."""

from __future__ import annotations

import zlib
from typing import Any
from urllib.parse import parse_qsl

import orjson
from starlette.requests import ClientDisconnect, Request

from core.errors import InvalidInput

_GZIP_MAGIC = b"\x1f\x8b"
_NUL_IN_JSON = b"\\u0000"
_DEEPEST = 64
"""Lists and objects inside each other; deeper documents could not be written or shown again."""


class BodyTooLarge(InvalidInput):
    """The body passes the limit of this installation."""

    code = "body_too_large"


async def read_body(request: Request, limit_bytes: int) -> bytes:
    """The whole body, decompressed when it is gzip (the real pilot sends gzip without a header, pilot-wire.md 1)."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit_bytes:
        raise _too_large(limit_bytes)
    chunks: list[bytes] = []
    size = 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > limit_bytes:
                raise _too_large(limit_bytes)
            chunks.append(chunk)
    except ClientDisconnect as error:
        raise InvalidInput("the connection ended inside the body", field="body", remedy="send it again") from error
    body = b"".join(chunks)
    return _gunzip(body, limit_bytes) if body.startswith(_GZIP_MAGIC) else body


def parse_json(body: bytes, *, field: str = "body", takes_binary: bool = False) -> Any:
    """The JSON document of a body or of a parameter; None when it is empty.

    Raises InvalidInput saying where it stops making sense, or which value holds a NUL character, which no database
    and no file name can hold; with `takes_binary` the operation cleans its texts itself.
    """
    if not body.strip():
        return None
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidInput(f"not JSON: {error}", field=field, remedy="send one JSON document in UTF-8") from error
    if _is_too_deep(document):
        raise InvalidInput(f"nested more than {_DEEPEST} levels deep", field=field, remedy="send a flatter document")
    if not takes_binary and _NUL_IN_JSON in body:
        refuse_nul(document, "" if field == "body" else field)
    return document


def refuse_nul(value: Any, field: str) -> None:
    """Raise InvalidInput naming the first value within `value` that holds a NUL character."""
    if isinstance(value, str):
        if "\x00" in value:
            raise InvalidInput("holds a NUL character", field=field or "body", remedy="remove it")
    elif isinstance(value, dict):
        for name, entry in value.items():
            refuse_nul(name, field)
            refuse_nul(entry, f"{field}.{name}" if field else str(name))
    elif isinstance(value, list):
        for number, entry in enumerate(value):
            refuse_nul(entry, f"{field}.{number}" if field else str(number))


def _is_too_deep(document: Any) -> bool:
    level = [document] if isinstance(document, (dict, list)) else []
    for _ in range(_DEEPEST):
        if not level:
            return False
        level = [
            entry
            for container in level
            for entry in (container.values() if isinstance(container, dict) else container)
            if isinstance(entry, (dict, list))
        ]
    return bool(level)


def parse_form(body: bytes) -> dict[str, Any]:
    """A form-encoded body; repeated keys become lists, blank values are kept (pilot-wire.md 1)."""
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=10_000)
    except (UnicodeDecodeError, ValueError) as error:
        raise InvalidInput(f"not a form: {error}", field="body", remedy="send key=value&... in UTF-8") from error
    return gathered(pairs)


def gathered(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """Pairs as a dictionary in which a repeated key holds the list of its values."""
    values: dict[str, Any] = {}
    for key, value in pairs:
        if key not in values:
            values[key] = value
        elif isinstance(values[key], list):
            values[key].append(value)
        else:
            values[key] = [values[key], value]
    return values


def _gunzip(body: bytes, limit_bytes: int) -> bytes:
    inflater = zlib.decompressobj(wbits=31)
    try:
        plain = inflater.decompress(body, limit_bytes + 1)
    except zlib.error as error:
        raise InvalidInput(f"not gzip: {error}", field="body", remedy="send plain JSON or whole gzip") from error
    if len(plain) > limit_bytes:
        raise _too_large(limit_bytes)
    if not inflater.eof:
        raise InvalidInput("the gzip body is cut short", field="body", remedy="send it again")
    return plain


def _too_large(limit_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(
        f"larger than {limit_bytes // 2**20} MB",
        field="body",
        remedy="send less at a time, or raise request_body_limit_mb",
    )
