"""What a factory tells of dying pilots, from its words to the incident that they open and end."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from core.database import Database
from logger.admission import Sender
from logger.batches import Batch
from logger.handler import PandaHandler, attach
from logger.ingest import RecordIngest
from pilot.deaths import Deaths
from tests.support.as_sent import as_sent

SITE = Sender("site", "t1", frozenset({"pilot"}))


@contextmanager
def attached(ingest: RecordIngest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The handler as `panda site` attaches it; what it would ship goes to the store at once."""

    def store(handler: PandaHandler, record: logging.LogRecord) -> None:
        ingest.submit(Batch([as_sent(handler, record)]), SITE)

    monkeypatch.setattr(PandaHandler, "emit", store)
    level = logging.getLogger("pilot").level
    logging.getLogger("pilot").setLevel(logging.INFO)
    handler = attach("http://127.0.0.1:9", lambda: "", "site", level=logging.WARNING, close_timeout_s=0.0)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        logging.getLogger("pilot").setLevel(level)
        handler.close()


def test_pilots_that_die_are_one_incident_until_pilots_end_well_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def states() -> list[tuple[str, int, str]]:
        rows = database.fetch("SELECT state, record_count, resolution FROM incidents ORDER BY incident_id")
        return [(row["state"], row["record_count"], row["resolution"]) for row in rows]

    with attached(RecordIngest(database), monkeypatch):
        deaths = Deaths("CERN")
        deaths.died("CERN-1", "was killed by SIGKILL")
        deaths.died("CERN-2", "was killed by SIGKILL")
        deaths.died("CERN-3", "ended with exit code 69")
        assert states() == [("open", 2, ""), ("open", 1, "")]
        deaths.ended_well()
        deaths.ended_well()
        deaths.died("CERN-6", "was killed by SIGKILL")
        deaths.ended_well()
        deaths.ended_well()
        assert [state for state, *_ in states()] == ["open", "open"]
        deaths.ended_well()
        over = "the last 3 pilots of queue CERN ended well"
        assert states() == [("resolved", 3, over), ("resolved", 1, over)]
    records = database.fetch("SELECT message FROM log_records ORDER BY record_id")
    assert len(records) == 5, "of what is below WARNING only the end"
