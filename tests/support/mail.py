"""A real SMTP server on loopback that keeps what it is given, and can be told to misbehave. Knows no task."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage


@dataclass
class Sink:
    """Where letters arrive."""

    address: str = ""
    """host:port."""
    letters: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    answers: dict[str, bytes] = field(default_factory=dict)
    """Command (MAIL, RCPT, DATA, or END for what follows a letter) -> what is answered instead of yes."""
    hangs_up_after_letter: bool = False
    holds_after_letter: threading.Event | None = None
    """Until it is set, a letter that came is not answered."""
    connections: int = 0


class _Handler(socketserver.StreamRequestHandler):
    sink: Sink

    def handle(self) -> None:
        self.sink.connections += 1
        self._say(b"220 sink")
        while line := self.rfile.readline().strip():
            command = line.split(maxsplit=1)[0].upper().decode()
            if command == "QUIT":
                self._say(b"221 bye")
                return
            answer = self.sink.answers.get(command)
            if command == "RCPT":
                self.sink.recipients.append(line.split(b":", 1)[1].strip(b" <>").decode())
            if command == "DATA" and answer is None:
                self._say(b"354 go on")
                if not self._take_letter():
                    return
                answer = self.sink.answers.get("END")
            self._say(answer or b"250 yes")

    def _take_letter(self) -> bool:
        lines = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line.removeprefix(b"."))
        letter = message_from_bytes(b"".join(lines), policy=policy.default)
        assert isinstance(letter, EmailMessage)
        self.sink.letters.append(letter)
        if self.sink.holds_after_letter is not None:
            self.sink.holds_after_letter.wait(30)
        return not self.sink.hangs_up_after_letter

    def _say(self, line: bytes) -> None:
        self.wfile.write(line + b"\r\n")


@contextmanager
def smtp_sink() -> Iterator[Sink]:
    """A sink that answers until the block ends."""
    sink = Sink()
    handler = type("Handler", (_Handler,), {"sink": sink})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        sink.address = f"127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield sink
        finally:
            server.shutdown()
            thread.join()
