"""`python -m bench.emitting`: what PandaHandler costs the program that logs, while the collector is down; and an hour without it.

A loop does 5 ms of work 200 times a second, with a record each (20 words, three extras, every tenth with a traceback) to a closed
port with a spool, with the same records to nobody (logging.NullHandler), and without any logging. Blocks of the three alternate;
the ratio of the medians, the handler's to the NullHandler's, has to stay below 1.02; what logging itself costs is told beside it.
Where others share the machine the ratios are theirs, too; `us a record` is CPU time, of the log call and of the handler's thread.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from logger.handler import PandaHandler

_CLOSED = "http://127.0.0.1:9"
_ITERATION_S = 0.005
_WORDS = "the mover of this site could not read the replica of a file that its catalogue says is there today"
_CLAIM = 1.02

log = logging.Logger("bench.emitting")


@dataclass(frozen=True)
class Pair:
    """Seconds of the same work without logging, to nobody and to the handler: wall clock, and CPU of all threads.

    `*_calls_s`: CPU of the thread that logs, in its log calls; `*_others_s`: of all other threads.
    """

    plain_s: float
    nobody_s: float
    logging_s: float
    nobody_cpu_s: float
    logging_cpu_s: float
    nobody_calls_s: float = 0.0
    logging_calls_s: float = 0.0
    nobody_others_s: float = 0.0
    logging_others_s: float = 0.0


def main() -> None:
    """Measure and print; exit code 1 when the claim does not hold."""
    parser = argparse.ArgumentParser(prog="python -m bench.emitting", description=__doc__)
    parser.add_argument("--pairs", type=int, default=10, help="pairs of blocks for each kind of work")
    parser.add_argument("--iterations", type=int, default=400, help="iterations of a block, 5 ms each")
    parser.add_argument(
        "--away", type=float, default=0, metavar="S", help="instead: records of so many seconds, then deliver"
    )
    parser.add_argument("--rate", type=float, default=36, help="records a second of --away")
    arguments = parser.parse_args()
    if arguments.away:
        _away(round(arguments.away * arguments.rate))
        return
    print(
        f"{'work':22} {'ratio':>7} {'of pairs':>15} {'CPU':>7} {'us a record':>12} {'records/s':>10}"
        f" {'to no logging':>14} {'logging itself':>15}"
    )
    ratios = [
        _print_kind("sha256 (frees the GIL)", calibrated(hashing), arguments),
        _print_kind("Python (holds the GIL)", calibrated(_counting), arguments),
    ]
    print(f"claim: below {_CLAIM}: {'holds' if max(ratios) < _CLAIM else 'DOES NOT HOLD'}")
    raise SystemExit(max(ratios) >= _CLAIM)


def measure(work: Callable[[], None], pairs: int, iterations: int) -> list[Pair]:
    """Alternate blocks without logging, to nobody and to the handler, in each order in turn."""
    measured = []
    nobody = logging.NullHandler()
    with tempfile.TemporaryDirectory() as spool:
        handler = PandaHandler(_CLOSED, component="bench", spool=spool)
        try:
            _block(work, 20, handler)
            for number in range(pairs):
                kinds: list[logging.Handler | None] = [None, nobody, handler]
                order = kinds[number % 3 :] + kinds[: number % 3]
                times = {kind: _block(work, iterations, kind) for kind in order}
                plain, silent, loud = times[None], times[nobody], times[handler]
                measured.append(
                    Pair(plain[0], *(both[kind] for kind in range(4) for both in (silent, loud))),
                )
            assert handler.dropped == 0, "the spool was to take them all"
        finally:
            handler.close()
    return measured


def ratio_of(pairs: list[Pair]) -> float:
    """Ratio of the medians of the wall-clock times: with the handler to the same without a collector to miss."""
    return statistics.median(pair.logging_s for pair in pairs) / statistics.median(pair.nobody_s for pair in pairs)


def calibrated(unit: Callable[[int], None], seconds: float = _ITERATION_S) -> Callable[[], None]:
    """Work of so many seconds, made of units that last the same every time."""
    unit(50)
    times = []
    for _ in range(5):
        started = time.perf_counter()
        unit(50)
        times.append((time.perf_counter() - started) / 50)
    count = max(1, round(seconds / statistics.median(times)))
    return lambda: unit(count)


def hashing(count: int) -> None:
    """Work that frees the interpreter's lock."""
    for _ in range(count):
        hashlib.sha256(_BLOCK).digest()


def _counting(count: int) -> None:
    for _ in range(count):
        sum(number & 7 for number in range(500))


_BLOCK = bytes(65_536)


