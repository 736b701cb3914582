"""PandaLogger's `logging.Handler`: turns a LogRecord into bytes and offers it to the shipping thread; knows no socket.

    logging.config.dictConfig({"version": 1,
        "handlers": {"panda": {"class": "logger.handler.PandaHandler", "url": "https://panda.example.org",
                               "token": "file:/etc/panda/token", "spool": "/var/spool/panda"}},
        "root": {"handlers": ["panda"], "level": "INFO"}})
    logging.getLogger("mover").error("disk full", extra={"panda_id": 17, "code": 1098, "mount": "/scratch"})

Standard library alone: handler.py, tracebacks.py, shipping.py, delivery.py, spool.py and spools.py can be copied into
any program.
"""

from __future__ import annotations

import json
import logging
import math
import os
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timezone
from functools import partial
from itertools import islice
from json.encoder import encode_basestring_ascii as _quoted
from threading import get_ident
from typing import Any, NamedTuple

from .delivery import Collector  # relative: these files may be copied into a package of any name
from .shipping import Bounds, Shipper
from .tracebacks import MAX_TRACEBACK_CHARACTERS, Told, cut, shown, size_of, taken, written

MAX_MESSAGE_CHARACTERS = 4000
MAX_FIELDS_CHARACTERS = 16_384

OUR_LOGGERS = ("panda", "core", "api", "pilot", "logger", "pandascope", "tui", "dashboard")
"""First words of the logger names of our own programs."""

KNOWN_EXTRAS = (
    *("panda_id", "jedi_task_id", "computing_site", "code", "user", "fingerprint", "kind"),
    *("step", "class"),
)
"""Extras that have a place of their own in a record (besides `component`); all others go to `fields`."""

# Python 3.9 gets in, too: these files run in strangers' programs
_UTC = timezone.utc  # noqa: UP017

_STANDARD = vars(logging.makeLogRecord({}))
_WRITTEN_BY_FORMATTERS = ("message", "asctime", "taskName")
_STANDARD_ATTRIBUTES = frozenset(_STANDARD) | frozenset(_WRITTEN_BY_FORMATTERS)
_STANDARD_COUNT = len(_STANDARD)
_LAST_STANDARD = list(_STANDARD)[-1]
_PLAIN_TYPES = frozenset({str, int, float, bool, type(None)})
_MOST_KEPT_CHARACTERS = 1000
_KEPT_BYTES = 500
"""What a record takes in memory beside its texts, about."""
_JSON = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
_MOST_HEADS = 1000
_MOST_PIECES = 500


def attach(
    url: str, token: str | Callable[[], str], component: str, level: int = logging.INFO, **options: Any
) -> PandaHandler:
    """Attach a handler to the root logger: our own loggers from `level` on, everybody else's from WARNING on.

    Returns it; `logging.getLogger().removeHandler(handler)` and `handler.close()` undo it.
    """
    handler = PandaHandler(url, token=token, component=component, **options)
    handler.addFilter(_OursOrWarning(level))
    for name in OUR_LOGGERS:
        ours = logging.getLogger(name)
        if ours.getEffectiveLevel() > level:
            ours.setLevel(level)
    logging.getLogger().addHandler(handler)
    return handler


