"""Buffer, thread, HTTP and spool together: what arrives, in which order, how often; also after a kill -9."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from logger.delivery import Answer, Collector, token_source
from logger.handler import PandaHandler
from logger.shipping import Bounds, Shipper
from tests.logger.collector import Collector as Server
from tests.logger.collector import eventually
from tests.logger.emitting.test_handler import free_port
from tests.logger.emitting.test_spool import full_disk

ROOT = Path(__file__).parents[3]


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.stop()


@pytest.fixture
def log() -> Iterator[logging.Logger]:
    ours = logging.getLogger("panda.test_shipping")
    ours.setLevel(logging.DEBUG)
    ours.propagate = False
    yield ours
    for handler in list(ours.handlers):
        ours.removeHandler(handler)
        handler.close()
    ours.propagate = True
    ours.setLevel(logging.NOTSET)


def attached(log: logging.Logger, url: str, **options: Any) -> PandaHandler:
    handler = PandaHandler(url, **{"component": "mover", "close_timeout_s": 20.0, **options})
    log.addHandler(handler)
    return handler


def detach(log: logging.Logger, handler: PandaHandler) -> None:
    log.removeHandler(handler)
    handler.close()


_PROGRAM = """
import logging, sys, time
from logger.handler import PandaHandler
handler = PandaHandler(sys.argv[1], component="mover", spool=sys.argv[2], spool_bytes=int(sys.argv[3]))
log = logging.getLogger("mover"); log.setLevel("INFO"); log.addHandler(handler)
for number in range(int(sys.argv[4])):
    log.info("number %d", number)
while handler.waiting:
    time.sleep(0.01)
