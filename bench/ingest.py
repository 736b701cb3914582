"""`python -m bench.ingest`: log records over HTTP into incidents, beside plain COPY of the very same rows in the same run."""

from __future__ import annotations

import argparse
import http.client
import io
import json
import multiprocessing
import os
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg2

from api.identity.issuer import Issuer
from bench.stack import Stack, running_stack
from core.clock import utc_now
from core.database import Database
from logger.retention import keep_days

BATCH = 500
"""What a handler sends at most."""
TROUBLES = 40
DISTINCT = 5000
_PREPARED = 4000
_COPIED = 50_000
_TICKS = os.sysconf("SC_CLK_TCK")
_COLUMN_NAMES = """
SELECT attname FROM pg_attribute WHERE attrelid = 'log_records'::regclass AND attnum > 1 AND NOT attisdropped
"""
_TALK = (
    "worker {a} finished step {b} of job {c} after {a} s with {b} files left in its queue, next one comes from {word}"
)
_TROUBLE = "cannot {word} block {a} of /data/{word}/{c}.root: {word} daemon of host {b} gave up after {a} attempts"


@dataclass
class Sent:
    """What one sender did."""

    accepted: int = 0
    errors: int = 0
    """Of these, how many tell of a trouble."""
    refused: int = 0
    seconds: float = 0.0
    latencies_s: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Cpu:
    """Seconds of CPU that programs have used."""

    api: float
    postgres: float

    def since(self, before: Cpu) -> Cpu:
        """What was used between two looks."""
        return Cpu(self.api - before.api, self.postgres - before.postgres)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.ingest", description=__doc__)
    parser.add_argument("--senders", type=int, default=8, help="processes that send, each with a token of its own")
    parser.add_argument("--workers", type=int, default=2, help="API processes")
    parser.add_argument("--seconds", type=float, default=60.0, help="length of each measurement")
    parser.add_argument("--rate", type=float, default=0.0, help="records per second over all senders; 0: what goes")
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} cores, {arguments.workers} API workers, {arguments.senders} senders of {BATCH} records")
    with running_stack(arguments.workers) as stack:
        keep_days(stack.database, utc_now)
        print(
            f"{'':10} {'records/s':>10} {'refused':>8} {'p50 ms':>7} {'p95 ms':>7} {'incidents':>10} {'updates/s':>10}",
            end="",
        )
        print(f" {'API CPU':>8} {'PostgreSQL':>11}")
        rates = []
        for name, share in (("mixed", 0.02), ("errors", 1.0), ("distinct", -1.0)):
            rates.append(_phase(stack, name, share, arguments))
        plain, indexed = _copy_rates(stack)
        print(f"plain COPY: {plain:.0f} rows/s into a table without index, {indexed:.0f} rows/s into log_records")
        print(f"ratio of mixed records over HTTP to COPY: {rates[0] / plain:.3f} and {rates[0] / indexed:.3f}")


def _phase(stack: Stack, name: str, share: float, arguments: argparse.Namespace) -> float:
    """Send for a while, check that everything is there, print a line and return the rate."""
    before = _counted(stack.database)
    cpu, updates, began = _cpu(stack.database), _updates(stack.database), time.perf_counter()
    sent = _send_from_all(stack, name, share, arguments)
    took = time.perf_counter() - began
    used = _cpu(stack.database).since(cpu)
    updated = _updates(stack.database) - updates
    after = _counted(stack.database)
    accepted, errors = sum(one.accepted for one in sent), sum(one.errors for one in sent)
    stored = after["records"] - before["records"], after["in_incidents"] - before["in_incidents"]
    if stored != (accepted, errors):
        raise RuntimeError(f"{name}: {accepted} records with {errors} troubles were sent, {stored} are stored")
    rate = sum(one.accepted / one.seconds for one in sent)
    latencies = sorted(latency for one in sent for latency in one.latencies_s)
    p50, p95 = (latencies[int(len(latencies) * part)] * 1000 for part in (0.5, 0.95))
    print(
        f"{name:10} {rate:10.0f} {sum(one.refused for one in sent):8d} {p50:7.1f} {p95:7.1f} "
        f"{after['incidents'] - before['incidents']:10d} {updated / took:10.0f} "
        f"{used.api / took:7.2f}c {used.postgres / took:10.2f}c",
        flush=True,
    )
    return rate


