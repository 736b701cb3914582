"""Thousands of failures, records or different troubles in a moment: few incidents, few rows, few logs read."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from core.clock import utc_now
from core.database import Database, Transaction
from logger.batches import read_batch
from logger.failures import FailureFolder
from logger.ingest import OURSELVES, RecordIngest
from tests.logger.builders import end_jobs, record

JOBS = 5000
_LOG = (
    "INFO all is well so far\n" * 200
    + "Traceback (most recent call last):\nOSError: [Errno 28] No space left on device\n"
)


@pytest.fixture
def logs_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many logs each statement brought."""
    counts: list[int] = []
    fetch = Transaction.fetch

    def counting(self: Transaction, statement: str, parameters: Any = None) -> Any:
        rows = fetch(self, statement, parameters)
        if "job_logs" in statement:
            counts.append(len(rows))
        return rows

    monkeypatch.setattr(Transaction, "fetch", counting)
    return counts


def test_of_five_thousand_failures_with_logs_some_hundred_are_read(database: Database, logs_read: list[int]) -> None:
    end_jobs(database, JOBS, host="wn1", logs={"payload.stderr": _LOG})
    folder = FailureFolder(database, utc_now)
    assert folder.fold() == JOBS
    [incident] = database.fetch("SELECT job_count FROM incidents")
    assert incident["job_count"] == JOBS
    assert 200 <= sum(logs_read) < 500


def distinct(first: int, count: int) -> list[dict[str, Any]]:
    """Errors of one component that have nothing in common but it."""
    letters = [chr(ord("a") + number) for number in range(26)]
    words = [
        "".join(letters[(number // 26**place) % 26] for place in range(4)) for number in range(first, first + count)
    ]
    return [record(f"{word}ing the {word[::-1]}er went {word}ly wrong", component="novel") for word in words]


def test_fifteen_hundred_different_troubles_of_one_component_are_few_incidents(database: Database) -> None:
    """From two processes at once, which do not know of each other."""

    def send(first: int) -> None:
        ingest = RecordIngest(database)
        for start in range(first, first + 750, 250):
            ingest.submit(read_batch(distinct(start, 250)), OURSELVES)

    threads = [threading.Thread(target=send, args=(first,)) for first in (0, 750)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [incidents] = database.fetch("SELECT count(*) AS n, sum(record_count) AS records FROM incidents")
    assert (incidents["n"], incidents["records"]) == (26, 1500)
    [common] = database.fetch("SELECT record_count, title FROM incidents ORDER BY record_count DESC LIMIT 1")
    assert common["record_count"] == 1500 - 25
    assert database.fetch("SELECT sum(repeat_count) AS n FROM log_records") == [{"n": 1500}]
