"""Of equal records the first of a minute are rows, the rest one with a count: nothing is lost of the number."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from core.database import Database
from logger.batches import read_batch
from logger.collapsing import KEPT_EACH_MINUTE, Classified, Collapser
from logger.ingest import OURSELVES, RecordIngest
from logger.records import read_record
from tests.logger.builders import record

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def talk(message: str = "job 17 is done", count: int = 1, **fields: Any) -> list[Classified]:
    read = read_record(record(message, level="INFO", **fields), NOW)
    return [Classified(read, None)] * count


def test_the_first_are_kept_and_the_rest_of_a_group_is_one() -> None:
    collapser = Collapser()
    assert [kept.count for kept in collapser.plan(talk(count=120), NOW)] == [1] * KEPT_EACH_MINUTE + [70]
    assert [kept.count for kept in collapser.plan(talk(count=30), NOW)] == [30]
    later = NOW + timedelta(minutes=1)
    assert len(collapser.plan(talk(count=30), later)) == 30


def test_numbers_in_a_message_do_not_make_it_another() -> None:
    entries = [entry for number in range(1000) for entry in talk(f"job {number} of {number * 7} is done")]
    assert len(Collapser().plan(entries, NOW)) == KEPT_EACH_MINUTE + 1


def test_other_words_levels_components_and_jobs_are_others() -> None:
    entries = [*talk(count=60), *talk("another", 60), *talk(count=60, component="x"), *talk(count=60, panda_id=4)]
    assert len(Collapser().plan(entries, NOW)) == 4 * (KEPT_EACH_MINUTE + 1)


def test_what_is_remembered_is_bounded() -> None:
    collapser = Collapser()
    words = ["".join(chr(ord("a") + (number // 26**place) % 26) for place in range(4)) for number in range(12_000)]
    collapser.plan([entry for word in words for entry in talk(word)], NOW)
    assert len(collapser._kinds) == 10_000


def test_five_thousand_equal_records_are_few_rows_and_one_incident_that_counts_them(database: Database) -> None:
    ingest = RecordIngest(database)
    for number in range(10):
        batch = [record(f"cannot write block {number * 500 + at} to /data") for at in range(500)]
        ingest.submit(read_batch(batch), OURSELVES)
    assert database.fetch("SELECT record_count FROM incidents") == [{"record_count": 5000}]
    [stored] = database.fetch("SELECT count(*) AS n, sum(repeat_count) AS of FROM log_records")
    assert stored["of"] == 5000 and stored["n"] <= 2 * (KEPT_EACH_MINUTE + 10)
    assert database.fetch("SELECT sum(event_count) AS n FROM incident_bins") == [{"n": 5000}]
