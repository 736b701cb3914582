"""Listens on UDP, TCP and a unix socket and hands lines of text to a shipper (`panda logd`). Knows no command line, no settings.

One thread looks after all sockets; nothing a peer does can hold up another one: reads never wait, lines beyond a peer's rate are
counted and dropped, connections are few and have to say the token first where the network is not our own.
"""

from __future__ import annotations

import contextlib
import hmac
import ipaddress
import json
import logging
import os
import selectors
import socket
import stat
import threading
import time
import traceback
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .delivery import say_once
from .lines import ENTERPRISE, Frames, read_line, read_token
from .shipping import Shipper

LINES_PER_S = 2000
MOST_CONNECTIONS = 50
TOKEN_WITHIN_S = 10.0

_REPORT_EVERY_S = 60.0
_TURN_DATAGRAMS = 200
_READ_BYTES = 65_536
_MOST_PEERS = 1000
_MOST_MESSAGE = 16_000
_RECEIVE_BUFFER = 1 << 20


class Relay:
    """Lines in, records out. `start()` binds everything or raises; `stop()` lets go."""

    def __init__(
        self,
        shipper: Shipper,
        *,
        udp: str = "",
        tcp: str = "",
        unix: str | os.PathLike[str] = "",
        token: Callable[[], str] | None = None,
        component: str = "lines",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`udp`, `tcp`: HOST:PORT. `unix`: path of a datagram socket. Empty: not there.

        `token`: what TCP peers have to say in their first line when `tcp` is not on loopback. `component`: of lines that
        name nobody.
        Raises ValueError for an address that is none, and for TCP beyond loopback without a token.
        """
        self._shipper = shipper
        self._udp = address_of(udp) if udp else None
        self._tcp = address_of(tcp) if tcp else None
        self._unix = Path(unix) if unix else None
        self._token = token
        self._wants_token = self._tcp is not None and not is_loopback(self._tcp[0])
        if self._wants_token and token is None:
            raise ValueError("beyond loopback every TCP peer has to say a token; name one, or listen on 127.0.0.1")
        self._component = component
        self._clock = clock
        self._rates = _Rates()
        self._next_report = clock() + _REPORT_EVERY_S
        self._selector = selectors.DefaultSelector()
        self._sockets: list[socket.socket] = []
        self._peers: dict[socket.socket, _Peer] = {}
        self._wake, self._waker = socket.socketpair()
        self._thread: threading.Thread | None = None
        self._is_stopping = False
        self._has_unix = False
        self.received = 0
        """Lines handed on."""

    def start(self) -> list[str]:
        """Bind, and listen in a thread. Returns what it listens on, for people. Raises OSError."""
        listening = []
        try:
            if self._udp:
                listening.append(f"udp {_shown(self._bind(socket.SOCK_DGRAM, self._udp, self._read_datagrams))}")
            if self._tcp:
                listening.append(f"tcp {_shown(self._bind(socket.SOCK_STREAM, self._tcp, self._accept))}")
            if self._unix:
                self._bind_unix(self._unix)
                listening.append(f"unix {self._unix}")
        except OSError:
            self.stop()
            raise
        self._selector.register(self._wake, selectors.EVENT_READ, self._stop_soon)
        self._thread = threading.Thread(target=self._run, name="panda-logd", daemon=True)
        self._thread.start()
        return listening

    def stop(self) -> None:
        """Close all sockets. What was received is in the shipper, which the caller closes."""
        self._is_stopping = True
        with contextlib.suppress(OSError):
            self._waker.send(b"x")
        if self._thread is not None:
            self._thread.join(5)
        self._report(self._clock())
        for one in [*self._sockets, *self._peers, self._wake, self._waker]:
            one.close()
        if self._unix and self._has_unix:
            with contextlib.suppress(OSError):
                self._unix.unlink()
        self._sockets, self._peers = [], {}
        self._selector.close()

    @property
    def ports(self) -> list[int]:
        """The ports in use, UDP before TCP: of interest when 0 was asked for."""
        return [one.getsockname()[1] for one in self._sockets if one.family != socket.AF_UNIX]

    def turn(self, wait_s: float = 1.0) -> None:
        """Wait for something to read, and read it; close who is late with its token; report what was dropped."""
        for key, _ in self._selector.select(wait_s):
            key.data(key.fileobj)
        now = self._clock()
        for connection, peer in list(self._peers.items()):
            if not peer.is_known and now > peer.token_until:
                self._refuse(connection, peer)
        if now >= self._next_report:
            self._report(now)

    def _run(self) -> None:
        while not self._is_stopping:
            try:
                self.turn()
            except Exception:  # noqa: BLE001 - the edge of the loop; others go on writing
                say_once(f"relay failed\n{traceback.format_exc()}", key="relay")

    def _bind(self, kind: socket.SocketKind, address: tuple[str, int], ready: Callable[[socket.socket], None]) -> Any:
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        one = socket.socket(family, kind)
        self._sockets.append(one)
        if kind == socket.SOCK_STREAM:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        else:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        one.bind(address)
        if kind == socket.SOCK_STREAM:
            one.listen(MOST_CONNECTIONS)
        self._watch(one, ready)
        return one.getsockname()

    def _bind_unix(self, path: Path) -> None:
        one = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            _remove_stale(path)
            one.bind(os.fspath(path))
        except OSError:
            one.close()
            raise
        self._sockets.append(one)
        self._has_unix = True
        path.chmod(0o666)  # as /dev/log: whoever may enter the directory may write
        self._watch(one, self._read_datagrams)

    def _watch(self, one: socket.socket, ready: Callable[[socket.socket], None]) -> None:
        one.setblocking(False)
        self._selector.register(one, selectors.EVENT_READ, ready)

    def _stop_soon(self, one: socket.socket) -> None:
        self._is_stopping = True

    def _read_datagrams(self, one: socket.socket) -> None:
        for _ in range(_TURN_DATAGRAMS):  # then the others have their turn
            try:
                data, sender = one.recvfrom(_READ_BYTES)
            except (BlockingIOError, InterruptedError):
                return
            if data.strip():
                self._take("local" if one.family == socket.AF_UNIX else str(sender[0]), [data])

    def _accept(self, one: socket.socket) -> None:
        try:
            connection, sender = one.accept()
        except OSError:  # gone again, or no descriptor is left
            return
        peer = _Peer(str(sender[0]), not self._wants_token, self._clock() + TOKEN_WITHIN_S)
        if len(self._peers) >= MOST_CONNECTIONS:
            self._rates.refuse(peer.name)
            connection.close()
            return
        self._peers[connection] = peer
        self._watch(connection, self._read_stream)

    def _read_stream(self, connection: socket.socket) -> None:
        peer = self._peers[connection]
        try:
            data = connection.recv(_READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        lines = peer.frames.feed(data) if data else peer.frames.end()
        if lines and not peer.has_spoken:
            peer.has_spoken = True
            if not self._knows(peer, lines[0]):
                self._refuse(connection, peer)
                return
            if lines[0].lstrip().startswith(f"[{ENTERPRISE} token=".encode()):
                lines = lines[1:]
        self._take(peer.name, lines)
        if not data:
            self._forget(connection)

    def _knows(self, peer: _Peer, first_line: bytes) -> bool:
        if not peer.is_known and self._token is not None:
            token = self._token().strip()
            peer.is_known = bool(token) and hmac.compare_digest(read_token(first_line).encode(), token.encode())
        return peer.is_known

    def _refuse(self, connection: socket.socket, peer: _Peer) -> None:
        self._rates.refuse(peer.name)
        self._forget(connection)

    def _forget(self, connection: socket.socket) -> None:
        del self._peers[connection]
        self._selector.unregister(connection)
        connection.close()

    def _take(self, peer: str, lines: Sequence[bytes]) -> None:
        now = datetime.now(UTC)
        for line in lines[: self._rates.admit(peer, len(lines), self._clock())]:
            record = read_line(line, {}, now)
            record["message"] = record["message"][:_MOST_MESSAGE]
            record.setdefault("fields", {})["relay_peer"] = peer
            if not record.get("component") and not record.get("name"):
                record["component"] = self._component
            self._offer(record)
            self.received += 1

    def _report(self, now: float) -> None:
        """One record about what was dropped and who was refused since the last one."""
        self._next_report = now + _REPORT_EVERY_S
        dropped, refused = self._rates.take_counts()
        for count, sentence, peers in (
            (sum(dropped.values()), f"lines were dropped: more than {LINES_PER_S} a second of one peer", dropped),
            (sum(refused.values()), "connections were refused: too many, or without the token", refused),
        ):
            if count:
                worst = dict(sorted(peers.items(), key=lambda item: -item[1])[:10])
                self._offer(
                    {
                        **{"time": datetime.now(UTC).isoformat(), "level": "WARNING", "name": "panda.logd"},
                        **{"component": "logd", "kind": "service", "message": sentence},
                        "fields": {"count": count, "peers": worst},
                    }
                )

    def _offer(self, record: dict[str, Any]) -> None:
        level = logging.getLevelName(record["level"])
        self._shipper.offer(json.dumps(record, separators=(",", ":")).encode(), level)


class _Peer:
    """One TCP connection."""

    def __init__(self, name: str, is_known: bool, token_until: float) -> None:
        self.name = name
        self.is_known = is_known
        self.token_until = token_until
        self.has_spoken = False
        self.frames = Frames()


class _Rates:
    """Lines of each peer in the running second; bounded, the peer that was quiet longest is forgotten first."""

    def __init__(self) -> None:
        self._seconds: OrderedDict[str, tuple[int, int]] = OrderedDict()
        self._dropped: dict[str, int] = {}
        self._refused: dict[str, int] = {}

    def admit(self, peer: str, lines: int, now: float) -> int:
        second, count = self._seconds.pop(peer, (0, 0))
        if second != int(now):
            second, count = int(now), 0
        admitted = min(lines, LINES_PER_S - count)
        self._seconds[peer] = (second, count + admitted)
        if len(self._seconds) > _MOST_PEERS:
            self._seconds.popitem(last=False)
        if admitted < lines:
            _count(self._dropped, peer, lines - admitted)
        return admitted

    def refuse(self, peer: str) -> None:
        _count(self._refused, peer, 1)

    def take_counts(self) -> tuple[dict[str, int], dict[str, int]]:
        dropped, refused = self._dropped, self._refused
        self._dropped, self._refused = {}, {}
        return dropped, refused


def _count(counts: dict[str, int], peer: str, number: int) -> None:
    known = peer if peer in counts or len(counts) < _MOST_PEERS else "others"
    counts[known] = counts.get(known, 0) + number


def address_of(text: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT` or `[IPV6]:PORT`. Raises ValueError."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not (port.isascii() and port.isdigit() and int(port) < 65_536):
        raise ValueError(f"'{text}' is no address; write HOST:PORT, as in 127.0.0.1:5514 or [::1]:5514")
    return host, int(port)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the address. A name is one that others may reach, except `localhost`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _remove_stale(path: Path) -> None:
    """Remove a socket that nobody listens on any more; anything else is left, and binding fails."""
    if not path.exists() or not stat.S_ISSOCK(path.lstat().st_mode):
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one:
        try:
            one.connect(os.fspath(path))
        except ConnectionRefusedError:
            path.unlink()


def _shown(address: tuple[Any, ...]) -> str:
    return f"[{address[0]}]:{address[1]}" if ":" in str(address[0]) else f"{address[0]}:{address[1]}"