class PandaHandler(logging.Handler):
    """Ships records in JSON batches from one daemon thread, through a bounded buffer and a bounded spool.

    Never makes its program wait. Records below WARNING may fill half of the buffer and of the spool only, so that a talkative
    program keeps room for its errors. What finds no room is dropped and counted, and the server is told how many; it stores
    each record that it gets once.
    """

    def __init__(
        self,
        url: str,
        token: str | Callable[[], str] = "",
        component: str = "",
        level: int | str = logging.NOTSET,
        *,
        max_records: int = 10_000,
        max_bytes: int = 8_000_000,
        spool: str | os.PathLike[str] = "",
        spool_bytes: int = 64_000_000,
        timeout_s: float = 15.0,
        close_timeout_s: float = 2.0,
    ) -> None:
        """`url`: address of the server. `token`: a bearer token, a function that gives one, `file:PATH` or `env:NAME`.

        `component`: who speaks; without it the logger's name. `max_records` and `max_bytes` bound the buffer.
        `spool`: a directory for what the server does not take now, of `spool_bytes` at most for all processes of a component;
        a process that died leaves its records there to the next one. `timeout_s` bounds one HTTP call, `close_timeout_s` the
        wait of `flush()` and of `close()`. Raises ValueError for an address that is not http or https.
        """
        super().__init__(level)
        self.component = component
        self.close_timeout_s = close_timeout_s
        self._host = socket.gethostname()
        self._address = (url, token, timeout_s)
        self._bounds = Bounds(max_records, max_bytes, spool, spool_bytes)
        self._heads: dict[tuple[str, int, str, str], str] = {}
        self._second = (-1, "")
        self._process_id = 0
        self._start_anew()

    def _start_anew(self) -> None:
        is_child = self._process_id != 0
        self._heads = {}
        self._shipper = Shipper(Collector(*self._address), self._bounds, self.component)
        self._process_id = os.getpid()  # last: from here on other threads use all of it
        if is_child and (util := sys.modules.get("multiprocessing.util")):
            # workers of multiprocessing end without the interpreter's exit functions; this is the one that they call
            util.Finalize(None, self.flush, exitpriority=100)

    def _mine(self) -> Shipper:
        """The shipper of this process: a forked child leaves its parent's records, lock and socket to the parent."""
        if self._process_id != os.getpid():
            self.acquire()
            try:
                if self._process_id != os.getpid():
                    self._start_anew()
            finally:
                self.release()
        return self._shipper

    @property
    def dropped(self) -> int:
        """Records lost so far in this process, for want of room or because the server refused them for good."""
        return self._mine().dropped

    @property
    def sent(self) -> int:
        """Records delivered so far by this process, those that it took over from the dead among them."""
        return self._mine().sent

    @property
    def waiting(self) -> int:
        """Records in memory."""
        return self._mine().waiting

    @property
    def spooled(self) -> int:
        """Records on disk that are not delivered, those of dead processes that this one took over among them."""
        return self._mine().spooled

    def handle(self, record: logging.LogRecord) -> Any:
        """As logging's own, without its lock: the buffer has one, and two of them could meet each other in a `__del__`."""
        passed = self.filter(record)
        if passed:
            self.emit(passed if isinstance(passed, logging.LogRecord) else record)
        return passed

    def emit(self, record: logging.LogRecord) -> None:
        """Put the record into the buffer. Never waits for network or disk and never raises."""
        try:
            shipper = self._shipper if os.getpid() == self._process_id else self._mine()
            if get_ident() != shipper.calling_thread:  # nothing that delivers records may make new ones
                kept, size = self._kept(record)
                shipper.offer(kept, record.levelno, size)
        except Exception:  # noqa: BLE001 - logging's own contract: a handler reports to stderr and never raises
            with suppress(Exception):  # at the end of the stack even this may fail
                self._shipper.lose(1)
                self.handleError(record)

    def flush(self) -> None:
        """Try at once to send what is there; return when it is sent, refused, or after `close_timeout_s`."""
        self._mine().flush(self.close_timeout_s)

    def close(self) -> None:
        """Send what is there, for `close_timeout_s` at most; the rest goes to the spool. Also called at interpreter exit."""
        self._mine().close(self.close_timeout_s)
        super().close()

    def _kept(self, record: logging.LogRecord) -> tuple[bytes | Callable[[], bytes], int]:
        """What the shipping thread needs of the record, and its size: texts and numbers that nobody can change any more.

        Whoever logs has cold caches: encoding costs it three times what it costs a thread that does a hundred in a row.
        What could change meanwhile, or is big, is encoded here.
        """
        attributes = vars(record)
        message = _message(record)
        told = _traceback(record) if record.exc_info or record.exc_text or record.stack_info else ""
        extras: dict[str, Any] = {}
        is_plain = type(record.lineno) is int and len(message) <= MAX_MESSAGE_CHARACTERS
        size = _KEPT_BYTES + len(message) + (len(told) if isinstance(told, str) else size_of(told))
        if len(attributes) != _STANDARD_COUNT:
            extras = _extras(attributes)
            for value in extras.values():
                if type(value) is str:
                    size += len(value)
                    is_plain = is_plain and len(value) <= _MOST_KEPT_CHARACTERS
                elif type(value) not in _PLAIN_TYPES:
                    is_plain = False
        named = (record.name, record.levelno, record.levelname, record.filename, record.lineno, record.created)
        kept = tuple.__new__(_Kept, (*named, message, told, extras))  # a third of the cost of `_Kept(...)`
        if is_plain:
            return partial(self._encoded, kept), size
        data = self._encoded(kept)
        return data, len(data)

    def _encoded(self, kept: _Kept) -> bytes:
        """The record as a JSON object."""
        extras = kept.extras
        component = str(extras.pop("component", "") or self.component or kept.name)
        head = self._heads.get((kept.name, kept.level_number, kept.file, component)) or self._head(kept, component)
        time = self._moment(kept.created)
        line = kept.line if type(kept.line) is int else 0
        message = _quoted(_clean(kept.message, MAX_MESSAGE_CHARACTERS))
        parts = [f'{head},"time":"{time}","line":{line},"message":{message}']
        if kept.traceback:
            text = kept.traceback if isinstance(kept.traceback, str) else written(kept.traceback)
            parts.append(f',"traceback":{_quoted(_clean(text, MAX_TRACEBACK_CHARACTERS))}')
        if extras:
            budget = _Budget()
            for name in KNOWN_EXTRAS:
                if (value := extras.pop(name, None)) is not None:
                    parts.append(f',"{name}":{_json(value, budget)}')
            if extras:
                parts.append(f',"fields":{_fields(extras, budget)}')
        return ("".join(parts) + "}").encode("ascii")

    def _moment(self, created: float) -> str:
        """The time in UTC as ISO 8601; there are many records in a second, and it is written once."""
        try:
            second = math.floor(created)
            known = self._second
            if known[0] != second:
                self._second = known = second, datetime.fromtimestamp(second, _UTC).isoformat()[:19]
            return f"{known[1]}.{int((created - second) * 1e6):06d}+00:00"
        except (TypeError, ValueError, OverflowError, OSError):  # what a stranger's program made of it
            return datetime.now(_UTC).isoformat()

    def _head(self, kept: _Kept, component: str) -> str:
        """What is the same in all records of a logger, a level and a file."""
        level = logging.getLevelName(kept.level_number)  # other handlers may have coloured record.levelname
        entry = {
            "level": kept.level if level.startswith("Level ") else level,
            "name": _clean(str(kept.name), 200),
            "component": _clean(component, 200),
            "host": self._host,
            "process": self._process_id,
            "file": _clean(str(kept.file), 200),
        }
        if len(self._heads) >= _MOST_HEADS:
            self._heads.clear()
        head = _JSON(entry)[:-1]
        self._heads[kept.name, kept.level_number, kept.file, component] = head
        return head


