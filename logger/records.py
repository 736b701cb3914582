"""Reads log records as they come over HTTP: checks, bounds, cleans. Knows the contract of docs/api.md; knows no SQL.

Nothing an emitter writes can break the store: every text is bounded, without NUL, and only ever bound as a parameter
or shown as text, without what a terminal would obey; line breaks in a message stay part of that message.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from core.errors import InvalidInput
from core.text import clean
from logger.culprit import harmless
from logger.events import KINDS, Kind
from logger.handler import MAX_MESSAGE_CHARACTERS, MAX_TRACEBACK_CHARACTERS

MAX_BATCH = 5000
"""Records accepted in one call."""

_MAX_WORD_CHARACTERS = 200
_MAX_FIELDS_CHARACTERS = 16_384
_LARGEST_NUMBER = 2**63 - 1
_LEVELS = {"WARN": "WARNING", "FATAL": "CRITICAL"}


@dataclass(frozen=True)
class Record:
    """A checked log record. `time` is never later than its reception."""

    time: datetime
    level: str
    name: str
    component: str
    message: str
    traceback: str = ""
    host: str = ""
    process_id: int = 0
    file: str = ""
    line: int = 0
    panda_id: int | None = None
    jedi_task_id: int | None = None
    computing_site: str = ""
    code: int | None = None
    user_name: str = ""
    fingerprint: str = ""
    kind: Kind | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)

    @property
    def severity_number(self) -> int:
        """The level as Python's logging numbers it; an unknown level counts as INFO."""
        number = logging.getLevelName(self.level)
        return number if isinstance(number, int) else logging.INFO


def read_record(entry: Any, received: datetime) -> Record:
    """Check one record. Raises InvalidInput naming the field; what is only too long is cut."""
    if not isinstance(entry, Mapping):
        raise InvalidInput("a record is a JSON object", field="records", remedy="see docs/api.md, 'Log record'")
    level = _word(entry, "level").upper() or "INFO"
    kind = _word(entry, "kind")
    if kind and kind not in KINDS:
        raise InvalidInput(f"'{kind}' is no kind of incident", field="kind", remedy=f"one of {', '.join(KINDS)}")
    name = _word(entry, "name")
    message = entry.get("message")
    if not isinstance(message, str):
        raise InvalidInput("a record needs a text", field="message", remedy="send the message as a string")
    return Record(
        time=min(_time(entry.get("time")), received),
        level=_LEVELS.get(level, level)[:20],
        name=name,
        component=_word(entry, "component") or name,
        message=_text(message, MAX_MESSAGE_CHARACTERS),
        traceback=_text(entry.get("traceback"), MAX_TRACEBACK_CHARACTERS),
        host=_word(entry, "host"),
        process_id=_number(entry, "process") or 0,
        file=_word(entry, "file"),
        line=_number(entry, "line") or 0,
        panda_id=_number(entry, "panda_id"),
        jedi_task_id=_number(entry, "jedi_task_id"),
        computing_site=_word(entry, "computing_site"),
        code=_number(entry, "code"),
        user_name=_word(entry, "user"),
        fingerprint=_word(entry, "fingerprint"),
        kind=kind or None,
        fields=_fields(entry.get("fields")),
    )


def _time(value: Any) -> datetime:
    try:
        time = datetime.fromisoformat(value)
        return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except (TypeError, ValueError, OverflowError) as error:
        remedy = "ISO 8601, as in 2026-11-21T10:00:00+00:00"
        raise InvalidInput("a record needs the time it was made", field="time", remedy=remedy) from error


def _word(entry: Mapping[str, Any], name: str) -> str:
    value = entry.get(name)
    if value is not None and not isinstance(value, str | int | float):
        raise InvalidInput("has to be a text", field=name, remedy="put anything else into 'fields'")
    return _text(value, _MAX_WORD_CHARACTERS).replace("\n", " ")


def _text(value: Any, limit: int) -> str:
    return harmless(clean(value, limit))


def _number(entry: Mapping[str, Any], name: str) -> int | None:
    value = entry.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, str) and value.isascii() and len(value) < 20 and value.removeprefix("-").isdigit():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > _LARGEST_NUMBER:
        raise InvalidInput("has to be a whole number", field=name, remedy="put anything else into 'fields'")
    return value


def _fields(value: Any) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InvalidInput("has to be a JSON object", field="fields", remedy='as in {"mount": "/scratch"}')
    cleaned = {_text(key, 100): _plain(item, 0) for key, item in list(value.items())[:100]}
    if len(json.dumps(cleaned)) <= _MAX_FIELDS_CHARACTERS:
        return cleaned
    return {"cut": json.dumps(cleaned)[: _MAX_FIELDS_CHARACTERS // 2]}


def _plain(value: Any, depth: int) -> Any:
    """JSON that PostgreSQL can hold: texts without NUL, finite numbers, bounded depth."""
    if isinstance(value, str):
        return _text(value, MAX_MESSAGE_CHARACTERS)
    if value is None or isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, Mapping) and depth < 8:
        return {_text(key, 100): _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list) and depth < 8:
        return [_plain(item, depth + 1) for item in value]
    return _text(value, 1000)
