"""PandaLogger's `logging.Handler`: turns a LogRecord into bytes and offers it to the shipping thread; knows no socket.

    logging.config.dictConfig({"version": 1,
        "handlers": {"panda": {"class": "logger.handler.PandaHandler", "url": "https://panda.example.org",
                               "token": "file:/etc/panda/token", "spool": "/var/spool/panda"}},
        "root": {"handlers": ["panda"], "level": "INFO"}})
    logging.getLogger("mover").error("disk full", extra={"panda_id": 17, "code": 1098, "mount": "/scratch"})

Standard library alone: handler.py, shipping.py, delivery.py, spool.py and spools.py can be copied into any program.
"""

from __future__ import annotations

import builtins
import json
import linecache
import logging
import math
import os
import socket
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timezone
from types import TracebackType
from typing import Any

from .delivery import Collector  # relative: these files may be copied into a package of any name
from .shipping import Bounds, Shipper

MAX_MESSAGE_CHARACTERS = 4000
MAX_TRACEBACK_CHARACTERS = 16_384
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
_ODD_ERRORS = (SyntaxError, getattr(builtins, "BaseExceptionGroup", SyntaxError))

_STANDARD = vars(logging.makeLogRecord({}))
_STANDARD_ATTRIBUTES = frozenset(_STANDARD) | {"message", "asctime", "taskName"}
_STANDARD_COUNT = len(_STANDARD)
_JSON = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
_MOST_HEADS = 1000
_MOST_PIECES = 500
_MOST_FRAMES = 100
_MOST_CAUSES = 10


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
        self._process_id = 0
        self._start_anew()

    def _start_anew(self) -> None:
        is_child = self._process_id != 0
        self._process_id = os.getpid()
        self._heads = {}
        self._shipper = Shipper(Collector(*self._address), self._bounds, self.component)
        if is_child and (util := sys.modules.get("multiprocessing.util")):
            # workers of multiprocessing end without the interpreter's exit functions; this is the one that they call
            util.Finalize(None, self.flush, exitpriority=100)

    def _mine(self) -> Shipper:
        """The shipper of this process: a forked child leaves its parent's records, lock and socket to the parent."""
        if self._process_id != os.getpid():
            self._start_anew()
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

    def emit(self, record: logging.LogRecord) -> None:
        """Put the record into the buffer. Never waits for network or disk and never raises."""
        try:
            shipper = self._mine()
            if not shipper.is_current_thread():  # nothing the shipping thread does may feed it
                shipper.offer(self._encode(record), record.levelno)
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

    def _encode(self, record: logging.LogRecord) -> bytes:
        attributes = vars(record)
        extras: dict[str, Any] = {}
        if len(attributes) != _STANDARD_COUNT:
            extras = {key: value for key, value in attributes.items() if key not in _STANDARD_ATTRIBUTES}
        component = str(extras.pop("component", "") or self.component or record.name)
        key = (record.name, record.levelno, record.filename, component)
        head = self._heads.get(key) or self._head(record, component)
        time = datetime.fromtimestamp(record.created, _UTC).isoformat()
        message = _JSON(_clean(_message(record), MAX_MESSAGE_CHARACTERS))
        line = record.lineno if type(record.lineno) is int else 0
        parts = [f'{head},"time":"{time}","line":{line},"message":{message}']
        if text := _traceback(record):
            parts.append(f',"traceback":{_JSON(text)}')
        if extras:
            budget = _Budget()
            for name in KNOWN_EXTRAS:
                if (value := extras.pop(name, None)) is not None:
                    parts.append(f',"{name}":{_JSON(_plain(value, budget))}')
            if extras:
                parts.append(f',"fields":{_fields(extras, budget)}')
        return ("".join(parts) + "}").encode("ascii")

    def _head(self, record: logging.LogRecord, component: str) -> str:
        """What is the same in all records of a logger, a level and a file."""
        level = logging.getLevelName(record.levelno)  # other handlers may have coloured record.levelname
        entry = {
            "level": record.levelname if level.startswith("Level ") else level,
            "name": _clean(str(record.name), 200),
            "component": _clean(component, 200),
            "host": self._host,
            "process": self._process_id,
            "file": _clean(str(record.filename), 200),
        }
        if len(self._heads) >= _MOST_HEADS:
            self._heads.clear()
        head = _JSON(entry)[:-1]
        self._heads[record.name, record.levelno, record.filename, component] = head
        return head


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


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - arguments that do not fit their format; the unformatted message still tells
        return f"{_shown(record.msg)} {_shown(record.args)}"


