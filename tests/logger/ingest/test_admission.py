"""A token may send so much; who sends more is told when to come again, everybody else is served as before."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

import pytest

from core.clock import utc_now
from core.database import Database
from core.errors import InvalidInput, TooMany
from core.incident_settings import IngestSettings
from logger.admission import CALM_AFTER_S, SYSTEM_FACTOR, TOLD_EVERY_S, Admission, Sender
from logger.batches import read_batch
from logger.ingest import RecordIngest
from tests.logger.builders import record

LIMITS = IngestSettings(records_per_s=100, burst_s=10, bytes_per_s=1000)
ANN, BOB = Sender("ann", "t1"), Sender("bob", "t2")
SYSTEM = Sender("site", "t3", frozenset({"admin"}))


class Time:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def admission(time: Time) -> Admission:
    return Admission(LIMITS, monotonic=time)


def taken(admission: Admission, sender: Sender, tries: int, records: int = 100, size_bytes: int = 0) -> int:
    count = 0
    for _ in range(tries):
        try:
            admission.admit(sender, records, size_bytes)
            count += 1
        except TooMany:
            pass
    return count


def test_a_burst_is_taken_and_then_what_the_rate_allows(admission: Admission, time: Time) -> None:
    assert taken(admission, ANN, 50) == 10
    for _ in range(5):
        time.now += 1
        assert taken(admission, ANN, 50) == 1
    time.now += 1000
    assert taken(admission, ANN, 50) == 10


def test_bytes_count_like_records(admission: Admission, time: Time) -> None:
    assert taken(admission, ANN, 50, records=10, size_bytes=2000) == 5
    time.now += 2
    assert taken(admission, ANN, 50, records=10, size_bytes=2000) == 1


def test_the_wait_that_is_named_is_enough(admission: Admission, time: Time) -> None:
    taken(admission, ANN, 50)
    with pytest.raises(TooMany) as error:
        admission.admit(ANN, 70, 0)
    assert error.value.retry_after_s == pytest.approx(0.7)
    time.now += error.value.retry_after_s + 1e-6
    admission.admit(ANN, 70, 0)


def test_a_batch_larger_than_the_burst_is_taken_when_nothing_else_was_and_paid_for(
    admission: Admission, time: Time
) -> None:
    admission.admit(ANN, 5000, 0)
    with pytest.raises(TooMany):
        admission.admit_body(ANN, 0)
    time.now += 41
    admission.admit_body(ANN, 0)


def test_one_token_does_not_use_up_what_is_anothers(admission: Admission) -> None:
    taken(admission, ANN, 50)
    assert taken(admission, BOB, 50) == 10


def test_the_system_may_send_more_and_each_process_gives_its_share(time: Time) -> None:
    assert taken(Admission(LIMITS, monotonic=time), SYSTEM, 500) == 10 * SYSTEM_FACTOR
    assert taken(Admission(LIMITS, share=0.5, monotonic=time), ANN, 50) == 5


def test_tiny_batches_cost_what_a_transaction_costs(admission: Admission) -> None:
    assert taken(admission, ANN, 500, records=1) == 100


def test_a_body_costs_its_bytes_before_it_is_read_and_its_records_once(admission: Admission) -> None:
    for _ in range(10):
        admission.admit_body(ANN, 100)
        admission.admit_records(ANN, 100)
    with pytest.raises(TooMany):
        admission.admit_body(ANN, 100)


def test_what_is_no_batch_is_not_free_of_charge(shared_database: Database) -> None:
    ingest = RecordIngest(shared_database, limits=IngestSettings(bytes_per_s=1000, burst_s=10))
    with pytest.raises(InvalidInput):
        ingest.take(b"{" * 10_000, "application/json", {}, Sender("eve", "t9"))
    with pytest.raises(TooMany):
        ingest.take(b"{" * 10_000, "application/json", {}, Sender("eve", "t9"))


def test_what_was_refused_is_told_at_once_and_then_every_ten_seconds(admission: Admission, time: Time) -> None:
    taken(admission, ANN, 12)
    [told] = admission.refused_since()
    assert (told.sender.subject, told.batches, told.records) == ("ann", 2, 200)
    taken(admission, ANN, 5)
    assert admission.refused_since() == []
    time.now += TOLD_EVERY_S
    taken(admission, ANN, 50)  # ten are taken again
    [told] = admission.refused_since()
    assert told.batches == 45
    time.now += TOLD_EVERY_S
    assert admission.refused_since() == []


def test_the_memory_of_senders_is_bounded(admission: Admission) -> None:
    for number in range(12_000):
        admission.admit_body(Sender(f"u{number}", f"t{number}"), 1)
    assert len(admission._buckets) == 10_000


def test_a_flood_is_refused_told_once_and_harms_nobody_else(shared_database: Database) -> None:
    ingest = RecordIngest(shared_database, limits=LIMITS)
    batch = read_batch([record("again", level="INFO")] * 100)
    refused = 0
    for _ in range(60):
        try:
            ingest.submit(batch, ANN)
        except TooMany:
            refused += 1
    assert refused >= 45
    assert ingest.submit(read_batch([record("mine", level="INFO")]), BOB).accepted == 1
    [incident] = shared_database.fetch("SELECT * FROM incidents WHERE fingerprint = 'v1:flood:ann'")
    assert (incident["kind"], incident["fingerprint"], incident["record_count"]) == ("service", "v1:flood:ann", 1)
    stored = shared_database.fetch("SELECT sum(repeat_count) AS n FROM log_records WHERE message = 'again'")
    assert stored[0]["n"] == (60 - refused) * 100


def test_a_flood_is_over_when_nothing_was_refused_for_ten_minutes(shared_database: Database, time: Time) -> None:
    now = utc_now()
    ingests = [
        RecordIngest(shared_database, lambda: now + timedelta(seconds=time.now - began), LIMITS) for _ in range(2)
    ]
    began = time.now
    for ingest in ingests:
        ingest._admission.monotonic = lambda: time.now
    batch, carl = read_batch([record("again", level="INFO")] * 100), Sender("carl", "t7")

    def flood(ingest: RecordIngest) -> None:
        for _ in range(60):
            with suppress(TooMany):
                ingest.submit(batch, carl)

    def state() -> list[tuple[str, str]]:
        rows = shared_database.fetch("SELECT state, resolution FROM incidents WHERE fingerprint = 'v1:flood:carl'")
        return [(row["state"], row["resolution"]) for row in rows]

    def tick(ingest: RecordIngest, seconds: float) -> None:
        time.now += seconds
        ingest.submit(read_batch([record("mine", level="INFO")]), BOB)

    flood(ingests[0])
    tick(ingests[0], TOLD_EVERY_S)
    flood(ingests[1])
    tick(ingests[1], CALM_AFTER_S / 2)
    tick(ingests[0], CALM_AFTER_S / 2)
    assert state() == [("open", "")], "another process refused something since"
    tick(ingests[1], CALM_AFTER_S / 2)
    [(ended, why)] = state()
    assert ended == "resolved" and why.startswith("nothing of carl has been refused for 10 minutes")


def test_the_source_of_what_was_refused_knows_how_much(shared_database: Database) -> None:
    ingest = RecordIngest(shared_database, limits=IngestSettings(records_per_s=1000, burst_s=0.1))
    entries = [record("x", level="INFO", seq=number + 1) for number in range(100)]
    ingest.submit(read_batch({"source": "b", "records": entries}), BOB)
    late = read_batch({"source": "b", "records": [{**entry, "seq": entry["seq"] + 100} for entry in entries]})
    with pytest.raises(TooMany) as error:
        for _ in range(10):
            ingest.submit(late, BOB)
    assert error.value.retry_after_s <= 0.1
    ingest.store(late, BOB)
    [source] = shared_database.fetch("SELECT * FROM log_sources")
    assert source["refused_count"] >= 100


def test_a_refusal_names_the_limit_that_was_met(admission: Admission) -> None:
    with pytest.raises(TooMany) as records:
        admission.admit(ANN, 1000, 0)
        admission.admit(ANN, 100, 0)
    assert "100 records in a second" in str(records.value) and "records_per_s" in records.value.remedy
    with pytest.raises(TooMany) as volume:
        admission.admit_body(BOB, 10_000)
        admission.admit_body(BOB, 10_000)
    assert "1,000 bytes in a second" in str(volume.value) and "bytes_per_s" in volume.value.remedy
    with pytest.raises(TooMany) as system:
        admission.admit(SYSTEM, 10_000, 0)
        admission.admit(SYSTEM, 10_000, 0)
    assert "1000 records in a second" in str(system.value)