def _send_from_all(stack: Stack, name: str, share: float, arguments: argparse.Namespace) -> list[Sent]:
    context = multiprocessing.get_context("fork")
    queue: Any = context.Queue()
    issuer = Issuer(_data_of(stack))
    processes = []
    for number in range(arguments.senders):
        token = issuer.issue(user=f"sender{number}", vo="bench", roles=["admin"], lifetime_s=86400).text
        records = list(_records(share, number, arguments.senders))
        rate = arguments.rate / arguments.senders
        source = f"{name}{number}"
        processes.append(
            context.Process(
                target=_send,
                args=(queue, stack.host, stack.port, token, source, records, share, arguments.seconds, rate),
            )
        )
    for process in processes:
        process.start()
    sent = [queue.get(timeout=arguments.seconds + 120) for _ in processes]
    for process in processes:
        process.join()
    if failed := [one for one in sent if isinstance(one, str)]:
        raise RuntimeError(failed[0])
    return sent


def _data_of(stack: Stack) -> Path:
    """The directory whose keys the API of the stack knows: the server's own."""
    row = stack.database.fetch("SELECT current_setting('data_directory') AS path")
    return Path(row[0]["path"]).parent


def _records(share: float, number: int, senders: int) -> Iterator[tuple[bytes, bool]]:
    """Records as JSON without their end, and whether each tells of a trouble; `share` of them do, -1: all and each anew."""
    chance = random.Random(number)
    if share < 0:
        for trouble in range(number, DISTINCT, senders):
            yield _record("ERROR", _TROUBLE, _word(trouble), chance), True
        return
    for _ in range(_PREPARED):
        draw = chance.random()
        level = "ERROR" if draw < share else "WARNING" if draw < share + 0.08 else "INFO"
        text = _TROUBLE if level == "ERROR" else _TALK
        yield _record(level, text, _word(chance.randrange(TROUBLES)), chance), level == "ERROR"