def _traceback(record: logging.LogRecord) -> str:
    text = record.exc_text or ""
    if not text and record.exc_info and record.exc_info[0] is not None:
        text = _formatted(record.exc_info[1])
    if record.stack_info:
        text = f"{text}\n{record.stack_info}" if text else record.stack_info
    if len(text) > MAX_TRACEBACK_CHARACTERS:  # the end names the error, the beginning the caller
        text = f"{text[:4000]}\n[cut]\n{text[-(MAX_TRACEBACK_CHARACTERS - 4010) :]}"
    return _clean(text, MAX_TRACEBACK_CHARACTERS)


def _formatted(error: BaseException | None) -> str:
    """The traceback as Python writes it, without the marks below the lines: a fifth of the cost of `traceback`'s own way."""
    if error is None:
        return ""
    if isinstance(error, _ODD_ERRORS):
        return "".join(traceback.format_exception(type(error), error, error.__traceback__)).rstrip("\n")
    parts: list[str] = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen and len(seen) < _MOST_CAUSES:
        seen.add(id(current))
        head = "Traceback (most recent call last):\n" if current.__traceback__ else ""
        notes = "".join(f"\n{_shown(note)}" for note in getattr(current, "__notes__", None) or ())
        parts.append(f"{head}{_frames(current.__traceback__)}{_named(current)}{notes}")
        if current.__cause__ is not None:
            current, link = current.__cause__, "The above exception was the direct cause of the following exception:"
        elif current.__context__ is not None and not current.__suppress_context__:
            current, link = current.__context__, "During handling of the above exception, another exception occurred:"
        else:
            break
        parts.append(f"\n\n{link}\n\n")
    if len(parts) % 2 == 0:  # a link that leads nowhere: a circle, or more causes than anybody reads
        parts.pop()
    return "".join(reversed(parts))


def _named(error: BaseException) -> str:
    kind, text = type(error), _shown(error)
    name = (
        kind.__qualname__ if kind.__module__ in {"builtins", "__main__"} else f"{kind.__module__}.{kind.__qualname__}"
    )
    return f"{name}: {text}" if text else name


def _frames(step: TracebackType | None) -> str:
    steps = []
    while step is not None:
        steps.append(step)
        step = step.tb_next
    left_out = len(steps) - _MOST_FRAMES
    lines = [_frame(one) for one in (steps if left_out <= 0 else [*steps[:20], *steps[20 - _MOST_FRAMES :]])]
    if left_out > 0:
        lines.insert(20, f"  [{left_out} more]\n")
    return "".join(lines)


def _frame(step: TracebackType) -> str:
    code = step.tb_frame.f_code
    source = linecache.getline(code.co_filename, step.tb_lineno, step.tb_frame.f_globals).strip()
    head = f'  File "{code.co_filename}", line {step.tb_lineno}, in {code.co_name}\n'
    return f"{head}    {source}\n" if source else head


def _clean(text: str, limit: int) -> str:
    """The text as valid Unicode without NUL, cut at `limit` characters."""
    if len(text) <= limit and text.isascii():
        return text.replace("\0", "")
    text = text[: limit + 1].encode("utf-8", "replace").decode().replace("\0", "")
    return text if len(text) <= limit else text[: limit - 6] + " [cut]"


def _fields(extras: dict[str, Any], budget: _Budget) -> str:
    fields = _JSON(_plain(extras, budget))
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
            return {_clean(_shown(key), 100): _plain(item, budget, depth + 1) for key, item in pairs}
        return [_plain(item, budget, depth + 1) for item in list(value)[:some]]
    return _clean(_shown(value), 1000)


def _shown(value: Any) -> str:
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001 - a broken __str__ of a stranger's object
        return f"<{type(value).__name__} that cannot be shown: {type(error).__name__}>"
