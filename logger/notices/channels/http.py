"""One POST to an address that people configured, and what is known of it afterwards. Knows no notice.

Says exactly how far a request came: what was not handed over completely was not taken, what was and stayed without
answer may have been. Redirects are not followed, certificates are checked, and where private addresses are forbidden
the address that was checked is the one that is called, whatever the name means a moment later.
"""

from __future__ import annotations

import http.client
import ipaddress
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from email.utils import mktime_tz, parsedate_tz
from urllib.parse import urlsplit

from logger.notices.message import Known, Outcome
from logger.texts import one_line

_UNFIT = re.compile(r"[^\x21-\x7e]")
"""Signs that stand in no address."""
_TRY_AGAIN = (408, 425, 429)
_MOST_ANSWER = 2000
_TOTAL = 3.0
"""A receiver may take so many times the time of one step, over all."""


class _Refused(Exception):
    """The address may not be called."""


def post(url: str, body: bytes, headers: Mapping[str, str], *, timeout_s: float, allow_private: bool) -> Outcome:
    """Send `body` to `url` once. `timeout_s`: for each of looking up, connecting, sending and answering."""
    try:
        is_secure, host, port, path = _place(url)
    except ValueError:
        # nothing of it in the answer, which readers see: the address of a chat room is a secret
        return Outcome(Known.NOT_NOW, "the address is none of http or https")
    try:
        connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
        if is_secure:
            connection.default_port = http.client.HTTPS_PORT
        connection.sock = _connect(host, port, timeout_s, allow_private=allow_private, is_secure=is_secure)
    except _Refused as error:
        return Outcome(Known.NEVER, str(error))
    except (OSError, ValueError) as error:
        return Outcome(Known.NOT_NOW, _words(error))
    with _within(connection, timeout_s * _TOTAL):
        return _ask(connection, path, body, headers)


def _place(url: str) -> tuple[bool, str, int, str]:
    """Whether TLS is spoken there, host, port and path with query. Raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or _UNFIT.search(url):
        raise ValueError("no address")
    is_secure = parts.scheme == "https"
    path = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
    return is_secure, parts.hostname, parts.port or (443 if is_secure else 80), path


def _ask(connection: http.client.HTTPConnection, path: str, body: bytes, headers: Mapping[str, str]) -> Outcome:
    try:
        connection.request("POST", path, body=body, headers=dict(headers))
    except (OSError, http.client.HTTPException, ValueError) as error:
        return Outcome(Known.NOT_NOW, _words(error))
    try:
        response = connection.getresponse()
    except (OSError, http.client.HTTPException) as error:
        return Outcome(Known.UNKNOWN, f"no answer after it was sent: {_words(error)}")
    words = b""
    with suppress(OSError, http.client.HTTPException):  # the status is what counts
        words = response.read(_MOST_ANSWER)
    answer = one_line(f"{response.status} {words.decode(errors='replace')}", 300)
    return Outcome(_known(response.status), answer, response.status, _retry_after_s(response))


def _connect(host: str, port: int, timeout_s: float, *, allow_private: bool, is_secure: bool) -> socket.socket:
    """A connection to the first of the host's addresses that takes one. Raises OSError (TLS as well), _Refused."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [str(entry[4][0]) for entry in found]
    if not allow_private and not all(ipaddress.ip_address(one.partition("%")[0]).is_global for one in addresses):
        raise _Refused(f"{host} is at a private address ([notices] allow_private)")
    trouble: OSError | None = None
    for address in dict.fromkeys(addresses):
        try:
            plain = socket.create_connection((address, port), timeout_s)
        except OSError as error:
            trouble = error
        else:
            return _secured(plain, host) if is_secure else plain
    raise trouble or OSError(f"{host} has no address")


def _secured(plain: socket.socket, host: str) -> socket.socket:
    try:
        return ssl.create_default_context().wrap_socket(plain, server_hostname=host)
    except (OSError, ValueError):
        plain.close()
        raise


@contextmanager
def _within(connection: http.client.HTTPConnection, seconds: float) -> Iterator[None]:
    """Break the connection when it is not done in time: a receiver that answers byte by byte holds nobody."""
    sock = connection.sock
    timer = threading.Timer(seconds, _break, (sock,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        connection.close()
        sock.close()


def _break(sock: socket.socket) -> None:
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


def _known(status: int) -> Known:
    if 200 <= status < 300:
        return Known.TAKEN
    return Known.NOT_NOW if status in _TRY_AGAIN or status >= 500 else Known.NEVER


def _retry_after_s(response: http.client.HTTPResponse) -> float:
    """What a receiver wishes, in seconds or as a date; 0 when it says nothing that can be understood."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit() and len(text) < 10:
        return float(text)
    date = parsedate_tz(text)
    if date is None:
        return 0.0
    with suppress(ValueError, OverflowError):
        return max(0.0, mktime_tz(date) - time.time())
    return 0.0


def _words(error: Exception) -> str:
    return one_line(f"{type(error).__name__}: {error}", 300)
