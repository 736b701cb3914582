"""PandaHandler against a real HTTP server: down, slow, refusing, coming back; forks; interpreter exit."""

from __future__ import annotations

import gc
import logging
import logging.config
import os
import re
import shutil
import subprocess
import sys
import traceback
import weakref
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import logger.handler
from logger.handler import MAX_MESSAGE_CHARACTERS, PandaHandler, attach
from logger.tracebacks import MAX_TRACEBACK_CHARACTERS, taken, written
from tests.logger.collector import Collector, eventually
from tests.support.system import free_port


@pytest.fixture
def log() -> Iterator[logging.Logger]:
    """A logger that nobody else listens to."""
    ours = logging.getLogger("panda.test_handler")
    ours.setLevel(logging.DEBUG)
    ours.propagate = False
    yield ours
    for handler in list(ours.handlers):
        ours.removeHandler(handler)
        handler.close()
    ours.propagate = True
    ours.setLevel(logging.NOTSET)


def attached(log: logging.Logger, url: str, **options: Any) -> PandaHandler:
    handler = PandaHandler(url, **{"token": "secret", "component": "tester", "close_timeout_s": 20.0, **options})
    log.addHandler(handler)
    return handler


def test_a_record_arrives_with_its_extras_in_their_places(collector: Collector, log: logging.Logger) -> None:
    handler = attached(log, collector.url)
    log.error(
        "disk %s full",
        "/scratch",
        extra={
            "panda_id": 17,
            "code": 1098,
            "user": "ann",
            "kind": "service",
            "free_mb": 3,
            "nested": {"a": [1, b"x"]},
        },
    )
    handler.flush()
    (record,) = collector.records
    assert record["message"] == "disk /scratch full"
    assert record["level"] == "ERROR" and record["component"] == "tester" and record["name"] == "panda.test_handler"
    assert (record["panda_id"], record["code"], record["user"], record["kind"]) == (17, 1098, "ann", "service")
    assert record["fields"] == {"free_mb": 3, "nested": {"a": [1, "b'x'"]}}
    assert "traceback" not in record and record["process"] == os.getpid() and record["line"] > 0
    moment = datetime.fromisoformat(record["time"])
    assert moment.utcoffset() is not None and abs((datetime.now(UTC) - moment).total_seconds()) < 60
    assert collector.headers[0]["Authorization"] == "Bearer secret"
    assert collector.headers[0]["path"] == "/api/logger/records"


def test_the_component_of_a_record_wins_over_the_handlers(collector: Collector, log: logging.Logger) -> None:
    handler = attached(log, collector.url)
    log.info("x", extra={"component": "brokerage"})
    handler.flush()
    assert collector.records[0]["component"] == "brokerage"


def test_batches_go_over_one_kept_alive_connection(collector: Collector, log: logging.Logger) -> None:
    handler = attached(log, collector.url)
    for number in range(1234):
        log.info("number %d", number)
    handler.flush()
    assert collector.messages == [f"number {number}" for number in range(1234)]
    assert 3 <= len(collector.batches) <= 10
    assert all(len(batch["records"]) <= 500 for batch in collector.batches)
    assert collector.connections == 1
    assert handler.sent == 1234 and handler.dropped == 0 and handler.waiting == 0


def test_logging_goes_on_while_the_server_hangs_and_losses_are_counted(
    collector: Collector, log: logging.Logger
) -> None:
    collector.gate.clear()
    handler = attached(log, collector.url, max_records=100, close_timeout_s=0.01)
    log.warning("first")
    assert eventually(lambda: collector.headers), "the server has the first request and does not answer"
    for number in range(5000):
        log.warning("number %d", number)
    # all 5000 calls came back although not one answer was given
    assert collector.batches == []
    assert handler.waiting == 100 and handler.dropped == 4901
    collector.gate.set()
    assert eventually(lambda: handler.waiting == 0)
    log.warning("after")
    assert eventually(lambda: handler.waiting == 0)
    assert collector.dropped == 4901
    assert len(collector.records) + collector.dropped == 5002
    assert collector.messages[-1] == "after"


