"""Records on real PostgreSQL: stored and folded in one transaction, once per source, whoever races."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.clock import utc_now
from core.database import Database
from core.errors import InvalidInput, Unavailable
from logger.admission import Sender
from logger.batches import Batch, read_batch
from logger.events import Event
from logger.ingest import Ingested, RecordIngest
from logger.records import Record
from logger.rule_rows import forget
from logger.rules import RuleRow, record_event
from logger.store import IncidentStore
from tests.logger.builders import end_jobs, record

SITE = Sender("site", "t1", frozenset({"pilot"}))


@pytest.fixture
def store(database: Database) -> IncidentStore:
    return IncidentStore(database)


@pytest.fixture
def ingest(database: Database) -> RecordIngest:
    return RecordIngest(database)


def incidents(database: Database) -> list[dict[str, Any]]:
    return database.fetch("SELECT * FROM incidents ORDER BY incident_id")


def rows(database: Database) -> list[dict[str, Any]]:
    return database.fetch("SELECT * FROM log_records ORDER BY record_id")


def together(*calls: Callable[[], object]) -> None:
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# --- what becomes of records


def test_errors_fold_and_talk_does_not(database: Database, store: IncidentStore) -> None:
    batch = [record(), record("talk", level="INFO"), record("hm", level="WARNING"), record(), record(level="CRITICAL")]
    done = store.ingest_records({"records": batch, "dropped": 0}, "agents")
    assert (done.accepted, done.rejected, done.duplicate) == (5, 0, 0)
    (incident,) = incidents(database)
    assert incident["kind"] == "service" and incident["record_count"] == 3 and incident["severity"] == "critical"
    linked = database.fetch("SELECT count(*) AS n, count(incident_id) AS linked, max(emitter) AS who FROM log_records")
    assert linked == [{"n": 5, "linked": 3, "who": "agents"}]


def test_an_explicit_key_or_kind_folds_at_any_level(database: Database, store: IncidentStore) -> None:
    batch = [
        record("one", level="INFO", fingerprint="storage CERN"),
        record("two", level="INFO", fingerprint="storage CERN", component="other"),
        record("three", level="INFO", kind="data"),
    ]
    store.ingest_records({"records": batch}, "x")
    assert {(row["kind"], row["record_count"]) for row in incidents(database)} == {("service", 2), ("data", 1)}


def test_what_a_pilot_says_about_its_job_is_evidence_not_a_second_incident(
    database: Database, store: IncidentStore
) -> None:
    (panda_id,) = end_jobs(database)
    store.ingest_records({"records": [record("payload failed", component="pilot", panda_id=panda_id)]}, "pilot")
    assert incidents(database) == []
    assert [row["panda_id"] for row in rows(database)] == [panda_id]


def test_bad_records_are_rejected_with_reasons_and_the_others_kept(database: Database, store: IncidentStore) -> None:
    batch = [
        record("good"),
        "no object",
        record(message=None),
        record(code="abc"),
        record(kind="nonsense"),
        record(panda_id=2**70),
        record(panda_id=-1),
        record(fields=[1]),
        record(host={"a": 1}),
    ]
    done = store.ingest_records({"records": batch}, "x")
    assert (done.accepted, done.rejected) == (1, 8)
    assert any(reason.startswith("record 3: code: ") for reason in done.reasons)
    assert [row["message"] for row in rows(database)] == ["good"]


@pytest.mark.parametrize(
    "batch",
    [None, {}, {"records": {}}, {"records": [], "dropped": -1}, {"records": [{}] * 5001}, [{}] * 5001]
    + [{"records": [], "source": source} for source in (17, "x" * 65, "a\nb")],
)
def test_a_batch_that_is_none_is_refused(batch: object) -> None:
    with pytest.raises(InvalidInput):
        read_batch(batch)


def test_nothing_comes_from_the_future_and_nothing_odd_breaks_the_store(
    database: Database, store: IncidentStore
) -> None:
    odd = record(
        "'; DROP TABLE incidents; -- %s %(x)s\n2026-11-21 CRITICAL forged \x1b[2Jline \0 \ud800 \\N \t\\.",
        time=(datetime.now(UTC) + timedelta(days=400)).isoformat(),
        component="a\0b",
        traceback="x" * 100_000,
        fields={"a\0": "\0\ud800", "deep": {"a": [1, {"b": None}]}, "long": "y" * 100_000},
    )
    store.ingest_records({"records": [odd, record(time="1970-01-01T00:00:00Z")]}, "evil\0")
    row = database.fetch("SELECT * FROM log_records ORDER BY time DESC LIMIT 1")[0]
    assert row["time"] <= row["received_time"] and row["component"] == "ab" and row["level"] == "ERROR"
    assert len(row["traceback"]) < 16_384 and "forged line" in row["message"] and row["message"].endswith("\\N \t\\.")
    for incident in incidents(database):
        assert utc_now() - timedelta(days=2) < incident["first_seen"] <= incident["last_seen"] <= utc_now()


def test_a_loss_is_an_incident_of_its_component(database: Database, store: IncidentStore) -> None:
    done = store.ingest_records({"records": [record("talk", level="INFO")], "dropped": 17}, "x")
    assert done.accepted == 1
    told = rows(database)[-1]
    assert told["message"].startswith("17 log records of adder were lost") and told["fields"] == {"dropped": 17}
    (incident,) = incidents(database)
    assert (incident["kind"], incident["fingerprint"]) == ("service", "v1:records lost:adder")


def test_what_came_with_a_traceback_keeps_its_culprit_and_context(database: Database, store: IncidentStore) -> None:
    traceback = (
        'Traceback (most recent call last):\n  File "a.py", line 3, in f\n    g()\nOSError: [Errno 28] No space left'
    )
    store.ingest_records({"records": [record("could not write", traceback=traceback)] * 30}, "x")
    assert rows(database)[0]["culprit_line"].startswith("OSError: [Errno 28]")
    (context,) = database.fetch("SELECT lines FROM record_contexts GROUP BY lines")
    assert context["lines"] == traceback
    later = [record("could not write", traceback=traceback, time=_ago(number)) for number in range(30)]
    store.ingest_records({"records": later}, "x")
    assert len(database.fetch("SELECT 1 FROM record_contexts")) <= 20


def _ago(seconds: int) -> str:
    return (datetime.now(UTC) - timedelta(seconds=60 + seconds)).isoformat()


def test_many_emitters_at_once_make_one_incident(database: Database, store: IncidentStore) -> None:
    def send() -> None:
        for _ in range(10):
            store.ingest_records({"records": [record(f"broke {n}", component=f"c{n % 3}") for n in range(30)]}, "x")

    together(*[send] * 6)
    assert sorted(row["record_count"] for row in incidents(database)) == [600, 600, 600]


def test_incident_ids_are_not_used_up_by_what_is_there_already(database: Database, store: IncidentStore) -> None:
    for _ in range(20):
        store.ingest_records({"records": [record("the same")] * 5}, "x")
    store.ingest_records({"records": [record("another")]}, "x")
    assert [row["incident_id"] for row in incidents(database)] == [1, 2]


# --- once per source


def numbered(first: int, last: int, **batch: Any) -> Batch:
    entries = [record(f"step {seq} broke", seq=seq) for seq in range(first, last + 1)]
    return read_batch({"source": "boot1", "sent": utc_now().isoformat(), "dropped": 0, "records": entries, **batch})


def test_a_batch_that_is_sent_twice_is_stored_once(database: Database, ingest: RecordIngest) -> None:
    assert ingest.submit(numbered(1, 40, dropped=3), SITE) == Ingested(40, 0)
    again = ingest.submit(numbered(1, 40, dropped=3), SITE)
    assert (again.accepted, again.duplicate) == (0, 40)
    overlapping = ingest.submit(numbered(31, 50), SITE)
    assert (overlapping.accepted, overlapping.duplicate) == (10, 10)
    counts = {row["fingerprint"]: row["record_count"] for row in incidents(database)}
    assert sorted(counts.values()) == [1, 50]
    [source] = database.fetch("SELECT * FROM log_sources")
    assert (source["source"], source["last_seq"]) == ("site:boot1", 50)
    assert (source["record_count"], source["dropped_count"], source["host"]) == (50, 3, "node1")
    assert {row["source"] for row in rows(database)} == {"site:boot1"}


def test_two_processes_that_get_the_same_batch_at_once_store_it_once(database: Database) -> None:
    answers: list[Ingested] = []

    def send() -> None:
        for number in range(10):
            batch = numbered(number * 20 + 1, number * 20 + 20)
            answers.append(RecordIngest(database).submit(batch, SITE))

    together(*[send] * 4)
    assert sum(answer.accepted for answer in answers) == 200
    assert sum(answer.duplicate for answer in answers) == 600
    assert [row["record_count"] for row in incidents(database)] == [200]


def test_a_stream_is_its_senders_own(database: Database, ingest: RecordIngest) -> None:
    ingest.submit(numbered(1, 5), SITE)
    other = ingest.submit(numbered(1, 5), Sender("other", "t2", frozenset({"pilot"})))
    assert (other.accepted, other.duplicate) == (5, 0)
    assert len(database.fetch("SELECT 1 FROM log_sources")) == 2


def test_records_without_a_source_are_stored_as_often_as_they_come(database: Database, ingest: RecordIngest) -> None:
    batch = read_batch([record(seq=1)])
    assert [ingest.submit(batch, SITE).accepted for _ in range(3)] == [1, 1, 1]
    assert database.fetch("SELECT 1 FROM log_sources") == []


def test_the_senders_clock_and_token_are_kept_for_the_rules(database: Database, ingest: RecordIngest) -> None:
    late = numbered(1, 1, sent=(utc_now() - timedelta(seconds=90)).isoformat())
    ingest.submit(late, Sender("site", "t1", frozenset({"pilot"}), expiry_time=1_900_000_000))
    [source] = database.fetch("SELECT * FROM log_sources")
    assert 90_000 <= source["skew_ms"] < 95_000
    assert source["token_expiry"] == datetime.fromtimestamp(1_900_000_000, UTC)


def test_the_way_of_a_batch_is_not_taken_for_the_skew_of_a_clock(database: Database) -> None:
    now = utc_now()
    skews = []
    for seq, (way_s, later_s) in enumerate([(40, 0), (2, 1), (60, 2), (60, 62), (60, 200)], start=1):
        received = now + timedelta(seconds=later_s)
        batch = numbered(seq, seq, sent=(received - timedelta(seconds=way_s)).isoformat())
        RecordIngest(database, lambda received=received: received).submit(batch, SITE)
        skews.append(database.fetch("SELECT skew_ms FROM log_sources")[0]["skew_ms"])
    assert skews == [40_000, 2_000, 3_000, 60_000, 60_000]


def test_a_transaction_that_fails_stores_nothing_and_the_next_try_everything(
    database: Database, ingest: RecordIngest
) -> None:
    database.execute("ALTER TABLE log_records ADD CONSTRAINT no_more CHECK (message <> 'step 7 broke')")
    with pytest.raises(Exception, match="no_more"):
        ingest.submit(numbered(1, 10), SITE)
    assert rows(database) == [] and incidents(database) == []
    assert database.fetch("SELECT 1 FROM log_sources") == []
    database.execute("ALTER TABLE log_records DROP CONSTRAINT no_more")
    assert ingest.submit(numbered(1, 10), SITE).accepted == 10


def test_a_batch_that_cannot_be_stored_harms_no_other_that_meets_it(database: Database, ingest: RecordIngest) -> None:
    database.execute("ALTER TABLE log_records ADD CONSTRAINT no_evil CHECK (message <> 'evil')")
    failed: list[str] = []
    stored: list[int] = []

    def send(message: str) -> None:
        for _ in range(10):
            try:
                stored.append(ingest.submit(read_batch([record(message)]), SITE).accepted)
            except Exception as error:  # noqa: BLE001  (what the sender of the evil gets is what is asked)
                failed.append(f"{message}: {type(error).__name__}")

    together(*[lambda: send("evil"), *[lambda: send("good")] * 5])
    assert len(stored) == 50 and failed == ["evil: CheckViolation"] * 10
    assert [row["record_count"] for row in incidents(database)] == [50]


def test_a_database_that_is_away_is_said_to_be() -> None:
    away = Database("postgresql+psycopg2://nobody@127.0.0.1:1/none", pool_timeout_s=1)
    with pytest.raises(Unavailable):
        RecordIngest(away).submit(numbered(1, 3), SITE)
    away.close()


def test_a_record_that_the_rules_stumble_over_is_kept_with_the_others(
    database: Database, ingest: RecordIngest, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def stumbling(rules: Sequence[RuleRow], read: Record) -> Event | None:
        if "poison" in read.message:
            raise RecursionError("too deep")
        return record_event(rules, read)

    monkeypatch.setattr("logger.classifying.record_event", stumbling)
    assert ingest.submit(read_batch([record("poison"), record("good")]), SITE).accepted == 2
    assert {(row["message"], row["incident_id"] is None) for row in rows(database)} == {
        ("poison", True),
        ("good", False),
    }
    assert "cannot be classified" in caplog.text and "too deep" in caplog.text


def test_a_rule_that_operators_changed_decides_what_a_trouble_is(database: Database, ingest: RecordIngest) -> None:
    ingest.submit(read_batch([record(level="WARNING")]), SITE)
    assert incidents(database) == []
    database.execute("""UPDATE incident_rules SET parameters = '{"level": "WARNING"}' WHERE evaluator = 'record'""")
    forget(database)
    ingest.submit(read_batch([record(level="WARNING")]), SITE)
    assert [row["record_count"] for row in incidents(database)] == [1]


def test_records_that_a_deadlock_undid_are_stored_all_the_same(
    database: Database, ingest: RecordIngest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another transaction holds the incident of one trouble and waits for that of the other."""
    first, second = record("alpha broke", component="a"), record("omega broke", component="b")
    ingest.submit(read_batch([first, second]), SITE)
    one, two = sorted(row["fingerprint"] for row in incidents(database))
    lock = "SELECT 1 FROM incidents WHERE fingerprint = %(key)s FOR UPDATE"
    with database.transaction() as other:
        other.execute("SELECT set_config('deadlock_timeout', '60s', true)")  # it is the other's lot
        other.fetch(lock, {"key": two})
        stored: list[int] = []
        thread = threading.Thread(
            target=lambda: stored.append(ingest.submit(read_batch([first, second]), SITE).accepted)
        )
        thread.start()
        waiting = "SELECT count(*) AS n FROM pg_locks WHERE NOT granted"
        while database.fetch(waiting) == [{"n": 0}]:
            pass
        other.fetch(lock, {"key": one})
    thread.join()
    assert stored == [2]
    assert [row["record_count"] for row in incidents(database)] == [2, 2]
