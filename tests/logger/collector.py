"""A real HTTP server that collects log records and can be told to misbehave."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.system import free_port


class Collector:
    """Listens on a free port of loopback; `statuses` are answered in turn, then 200; `gate` holds answers back.

    Status 0 means: take the batch and end the connection without an answer. `headers_sent` and `answer` go with each answer.
    """

    def __init__(self, port: int = 0) -> None:
        self.batches: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.connections = 0
        self.sockets: list[socket.socket] = []
        self.statuses: list[int] = []
        self.headers_sent: dict[str, str] = {}
        self.answer: dict[str, Any] = {"accepted": 0, "rejected": 0, "duplicate": 0, "reasons": []}
        self.gate = threading.Event()
        self.gate.set()
        collector = self

        class Answers(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                collector.connections += 1
                collector.sockets.append(self.connection)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.headers.append({**dict(self.headers), "path": self.path})
                collector.gate.wait(30)
                status = collector.statuses.pop(0) if collector.statuses else 200
                if status in {0, 200}:
                    collector.batches.append(json.loads(body))
                if status == 0:
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                answer = json.dumps(collector.answer).encode()
                self.send_response(status)
                for name, value in collector.headers_sent.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", port or free_port()), Answers)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    @property
    def records(self) -> list[dict[str, Any]]:
        return [record for batch in self.batches for record in batch["records"]]

    @property
    def stored(self) -> list[str]:
        """The messages as the server stores them: of each source only what is beyond its last number."""
        last: dict[str, int] = {}
        kept = []
        for batch in self.batches:
            for record in batch["records"]:
                if record["seq"] > last.get(batch["source"], 0):
                    last[batch["source"]] = record["seq"]
                    kept.append(record["message"])
        return kept

    @property
    def messages(self) -> list[str]:
        return [record["message"] for record in self.records]

    @property
    def dropped(self) -> int:
        return sum(batch["dropped"] for batch in self.batches)

    def stop(self) -> None:
        self.gate.set()
        self.server.shutdown()
        self.server.server_close()
        for connection in self.sockets:  # as if the process had died
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.thread.join(10)


def eventually(condition: Callable[[], object], timeout_s: float = 60.0) -> bool:
    """Poll until the condition holds; False after the deadline."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.01)
    return bool(condition())