def test_talk_leaves_room_for_errors(collector: Collector, log: logging.Logger) -> None:
    collector.gate.clear()
    handler = attached(log, collector.url, max_records=100, close_timeout_s=0.01)
    for number in range(500):
        log.info("talk %d", number)
    log.error("what matters")
    assert handler.waiting == 51
    collector.gate.set()
    assert eventually(lambda: "what matters" in collector.messages)


def test_records_wait_for_a_server_that_is_down_and_arrive_when_it_comes(log: logging.Logger) -> None:
    port = free_port()
    handler = attached(log, f"http://127.0.0.1:{port}", close_timeout_s=5)
    log.error("while it was down")
    handler.flush()
    assert handler.waiting == 1 and handler.dropped == 0
    late = Collector(port)
    try:
        handler.flush()
        assert late.messages == ["while it was down"]
        late.stop()
        log.error("down again")
        handler.flush()
        late = Collector(port)
        handler.flush()
        assert late.messages == ["down again"]
    finally:
        late.stop()


def test_a_server_in_trouble_is_asked_again(collector: Collector, log: logging.Logger) -> None:
    collector.statuses = [503, 500, 429, 401, 404]
    handler = attached(log, collector.url)
    log.error("patience")
    for _ in range(6):
        handler.flush()
    assert collector.messages == ["patience"]
    assert handler.dropped == 0


def test_a_batch_refused_for_good_is_dropped_and_counted(collector: Collector, log: logging.Logger) -> None:
    collector.statuses = [422]
    handler = attached(log, collector.url)
    log.info("refused")
    handler.flush()
    assert handler.dropped == 1 and handler.waiting == 0
    log.info("next")
    handler.flush()
    assert collector.messages == ["next"] and collector.dropped == 1


def test_a_batch_that_is_too_large_goes_in_pieces(collector: Collector, log: logging.Logger) -> None:
    collector.gate.clear()
    handler = attached(log, collector.url)
    log.error("first")
    assert eventually(lambda: collector.headers)
    for number in range(8):
        log.info("number %d", number)
    collector.statuses = [200, 413, 413]
    collector.gate.set()
    assert eventually(lambda: handler.waiting == 0)
    assert [len(batch["records"]) for batch in collector.batches][:3] == [1, 2, 6]
    assert collector.messages == ["first", *(f"number {number}" for number in range(8))]


def test_an_idle_connection_that_the_server_closed_costs_nothing(log: logging.Logger) -> None:
    first = Collector()
    handler = attached(log, first.url)
    log.error("one")
    handler.flush()
    first.stop()
    second = Collector(first.port)
    log.error("two")
    handler.flush()
    assert second.messages == ["two"]
    second.stop()


def test_long_and_odd_content_is_cut_and_cleaned(collector: Collector, log: logging.Logger) -> None:
    def deep(depth: int) -> None:
        if depth:
            deep(depth - 1)
        raise ValueError("x" * 20_000 + "the end")

    handler = attached(log, collector.url)
    try:
        deep(3)
    except ValueError:
        log.exception("nul \0 and surrogate \ud800 " + "y" * 10_000, extra={"bad": float("nan"), "huge": 10**30})
    record = log.makeRecord("x", logging.INFO, "x.py", 1, "%d arguments do not fit", ("three",), None)
    handler.handle(record)  # pytest's own handlers refuse such a record
    handler.flush()
    first, second = collector.records
    assert len(first["message"]) == MAX_MESSAGE_CHARACTERS and first["message"].startswith("nul  and surrogate ? y")
    assert len(first["traceback"]) <= MAX_TRACEBACK_CHARACTERS
    assert first["traceback"].startswith("Traceback") and first["traceback"].endswith("the end")
    assert first["fields"] == {"bad": "nan", "huge": str(10**30)}
    assert second["message"] == "%d arguments do not fit ('three',)"


