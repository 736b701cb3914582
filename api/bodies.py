"""Reads request bodies: JSON or forms, gzip with or without saying so, never more than the limit. Knows no operation."""

from __future__ import annotations

import json
import zlib
from collections import Counter
from io import BytesIO
from typing import Any
from urllib.parse import parse_qsl

import orjson
from python_multipart import parse_form as read_multipart
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import Field, File
from starlette.requests import ClientDisconnect, Request

from core.errors import InvalidInput, PandaError

_GZIP_MAGIC = b"\x1f\x8b"
_NUL_IN_JSON = b"\\u0000"
_MOST_FIELDS = 10_000
_DEEPEST = 64
"""Lists and objects inside each other; deeper documents could not be written or shown again."""


_GZIP = ("gzip", "x-gzip")
"""The Content-Encoding that is read, also when nobody says so."""


class UnsupportedEncoding(PandaError):
    """The body is packed in a way that is not read here: 415."""

    code = "unsupported_encoding"


class BodyTooLarge(InvalidInput):
    """The body passes the limit of this installation."""

    code = "body_too_large"


async def read_body(request: Request, limit_bytes: int) -> bytes:
    """The whole body, decompressed when it is gzip (the real pilot sends gzip without a header, pilot-wire.md 1).

    Raises UnsupportedEncoding, BodyTooLarge, and InvalidInput for a body that is cut short or no whole gzip.
    """
    _check_encoding(request.headers.get("content-encoding", ""))
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


def parse_json(body: bytes, *, field: str = "body", takes_binary: bool = False, takes_twins: bool = True) -> Any:
    """The JSON document of a body or of a parameter; None when it is empty.

    Raises InvalidInput saying where it stops making sense, or which value holds a NUL character, which no database
    and no file name can hold; with `takes_binary` the operation cleans its texts itself. Without `takes_twins` also
    for a name that an object has twice, of which one would be overlooked.
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
    if not takes_twins:
        json.loads(body, object_pairs_hook=_without_twins)
    return document


def _without_twins(pairs: list[tuple[str, Any]]) -> None:
    if len(dict(pairs)) < len(pairs):
        [(name, count)] = Counter(name for name, _ in pairs).most_common(1)
        raise InvalidInput(f"given {count} times", field=name[:200] or "body", remedy="give it once")


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
    return gathered(parse_pairs(body))


def parse_pairs(encoded: bytes, *, takes_binary: bool = False) -> list[tuple[str, str]]:
    """The pairs of a query or of a form-encoded body.

    Raises InvalidInput naming the key whose value is not UTF-8; with `takes_binary` such bytes are replaced.
    """
    try:
        text = encoded.decode(errors="surrogateescape")
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="surrogateescape")
    except ValueError as error:
        raise InvalidInput(f"not a form: {error}", field="body", remedy="send key=value&... in UTF-8") from error
    return [(_utf8(key, "", takes_binary), _utf8(value, key, takes_binary)) for key, value in pairs]


def parse_multipart(body: bytes, content_type: str, *, takes_binary: bool = False) -> list[tuple[str, str]]:
    """The pairs of a multipart form that is small enough for memory; files in it are left out.

    Raises InvalidInput for a broken form, and like `parse_pairs`.
    """
    pairs: list[tuple[str, str]] = []

    def take(field: Field) -> None:
        if len(pairs) >= _MOST_FIELDS:
            raise InvalidInput(f"more than {_MOST_FIELDS} fields", field="body", remedy="send fewer")
        key = (field.field_name or b"").decode(errors="surrogateescape")
        value = (field.value or b"").decode(errors="surrogateescape")
        pairs.append((_utf8(key, "", takes_binary), _utf8(value, key, takes_binary)))

    try:
        read_multipart({"Content-Type": content_type.encode(errors="replace")}, BytesIO(body), take, File.close)
    except FormParserError as error:
        raise InvalidInput(f"the form is broken: {error}", field="body", remedy="send it again, whole") from error
    return pairs


def _utf8(text: str, field: str, takes_binary: bool) -> str:
    whole = text.encode(errors="surrogateescape").decode(errors="replace")
    if whole != text and not takes_binary:
        name = field.encode(errors="replace").decode() or "body"
        raise InvalidInput("not UTF-8", field=name, remedy="send text in UTF-8")
    return whole


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


def _check_encoding(said: str) -> None:
    """Whoever packs a body otherwise hears that, instead of that the packed bytes are no JSON."""
    packed = [name for part in said.split(",") if (name := part.strip().lower()) not in ("", "identity")]
    if len(packed) > 1 or any(name not in _GZIP for name in packed):
        raise UnsupportedEncoding(
            f"Content-Encoding {said[:40]!r} is not read here",
            field="Content-Encoding",
            remedy="pack the body with gzip, or send it as it is",
        )


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
    if inflater.unused_data.startswith(_GZIP_MAGIC):  # as a rule a mistake; read on, many tiny ones could cost minutes
        raise InvalidInput("more than one gzip after the other", field="body", remedy="pack the body as one")
    return plain


def _too_large(limit_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(
        f"larger than {limit_bytes // 2**20} MB",
        field="body",
        remedy="send less at a time, or raise request_body_limit_mb",
    )
