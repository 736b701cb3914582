"""PandaHandler in programs that do what programs do: locks, forks with threads, objects that end, servers that are none."""

from __future__ import annotations

import configparser
import logging
import logging.config
import logging.handlers
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from logger.handler import PandaHandler
from tests.logger.collector import Collector, eventually

ROOT = Path(__file__).parents[3]


@pytest.fixture
def log() -> Iterator[logging.Logger]:
    """A logger that nobody else listens to, not even pytest."""
    ours = logging.Logger("strange")
    yield ours
    for handler in list(ours.handlers):
        ours.removeHandler(handler)
        handler.close()


def attached(log: logging.Logger, url: str, **options: Any) -> PandaHandler:
    handler = PandaHandler(url, **{"component": "strange", "close_timeout_s": 20.0, **options})
    log.addHandler(handler)
    return handler


def run(program: str, *arguments: str, code: int = 0) -> str:
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def test_a_record_needs_no_lock_of_logging(collector: Collector, log: logging.Logger) -> None:
    """Else the shipping thread, in whose turn an object ends that logs its end, waits for who waits for it."""
    handler = attached(log, collector.url)
    handler.acquire()
    try:
        thread = threading.Thread(target=lambda: log.error("said"))
        thread.start()
        thread.join(10)
        assert not thread.is_alive()
    finally:
        handler.release()
    handler.flush()
    assert collector.messages == ["said"]


def test_filters_of_the_handler_are_heeded(collector: Collector, log: logging.Logger) -> None:
    handler = attached(log, collector.url)
    handler.addFilter(lambda record: "no" not in record.getMessage())
    log.info("no")
    log.info("yes")
    handler.flush()
    assert collector.messages == ["yes"]


def test_what_is_logged_in_the_turn_of_the_shipping_thread_is_kept(collector: Collector, log: logging.Logger) -> None:
    """A loader that logs when it is asked for its source; so does an object that is collected there."""

    class Loader:
        def get_source(self, name: str) -> str:
            log.info("asked in %s", threading.current_thread().name)
            return "raise KeyError\n"

    handler = attached(log, collector.url)
    try:
        exec(compile("raise KeyError", "remote.py", "exec"), {"__name__": "remote", "__loader__": Loader()})
    except KeyError:
        log.exception("failed")
    handler.flush()
    handler.flush()
    assert collector.messages == ["failed", "asked in panda-logger"] and handler.dropped == 0
    assert '  File "remote.py", line 1, in <module>\n    raise KeyError\nKeyError' in collector.records[0]["traceback"]


