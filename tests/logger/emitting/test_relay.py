"""`panda logd`: lines over UDP, TCP and a unix socket, from peers that behave and from peers that do not."""

from __future__ import annotations

import logging
import logging.handlers
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from logger.delivery import Collector
from logger.relay import LINES_PER_S, MOST_CONNECTIONS, TOKEN_WITHIN_S, Relay, address_of, is_loopback
from logger.shipping import Bounds, Shipper
from tests.logger.collector import Collector as Server
from tests.logger.collector import eventually

ROOT = Path(__file__).parents[3]


@dataclass
class Stand:
    """A server, a shipper to it, and relays that end with the test."""

    server: Server = field(default_factory=Server)
    now: float = 1000.0
    relays: list[Relay] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.shipper = Shipper(Collector(self.server.url, "", 20), Bounds(), "logd")

    def relay(self, **options: Any) -> Relay:
        relay = Relay(self.shipper, clock=lambda: self.now, **options)
        relay.start()
        self.relays.append(relay)
        return relay

    def records(self) -> list[dict[str, Any]]:
        self.shipper.flush(30)
        return self.server.records


@pytest.fixture
def stand() -> Iterator[Stand]:
    one = Stand()
    yield one
    for relay in one.relays:
        relay.stop()
    one.shipper.close(1)
    one.server.stop()


