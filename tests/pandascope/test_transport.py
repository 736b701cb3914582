"""Retries, time-outs and errors against a real HTTP server that answers as told."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from pandascope.errors import NotAuthorised, NotFound, Refused, ServerFault, ServerUnreachable
from pandascope.transport import AsyncTransport, Manners, Request, Transport, unwrap

QUICK = Manners(first_pause_s=0.001, timeout_s=5, connect_timeout_s=2)


class Scripted(ThreadingHTTPServer):
    """Answers requests with the next of `answers` (status, body, content type) and remembers what was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[tuple[int, bytes, str]] = []
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def will_answer(self, status: int, body: Any = None, kind: str = "application/json") -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.answers.append((status, content, kind))


class _Handler(BaseHTTPRequestHandler):
    server: Scripted

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.asked.append((self.command, self.path, dict(self.headers), body))
        status, content, kind = self.server.answers.pop(0)
        if status == 0:
            self.connection.close()
            return
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = answer

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Scripted]:
    scripted = Scripted()
    thread = threading.Thread(target=scripted.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield scripted
    scripted.shutdown()
    scripted.server_close()


def test_reading_is_repeated_until_the_server_is_back(server: Scripted) -> None:
    server.will_answer(503)
    server.will_answer(0)
    server.will_answer(200, {"fine": True})
    with Transport(server.url, manners=QUICK) as transport:
        assert transport.get("/x") == {"fine": True}
    assert len(server.asked) == 3


def test_coroutines_are_as_patient(server: Scripted) -> None:
    async def ask() -> Any:
        async with AsyncTransport(server.url, manners=QUICK) as transport:
            return await transport.get("/x", {"a": 1, "left_out": None})

    server.will_answer(502)
    server.will_answer(200, [1])
    assert asyncio.run(ask()) == [1]
    assert server.asked[-1][1] == "/x?a=1"


def test_a_change_is_not_repeated_unless_it_does_no_harm(server: Scripted) -> None:
    server.will_answer(503, {"detail": "the database is away"})
    with Transport(server.url, manners=QUICK) as transport:
        with pytest.raises(ServerUnreachable, match="database is away"):
            transport.post("/x", {})
        server.will_answer(503)
        server.will_answer(200, 5)
        assert transport.post("/x", {}, retry=True) == 5
    assert len(server.asked) == 3


def test_patience_ends(server: Scripted) -> None:
    for _ in range(QUICK.tries):
        server.will_answer(504)
    with Transport(server.url, manners=QUICK) as transport, pytest.raises(ServerUnreachable):
        transport.get("/x")
    assert not server.answers


def test_nobody_there_says_where_and_what_to_do() -> None:
    told = pytest.raises(ServerUnreachable, match=r"127\.0\.0\.1:1.*panda up")
    with Transport("http://127.0.0.1:1", manners=QUICK) as transport, told as caught:
        transport.post("/x", {})
    assert (caught.value.code, caught.value.exit_code) == ("unreachable", 3)


def test_silence_is_an_error_with_its_own_code(server: Scripted) -> None:
    blocked = threading.Event()
    server.will_answer(200, {})
    original = server.answers.pop
    server.answers = type("Slow", (list,), {"pop": lambda self, at: (blocked.wait(5), original(at))[1]})(server.answers)
    with Transport(server.url, manners=Manners(tries=1)) as transport, pytest.raises(ServerUnreachable) as caught:
        transport.request(Request("GET", "/x", timeout_s=0.1))
    blocked.set()
    assert caught.value.code == "no_answer"


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, Refused), (401, NotAuthorised), (403, NotAuthorised), (404, NotFound), (422, Refused), (500, ServerFault)],
)
def test_problems_keep_code_field_and_remedy(server: Scripted, status: int, kind: type[Exception]) -> None:
    problem = {"title": "t", "status": status, "code": "c", "detail": "d", "field": "f", "remedy": "r"}
    server.will_answer(status, problem, "application/problem+json")
    with Transport(server.url, manners=QUICK) as transport, pytest.raises(kind) as caught:
        transport.get("/x")
    error: Any = caught.value
    assert (error.code, error.detail, error.field, error.remedy) == ("c", "d", "f", "r")
    assert str(error) == "f: d (r)"


def test_an_answer_that_is_not_json_is_a_fault(server: Scripted) -> None:
    with Transport(server.url, manners=QUICK) as transport:
        server.will_answer(200, b"<html>", "text/html")
        with pytest.raises(ServerFault, match="not JSON"):
            transport.get("/x")
        server.will_answer(403, b"ERROR : method x is forbidden", "text/plain")
        with pytest.raises(NotAuthorised, match="is forbidden"):
            transport.get("/x")


def test_token_and_origin_go_with_every_request(server: Scripted) -> None:
    server.will_answer(200, {})
    with Transport(server.url, "abc", origin="atlas:production", via="cli", manners=QUICK) as transport:
        transport.get("/x")
    headers = {name.lower(): value for name, value in server.asked[0][2].items()}
    assert headers["authorization"] == "Bearer abc"
    assert headers["origin"] == "atlas:production"
    assert headers["x-panda-via"] == "cli"
    assert "gzip" in headers["accept-encoding"]


def test_the_envelope_of_panda_is_understood() -> None:
    assert unwrap({"success": True, "message": "", "data": [1]}) == [1]
    with pytest.raises(Refused, match="No jobs in PanDA"):
        unwrap({"success": False, "message": "No jobs in PanDA", "data": None})
    with pytest.raises(ServerFault):
        unwrap([])