print(handler.spooled, handler.dropped, flush=True)
time.sleep(60)
"""


def killed_program(url: str, spool: Path, records: int, limit: int = 64_000_000) -> tuple[int, int]:
    """Run a program that logs while nobody answers, and kill it -9; what it had on disk and what it had lost."""
    run = [sys.executable, "-c", _PROGRAM, url, str(spool), str(limit), str(records)]
    with subprocess.Popen(run, cwd=ROOT, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        said = program.stdout.readline().split()
        program.send_signal(signal.SIGKILL)
    return int(said[0]), int(said[1])


def test_after_a_kill_the_next_process_sends_all_in_order_once(tmp_path: Path, log: logging.Logger) -> None:
    port = free_port()
    assert killed_program(f"http://127.0.0.1:{port}", tmp_path, 3000) == (3000, 0)
    server = Server(port)
    try:
        server.statuses = [200, 200, 0]  # the answer to the third batch is lost
        handler = attached(log, server.url, spool=tmp_path)  # without a record of its own
        assert eventually(lambda: handler.sent == 3000 and not any(tmp_path.iterdir()))
        assert server.stored == [f"number {number}" for number in range(3000)]
        assert len(server.records) > 3000, "the third batch came twice"
        assert handler.spooled == 0 and handler.dropped == 0
    finally:
        server.stop()


def test_losses_of_a_killed_process_are_told_by_the_next(server: Server, tmp_path: Path, log: logging.Logger) -> None:
    spooled, dropped = killed_program(f"http://127.0.0.1:{free_port()}", tmp_path, 2000, limit=200_000)
    assert spooled + dropped == 2000 and dropped > 500
    handler = attached(log, server.url, spool=tmp_path)
    assert eventually(lambda: handler.sent == spooled and handler.spooled == 0)
    assert server.dropped == dropped


def test_new_records_go_behind_those_on_disk(tmp_path: Path, log: logging.Logger) -> None:
    port = free_port()
    handler = attached(log, f"http://127.0.0.1:{port}", spool=tmp_path, close_timeout_s=10)
    for number in range(700):
        log.info("number %d", number)
    handler.flush()
    assert eventually(lambda: handler.spooled == 700 and handler.waiting == 0)
    server = Server(port)
    try:
        for number in range(700, 1400):
            log.info("number %d", number)
        handler.flush()
        assert server.messages == [f"number {number}" for number in range(1400)]
        log.error("from memory again")
        assert eventually(lambda: server.messages[-1] == "from memory again")
        assert handler.spooled == 0 and not list(tmp_path.rglob("*.ndjson"))
        assert [record["seq"] for record in server.records] == list(range(1, 1402))
        assert len({batch["source"] for batch in server.batches}) == 1
    finally:
        server.stop()


def test_a_lost_answer_makes_no_second_record(server: Server, log: logging.Logger) -> None:
    server.statuses = [0, 0]
    handler = attached(log, server.url)
    log.error("once")
    for _ in range(3):
        handler.flush()
    assert server.messages == ["once", "once", "once"] and server.stored == ["once"]
    assert handler.sent == 1


def test_close_leaves_on_disk_what_a_hanging_server_has_not_taken(
    server: Server, tmp_path: Path, log: logging.Logger
) -> None:
    server.gate.clear()
    handler = attached(log, server.url, spool=tmp_path, close_timeout_s=0.2)
    log.error("in the call that hangs")
    assert eventually(lambda: server.headers)
    log.info("behind it")
    started = time.monotonic()
    detach(log, handler)
    assert time.monotonic() - started < 10
    assert handler.waiting == 0 and handler.dropped == 0
    server.gate.set()
    second = attached(log, server.url, spool=tmp_path)
    assert eventually(lambda: second.sent == 2)
    assert server.stored == ["in the call that hangs", "behind it"]


def test_close_leaves_nothing_behind_when_all_is_sent(server: Server, tmp_path: Path, log: logging.Logger) -> None:
    spool = tmp_path / "spool"
    handler = attached(log, server.url, spool=spool)
    log.info("x")
    detach(log, handler)
    assert server.messages == ["x"] and not spool.exists()


def test_a_spool_that_cannot_be_written_is_said_once_and_memory_serves(
    tmp_path: Path, log: logging.Logger, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("logger.delivery._said", set())  # another test of this process may have had such a disk
    (tmp_path / "file").write_text("no directory")
    port = free_port()
    handler = attached(log, f"http://127.0.0.1:{port}", spool=tmp_path / "file", close_timeout_s=10)
    log.error("one")
    handler.flush()
    log.error("two")
    handler.flush()
    assert handler.waiting == 2 and handler.spooled == 0 and handler.dropped == 0
    assert capsys.readouterr().err.count("records wait in memory") == 1
    server = Server(port)
    try:
        handler.flush()
        assert server.messages == ["one", "two"]
    finally:
        server.stop()


def test_what_neither_server_nor_disk_took_until_the_end_is_told_by_the_next(
    tmp_path: Path, log: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    port = free_port()
    handler = attached(log, f"http://127.0.0.1:{port}", spool=tmp_path, max_records=1500)
    with full_disk(50_000):
        for number in range(2000):
            log.warning("number %d", number)
        assert eventually(lambda: handler.dropped > 0)
        detach(log, handler)
    spooled = sum(len(path.read_bytes().splitlines()) for path in tmp_path.rglob("*.ndjson"))
    assert handler.waiting == 0 and spooled + handler.dropped == 2000 and handler.dropped > 1000
    assert "are lost" in capsys.readouterr().err
    server = Server(port)
    try:
        second = attached(log, server.url, spool=tmp_path)
        log.error("the next one")
        assert eventually(lambda: second.sent == spooled + 1 and not any(tmp_path.iterdir()))
        assert server.dropped == handler.dropped
    finally:
        server.stop()


def test_at_the_end_a_disk_that_refused_is_tried_once_more(tmp_path: Path, log: logging.Logger) -> None:
    handler = attached(log, f"http://127.0.0.1:{free_port()}", spool=tmp_path)
    with full_disk(0):
        for number in range(10):
            log.error("number %d", number)
        handler.flush()
        assert handler.waiting == 10
    detach(log, handler)
    assert handler.waiting == handler.dropped == 0
    assert sum(len(path.read_bytes().splitlines()) for path in tmp_path.rglob("*.ndjson")) == 10


def test_a_forked_child_spools_by_itself(tmp_path: Path, log: logging.Logger) -> None:
    port = free_port()
    handler = attached(log, f"http://127.0.0.1:{port}", spool=tmp_path, close_timeout_s=10)
    log.error("of the parent")
    handler.flush()
    assert handler.spooled == 1
    child = os.fork()
    if child == 0:
        try:
            log.error("of the child")
            handler.close()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert len(list(tmp_path.iterdir())) == 2
    server = Server(port)
    try:
        log.error("of the parent again")
        handler.flush()
        assert server.messages[:2] == ["of the parent", "of the parent again"]
        second = attached(log, server.url, spool=tmp_path)
        assert eventually(lambda: second.sent == 1)
        assert server.messages == ["of the parent", "of the parent again", "of the child"]
        assert len({batch["source"] for batch in server.batches}) == 2
    finally:
        server.stop()


def test_a_worker_of_multiprocessing_loses_nothing_at_its_end(server: Server) -> None:
    program = """