class TestTracebacks:
    """Written by our own, cheaper code: the same text as Python's, without the marks below the lines."""

    def fails(self) -> None:
        raise ValueError("x")

    def from_cause(self) -> None:
        try:
            self.fails()
        except ValueError as error:
            raise KeyError("y") from error

    def in_context(self) -> None:
        try:
            self.from_cause()
        except KeyError:
            raise RuntimeError  # noqa: B904 - this is what is tested

    def without_context(self) -> None:
        try:
            self.fails()
        except ValueError:
            raise KeyError("y") from None

    def in_a_circle(self) -> None:
        one, two = ValueError("a"), ValueError("b")
        one.__cause__, two.__cause__ = two, one
        raise one

    def with_notes(self) -> None:
        error = ValueError("z")
        error.add_note("more\nlines")
        raise error

    def of_our_own(self) -> None:
        class Mine(Exception):
            pass

        raise Mine("ü")

    def in_a_group(self) -> None:
        raise ExceptionGroup("several", [ValueError(1), KeyError(2)])

    @pytest.mark.parametrize(
        "name",
        [
            "fails",
            "from_cause",
            "in_context",
            "without_context",
            "in_a_circle",
            "with_notes",
            "of_our_own",
            "in_a_group",
        ],
    )
    def test_they_are_pythons(self, name: str) -> None:
        try:
            getattr(self, name)()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is compared
            whole = "".join(traceback.format_exception(error))
            lines = [line for line in whole.rstrip("\n").split("\n") if not re.fullmatch(r"\s+[~^]+\s*", line)]
            assert written(taken(error)).split("\n") == lines

    def test_the_middle_of_an_endless_one_is_left_out(self) -> None:
        def dig() -> None:
            dig()

        try:
            dig()
        except RecursionError as error:
            text = written(taken(error))
        assert text.count("in dig") == 99 and "more]" in text and text.endswith("maximum recursion depth exceeded")
        assert text.index("in test_the_middle") < text.index("more]")


def test_a_record_with_a_broken_object_is_still_sent(collector: Collector, log: logging.Logger) -> None:
    class Broken:
        def __str__(self) -> str:
            raise RuntimeError("no")

    handler = attached(log, collector.url)
    log.info("look", extra={"thing": Broken()})
    handler.flush()
    assert collector.records[0]["fields"]["thing"].startswith("<Broken that cannot be shown")


def test_what_the_shipping_thread_logs_does_not_come_back_to_it(collector: Collector, log: logging.Logger) -> None:
    def chatty_token() -> str:
        log.error("from within")
        return "secret"

    handler = PandaHandler(collector.url, token=chatty_token)
    log.addHandler(handler)
    log.error("once")
    handler.flush()
    handler.flush()
    assert collector.messages == ["once"] and handler.waiting == 0


def test_a_forked_child_sends_its_own_records_only(collector: Collector, log: logging.Logger) -> None:
    collector.gate.clear()
    handler = attached(log, collector.url, close_timeout_s=10)
    log.error("of the parent")
    assert eventually(lambda: collector.headers)
    log.info("still in the parent's buffer")
    child = os.fork()
    if child == 0:
        try:
            log.error("of the child")
            collector.gate.set()  # a copy: the server lives in the parent
            handler.flush()
        finally:
            os._exit(0 if handler.sent == 1 else 1)
    collector.gate.set()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    handler.flush()
    assert sorted(collector.messages) == ["of the child", "of the parent", "still in the parent's buffer"]


_PROGRAM = """
import logging.config, sys
logging.config.dictConfig({
    "version": 1,
    "handlers": {
        "panda": {"()": "panda_handler.PandaHandler", "url": sys.argv[1], "component": "copied", "level": "INFO",
                  "close_timeout_s": float(sys.argv[2])},
    },
    "root": {"handlers": ["panda"], "level": "DEBUG"},
})
for number in range(1000):
    logging.getLogger("stranger").info("line %d", number, extra={"number": number})
logging.getLogger("stranger").debug("not this")
"""