def _block(work: Callable[[], None], iterations: int, handler: logging.Handler | None) -> tuple[float, ...]:
    """Seconds by the clock, of CPU, of CPU in log calls, of CPU in other threads."""
    if handler:
        log.addHandler(handler)
    calls_ns = 0
    started, cpu, own = time.perf_counter(), time.process_time(), time.thread_time()
    for number in range(iterations):
        work()
        before = time.thread_time_ns()
        _trouble(number, handler is not None)
        calls_ns += time.thread_time_ns() - before
    wall, cpu, own = time.perf_counter() - started, time.process_time() - cpu, time.thread_time() - own
    if handler:
        log.removeHandler(handler)
    return wall, cpu, calls_ns / 1e9, cpu - own


def _trouble(number: int, is_logging: bool) -> None:
    """What the program does anyway (the exception) and, in half of the blocks, what it says about it."""
    extra = {"panda_id": number, "computing_site": "CERN", "mount": "/scratch"}
    if number % 10:
        if is_logging:
            log.info("%s: %d", _WORDS, number, extra=extra)
        return
    try:
        _open_replica(number)
    except LookupError:
        if is_logging:
            log.exception("%s: %d", _WORDS, number, extra=extra)


def _open_replica(number: int) -> None:
    raise LookupError(f"replica {number}")


def _print_kind(name: str, work: Callable[[], None], arguments: argparse.Namespace) -> float:
    pairs = measure(work, arguments.pairs, arguments.iterations)
    ratios = sorted(pair.logging_s / pair.nobody_s for pair in pairs)
    nobody_s = statistics.median(pair.nobody_s for pair in pairs)
    plain_s = statistics.median(pair.plain_s for pair in pairs)
    cpu = statistics.median(pair.logging_cpu_s / pair.nobody_cpu_s for pair in pairs)
    whole = statistics.median(pair.logging_s for pair in pairs) / plain_s
    call_s = statistics.median(pair.logging_calls_s - pair.nobody_calls_s for pair in pairs)
    thread_s = statistics.median(pair.logging_others_s - pair.nobody_others_s for pair in pairs)
    cost = f"{1e6 * call_s / arguments.iterations:.0f} + {1e6 * thread_s / arguments.iterations:.0f}"
    rate = arguments.iterations / nobody_s
    span = f"{ratios[0]:.4f}-{ratios[-1]:.4f}"
    print(
        f"{name:22} {ratio_of(pairs):7.4f} {span:>15} {cpu:7.4f} {cost:>12} {rate:10.0f}"
        f" {whole:14.4f} {nobody_s / plain_s:15.4f}",
        flush=True,
    )
    return ratio_of(pairs)


@dataclass
class _Taken:
    """What a collector got: how many records, whether in order, and how many losses it was told of."""

    records: int = 0
    last_seq: int = 0
    is_in_order: bool = True
    dropped: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, body: bytes) -> None:
        batch = json.loads(body)
        with self.lock:
            self.dropped += batch["dropped"]
            for record in batch["records"]:
                self.is_in_order = self.is_in_order and record["seq"] > self.last_seq
                self.last_seq = record["seq"]
                self.records += 1


def _away(records: int) -> None:
    """The collector is away while so many records are made (as fast as the disk takes them), then comes back."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as spool:
        handler = PandaHandler(f"http://127.0.0.1:{port}", component="bench", spool=spool)
        log.addHandler(handler)
        started = time.perf_counter()
        for number in range(records):
            _trouble(number, True)
            while handler.waiting > 4000:
                time.sleep(0.01)
        while handler.waiting:
            time.sleep(0.01)
        size = sum(path.stat().st_size for path in Path(spool).rglob("*.ndjson"))
        print(f"{records} records made in {time.perf_counter() - started:.1f} s; {handler.spooled} on disk in", end=" ")
        print(f"{size / 1e6:.1f} MB, {handler.dropped} dropped and counted", flush=True)
        server, taken = _collector(port)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        started = time.perf_counter()
        while handler.spooled:
            handler.flush()
        seconds = time.perf_counter() - started
        print(f"back: {taken.records} arrived in {seconds:.1f} s ({taken.records / seconds:.0f} a second),", end=" ")
        print(f"{'in order' if taken.is_in_order else 'NOT IN ORDER'}, {taken.dropped} losses told of")
        log.removeHandler(handler)
        handler.close()
    server.shutdown()
    server.server_close()
    is_complete = taken.is_in_order and taken.records + taken.dropped == records
    raise SystemExit(not is_complete)


def _collector(port: int) -> tuple[ThreadingHTTPServer, _Taken]:
    taken = _Taken()

    class Answers(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            taken.take(self.rfile.read(int(self.headers["Content-Length"])))
            answer = b'{"accepted":0,"rejected":0,"duplicate":0,"reasons":[]}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    return ThreadingHTTPServer(("127.0.0.1", port), Answers), taken


if __name__ == "__main__":
    main()
