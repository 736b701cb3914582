"""A real HTTP receiver on loopback that keeps what it is given, and can be told to misbehave. Knows no incident."""

from __future__ import annotations

import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

import orjson

from tests.support.system import free_port


@dataclass
class Hook:
    """Where messages arrive."""

    address: str = ""
    port: int = 0
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    status: int = 200
    answer_headers: dict[str, str] = field(default_factory=dict)
    hangs_up: bool = False
    """A message that came is not answered."""
    holds: threading.Event | None = None
    """Until it is set, a message that came is not answered."""

    @property
    def messages(self) -> list[dict[str, Any]]:
        """What came, as JSON."""
        return [orjson.loads(body) for body in self.bodies]

    def changes(self) -> list[tuple[int, str]]:
        """Incident and change of all that came and was answered with yes, in order."""
        return [
            (change["incident"]["incident_id"], change["change"])
            for message in self.messages
            for change in message["changes"]
        ]


class _Handler(BaseHTTPRequestHandler):
    hook: Hook

    def do_POST(self) -> None:
        hook = self.hook
        body = self.rfile.read(int(self.headers["Content-Length"]))
        hook.headers.append(dict(self.headers.items()))
        if hook.status < 300:
            hook.bodies.append(body)
        if hook.holds is not None:
            hook.holds.wait(30)
        if hook.hangs_up:
            self.close_connection = True
            return
        self.send_response(hook.status)
        for name, value in hook.answer_headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on the terminal of the tests."""


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that does not trust the certificate hangs up; that is its business."""


@contextmanager
def http_hook(hook: Hook | None = None, tls: ssl.SSLContext | None = None) -> Iterator[Hook]:
    """A receiver that answers until the block ends; a `hook` that was open before comes back at its old address.

    `tls`: what it speaks HTTPS with.
    """
    hook = hook or Hook()
    handler = type("Handler", (_Handler,), {"hook": hook})
    with _Server(("127.0.0.1", hook.port or free_port()), handler) as server:
        hook.port = server.server_address[1]
        hook.address = f"{'https' if tls else 'http'}://127.0.0.1:{hook.port}/hook"
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield hook
        finally:
            server.shutdown()
            thread.join()
