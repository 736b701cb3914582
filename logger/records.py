"""Reads log records as they come over HTTP: checks, bounds, cleans. Knows the contract of docs/api.md; knows no SQL.

Nothing an emitter writes can break the store: every text is bounded before anything searches it, without NUL, and only
ever bound as a parameter or shown as text, without what a terminal would obey; line breaks in a message stay part of that
message. A record costs some 20 us here, because what is printable needs no cleaning and one look tells that.
"""

from __future__ import annotations

import logging
import math
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from core.errors import InvalidInput
from core.text import clean
from logger.events import KINDS, Kind
from logger.texts import harmless

MAX_BATCH = 5000
"""Records accepted in one call."""
MAX_MESSAGE_CHARACTERS = 4000
MAX_TRACEBACK_CHARACTERS = 16_384

CUT_MARK = " [cut]"
NO_MESSAGE = "(empty message)"
"""`log.error("")`: programs do it, and an incident needs words."""
_CUT_LINE = "\n[cut]\n"
_TRACEBACK_HEAD, _TRACEBACK_TAIL = 4000, 12_000
"""Of a long traceback both ends stay: what was called, and what was raised."""
_SEARCHED = 4
"""A text is cut to so many times its limit before it is cleaned: cleaning 5 MB would cost seconds."""
_MAX_WORD_CHARACTERS = 200
_MAX_LEVEL_CHARACTERS = 20
_MAX_FIELDS_BYTES = 16_384
_MAX_FIELDS = 100
_MAX_KEY_CHARACTERS = 100
_MAX_VALUES = 1000
_DEEPEST = 8
_LARGEST_NUMBER = 2**63 - 1
_TOO_LARGE = "a number too large to keep"
_LARGEST_SEQ = 2**62
_LATEST_EPOCH_S = 253_000_000_000  # a time in seconds since 1970 that is still one: the year 9987

_LEVELS = {
    **{"WARN": "WARNING", "FATAL": "CRITICAL", "ERR": "ERROR", "CRIT": "CRITICAL", "ALERT": "CRITICAL"},
    **{"EMERG": "CRITICAL", "PANIC": "CRITICAL", "NOTICE": "INFO", "INFORMATION": "INFO", "TRACE": "DEBUG"},
    **{"10": "DEBUG", "20": "INFO", "30": "WARNING", "40": "ERROR", "50": "CRITICAL"},
}
"""Other names of the levels that Python's logging has, and its numbers."""
_SEVERITY_NUMBERS = {
    **{"DEBUG": logging.DEBUG, "INFO": logging.INFO, "WARNING": logging.WARNING},
    **{"ERROR": logging.ERROR, "CRITICAL": logging.CRITICAL},
}


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
    step: str = ""
    error_class: str = ""
    """Where it failed and what kind of trouble it is, as far as the emitter says so (logger/steps.py)."""
    seq: int | None = None
    """Its number in the stream of its sender, counted from 1; None: the sender does not count."""
    is_trusted: bool = True
    """False: its PandaID or jediTaskID was claimed by somebody who has nothing to do with it, and is in `fields` now."""

    @property
    def severity_number(self) -> int:
        """The level as Python's logging numbers it; an unknown level counts as INFO."""
        return _SEVERITY_NUMBERS.get(self.level, logging.INFO)


def read_record(entry: Any, received: datetime) -> Record:
    """Check one record. Raises InvalidInput naming the field; what is only too long is cut, what is no time is `received`."""
    if not isinstance(entry, Mapping):
        raise InvalidInput("a record is a JSON object", field="records", remedy="see docs/api.md, 'Log record'")
    message = entry.get("message")
    if not isinstance(message, str):
        raise InvalidInput("a record needs a text", field="message", remedy="send the message as a string")
    more: dict[str, Any] = {}
    level = _word(entry, "level").upper() or "INFO"
    name = _word(entry, "name")
    return Record(
        time=_time(entry.get("time"), received, more),
        level=_LEVELS.get(level, level)[:_MAX_LEVEL_CHARACTERS],
        name=name,
        component=_word(entry, "component") or name,
        message=_message(message, more),
        traceback=_traceback(entry.get("traceback"), more),
        host=_word(entry, "host"),
        process_id=_number(entry, "process") or 0,
        file=_word(entry, "file"),
        line=_number(entry, "line") or 0,
        panda_id=_identifier(entry, "panda_id"),
        jedi_task_id=_identifier(entry, "jedi_task_id"),
        computing_site=_word(entry, "computing_site"),
        code=_number(entry, "code"),
        user_name=_word(entry, "user"),
        fingerprint=unicodedata.normalize("NFC", _word(entry, "fingerprint")),
        kind=_kind(entry),
        fields=_fields(entry.get("fields"), more),
        step=_word(entry, "step"),
        error_class=_word(entry, "class"),
        seq=seq_of(entry),
    )


def seq_of(entry: Any) -> int | None:
    """The number of a record in its sender's stream; None for what is none, also of an entry that is no record."""
    seq = entry.get("seq") if isinstance(entry, Mapping) else None
    return seq if type(seq) is int and 0 < seq <= _LARGEST_SEQ else None


def _kind(entry: Mapping[str, Any]) -> Kind | None:
    kind = _word(entry, "kind")
    if kind and kind not in KINDS:
        raise InvalidInput(f"'{kind}' is no kind of incident", field="kind", remedy=f"one of {', '.join(KINDS)}")
    return kind or None