def copied_handler(tmp_path: Path) -> dict[str, str]:
    """The handler's files alone in a package of another name, as a stranger's program would have them."""
    package = tmp_path / "panda_handler"
    package.mkdir()
    (package / "__init__.py").write_text("from .handler import PandaHandler\n")
    for name in ("handler", "tracebacks", "shipping", "delivery", "spool", "spools"):
        shutil.copy(Path(logger.handler.__file__).with_name(f"{name}.py"), package)
    return {"PYTHONPATH": str(tmp_path), "PATH": os.environ["PATH"]}


def test_a_copy_of_the_file_works_in_a_strange_program_and_flushes_at_its_exit(
    collector: Collector, tmp_path: Path
) -> None:
    environment = copied_handler(tmp_path)
    run = [sys.executable, "-S", "-c", _PROGRAM, collector.url, "20"]
    done = subprocess.run(run, env=environment, cwd=tmp_path, capture_output=True, timeout=60, check=True)
    assert done.stderr == b""
    assert collector.messages == [f"line {number}" for number in range(1000)]
    assert {record["component"] for record in collector.records} == {"copied"}


def interpreters() -> list[str]:
    """Other Pythons of this machine: those in the PATH, and those installed beside the one that runs this."""
    beside = sorted(str(path) for path in Path(sys.base_prefix).parent.glob("3.*/bin/python"))
    known = [shutil.which(f"python3.{minor}") for minor in (9, 10, 12, 13)] + beside
    versions = {name: f"3.{minor}" for name in known if name for minor in (9, 10, 12, 13) if f"3.{minor}" in name}
    return sorted({version: name for name, version in versions.items()}.values())


@pytest.mark.parametrize("interpreter", interpreters())
def test_other_pythons_from_3_9_on_get_in_too(collector: Collector, tmp_path: Path, interpreter: str) -> None:
    run = [interpreter, "-S", "-W", "error", "-c", _PROGRAM, collector.url, "20"]
    subprocess.run(run, env=copied_handler(tmp_path), cwd=tmp_path, timeout=60, check=True)
    assert collector.messages == [f"line {number}" for number in range(1000)]


def test_a_program_ends_in_bounded_time_when_the_server_hangs_or_is_gone(collector: Collector, tmp_path: Path) -> None:
    environment = copied_handler(tmp_path)
    collector.gate.clear()
    for url in (collector.url, f"http://127.0.0.1:{free_port()}"):
        run = [sys.executable, "-S", "-c", _PROGRAM, url, "0.5"]
        done = subprocess.run(run, env=environment, cwd=tmp_path, capture_output=True, timeout=60, check=True)
        assert done.stderr == b""


def test_a_signal_handler_may_log_while_its_program_logs(collector: Collector, tmp_path: Path) -> None:
    program = """
import logging, os, signal, sys
from panda_handler import PandaHandler
log = logging.getLogger("panda.signals"); log.setLevel("INFO")
log.addHandler(PandaHandler(sys.argv[1], max_records=100000, close_timeout_s=20))
seen = 0
def note(number, frame):
    global seen
    seen += 1
    log.info("signal")
signal.signal(signal.SIGALRM, note)
signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
for number in range(5000):
    log.info("line")
signal.setitimer(signal.ITIMER_REAL, 0)
print(seen)
"""
    run = [sys.executable, "-S", "-c", program, collector.url]
    done = subprocess.run(
        run, env=copied_handler(tmp_path), cwd=tmp_path, capture_output=True, timeout=60, check=True, text=True
    )
    assert collector.messages.count("line") == 5000
    assert collector.messages.count("signal") == int(done.stdout) > 0


def test_attach_takes_ours_from_info_and_strangers_from_warning(collector: Collector) -> None:
    handler = attach(collector.url, "secret", "api")
    levels = {name: logging.getLogger(name).level for name in logger.handler.OUR_LOGGERS}
    try:
        logging.getLogger("core.agents.adder").info("ours")
        logging.getLogger("panda.site").debug("too fine")
        logging.getLogger("urllib3.pool").info("theirs")
        logging.getLogger("urllib3.pool").warning("their warning")
        handler.flush()
        assert collector.messages == ["ours", "their warning"]
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()
        for name in levels:
            logging.getLogger(name).setLevel(logging.NOTSET)