def _word(number: int) -> str:
    return "".join(chr(ord("a") + number // 26**place % 26) for place in range(4)) + "ing"


def _record(level: str, text: str, word: str, chance: random.Random) -> bytes:
    numbers = {"a": chance.randrange(1000), "b": chance.randrange(300), "c": chance.randrange(10**8)}
    record = {
        **{"time": datetime.now(UTC).isoformat(), "level": level, "name": "bench.sender", "component": "bench"},
        **{
            "message": text.format(word=word, **numbers),
            "host": f"node{numbers['b']}",
            "process": 17,
            "file": "send.py",
        },
        **{"line": 7, "traceback": None, "fields": {"attempt": 1}, "panda_id": numbers["c"] + 1, "code": None},
        **{"computing_site": f"SITE_{numbers['b'] % 50}", "jedi_task_id": 10_000_000 + numbers["b"], "user": "ann"},
    }
    return json.dumps(record).encode()[:-1]


def _send(
    queue: Any,
    host: str,
    port: int,
    token: str,
    source: str,
    records: Sequence[tuple[bytes, bool]],
    share: float,
    seconds: float,
    rate: float,
) -> None:
    """Batch after batch, as a handler does; a batch that is refused is sent again after the time that is asked."""
    connection = http.client.HTTPConnection(host, port, timeout=60)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    sent, seq, place = Sent(), 0, 0
    if rate:  # programs do not send in step
        time.sleep(random.Random(source).random() * BATCH / rate)
    began = time.perf_counter()
    while time.perf_counter() - began < seconds and not (share < 0 and place >= len(records)):
        batch = [records[(place + number) % len(records)] for number in range(BATCH)]
        if share < 0:
            batch = list(records[place : place + BATCH])
        body = b",".join(b'%s,"seq":%d}' % (record, seq + number) for number, (record, _) in enumerate(batch, start=1))
        now = datetime.now(UTC).isoformat()
        head = f'{{"source":"{source}","sent":"{now}","dropped":0,"records":['.encode()
        asked = time.perf_counter()
        connection.request("POST", "/api/logger/records", head + body + b"]}", headers)
        answer = connection.getresponse()
        said = json.loads(answer.read())
        if answer.status in (429, 503):
            sent.refused += 1
            time.sleep(float(answer.headers["Retry-After"]))
            continue
        if answer.status != 200 or said["accepted"] != len(batch):
            queue.put(f"{answer.status}: {said}")
            return
        sent.latencies_s.append(time.perf_counter() - asked)
        sent.accepted += len(batch)
        sent.errors += sum(is_error for _, is_error in batch)
        seq, place = seq + len(batch), place + len(batch)
        if rate:
            time.sleep(max(0.0, sent.accepted / rate - (time.perf_counter() - began)))
    sent.seconds = time.perf_counter() - began
    connection.close()
    queue.put(sent)


def _counted(database: Database) -> dict[str, int]:
    statement = """
        SELECT (SELECT coalesce(sum(repeat_count), 0)::bigint FROM log_records) AS records,
               (SELECT coalesce(sum(record_count), 0)::bigint FROM incidents) AS in_incidents,
               (SELECT count(*) FROM incidents) AS incidents
    """
    return database.fetch(statement)[0]


def _updates(database: Database) -> int:
    database.execute("SELECT pg_stat_force_next_flush()")
    statement = "SELECT n_tup_ins + n_tup_upd AS n FROM pg_stat_user_tables WHERE relname = 'incidents'"
    return int(database.fetch(statement)[0]["n"])


def _cpu(database: Database) -> Cpu:
    """Of the API processes, which are ours, and of the server with all its processes, also those that have ended."""
    postmaster = _parent(int(database.fetch("SELECT pg_backend_pid() AS pid")[0]["pid"]))
    api = postgres = 0.0
    for path in Path("/proc").iterdir():
        if not path.name.isdigit() or (found := _stat(int(path.name))) is None:
            continue
        parent, own, ended = found
        if int(path.name) == postmaster:
            postgres += own + ended
        elif parent == postmaster:
            postgres += own
        elif parent == os.getpid() and b"serve" in _command(path):
            api += own
    return Cpu(api, postgres)


def _command(path: Path) -> bytes:
    try:
        return (path / "cmdline").read_bytes()
    except OSError:  # it has just ended
        return b""


def _parent(pid: int) -> int:
    found = _stat(pid)
    return found[0] if found else 0


def _stat(pid: int) -> tuple[int, float, float] | None:
    """Parent, seconds of CPU of its own, and of its children that have ended."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return None
    own, ended = sum(map(int, words[11:13])), sum(map(int, words[13:15]))
    return int(words[1]), own / _TICKS, ended / _TICKS


def _copy_rates(stack: Stack) -> tuple[float, float]:
    """Rows per second of one connection that copies the rows of this run: without any index, and where they belong."""
    address = stack.database.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    connection = psycopg2.connect(address)
    with connection.cursor() as cursor:
        cursor.execute(_COLUMN_NAMES)
        columns = ", ".join(name for (name,) in cursor.fetchall())
        rows = io.BytesIO()
        cursor.copy_expert(f"COPY (SELECT {columns} FROM log_records LIMIT {_COPIED}) TO STDOUT", rows)
        count = rows.getvalue().count(b"\n")
        cursor.execute("CREATE TABLE plain_records (LIKE log_records INCLUDING DEFAULTS)")
        connection.commit()
        rates: dict[str, list[float]] = {"plain_records": [], "log_records": []}
        for table in ("plain_records", "log_records") * 3:
            rows.seek(0)
            began = time.perf_counter()
            cursor.copy_expert(f"COPY {table} ({columns}) FROM STDIN", rows, 262_144)
            connection.commit()
            rates[table].append(count / (time.perf_counter() - began))
    connection.close()
    return max(rates["plain_records"]), max(rates["log_records"])


if __name__ == "__main__":
    main()
