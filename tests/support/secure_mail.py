"""A real SMTP server on loopback that wants STARTTLS (or speaks TLS from the first byte) and a login before it takes a letter."""

from __future__ import annotations

import base64
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.certificates import server_context


@dataclass
class SecureSink:
    """Where letters arrive, and how."""

    address: str = ""
    logins: list[tuple[str, str]] = field(default_factory=list)
    letters: list[bytes] = field(default_factory=list)
    password: str = "s3cret"
    was_in_the_clear: bool = False


class _Handler(socketserver.StreamRequestHandler):
    sink: SecureSink
    context: ssl.SSLContext
    from_the_first_byte: bool
    is_secure = False
    is_known = False

    def handle(self) -> None:
        if self.from_the_first_byte:
            self._secure()
        self._say("220 sink")
        while line := self.rfile.readline().strip().decode():
            command = line.split(maxsplit=1)[0].upper()
            if command == "QUIT":
                self._say("221 bye")
                return
            getattr(self, f"_{command.lower()}", self._refuse)(line)

    def _ehlo(self, line: str) -> None:
        self._say("250-sink\r\n250 AUTH PLAIN" if self.is_secure else "250-sink\r\n250 STARTTLS")

    def _starttls(self, line: str) -> None:
        self._say("220 go on")
        self._secure()

    def _auth(self, line: str) -> None:
        self.sink.was_in_the_clear |= not self.is_secure
        _, user, password = base64.b64decode(line.split()[2]).decode().split("\0")
        self.sink.logins.append((user, password))
        self.is_known = password == self.sink.password
        self._say("235 yes" if self.is_known else "535 no")

    def _mail(self, line: str) -> None:
        self._say("250 yes" if self.is_known else "530 log in first")

    def _rcpt(self, line: str) -> None:
        self._say("250 yes")

    def _data(self, line: str) -> None:
        self._say("354 go on")
        lines = []
        while (part := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(part)
        self.sink.letters.append(b"".join(lines))
        self._say("250 yes")

    def _refuse(self, line: str) -> None:
        self._say("502 what?")

    def _secure(self) -> None:
        self.connection = self.context.wrap_socket(self.connection, server_side=True)
        self.rfile = self.connection.makefile("rb")
        self.wfile = self.connection.makefile("wb", buffering=0)
        self.is_secure = True

    def _say(self, line: str) -> None:
        self.wfile.write(line.encode() + b"\r\n")


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that does not trust the certificate hangs up; that is its business."""


@contextmanager
def secure_smtp_sink(certificate: Path, *, from_the_first_byte: bool = False) -> Iterator[SecureSink]:
    """A sink that answers until the block ends."""
    sink = SecureSink()
    values = {"sink": sink, "context": server_context(certificate), "from_the_first_byte": from_the_first_byte}
    with _Server(("127.0.0.1", 0), type("Handler", (_Handler,), values)) as server:
        sink.address = f"127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield sink
        finally:
            server.shutdown()
            thread.join()