def test_threads_of_a_forked_child_share_one_shipper(collector: Collector, log: logging.Logger) -> None:
    handler = attached(log, collector.url)
    log.info("parent")
    handler.flush()
    child = os.fork()
    if child == 0:
        ready = threading.Barrier(16)
        threads = [threading.Thread(target=lambda: (ready.wait(), log.info("child"))) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        handler.flush()
        os._exit(0 if handler.sent == 16 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert collector.messages.count("child") == 16 and len({batch["source"] for batch in collector.batches}) == 2


@pytest.mark.parametrize(
    ("status", "told"),
    [(401, "answers 401; records wait: give it a token"), (404, "check the address"), (302, "'https://else.where/x'")],
)
def test_an_answer_that_needs_a_person_is_told_once(
    collector: Collector,
    log: logging.Logger,
    capsys: pytest.CaptureFixture[str],
    status: int,
    told: str,
) -> None:
    collector.statuses, collector.headers_sent = [status] * 3, {"Location": "https://else.where/x"}
    handler = attached(log, collector.url, token="secret")
    log.error("patience")
    for _ in range(4):
        handler.flush()
    said = capsys.readouterr().err
    assert said.count(told) == 1 and said.count("\n") == 1 and "secret" not in said
    assert collector.messages == ["patience"] and handler.dropped == 0


def test_a_name_that_is_none_is_told_once_and_records_wait(
    log: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    handler = attached(log, "http://collector.invalid:1", close_timeout_s=5)
    log.error("patience")
    said = ""

    def is_told() -> bool:  # some machines ask long for a name
        nonlocal said
        handler.flush()
        said += capsys.readouterr().err
        return bool(said)

    assert eventually(is_told)
    handler.flush()
    assert handler.waiting == 1 and handler.dropped == 0
    assert (said + capsys.readouterr().err).count("http://collector.invalid:1: ") == 1
    handler.close_timeout_s = 0.05


def test_objects_that_cannot_be_looked_at_cost_no_record(collector: Collector, log: logging.Logger) -> None:
    class Lying(dict[str, int]):
        def items(self) -> Any:
            raise RuntimeError("dictionary changed size during iteration")

    class Number(float):
        def __float__(self) -> float:
            raise RuntimeError("no")

    handler = attached(log, collector.url)
    loop: list[Any] = []
    loop.append(loop)
    extra = {"lying": Lying(a=1), "loop": loop, "raw": b"\xff\0", "huge": 10**5000, "nan": float("nan"), "n": Number(1)}
    log.error("look", extra=extra)
    log.error("key", extra={"a": {1: 2, None: 3, (1, 2): 4}, "user": object, "panda_id": "x" * 5000})
    handler.flush()
    assert collector.messages == ["look", "key"] and handler.dropped == 0
    fields = collector.records[0]["fields"]
    assert fields["lying"] == "<Lying that cannot be shown: RuntimeError>" and fields["nan"] == "nan"
    assert fields["huge"].startswith("<int that cannot be shown") and fields["raw"] == "b'\\xff\\x00'"
    assert collector.records[1]["fields"]["a"] == {"1": 2, "None": 3, "(1, 2)": 4}


def test_it_can_be_configured_by_a_file_of_ini_form(collector: Collector) -> None:
    parser = configparser.RawConfigParser()
    parser.read_string(f"""
[loggers]
keys=root,ini
[handlers]
keys=panda
[formatters]
keys=
[logger_root]
handlers=
[logger_ini]
qualname=ini
propagate=0
level=INFO
handlers=panda
[handler_panda]
class=logger.handler.PandaHandler
level=WARNING
args=("{collector.url}",)
kwargs={{"component": "ini", "close_timeout_s": 20}}
""")
    root = logging.getLogger()
    before = list(root.handlers), root.level
    try:
        logging.config.fileConfig(parser, disable_existing_loggers=False)
        ours = logging.getLogger("ini")
        ours.info("below")
        ours.warning("heard")
        (handler,) = ours.handlers
        handler.flush()
    finally:
        root.handlers[:], root.level = before
    assert [(record["message"], record["component"]) for record in collector.records] == [("heard", "ini")]
    ours.removeHandler(handler)
    handler.close()


def test_a_queue_of_logging_may_stand_before_it(collector: Collector, log: logging.Logger) -> None:
    handler = PandaHandler(collector.url, component="queued", close_timeout_s=20)
    waiting: queue.Queue[Any] = queue.Queue()
    listener = logging.handlers.QueueListener(waiting, handler)
    log.addHandler(logging.handlers.QueueHandler(waiting))
    listener.start()
    try:
        raise ValueError("inner")
    except ValueError:
        log.exception("outer %d", 7, extra={"panda_id": 17})
    listener.stop()
    handler.close()
    (record,) = collector.records
    assert record["message"].startswith("outer 7") and record["panda_id"] == 17
    assert "ValueError: inner" in record["message"] + record.get("traceback", "")


_ENDING = """
import atexit, logging, os, signal, sys, threading, time
from logger.handler import PandaHandler
log = logging.getLogger("ending"); log.setLevel("INFO")
handler = PandaHandler(sys.argv[1], component="ending", close_timeout_s=20, spool=sys.argv[3])
log.addHandler(handler)
class Thing:
    def __del__(self):
        log.error("deleted")
def deleted():
    global thing
    thing = Thing()
def terminated():
    signal.signal(signal.SIGTERM, lambda number, frame: (log.error("terminated"), sys.exit(0)))
    os.kill(os.getpid(), signal.SIGTERM)
def at_exit():
    atexit.register(lambda: log.error("at exit"))
def daemon():
    has_said = threading.Event()
    def talk():
        while True:
            log.info("daemon")
            has_said.set()
            time.sleep(0.001)
    threading.Thread(target=talk, daemon=True).start()
    has_said.wait()
def flushed():
    log.error("flushed"); handler.flush(); os._exit(0)
def killed():
    log.error("killed"); handler.flush(); os.kill(os.getpid(), signal.SIGKILL)
def raised():
    sys.excepthook = lambda *error: log.critical("uncaught", exc_info=error)
    1 / 0
log.info("begun")
globals()[sys.argv[2]]()
"""


@pytest.mark.parametrize(
    ("way", "code", "last"),
    [
        ("terminated", 0, "terminated"),
        ("at_exit", 0, "at exit"),
        ("daemon", 0, "daemon"),
        ("flushed", 0, "flushed"),
        ("killed", -signal.SIGKILL, "killed"),
        ("raised", 1, "uncaught"),
        ("deleted", 0, ""),
    ],
)
def test_however_a_program_ends(collector: Collector, tmp_path: Path, way: str, code: int, last: str) -> None:
    said = run(_ENDING, collector.url, way, str(tmp_path / "spool"), code=code)
    assert collector.messages[0] == "begun" and (not last or collector.messages[-1] == last)
    assert "Fatal" not in said and "Logging error" not in said
    assert way == "killed" or not (tmp_path / "spool").exists()


def test_what_a_spool_of_a_crashed_machine_holds_is_no_danger(collector: Collector, tmp_path: Path) -> None:
    """NULs, halves, links, foreign JSON, numbers that are none: the good lines arrive, the others are counted."""
    dead = tmp_path / "strange-0123456789abcdef"
    dead.mkdir()
    (dead / "LOCK").touch()
    (dead / "SENT").write_bytes(b"\0" * 40)
    good = b'{"message":"good %d","level":"ERROR","seq":%d}\n'
    bad = [b"\0" * 4096, b'{"message":"half', b"[]", b"{}", b'{"message":"x","seq":"1"}', b'{"seq":NaN}', b"\xff\xfe"]
    nan = b'{"message":"not a number","seq":3,"fields":{"a":NaN}}'
    (dead / "00000001.ndjson").write_bytes(
        good % (1, 1) + b"\n".join(bad) + b"\n" + good % (2, 2) + nan + b"\n" + good % (4, 4)
    )
    (dead / "00000002.ndjson").write_bytes(b"\0" * 1000)
    (dead / "00000003.ndjson").symlink_to("/etc/hostname")
    handler = PandaHandler(collector.url, component="strange", spool=tmp_path, close_timeout_s=20)
    assert eventually(lambda: handler.sent == 3 and handler.spooled == 0)
    handler.close()
    assert collector.messages == ["good 1", "good 2", "good 4"]
    assert handler.dropped >= len(bad) + 1
