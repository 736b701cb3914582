"""PandaLogger's `logging.Handler`: ships records over HTTP and never makes its program wait.

Knows Python's logging and one HTTP call (`POST /api/logger/records`, docs/api.md); must not know the store behind it.
Standard library alone, one file: it can be copied into any program.

    PandaHandler("http://127.0.0.1:25080", token=..., component="my_program")
    logging.getLogger("panda.site").error("disk full", extra={"panda_id": 17, "code": 1098, "mount": "/scratch"})

`logging.config.dictConfig` takes it as {"()": "logger.handler.PandaHandler", "url": ..., "token": ...}.
"""

from __future__ import annotations

import http.client
import json
import logging
import math
import os
import random
import socket
import threading
import traceback
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

MAX_MESSAGE_CHARACTERS = 4000
MAX_TRACEBACK_CHARACTERS = 16_384
MAX_BATCH_RECORDS = 500
MAX_BATCH_BYTES = 1_000_000
PATH = "/api/logger/records"

OUR_LOGGERS = ("panda", "core", "api", "pilot", "logger", "pandascope", "tui", "dashboard")
"""First words of the logger names of our own programs."""

KNOWN_EXTRAS = ("panda_id", "jedi_task_id", "computing_site", "code", "user", "fingerprint", "kind")
"""Extras that have a place of their own in a record (besides `component`); all others go to `fields`."""