def _time(value: Any, received: datetime, more: dict[str, Any]) -> datetime:
    """When it was made: ISO 8601 or seconds since 1970. Without one, or from the future, it is the reception."""
    if value is None or value == "":
        return received
    try:
        return min(read_time(value), received)
    except (TypeError, ValueError, OverflowError, OSError):
        more["time_as_sent"] = _text(str(value)[:400], 100)
        return received


def read_time(value: Any) -> datetime:
    """A time as programs write it, in UTC when no zone is said. Raises TypeError, ValueError or OverflowError."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not 0 <= value < _LATEST_EPOCH_S:
            raise ValueError("no seconds since 1970")
        return datetime.fromtimestamp(value, UTC)
    time = datetime.fromisoformat(value)
    if time.tzinfo is UTC:
        return time
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)


def _message(message: str, more: dict[str, Any]) -> str:
    if len(message) <= MAX_MESSAGE_CHARACTERS:
        text = message if message.isprintable() else _text(message, MAX_MESSAGE_CHARACTERS)
        return text if text.strip() else NO_MESSAGE
    kept = _text(message, MAX_MESSAGE_CHARACTERS - len(CUT_MARK))
    _note_cut(message, kept, more)
    return kept + CUT_MARK


def _traceback(value: Any, more: dict[str, Any]) -> str:
    if not value:
        return ""
    text = value if isinstance(value, str) else str(value)
    if len(text) <= MAX_TRACEBACK_CHARACTERS:
        return _text(text, MAX_TRACEBACK_CHARACTERS)
    kept = text[:_TRACEBACK_HEAD] + _CUT_LINE + text[-_TRACEBACK_TAIL:]
    _note_cut(text, kept, more)
    return _text(kept, MAX_TRACEBACK_CHARACTERS)


def _note_cut(text: str, kept: str, more: dict[str, Any]) -> None:
    gone = len(text.encode("utf-8", "replace")) - len(kept.encode("utf-8", "replace"))
    more["cut_bytes"] = more.get("cut_bytes", 0) + gone


def _word(entry: Mapping[str, Any], name: str) -> str:
    value = entry.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        if not isinstance(value, int | float):
            raise InvalidInput("has to be a text", field=name, remedy="put anything else into 'fields'")
        # digits of a number that is longer than any word would take their time to be written
        value = _TOO_LARGE if isinstance(value, int) and abs(value) > _LARGEST_NUMBER else str(value)
    if len(value) <= _MAX_WORD_CHARACTERS and value.isprintable():
        return value
    return _text(value, _MAX_WORD_CHARACTERS).replace("\n", " ").replace("\t", " ")


def _text(value: str, limit: int) -> str:
    """At most `limit` harmless characters of it."""
    if len(value) <= limit and value.isprintable():
        return value
    most = limit * _SEARCHED
    return harmless(clean(value[:most], most))[:limit]


def _number(entry: Mapping[str, Any], name: str) -> int | None:
    value = entry.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, str) and value.isascii() and len(value) < 20 and value.removeprefix("-").isdigit():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > _LARGEST_NUMBER:
        raise InvalidInput("has to be a whole number", field=name, remedy="put anything else into 'fields'")
    return value


def _identifier(entry: Mapping[str, Any], name: str) -> int | None:
    """0 is what programs send that have none."""
    value = _number(entry, name)
    if value is not None and value < 0:
        raise InvalidInput("has to be a positive number", field=name, remedy="leave it out where there is none")
    return value or None


def _fields(value: Any, more: dict[str, Any]) -> Mapping[str, Any]:
    """What the emitter said beside the known fields, and `more` that reading the record had to say."""
    if not value and (value is None or isinstance(value, Mapping)):
        return more
    if not isinstance(value, Mapping):
        raise InvalidInput("has to be a JSON object", field="fields", remedy='as in {"mount": "/scratch"}')
    left = [_MAX_VALUES]
    cleaned = {_text(str(key), _MAX_KEY_CHARACTERS): _plain(value[key], 0, left) for key in list(value)[:_MAX_FIELDS]}
    text = orjson.dumps(cleaned)
    if len(text) > _MAX_FIELDS_BYTES:
        cleaned = {"cut": text[: _MAX_FIELDS_BYTES // 2].decode("utf-8", "ignore")}
    if "cut_bytes" in more and type(cut_before := cleaned.get("cut_bytes")) is int:  # by who read the line, or sent it
        more["cut_bytes"] += cut_before
    return cleaned | more


def _plain(value: Any, depth: int, left: list[int]) -> Any:
    """JSON that PostgreSQL can hold and anybody can read: texts without NUL, finite numbers of 64 bit, bounded depth."""
    left[0] -= 1
    if isinstance(value, str):
        return _text(value, MAX_MESSAGE_CHARACTERS)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        is_plain = abs(value) <= _LARGEST_NUMBER if isinstance(value, int) else math.isfinite(value)
        return value if is_plain else _TOO_LARGE
    if left[0] <= 0 or depth >= _DEEPEST or not isinstance(value, Mapping | list):
        return "[cut]"
    if isinstance(value, Mapping):
        return {
            _text(str(key), _MAX_KEY_CHARACTERS): _plain(item, depth + 1, left)
            for key, item in list(value.items())[: left[0]]
        }
    return [_plain(item, depth + 1, left) for item in value[: left[0]]]
