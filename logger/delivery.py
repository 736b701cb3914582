"""One HTTP call that delivers records: its body, address, token, kept-alive connection, and what the answer means.

Knows no buffer.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

PATH = "/api/logger/records"

_LONGEST_RETRY_AFTER_S = 60.0
_REFUSED_FOR_GOOD = frozenset({400, 422})
_TOO_LARGE = 413
_REMEDIES = {
    401: "give it a token that is valid (`panda token create`)",
    403: "give it a token that may send records",
    404: "check the address: there is no such door",
}
"""Of answers that stay the same until somebody does something."""

_said: set[str] = set()


class Line(NamedTuple):
    """One numbered record as bytes without a line end. `is_important`: WARNING and above."""

    data: bytes
    is_important: bool


@dataclass(frozen=True)
class Answer:
    """What the server said: the HTTP status, 0 when there was no answer; how many records it would not have."""

    status: int
    retry_after_s: float = 0.0
    rejected: int = 0

    @property
    def is_taken(self) -> bool:
        """Whether the batch is stored."""
        return 200 <= self.status < 300

    @property
    def is_too_large(self) -> bool:
        """Whether a smaller batch may be taken."""
        return self.status == _TOO_LARGE

    @property
    def is_final(self) -> bool:
        """Whether the same batch would be refused for ever."""
        return self.status in _REFUSED_FOR_GOOD


class Collector:
    """The HTTP side: one kept-alive connection. Used by the shipping thread only."""

    def __init__(self, url: str, token: str | Callable[[], str], timeout_s: float) -> None:
        """Raises ValueError for an address that is not http or https."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"url: '{url}' is no address of a server; write it as http://host:port")
        path = parts.path.rstrip("/")
        self._path = path if path.endswith(PATH) else path + PATH
        self._token = token_source(token)
        self._timeout_s = timeout_s
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.hostname, parts.port, timeout=timeout_s)
        self._server = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        self._is_fresh = False

    def reach(self, most_s: float | None = None) -> bool:
        """Whether there is a connection, or can be one: costs nothing to ask before a batch is made ready."""
        if self._connection.sock is None:
            self._connection.timeout = self._at_most(most_s)
            try:
                self._connection.connect()
            except (OSError, http.client.HTTPException) as error:
                self._tell(error)
                self.close()
                return False
            self._is_fresh = True
        return True

    def post(self, body: bytes, most_s: float | None = None) -> Answer:
        """Deliver a batch. `most_s`: less time for the call than usual."""
        self._connection.timeout = self._at_most(most_s)
        was_open = self._connection.sock is not None and not self._is_fresh
        self._is_fresh = False
        if self._connection.sock is not None:
            self._connection.sock.settimeout(self._connection.timeout)
        answer = self._try(body)
        if answer.status == 0 and was_open:  # the server closed an idle connection: that is no failure
            answer = self._try(body)
        return answer

    def _at_most(self, most_s: float | None) -> float:
        return self._timeout_s if most_s is None else max(0.05, min(most_s, self._timeout_s))

    def _try(self, body: bytes) -> Answer:
        headers = {"Content-Type": "application/json"}
        if token := self._current_token():
            headers["Authorization"] = f"Bearer {token}"
        try:
            self._connection.request("POST", self._path, body, headers)
            answer = self._connection.getresponse()
            self._tell_of_status(answer.status, answer.headers.get("Location", ""))
            return _answer(answer.status, answer.headers.get("Retry-After", ""), answer.read(1_000_000))
        except (OSError, http.client.HTTPException) as error:
            self._tell(error)
            self.close()
            return Answer(0)

    def _tell(self, error: Exception) -> None:
        """A server that is away comes back; a name that is none or a certificate that is not trusted is for people."""
        if isinstance(error, socket.gaierror) or type(error).__module__ == "ssl":  # some Pythons have no ssl
            say_once(f"{self._server}: {error}; records wait", key=f"{self._server} {type(error).__name__}")

    def _tell_of_status(self, status: int, location: str) -> None:
        if (remedy := _REMEDIES.get(status)) or 300 <= status < 400:
            remedy = remedy or f"write the address as it wants it: {location[:200]!r}"
            say_once(f"{self._server} answers {status}; records wait: {remedy}", key=f"{self._server} {status}")

    def _current_token(self) -> str:
        """The token, or none: then the server refuses, and the records wait until it is mended."""
        try:
            token = self._token().strip()
        except Exception as error:  # noqa: BLE001 - a stranger's function
            say_once(f"the token cannot be had: {type(error).__name__}", key="token")
            return ""
        if token.isascii() and token.isprintable():
            return token
        say_once("the token is none: it has characters that no HTTP header may have", key="token")
        return ""

    def close(self) -> None:
        """End the connection; the next post makes a new one."""
        self._connection.close()


def _answer(status: int, retry_after: str, body: bytes) -> Answer:
    wait_s = min(float(retry_after), _LONGEST_RETRY_AFTER_S) if retry_after.isascii() and retry_after.isdigit() else 0.0
    rejected = 0
    if 200 <= status < 300:
        with contextlib.suppress(ValueError, TypeError, AttributeError):
            told = json.loads(body)
            rejected = int(told.get("rejected") or 0)
            if rejected > 0 and told.get("reasons"):
                say_once(f"the server rejects records: {str(told['reasons'][0])[:300]}", key="rejected")
    return Answer(status, wait_s, max(0, rejected))


def token_source(token: str | Callable[[], str]) -> Callable[[], str]:
    """How to get the token now: of a text, a function, `file:PATH` (read again when it changes) or `env:NAME`."""
    if callable(token):
        return token
    if token.startswith("env:"):
        return lambda: os.environ.get(token[4:], "")
    if not token.startswith("file:"):
        return lambda: token
    path = Path(token[5:]).expanduser().absolute()  # the program may change its directory
    known: tuple[Any, str] = (None, "")

    def read() -> str:
        nonlocal known
        state = path.stat()
        stamp = (state.st_mtime_ns, state.st_size, state.st_ino)
        if stamp != known[0]:
            known = (stamp, path.read_text(encoding="utf-8"))
        return known[1]

    def current() -> str:
        try:
            return read()
        except OSError as error:  # being replaced, perhaps; the one we know may still be good
            if not known[1]:
                say_once(f"token: {path}: {error.strerror}", key=str(path))
            return known[1]

    return current


def say_once(text: str, key: str = "") -> None:
    """One line on stderr, once in the life of the process: nothing here may use logging."""
    if (key or text) not in _said and len(_said) < 100:
        _said.add(key or text)
        with contextlib.suppress(Exception):
            sys.stderr.write(f"panda logger: {text}\n")


def made(record: Callable[[], bytes]) -> bytes:
    """The JSON object, empty when it cannot be made."""
    try:
        return record()
    except Exception:  # noqa: BLE001 - one record must not cost the others their way
        say_once(f"a record cannot be encoded\n{traceback.format_exc()}", key="encoding")
        return b""


def body_of(boot: str, dropped: int, batch: Sequence[bytes]) -> bytes:
    """What is posted: a batch of records, the process that numbered them, and how many were lost before."""
    now = datetime.now(timezone.utc).isoformat()  # noqa: UP017 - Python 3.9 gets in, too
    head = f'{{"source":"{boot}","sent":"{now}","dropped":{dropped},"records":['
    return head.encode() + b",".join(batch) + b"]}"