_STANDARD_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_LINGER_S = 0.5
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0
_REFUSED_FOR_GOOD = frozenset({400, 422})
_TOO_LARGE = 413


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
    """Ships records in JSON batches from one daemon thread; drops and counts what does not fit its buffer.

    Records below WARNING may fill half of the buffer only, so that a talkative program keeps room for its errors.
    Delivery is at least once: a batch whose answer was lost is sent again.
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
        timeout_s: float = 15.0,
        close_timeout_s: float = 2.0,
    ) -> None:
        """`url`: address of the server. `token`: a bearer token, or a function that gives the present one.

        `max_records` and `max_bytes` bound the buffer, `timeout_s` one HTTP call, `close_timeout_s` the wait of
        `flush()` and of `close()`. Raises ValueError for an address that is not http or https.
        """
        super().__init__(level)
        self.component = component
        self.close_timeout_s = close_timeout_s
        self._host = socket.gethostname()
        self._address = (url, token, timeout_s)
        self._bounds = (max_records, max_bytes)
        self._start_anew()

    def _start_anew(self) -> None:
        self._process_id = os.getpid()
        self._shipper = _Shipper(_Collector(*self._address), *self._bounds)

    def _mine(self) -> _Shipper:
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
        """Records delivered so far by this process."""
        return self._mine().sent

    @property
    def waiting(self) -> int:
        """Records in the buffer."""
        return self._mine().waiting

    def emit(self, record: logging.LogRecord) -> None:
        """Put the record into the buffer. Never waits for the network and never raises."""
        try:
            shipper = self._mine()
            if not shipper.is_current_thread():  # nothing the shipping thread does may feed it
                shipper.offer(self._encode(record), record.levelno)
        except Exception:  # noqa: BLE001 - logging's own contract: a handler reports to stderr and never raises
            self.handleError(record)

    def flush(self) -> None:
        """Try at once to send what is there; return when it is sent, refused, or after `close_timeout_s`."""
        self._mine().flush(self.close_timeout_s)

    def close(self) -> None:
        """Send what is there, for `close_timeout_s` at most, and end the thread. Also called at interpreter exit."""
        self._mine().close(self.close_timeout_s)
        super().close()

    def _encode(self, record: logging.LogRecord) -> bytes:
        extras = {key: value for key, value in vars(record).items() if key not in _STANDARD_ATTRIBUTES}
        component = extras.pop("component", "") or self.component or record.name
        entry: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname,
            "name": record.name,
            "component": _clean(str(component), 200),
            "message": _clean(_message(record), MAX_MESSAGE_CHARACTERS),
            "host": self._host,
            "process": record.process,
            "file": record.filename,
            "line": record.lineno,
            "traceback": _traceback(record),
        }
        for key in KNOWN_EXTRAS:
            if (value := extras.pop(key, None)) is not None:
                entry[key] = _plain(value)
        entry["fields"] = {_clean(str(key), 100): _plain(value) for key, value in list(extras.items())[:50]}
        return json.dumps(entry, separators=(",", ":"), allow_nan=False).encode()


class _OursOrWarning(logging.Filter):
    def __init__(self, level: int) -> None:
        super().__init__()
        self.level = level

    def filter(self, record: logging.LogRecord) -> bool:
        is_ours = record.name.split(".", 1)[0] in OUR_LOGGERS
        return record.levelno >= (self.level if is_ours else logging.WARNING)


class _Collector:
    """The HTTP side: one kept-alive connection. Used by the shipping thread only."""

    def __init__(self, url: str, token: str | Callable[[], str], timeout_s: float) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"url: '{url}' is no address of a server; write it as http://host:port")
        path = parts.path.rstrip("/")
        self._path = path if path.endswith(PATH) else path + PATH
        self._token = token
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.hostname, parts.port, timeout=timeout_s)

    def post(self, body: bytes) -> int:
        """Deliver a batch and return the HTTP status; 0 when the server could not be reached."""
        was_open = self._connection.sock is not None
        status = self._try(body)
        if status == 0 and was_open:  # the server closed an idle connection: that is no failure
            status = self._try(body)
        return status

    def _try(self, body: bytes) -> int:
        token = self._token() if callable(self._token) else self._token
        headers = {"Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token.strip()}"
        try:
            self._connection.request("POST", self._path, body, headers)
            answer = self._connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            return 0
        return answer.status

    def close(self) -> None:
        self._connection.close()


class _Shipper:
    """The bounded buffer and the thread that empties it."""

    def __init__(self, collector: _Collector, max_records: int, max_bytes: int) -> None:
        self._collector = collector
        self._max_records = max_records
        self._max_bytes = max_bytes
        self._changed = threading.Condition()  # reentrant: a signal handler may log while its thread logs
        self._lines: deque[bytes] = deque()
        self._bytes = 0
        self._batch_limit = MAX_BATCH_RECORDS
        self._unreported = 0
        self._thread: threading.Thread | None = None
        self._hurry = False
        self._flushes_asked = 0
        self._flushes_done = 0
        self._closing = False
        self.dropped = 0
        self.sent = 0

    @property
    def waiting(self) -> int:
        return len(self._lines)

    def is_current_thread(self) -> bool:
        return self._thread is threading.current_thread()

    def offer(self, line: bytes, level: int) -> None:
        share = 1.0 if level >= logging.WARNING else 0.5
        with self._changed:
            has_room = (
                len(self._lines) < self._max_records * share and self._bytes + len(line) <= self._max_bytes * share
            )
            if not has_room or self._closing or not self._is_running():
                self._drop(1)
                return
            self._lines.append(line)
            self._bytes += len(line)
            self._hurry = self._hurry or level >= logging.ERROR
            if self._hurry or len(self._lines) in {1, MAX_BATCH_RECORDS}:
                self._changed.notify_all()

    def flush(self, timeout_s: float) -> None:
        with self._changed:
            if self._thread is None or not self._thread.is_alive() or self.is_current_thread():
                return
            self._flushes_asked += 1
            mine = self._flushes_asked
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._lines or self._flushes_done >= mine, timeout_s)

    def close(self, timeout_s: float) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread is not None and self._thread.is_alive() and not self.is_current_thread():
            self._thread.join(timeout_s)

    def _drop(self, count: int) -> None:
        self.dropped += count
        self._unreported += count

    def _is_running(self) -> bool:
        if self._thread is None:
            # noted before it starts: a signal handler that logs meanwhile must not start a second one
            self._thread = threading.Thread(target=self._run, name="panda-logger", daemon=True)
            try:
                self._thread.start()
            except RuntimeError:  # no new thread can start: out of threads, or the interpreter is ending
                self._thread = None
                return False
        return True

    def _run(self) -> None:
        pause_s = 0.0
        while True:
            asked = self._wait(pause_s)
            is_last_try = self._closing
            is_delivered = self._ship()
            with self._changed:
                if not is_delivered or not self._lines:
                    self._flushes_done = max(self._flushes_done, asked)
                    self._changed.notify_all()
                    if is_last_try:
                        break
            pause_s = 0.0 if is_delivered else min(max(2 * pause_s, _FIRST_PAUSE_S), _LONGEST_PAUSE_S)
        self._collector.close()

    def _wait(self, pause_s: float) -> int:
        """Sleep until there is something to do; returns how many flushes have been asked for."""
        with self._changed:
            if pause_s:
                self._changed.wait_for(self._is_asked, pause_s * random.uniform(0.8, 1.2))
            else:
                self._changed.wait_for(lambda: bool(self._lines) or self._is_asked())
                self._changed.wait_for(
                    lambda: self._hurry or len(self._lines) >= MAX_BATCH_RECORDS or self._is_asked(), _LINGER_S
                )
            self._hurry = False
            return self._flushes_asked

    def _is_asked(self) -> bool:
        return self._closing or self._flushes_asked > self._flushes_done

    def _ship(self) -> bool:
        """Send the oldest batch; it leaves the buffer only when the server has taken it or refused it for good."""
        with self._changed:
            batch: list[bytes] = []
            size = 0
            for line in self._lines:
                if len(batch) >= self._batch_limit or (batch and size + len(line) > MAX_BATCH_BYTES):
                    break
                batch.append(line)
                size += len(line)
            unreported = self._unreported
        if not batch:
            return True
        status = self._collector.post(b'{"records":[' + b",".join(batch) + b'],"dropped":%d}' % unreported)
        is_taken = 200 <= status < 300
        is_hopeless = status in _REFUSED_FOR_GOOD or (status == _TOO_LARGE and len(batch) == 1)
        with self._changed:
            self._batch_limit = max(1, len(batch) // 2) if status == _TOO_LARGE else MAX_BATCH_RECORDS
            if not is_taken and not is_hopeless:
                return status == _TOO_LARGE  # the smaller batch goes at once
            for _ in batch:
                self._bytes -= len(self._lines.popleft())
            if is_taken:
                self.sent += len(batch)
                self._unreported -= unreported
            else:
                self._drop(len(batch))
        return True


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - arguments that do not fit their format; the unformatted message still tells
        return f"{record.msg} {_shown(record.args)}"


def _traceback(record: logging.LogRecord) -> str | None:
    text = record.exc_text or ""
    if not text and record.exc_info and record.exc_info[0] is not None:
        text = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
    if record.stack_info:
        text = f"{text}\n{record.stack_info}" if text else record.stack_info
    if len(text) > MAX_TRACEBACK_CHARACTERS:  # the end names the error, the beginning the caller
        text = f"{text[:4000]}\n[cut]\n{text[-(MAX_TRACEBACK_CHARACTERS - 4010) :]}"
    return _clean(text, MAX_TRACEBACK_CHARACTERS) or None


def _clean(text: str, limit: int) -> str:
    """The text as valid Unicode without NUL, cut at `limit` characters."""
    text = text[: limit + 1].encode("utf-8", "replace").decode().replace("\0", "")
    return text if len(text) <= limit else text[: limit - 6] + " [cut]"


def _plain(value: Any, depth: int = 0) -> Any:
    """The value as bounded JSON: what JSON does not know becomes text."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and abs(value) < 2**63:
        return int(value)
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    if isinstance(value, dict) and depth < 4:
        return {_clean(str(key), 100): _plain(item, depth + 1) for key, item in list(value.items())[:50]}
    if isinstance(value, list | tuple | set | frozenset) and depth < 4:
        return [_plain(item, depth + 1) for item in list(value)[:50]]
    return _clean(_shown(value), 1000)


def _shown(value: Any) -> str:
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001 - a broken __str__ of a stranger's object
        return f"<{type(value).__name__} that cannot be shown: {type(error).__name__}>"