def test_an_address_that_is_none_is_refused_with_the_remedy() -> None:
    with pytest.raises(ValueError, match="write it as http://host:port"):
        PandaHandler("localhost:25080")


def test_records_after_close_are_counted_not_raised(collector: Collector, log: logging.Logger) -> None:
    handler = attached(log, collector.url)
    handler.close()
    log.error("too late")
    assert handler.dropped == 1


def test_a_record_says_what_was_so_when_it_was_logged(log: logging.Logger) -> None:
    """The thread encodes later: what may change until then is encoded at once, what cannot change is taken along."""
    port = free_port()
    handler = attached(log, f"http://127.0.0.1:{port}")
    things: dict[str, Any] = {"files": ["a"]}
    moving = ["x"]
    record = log.makeRecord("panda.test_handler", logging.INFO, "x.py", 7, "moving %s", (moving,), None, extra=things)
    handler.handle(record)
    moving.append("y")
    things["files"].append("b")
    record.levelname, record.msg, record.args, record.lineno = "coloured", "other", (), 8
    record.__dict__["files"] = "gone"
    late = Collector(port)
    try:
        handler.flush()
        handler.flush()
    finally:
        late.stop()
    (sent,) = late.records
    assert sent["message"] == "moving ['x']" and sent["fields"] == {"files": ["a"]}
    assert sent["level"] == "INFO" and sent["line"] == 7


def test_no_object_of_the_program_lives_on_in_the_buffer(log: logging.Logger) -> None:
    class Thing:
        def __str__(self) -> str:
            return "thing"

    handler = attached(log, f"http://127.0.0.1:{free_port()}", close_timeout_s=0.05)
    thing = Thing()
    known = weakref.ref(thing)

    def fails(ours: Thing) -> None:
        raise ValueError(ours)

    try:
        fails(thing)
    except ValueError as error:
        record = log.makeRecord("x", 40, "x.py", 1, "%s", (thing,), (ValueError, error, error.__traceback__))
    handler.handle(record)
    del record, thing
    gc.collect()
    assert handler.waiting == 1 and known() is None


@pytest.mark.parametrize("created", ["yesterday", float("nan"), 1e300, None])
def test_a_record_whose_time_is_none_is_sent_with_the_time_of_its_sending(
    collector: Collector, log: logging.Logger, created: Any
) -> None:
    handler = attached(log, collector.url)
    handler.handle(
        logging.makeLogRecord({"msg": "odd", "created": created, "name": "x", "lineno": None, "levelno": 20})
    )
    handler.flush()
    (record,) = collector.records
    assert record["message"] == "odd" and record["line"] == 0
    assert abs((datetime.now(UTC) - datetime.fromisoformat(record["time"])).total_seconds()) < 60


def test_extras_are_told_from_what_logging_adds_in_any_order(collector: Collector, log: logging.Logger) -> None:
    """Filters may take attributes out and put them in again, formatters add theirs."""
    handler = attached(log, collector.url)
    record = log.makeRecord("x", logging.INFO, "x.py", 1, "one", (), None, extra={"mount": "/a"})
    record.thread = record.__dict__.pop("thread")
    logging.Formatter("%(asctime)s %(message)s").format(record)
    handler.handle(record)
    log.info("two", extra={"panda_id": 7, "mount": "/b", "big": "x" * 2000})
    handler.flush()
    one, two = collector.records
    assert one["fields"] == {"mount": "/a"}
    assert two["panda_id"] == 7 and two["fields"]["mount"] == "/b" and len(two["fields"]["big"]) == 1000


def test_a_known_extra_of_many_pieces_leaves_the_fields_an_object(collector: Collector, log: logging.Logger) -> None:
    handler = attached(log, collector.url)
    log.info("x", extra={"user": [[list(range(50))] * 40] * 40, "mount": "/a"})
    handler.flush()
    assert collector.records[0]["fields"] == {"mount": "/a"}
