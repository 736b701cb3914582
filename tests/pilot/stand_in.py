"""A small server that speaks the two calls of a pilot over real HTTP, and can be told to misbehave."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pandascope.environment import Credentials
from pilot.line import Line

Answer = tuple[int, Any]


def granted(data: Any = None) -> Answer:
    """PanDA's envelope of a success."""
    return 200, {"success": True, "message": "", "data": data}


def refused(message: str) -> Answer:
    """PanDA's envelope of a refusal."""
    return 200, {"success": False, "message": message, "data": None}


def commanded(command: str | None = None) -> Answer:
    """The answer to a report."""
    return granted({"StatusCode": 0, "command": command})


@dataclass
class StandIn:
    """What the server has heard, and what it will say. `answer_update` decides about each report."""

    url: str = ""
    jobs: deque[dict[str, Any]] = field(default_factory=deque)
    requests: list[dict[str, Any]] = field(default_factory=list)
    updates: list[dict[str, Any]] = field(default_factory=list)
    ended_workers: list[dict[str, Any]] = field(default_factory=list)
    statistics: dict[str, dict[str, int]] = field(default_factory=dict)
    files: dict[str, list[Answer]] = field(default_factory=dict)
    """Answers to GETs below /trf and /cache by path; the last one is given again and again."""
    fetched: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    traceparents: list[str | None] = field(default_factory=list)
    """Of each call with a body, which trace it said to belong to."""
    token: str = "good"
    answer_update: Callable[[dict[str, Any]], Answer] = lambda update: commanded()
    answer_acquire: Callable[[dict[str, Any]], Answer] | None = None

    def line(self, token: str = "good") -> Line:
        """A pilot's line to this server."""
        return Line(lambda: Credentials(self.url, token, "test"))

    def file(self, path: str) -> Answer:
        """The next answer for a file; 404 when there is none."""
        answers = self.files.get(path, [(404, b"<html>Not Found</html>")])
        return answers.pop(0) if len(answers) > 1 else answers[0]

    @property
    def states(self) -> list[str]:
        """The states reported, in order."""
        return [update["job_status"] for update in self.updates]

    @property
    def final(self) -> dict[str, Any]:
        """The final report."""
        return next(update for update in self.updates if update["job_status"] in ("finished", "failed"))

    def answer(self, path: str, body: dict[str, Any]) -> Answer:
        """What a request gets."""
        if path.endswith("/acquire_jobs"):
            self.requests.append(body)
            if self.answer_acquire:
                return self.answer_acquire(body)
            return (
                granted({"StatusCode": 0, "jobs": [self.jobs.popleft()]}) if self.jobs else refused("No jobs in PanDA")
            )
        if path.endswith("/update_job"):
            self.updates.append(body)
            return self.answer_update(body)
        if path.endswith("/worker/ended"):
            self.ended_workers.append(body)
            return 200, {"failed_jobs": []}
        return granted(self.statistics)


@contextmanager
def stand_in() -> Iterator[StandIn]:
    """Run one on a free port."""
    server_state = StandIn()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, answer = self._answer(json.loads(body or b"{}"))
            self._send(status, answer)

        def _send(self, status: int, answer: Any) -> None:
            content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_GET(self) -> None:
            if self.path.startswith(("/trf/", "/cache/")):
                server_state.fetched.append((self.path, dict(self.headers)))
                self._send(*server_state.file(self.path))
            else:
                self.do_POST()

        def _answer(self, body: dict[str, Any]) -> Answer:
            server_state.traceparents.append(self.headers.get("traceparent"))
            if self.headers.get("Authorization") != f"Bearer {server_state.token}":
                return 403, {"detail": "wrong token"}
            return server_state.answer(self.path.partition("?")[0], body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server_state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server_state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