def send(port: int, data: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    connection.sendall(data)
    return connection


def is_closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_lines_of_a_connection_arrive_in_order_and_whole(stand: Stand) -> None:
    relay = stand.relay(tcp="127.0.0.1:0")
    connection = send(relay.ports[0], b"ERROR component=mover panda_id=17 : disk full\n7 <13>a\nbpla")
    assert eventually(lambda: relay.received == 2)
    connection.sendall(b"in, without an end")
    connection.close()
    assert eventually(lambda: relay.received == 3)
    first, second, third = stand.records()
    assert (first["component"], first["panda_id"], first["level"], first["message"]) == (
        *("mover", 17),
        "ERROR",
        "disk full",
    )
    assert first["fields"] == {"relay_peer": "127.0.0.1"}
    assert (second["message"], third["message"], third["component"]) == ("a\nb", "plain, without an end", "lines")
    assert [record["seq"] for record in stand.records()] == [1, 2, 3]


def test_pythons_own_syslog_handler_gets_in_by_datagram_and_by_unix_socket(stand: Stand, short_directory: Path) -> None:
    path = short_directory / "log"
    relay = stand.relay(udp="127.0.0.1:0", unix=path)
    for address in (("127.0.0.1", relay.ports[0]), str(path)):
        handler = logging.handlers.SysLogHandler(address)
        handler.ident = "backup: "
        log = logging.Logger("alone")
        log.addHandler(handler)
        log.error("tape 7 cannot be read")
        handler.close()
    assert eventually(lambda: relay.received == 2)
    records = stand.records()
    assert {record["fields"]["relay_peer"] for record in records} == {"127.0.0.1", "local"}
    for record in records:
        assert (record["level"], record["name"], record["message"]) == ("ERROR", "backup", "tape 7 cannot be read")


def test_beyond_loopback_a_connection_has_to_say_the_token_first(stand: Stand) -> None:
    with pytest.raises(ValueError, match="has to say a token"):
        Relay(stand.shipper, tcp="0.0.0.0:0")
    relay = stand.relay(tcp="0.0.0.0:0", token=lambda: "s3cret\n")
    for bad in (b"hello\n", b'[panda@53595 token="s3cre"]\nhello\n', b'[panda@53595 token=""]\nhello\n'):
        with send(relay.ports[0], bad) as connection:
            assert is_closed(connection)
    with send(relay.ports[0], b'[panda@53595 token="s3cret"]\none\ntwo\n'):
        assert eventually(lambda: relay.received == 2)
    with send(relay.ports[0], b'<13>1 - - t - - [panda@53595 token="s3cret"] three\n'):
        assert eventually(lambda: relay.received == 3)
    assert [record["message"] for record in stand.records()] == ["one", "two", "three"]
    assert "s3cret" not in str(stand.server.batches)


def test_who_says_nothing_for_ten_seconds_is_closed(stand: Stand) -> None:
    relay = stand.relay(tcp="0.0.0.0:0", token=lambda: "s3cret")
    with send(relay.ports[0], b"no end of li") as connection:
        assert eventually(lambda: len(relay._peers) == 1)
        stand.now += TOKEN_WITHIN_S + 1
        with socket.create_connection(("127.0.0.1", relay.ports[0])):  # something happens: its next turn comes at once
            assert is_closed(connection)


def test_connections_are_few(stand: Stand) -> None:
    relay = stand.relay(tcp="127.0.0.1:0")
    held = [send(relay.ports[0], b"") for _ in range(MOST_CONNECTIONS)]
    assert eventually(lambda: len(relay._peers) == MOST_CONNECTIONS)
    with send(relay.ports[0], b"") as one_more:
        assert is_closed(one_more)
    held.pop().close()
    assert eventually(lambda: len(relay._peers) == MOST_CONNECTIONS - 1)
    with send(relay.ports[0], b"hello\n"):
        assert eventually(lambda: relay.received == 1)
    for connection in held:
        connection.close()


def test_lines_beyond_the_rate_are_dropped_and_one_record_a_minute_says_so(stand: Stand) -> None:
    relay = stand.relay(tcp="127.0.0.1:0", udp="127.0.0.1:0")
    with send(relay.ports[1], b"".join(b"number %d\n" % number for number in range(LINES_PER_S + 1500))) as connection:
        assert eventually(lambda: sum(relay._rates._dropped.values()) == 1500)
        assert eventually(lambda: relay.received == LINES_PER_S)
        stand.now += 1
        connection.sendall(b"next second\n")
        assert eventually(lambda: relay.received == LINES_PER_S + 1)
        stand.now += 60
        connection.sendall(b"next minute\n")
        assert eventually(lambda: relay.received == LINES_PER_S + 2 and not relay._rates._dropped)
    assert eventually(lambda: len(stand.records()) == LINES_PER_S + 3)
    (report,) = (record for record in stand.records() if record["component"] == "logd")
    assert report["kind"] == "service" and report["level"] == "WARNING"
    assert report["fields"] == {"count": 1500, "peers": {"127.0.0.1": 1500}}


def test_odd_bytes_and_long_lines_end_nothing(stand: Stand) -> None:
    relay = stand.relay(tcp="127.0.0.1:0", udp="127.0.0.1:0")
    with send(relay.ports[1], b"\0\xff\xfe\n" + b"x" * 5_000_000 + b"\n\x1b[31mred\n"):
        assert eventually(lambda: relay.received == 3)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.sendto(b"y" * 60_000, ("127.0.0.1", relay.ports[0]))
        one.sendto(b"", ("127.0.0.1", relay.ports[0]))
        one.sendto(b"last", ("127.0.0.1", relay.ports[0]))
    assert eventually(lambda: relay.received == 5)
    messages = [record["message"] for record in stand.records()]
    assert [len(message) for message in messages] == [3, 16_000, 8, 16_000, 4]


def test_a_stale_unix_socket_is_replaced_and_a_living_one_is_not(stand: Stand, short_directory: Path) -> None:
    path = short_directory / "log"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as dead:
        dead.bind(str(path))
    living = stand.relay(unix=path)
    with pytest.raises(OSError, match="in use"):
        Relay(stand.shipper, unix=path).start()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one:
        one.sendto(b"hello", str(path))
    assert eventually(lambda: living.received == 1)
    living.stop()
    assert not path.exists()
    path.write_text("precious")
    with pytest.raises(OSError, match="in use"):
        Relay(stand.shipper, unix=path).start()
    assert path.read_text() == "precious"


@pytest.mark.parametrize("text", ["5514", ":5514", "localhost:", "localhost:x", "localhost:70000", "[::1]"])
def test_an_address_that_is_none_is_refused(stand: Stand, text: str) -> None:
    with pytest.raises(ValueError, match="write HOST:PORT"):
        Relay(stand.shipper, udp=text)


def test_what_is_loopback() -> None:
    assert address_of("[::1]:514") == ("::1", 514) and address_of("wn1.example.org:1") == ("wn1.example.org", 1)
    assert all(is_loopback(host) for host in ("127.0.0.1", "127.9.9.9", "::1", "localhost"))
    assert not any(is_loopback(host) for host in ("0.0.0.0", "::", "10.0.0.1", "panda.example.org"))


@pytest.fixture
def logd(stand: Stand, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []
    (tmp_path / "token").write_text("t0ken\n")

    def start(*options: str) -> subprocess.Popen[str]:
        given = ["--url", stand.server.url, "--token-file", str(tmp_path / "token"), *options]
        run = [sys.executable, "-P", "-m", "pandascope.cli.main", "logd", *given]
        started.append(subprocess.Popen(run, cwd=ROOT, stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_the_command_ships_what_it_hears_until_it_is_told_to_stop(
    stand: Stand, logd: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    process = logd("--tcp", "127.0.0.1:0", "--spool", str(tmp_path / "spool"), "--component", "tapes")
    assert process.stderr is not None
    port = int(process.stderr.readline().rsplit(":", 1)[1])
    stand.server.statuses = [503, 503]
    with send(port, b"tape 7 cannot be read\n"):
        assert eventually(lambda: stand.server.headers)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    assert stand.server.headers[0]["Authorization"] == "Bearer t0ken"
    again = logd("--tcp", "127.0.0.1:0", "--spool", str(tmp_path / "spool"))
    assert eventually(lambda: stand.server.messages == ["tape 7 cannot be read"])
    assert stand.server.records[0]["component"] == "tapes"
    again.send_signal(signal.SIGTERM)
    assert again.wait(60) == 0


def test_the_command_says_what_is_wrong_with_its_options(logd: Callable[..., subprocess.Popen[str]]) -> None:
    for options, said in (((), "nowhere to listen"), (("--tcp", "0.0.0.0:0"), "token"), (("--udp", "x"), "HOST:PORT")):
        process = logd(*options)
        assert said in process.communicate(timeout=60)[1] and process.returncode in {1, 2}