class _Kept(NamedTuple):
    """A LogRecord without what could change."""

    name: str
    level_number: int
    level: str
    file: str
    line: int
    created: float
    message: str
    traceback: str | list[Told]
    extras: dict[str, Any]


class _OursOrWarning(logging.Filter):
    """Whoever told of a trouble is heard when it is over, at any level."""

    def __init__(self, level: int) -> None:
        super().__init__()
        self.level = level

    def filter(self, record: logging.LogRecord) -> bool:
        is_ours = record.name.split(".", 1)[0] in OUR_LOGGERS
        is_end = is_ours and "over" in vars(record)
        return is_end or record.levelno >= (self.level if is_ours else logging.WARNING)


class _Budget:
    """How many pieces of structured values one record may have."""

    def __init__(self) -> None:
        self.left = _MOST_PIECES

    def take(self, pieces: int) -> int:
        taken = min(pieces, 50, self.left)
        self.left -= taken
        return taken


def _extras(attributes: dict[str, Any]) -> dict[str, Any]:
    """What the program added: all behind the standard attributes, when those stand where LogRecord puts them."""
    if next(islice(attributes, _STANDARD_COUNT - 1, None), "") == _LAST_STANDARD:
        added = dict(islice(attributes.items(), _STANDARD_COUNT, None))
        for name in _WRITTEN_BY_FORMATTERS:
            added.pop(name, None)
        return added
    return {key: value for key, value in attributes.items() if key not in _STANDARD_ATTRIBUTES}


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - arguments that do not fit their format; the unformatted message still tells
        return f"{shown(record.msg)} {shown(record.args)}"


def _traceback(record: logging.LogRecord) -> str | list[Told]:
    error = record.exc_info[1] if record.exc_info and not record.exc_text else None
    if not record.stack_info:
        return taken(error) if error is not None else cut(record.exc_text or "")
    text = record.exc_text or (written(taken(error)) if error is not None else "")
    return cut(f"{text}\n{record.stack_info}" if text else record.stack_info)


def _clean(text: str, limit: int) -> str:
    """The text as valid Unicode without NUL, cut at `limit` characters."""
    if len(text) <= limit and text.isascii():
        return text.replace("\0", "")
    text = text[: limit + 1].encode("utf-8", "replace").decode().replace("\0", "")
    return text if len(text) <= limit else text[: limit - 6] + " [cut]"


def _json(value: Any, budget: _Budget) -> str:
    kind = type(value)  # the commonest by themselves: the general way costs ten times as much
    if kind is str:
        return _quoted(_clean(value, 1000))
    if kind is int and -(2**63) < value < 2**63:
        return str(value)
    try:
        return _JSON(_plain(value, budget))
    except Exception as error:  # noqa: BLE001 - a stranger's object, or one that another thread changes meanwhile
        return _quoted(f"<{kind.__name__} that cannot be shown: {type(error).__name__}>")


def _fields(extras: dict[str, Any], budget: _Budget) -> str:
    some = list(extras.items())[: max(1, budget.take(len(extras)))]
    pairs = [f"{_quoted(_clean(shown(key), 100))}:{_json(value, budget)}" for key, value in some]
    fields = f"{{{','.join(pairs)}}}"
    if len(fields) <= MAX_FIELDS_CHARACTERS:
        return fields
    return _JSON({"cut": fields[: MAX_FIELDS_CHARACTERS // 2]})


def _plain(value: Any, budget: _Budget, depth: int = 0) -> Any:
    """The value as bounded JSON: what JSON does not know becomes text."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _clean(value, 1000)
    if isinstance(value, int) and abs(value) < 2**63:
        return int(value)
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    if isinstance(value, (bytes, bytearray)):
        return _clean(str(bytes(value[:1000])), 1000)
    if isinstance(value, (dict, list, tuple, set, frozenset)):
        some = budget.take(len(value))
        if depth > 4 or (value and not some):
            return f"<{type(value).__name__} of {len(value)}>"
        if isinstance(value, dict):
            pairs = list(value.items())[:some]
            return {_clean(shown(key), 100): _plain(item, budget, depth + 1) for key, item in pairs}
        return [_plain(item, budget, depth + 1) for item in list(value)[:some]]
    return _clean(shown(value), 1000)
