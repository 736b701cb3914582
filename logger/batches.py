"""Reads the body of POST /api/logger/records: JSON, a record on each line, or plain lines. Knows no record's fields."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn

import orjson

from core.errors import InvalidInput
from core.text import clean
from logger.lines import read_line
from logger.records import MAX_BATCH, read_time

DEFAULTS = ("component", "level", "computing_site", "panda_id")
"""What the query string may say for all records of a body."""

_MAX_SOURCE_CHARACTERS = 64
_MOST_LINES = 4 * MAX_BATCH
"""Of which some may be empty."""
_REMEDY = 'send {"records": [...], "dropped": 0}, a list, one record, or lines; see docs/api.md'


@dataclass(frozen=True)
class Batch:
    """What one call brings: records that nobody has looked at yet."""

    entries: Sequence[Any]
    dropped: int = 0
    """Records that the sender lost since its last batch."""
    source: str = ""
    """The sending process, as it names itself; empty: it does not number its records."""
    sent: datetime | None = None
    """When it was sent, by the sender's clock."""
    size_bytes: int = 0


def read_body(content: bytes, content_type: str, defaults: Mapping[str, str], received: datetime) -> Batch:
    """The batch in a body. Whatever is not UTF-8 is replaced. Raises InvalidInput for a body that is none of the forms.

    `content_type`: application/json, application/x-ndjson or text/plain; anything else (curl sends a form's type unless
    told otherwise) is read as what it looks like. `defaults`: by the names of `DEFAULTS`, for what a record lacks.
    """
    kind = content_type.split(";", 1)[0].strip().lower()
    entries: list[Any]
    if kind == "application/json":
        return read_batch(_json(content), defaults, len(content))
    if kind in ("application/x-ndjson", "application/ndjson", "application/jsonl"):
        entries = [_with_defaults(_line(line), defaults) for line in _lines(content)]
    elif kind != "text/plain" and content.lstrip()[:1] in (b"{", b"["):
        try:
            return read_batch(_json(content), defaults, len(content))
        except InvalidInput:
            if b"\n" not in content.strip():
                raise
        entries = [_with_defaults(_line(line), defaults) for line in _lines(content)]
    else:
        entries = [read_line(line, defaults, received) for line in _lines(content)]
    return Batch(entries, size_bytes=len(content))


def read_batch(document: Any, defaults: Mapping[str, str] | None = None, size_bytes: int = 0) -> Batch:
    """A batch that came as a document: an object with `records`, a list of records, or one record."""
    if isinstance(document, Mapping) and "records" not in document and "message" in document:
        document = [document]
    if isinstance(document, list):
        document = {"records": document}
    if not isinstance(document, Mapping) or not isinstance(document.get("records"), list):
        raise InvalidInput("the body has to be an object with a list of records", field="records", remedy=_REMEDY)
    entries = document["records"]
    _refuse_too_many(entries)
    dropped = document.get("dropped", 0)
    if isinstance(dropped, bool) or not isinstance(dropped, int) or not 0 <= dropped < 2**53:
        raise InvalidInput("has to be a count", field="dropped", remedy=_REMEDY)
    if defaults:
        entries = [_with_defaults(entry, defaults) for entry in entries]
    return Batch(entries, dropped, _source(document.get("source")), _sent(document.get("sent")), size_bytes)


def _source(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > _MAX_SOURCE_CHARACTERS or not value.isprintable():
        remedy = f"a text of at most {_MAX_SOURCE_CHARACTERS} characters, made anew by each process"
        raise InvalidInput("has to name the sending process", field="source", remedy=remedy)
    return value


def _sent(value: Any) -> datetime | None:
    """Only the clock's skew is read off it: one that makes no sense says nothing."""
    try:
        return None if value is None else read_time(value)
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def _with_defaults(entry: Any, defaults: Mapping[str, str]) -> Any:
    if not isinstance(entry, Mapping):
        return entry
    return {**entry, **{name: value for name, value in defaults.items() if entry.get(name) in (None, "")}}


def _refuse_too_many(entries: Sequence[Any]) -> None:
    if len(entries) > MAX_BATCH:
        raise _too_many(len(entries))


def _too_many(count: int) -> InvalidInput:
    return InvalidInput(f"{count} records in one batch", field="records", remedy=f"send {MAX_BATCH} at most")


def _lines(content: bytes) -> list[bytes]:
    """The lines with something in them. Counted before anybody reads one: a body has room for millions."""
    if content.count(b"\n") > _MOST_LINES:
        raise _too_many(content.count(b"\n"))
    lines = [line for line in content.split(b"\n") if line.strip(b"\r \t\0")]
    _refuse_too_many(lines)
    return lines


def _line(line: bytes) -> Any:
    """A line that is no JSON is an entry that is no record: it is rejected with its number, and the others kept."""
    try:
        return _json(line)
    except InvalidInput:
        return clean(line[:200].decode("utf-8", "replace"), 200)


def _json(content: bytes) -> Any:
    """The document. Bytes that are no UTF-8 and half characters, which programs write when they cut a text, are replaced;
    names that an object has twice are not looked for: that would cost more than everything else, and harms nobody."""
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as error:
        said = error
    try:
        return json.loads(content.decode("utf-8", "replace"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise InvalidInput(f"not JSON: {said}", field="body", remedy=_REMEDY) from said


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
