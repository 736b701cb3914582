"""`python -m bench.floods`: bad days at full size: failures with logs, equal records, different troubles, a noisy token."""

from __future__ import annotations

import argparse
import http.client
import json
import multiprocessing
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from api.identity.issuer import Issuer
from bench.stack import Stack, running_stack
from core.clock import utc_now
from core.database import Database, Transaction
from logger.batches import read_batch
from logger.failures import FailureFolder
from logger.ingest import OURSELVES, RecordIngest
from logger.retention import keep_days
from tests.logger.builders import end_jobs, record

_LOG = "INFO a line of talk among many, none of which says anything that anybody would look for\n" * 230
_END = 'Traceback (most recent call last):\n  File "/srv/run.py", line 7, in main\nOSError: [Errno 28] No space left on device\n'
_BATCH = 500
_QUIET_CALLS = 100


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.floods", description=__doc__)
    parser.add_argument("--jobs", type=int, default=50_000, help="failed jobs with 20 kB of log each")
    parser.add_argument("--records", type=int, default=50_000, help="equal records")
    parser.add_argument("--distinct", type=int, default=5000, help="records of one component, each another trouble")
    parser.add_argument("--seconds", type=float, default=20.0, help="length of the noisy token's flood")
    arguments = parser.parse_args()
    with running_stack(2) as stack:
        keep_days(stack.database, utc_now)
        _failures(stack.database, arguments.jobs)
        _equal(stack.database, arguments.records)
        _distinct(stack.database, arguments.distinct)
        _noisy(stack, arguments.seconds)


def _failures(database: Database, jobs: int) -> None:
    end_jobs(database, jobs, host="wn1", logs={"payload.stderr": _LOG + _END})
    logs = _counting_logs()
    seconds = _timed(lambda: FailureFolder(database, utc_now).fold())
    [found] = database.fetch("SELECT count(*) AS n, sum(job_count) AS jobs FROM incidents")
    said = f"{jobs} failures with {len(_LOG) // 1000} kB of log each: {seconds:.1f} s"
    print(f"{said}, {found['n']} incident of {found['jobs']} jobs, {sum(logs)} logs read", flush=True)


def _counting_logs() -> list[int]:
    """How many logs the statements from here on bring."""
    counts: list[int] = []
    fetch = Transaction.fetch

    def counting(self: Transaction, statement: str, parameters: Any = None) -> Any:
        rows = fetch(self, statement, parameters)
        if "job_logs" in statement:
            counts.append(len(rows))
        return rows

    Transaction.fetch = counting  # type: ignore[method-assign]
    return counts


def _equal(database: Database, count: int) -> None:
    ingest = RecordIngest(database)
    batches = [
        read_batch(
            [record(f"cannot write block {start + place} to /data", component="flood") for place in range(_BATCH)]
        )
        for start in range(0, count, _BATCH)
    ]
    seconds = _timed(lambda: [ingest.store(batch, OURSELVES) for batch in batches])
    [stored] = database.fetch("SELECT count(*) AS n FROM log_records WHERE component = 'flood'")
    incidents = database.fetch("SELECT record_count FROM incidents WHERE component = 'flood'")
    print(f"{count} equal records: {seconds:.1f} s, {stored['n']} rows, {len(incidents)} incident of", end=" ")
    print(f"{incidents[0]['record_count']} records", flush=True)


def _distinct(database: Database, count: int) -> None:
    ingest = RecordIngest(database)
    words = ["".join(chr(ord("a") + number // 26**place % 26) for place in range(4)) for number in range(count)]
    entries = [record(f"{word}ing the {word[::-1]}er went {word}ly wrong", component="novel") for word in words]
    batches = [read_batch(entries[start : start + _BATCH]) for start in range(0, count, _BATCH)]
    seconds = _timed(lambda: [ingest.store(batch, OURSELVES) for batch in batches])
    [found] = database.fetch("SELECT count(*) AS n, sum(record_count) AS of FROM incidents WHERE component = 'novel'")
    print(
        f"{count} different troubles of one component: {seconds:.1f} s, {found['n']} incidents of {found['of']} records",
        flush=True,
    )


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _noisy(stack: Stack, seconds: float) -> None:
    """The calls of a quiet token while another sends as fast as it can, beside those before."""
    path = Path(stack.database.fetch("SELECT current_setting('data_directory') AS path")[0]["path"]).parent
    issuer = Issuer(path)
    tokens = [issuer.issue(user=user, vo="bench", roles=[], lifetime_s=3600).text for user in ("noisy", "quiet")]
    calm = _quiet_p95(stack, tokens[1])
    context = multiprocessing.get_context("fork")
    queue: Any = context.Queue()
    flood = context.Process(target=_flood, args=(queue, stack.host, stack.port, tokens[0], seconds))
    flood.start()
    time.sleep(1.0)
    stormy = _quiet_p95(stack, tokens[1])
    sent, refused = queue.get(timeout=seconds + 60)
    flood.join()
    told = stack.database.fetch("SELECT record_count FROM incidents WHERE fingerprint = 'v1:flood:noisy'")
    print(
        f"one token sends {sent + refused} batches in {seconds:g} s: {refused} refused, told {told[0]['record_count']} times;",
        end=" ",
    )
    print(
        f"p95 of another token's calls {calm * 1000:.1f} ms before, {stormy * 1000:.1f} ms meanwhile ({stormy / calm:.1f}x)"
    )


def _quiet_p95(stack: Stack, token: str) -> float:
    connection = http.client.HTTPConnection(stack.host, stack.port, timeout=60)
    took = []
    for _ in range(_QUIET_CALLS):
        began = time.perf_counter()
        _post(connection, token, json.dumps(record("mine", level="INFO")).encode())
        took.append(time.perf_counter() - began)
        time.sleep(0.05)
    connection.close()
    return sorted(took)[int(_QUIET_CALLS * 0.95)]


def _flood(queue: Any, host: str, port: int, token: str, seconds: float) -> None:
    """It does not care for Retry-After."""
    body = json.dumps([record(f"again {number}", level="INFO") for number in range(_BATCH)]).encode()
    connection = http.client.HTTPConnection(host, port, timeout=60)
    began, counts = time.perf_counter(), {200: 0, 429: 0}
    while time.perf_counter() - began < seconds:
        counts[_post(connection, token, body)] += 1
    connection.close()
    queue.put((counts[200], counts[429]))


def _post(connection: http.client.HTTPConnection, token: str, body: bytes) -> int:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    connection.request("POST", "/api/logger/records", body, headers)
    answer = connection.getresponse()
    answer.read()
    return answer.status


if __name__ == "__main__":
    main()
