"""Many keep-alive connections sending requests as fast as answers come, on plain sockets: the client is not the limit."""

from __future__ import annotations

import json
import multiprocessing
import random
import selectors
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode


@dataclass(frozen=True)
class Load:
    """What came of a run."""

    rate: float
    """Accepted requests per second."""
    refused: int
    p50_ms: float
    p95_ms: float


class _Connection:
    def __init__(self, host: str, port: int) -> None:
        self.socket = socket.create_connection((host, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""
        self.sent_at = 0.0

    def send(self, request: bytes) -> None:
        self.received = b""
        self.sent_at = time.perf_counter()
        self.socket.sendall(request)

    def answer(self) -> bytes | None:
        """The body once it is complete."""
        self.received += self.socket.recv(262_144)
        head, separator, body = self.received.partition(b"\r\n\r\n")
        if not separator:
            return None
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        return body if len(body) >= length else None


@dataclass(frozen=True)
class Form:
    """How a call is put on the wire and how its answer says that it was accepted."""

    content_type: str
    """Empty when none is said, as the production pilot does."""
    encode: Callable[[dict[str, Any]], bytes]
    accepted: bytes


JSON = Form("application/json", lambda body: json.dumps(body).encode(), b'"success":true')
LEGACY = Form("", lambda body: urlencode(body).encode(), b'"StatusCode":0')
"""/server/panda/<method>, as pilot 3.7 sends it (pilot-wire.md 1)."""


def run_load(
    host: str,
    port: int,
    token: str,
    path: str,
    body: Callable[[int], dict[str, Any]],
    *,
    form: Form,
    clients: int,
    seconds: float,
) -> Load:
    """Send from one process with `clients` connections for `seconds`; request number n carries `body(n)`."""
    context = multiprocessing.get_context("fork")
    reader, writer = context.Pipe(duplex=False)
    process = context.Process(target=_drive, args=(writer, host, port, token, path, body, form, clients, seconds))
    process.start()
    load: Load = reader.recv()
    process.join()
    return load


def _drive(
    writer: Any,
    host: str,
    port: int,
    token: str,
    path: str,
    body: Callable[[int], dict[str, Any]],
    form: Form,
    clients: int,
    seconds: float,
) -> None:
    random.seed()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n"
        + (f"Content-Type: {form.content_type}\r\n" if form.content_type else "")
        + "Accept: application/json\r\nContent-Length: "
    )
    connections = [_Connection(host, port) for _ in range(clients)]
    selector = selectors.DefaultSelector()
    number = 0

    def send(connection: _Connection) -> None:
        nonlocal number
        data = form.encode(body(number))
        number += 1
        connection.send(f"{head}{len(data)}\r\n\r\n".encode() + data)

    for connection in connections:
        selector.register(connection.socket, selectors.EVENT_READ, connection)
        send(connection)
    started = time.perf_counter()
    latencies: list[float] = []
    refused = 0
    while time.perf_counter() - started < seconds:
        for key, _ in selector.select(0.5):
            connection = key.data
            answer = connection.answer()
            if answer is None:
                continue
            latencies.append(time.perf_counter() - connection.sent_at)
            refused += form.accepted not in answer
            send(connection)
    elapsed = time.perf_counter() - started
    for connection in connections:
        connection.socket.close()
    latencies.sort()
    count = max(1, len(latencies))
    quantile = [latencies[min(count - 1, int(count * part))] * 1000 if latencies else 0.0 for part in (0.5, 0.95)]
    writer.send(Load((len(latencies) - refused) / elapsed, refused, quantile[0], quantile[1]))