import logging, multiprocessing, sys
from logger.handler import PandaHandler
logging.getLogger().addHandler(PandaHandler(sys.argv[1], component="pool", close_timeout_s=20))
def work(number):
    logging.warning("work %d", number)
if __name__ == "__main__":
    workers = [multiprocessing.get_context("fork").Process(target=work, args=(number,)) for number in range(4)]
    [worker.start() for worker in workers]
    [worker.join() for worker in workers]
"""
    subprocess.run([sys.executable, "-c", program, server.url], cwd=ROOT, timeout=60, check=True)
    assert sorted(server.messages) == [f"work {number}" for number in range(4)]


def test_what_the_server_rejects_is_counted_and_its_reason_said_once(
    server: Server, log: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answer = {"accepted": 1, "rejected": 1, "duplicate": 0, "reasons": ["record 0: code: has to be a number"]}
    handler = attached(log, server.url)
    for _ in range(2):
        log.info("one")
        log.info("two")
        handler.flush()
    assert handler.sent == 2 and handler.dropped == 2
    assert capsys.readouterr().err.count("record 0: code: has to be a number") <= 1
    assert server.dropped == 0, "the server knows what it rejected"


def test_a_token_that_cannot_be_had_is_no_end_and_never_said(
    server: Server, log: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    tokens = iter([RuntimeError("secret"), "secret\ntoken"])

    def token() -> str:
        answer = next(tokens, "good")
        if isinstance(answer, Exception):
            raise answer
        return str(answer)

    server.statuses = [401, 401]
    handler = attached(log, server.url, token=token)
    log.error("patience")
    for _ in range(3):
        handler.flush()
    assert server.messages == ["patience"] and server.headers[-1]["Authorization"] == "Bearer good"
    assert ["Authorization" in headers for headers in server.headers] == [False, False, True]
    assert "secret" not in capsys.readouterr().err


def test_tokens_of_files_and_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "token"
    path.write_text("one\n")
    current = token_source(f"file:{path}")
    assert current().strip() == "one"
    (tmp_path / "new").write_text("two, longer\n")
    (tmp_path / "new").replace(path)
    assert current().strip() == "two, longer"
    path.unlink()
    assert current().strip() == "two, longer", "while it is replaced the old one serves"
    assert token_source(f"file:{tmp_path / 'none'}")() == ""
    monkeypatch.setenv("MY_TOKEN", "three")
    assert token_source("env:MY_TOKEN")() == "three" and token_source("plain")() == "plain"


class TestPauses:
    def test_they_double_up_to_half_a_minute(self) -> None:
        shipper = Shipper(Collector("http://127.0.0.1:9", "", 1), Bounds(), "c")
        for want in (0.5, 1, 2, 4, 8, 16, 30, 30, 30, 30):
            before = time.monotonic()
            shipper._judge(Answer(0), 1)
            assert shipper._retry_at - before >= 0.79 * want and shipper._retry_at - time.monotonic() <= 1.21 * want
        assert shipper._judge(Answer(200), 0) and shipper._retry_at == 0

    @pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
    def test_retry_after_is_obeyed_up_to_a_minute(self, server: Server, status: int) -> None:
        collector = Collector(server.url, "", 5)
        server.statuses, server.headers_sent = [status] * 2, {"Retry-After": "20"}
        answer = collector.post(b"{}")
        assert (answer.status, answer.retry_after_s, answer.is_final) == (status, 20, False)
        server.headers_sent = {"Retry-After": "86400"}
        assert collector.post(b"{}").retry_after_s == 60
        collector.close()
        shipper = Shipper(collector, Bounds(), "c")
        assert not shipper._judge(answer, 1) and shipper._retry_at - time.monotonic() > 10

    @pytest.mark.parametrize("answer", [b"", b"[]", b"nonsense", b'{"rejected":"x"}', b'{"rejected":-4}'])
    def test_any_answer_of_200_means_taken(self, answer: bytes) -> None:
        from logger.delivery import _answer

        assert _answer(200, "soon", answer) == Answer(200)


def test_the_programs_log_call_never_fails(server: Server, capfd: pytest.CaptureFixture[str]) -> None:
    log = logging.Logger("alone")  # pytest's own handlers would fail

    class Broken:
        def __str__(self) -> str:
            raise RuntimeError("no")

        __repr__ = __str__

    class Talker:
        def __str__(self) -> str:
            log.info("said while being shown")
            return "talker"

    handler = attached(log, server.url)
    log.info("%s", Broken())
    log.info(Broken())
    log.info("%s", Talker())
    log.info("caf\u00e9 \udcff \ud83d")
    log.info("x" * 5_000_000, extra={"blob": b"y" * 5_000_000, "huge": list(range(1_000_000))})
    deep: list[Any] = []
    for _ in range(500):
        deep = [deep, deep]
    log.info("deep", extra={"deep": deep, "wide": [[["z" * 5000] * 99] * 99] * 99})

    def dig(depth: int) -> None:
        try:
            dig(depth + 1)
        except RecursionError:
            log.error("at the end of the stack")
            raise

    with pytest.raises(RecursionError):
        dig(0)
    log.info("after all that")
    handler.flush()
    assert eventually(lambda: "after all that" in server.messages)
    assert server.messages[:2] == [
        "%s <tuple that cannot be shown: RuntimeError>",
        "<Broken that cannot be shown: RuntimeError> ()",
    ]
    assert server.messages[2:4] == ["said while being shown", "talker"]
    assert server.messages[4] == "caf\u00e9 ? ?"
    big = server.records[5]
    assert len(big["message"]) == 4000 and big["message"].endswith(" [cut]") and len(big["fields"]["huge"]) == 50
    assert all(len(str(record)) < 60_000 for record in server.records)
    assert handler.dropped + server.messages.count("at the end of the stack") >= 1
    handler.close()


@pytest.mark.parametrize("spooled", [False, True])
def test_losses_told_with_a_batch_whose_answer_was_lost_are_told_once(
    server: Server, tmp_path: Path, log: logging.Logger, spooled: bool
) -> None:
    server.statuses = [0, 503, 0]
    handler = attached(log, server.url, spool=tmp_path if spooled else "")
    handler._shipper.lose(7)
    log.error("one")
    for number in range(4):
        handler.flush()
        handler._shipper.lose(1)
        log.info("more %d", number)
    handler.flush()
    assert server.stored == ["one", *(f"more {number}" for number in range(4))]
    heard: set[tuple[str, int]] = set()
    told = 0
    for batch in server.batches:  # as the server counts: not when all of a batch had come before
        known = {(batch["source"], record["seq"]) for record in batch["records"]}
        told += 0 if known <= heard else batch["dropped"]
        heard |= known
    assert told == 11 == handler.dropped


def test_a_disk_that_hangs_holds_up_neither_the_log_call_nor_the_end(tmp_path: Path, log: logging.Logger) -> None:
    handler = attached(log, f"http://127.0.0.1:{free_port()}", spool=tmp_path, close_timeout_s=0.2)
    log.error("on disk")
    assert eventually(lambda: handler.spooled == 1)
    (segment,) = tmp_path.glob("*/*.ndjson")
    segment.unlink()
    os.mkfifo(segment)  # whoever opens it waits until somebody reads
    shipper = handler._shipper

    def hangs() -> bool:
        log.info("more")
        if shipper._custody.acquire(blocking=False):
            shipper._custody.release()
            return False
        return True

    assert eventually(hangs)
    started = time.monotonic()
    before = handler.waiting
    for number in range(500):
        log.info("number %d", number)
    handler.flush()
    assert handler.waiting == before + 500
    detach(log, handler)
    assert time.monotonic() - started < 10
    with os.fdopen(os.open(segment, os.O_RDONLY | os.O_NONBLOCK), "rb") as reader:
        segment.unlink()
        thread = shipper._thread
        assert thread is not None
        assert eventually(lambda: (reader.read(), not thread.is_alive())[1])
