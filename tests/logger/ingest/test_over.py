"""A trouble ends when the part that told of it says so, for a reason that people can read; not otherwise."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.database import Database
from logger.admission import Sender
from logger.batches import Batch
from logger.ingest import RecordIngest
from tests.logger.builders import record

SUPERVISOR = Sender("op", "t1", frozenset({"admin"}))
KEY = "process ended:api-1"
NOW = datetime.now(UTC)


@pytest.fixture
def ingest(database: Database) -> RecordIngest:
    return RecordIngest(database)


def killed(minute: int = 0) -> dict[str, Any]:
    time = (NOW + timedelta(minutes=minute - 30)).isoformat()
    return record("was killed by SIGKILL", component="api-1", kind="service", fingerprint=KEY, time=time)


def over(minute: int, **changes: Any) -> dict[str, Any]:
    said = {"component": "api-1", "level": "INFO", "fields": {"over": KEY}, **changes}
    return record("has run for 60 s since", time=(NOW + timedelta(minutes=minute - 30)).isoformat(), **said)


def states(database: Database) -> list[tuple[str, str, str, int]]:
    found = database.fetch("SELECT * FROM incidents ORDER BY incident_id")
    return [(row["state"], row["resolution"], row["resolved_by"], row["record_count"]) for row in found]


def test_who_told_of_a_trouble_says_that_it_is_over(database: Database, ingest: RecordIngest) -> None:
    ingest.submit(Batch([killed()]), SUPERVISOR)
    ingest.submit(Batch([over(1)]), SUPERVISOR)
    ended = ("resolved", "has run for 60 s since", "component api-1", 1)
    assert states(database) == [ended]
    (told,) = database.fetch(
        "SELECT a.who, a.comment FROM incident_activity a WHERE a.action = 'resolve' AND a.change_seq = 2"
    )
    assert (told["who"], told["comment"]) == ("component api-1", "has run for 60 s since")

    # said again it opens nothing, and the same trouble soon after is the same incident
    ingest.submit(Batch([over(2)]), SUPERVISOR)
    assert states(database) == [ended]
    ingest.submit(Batch([killed(3)]), SUPERVISOR)
    assert [state for state, *_ in states(database)] == ["reopened"]


def test_all_of_it_in_one_batch_that_came_late(database: Database, ingest: RecordIngest) -> None:
    ingest.submit(Batch([killed(0), over(1), killed(2), over(3)]), SUPERVISOR)
    assert [(state, count) for state, _, _, count in states(database)] == [("resolved", 2)]


def test_what_happened_again_since_is_not_over(database: Database, ingest: RecordIngest) -> None:
    ingest.submit(Batch([killed(0), over(1), killed(2)]), SUPERVISOR)
    ingest.submit(Batch([over(1)]), SUPERVISOR)
    assert [state for state, *_ in states(database)] == ["open"]


@pytest.mark.parametrize(
    "said", [True, "", None, {"a": 1}, [None, 7, [KEY]], "process ended:api-2", ["x"] * 20 + [KEY]]
)
def test_only_its_own_key_ends_it(database: Database, ingest: RecordIngest, said: object) -> None:
    ingest.submit(Batch([killed()]), SUPERVISOR)
    ingest.submit(Batch([over(1, fields={"over": said})]), SUPERVISOR)
    assert [(state, count) for state, _, _, count in states(database)] == [("open", 1)]


def test_several_troubles_end_with_one_sentence(database: Database, ingest: RecordIngest) -> None:
    ingest.submit(Batch([killed(), {**killed(), "fingerprint": "process hung:api-1"}]), SUPERVISOR)
    ingest.submit(Batch([over(1, fields={"over": [KEY, "process  hung:api-1", "nothing"]})]), SUPERVISOR)
    assert [state for state, *_ in states(database)] == ["resolved", "resolved"]


def test_a_user_ends_nothing_by_a_record_and_a_persons_decision_stays(database: Database, ingest: RecordIngest) -> None:
    ingest.submit(Batch([killed()]), SUPERVISOR)
    ingest.submit(Batch([over(1)]), Sender("ann", "t2"))
    assert [(state, count) for state, _, _, count in states(database)] == [("open", 1)]
    database.execute("UPDATE incidents SET held_by = 'ann', state = 'acknowledged'")
    ingest.submit(Batch([over(1)]), SUPERVISOR)
    assert [state for state, *_ in states(database)] == ["acknowledged"]


def test_a_pilot_ends_what_it_told_itself_and_nothing_of_others(database: Database, ingest: RecordIngest) -> None:
    pilots = Sender("site", "t3", frozenset({"pilot"}))
    ingest.submit(Batch([killed()]), SUPERVISOR)
    ingest.submit(Batch([{**killed(), "fingerprint": "disk of wn1"}]), pilots)
    ingest.submit(Batch([over(1, fields={"over": [KEY, "disk of wn1"]})]), pilots)
    assert [state for state, *_ in states(database)] == ["open", "resolved"]
    one_batch = [{**killed(), "fingerprint": "disk of wn2"}, over(1, fields={"over": "disk of wn2"})]
    ingest.submit(Batch(one_batch), pilots)
    assert [state for state, *_ in states(database)] == ["open", "resolved", "resolved"]


def test_what_a_rule_measures_or_jobs_fail_of_is_not_ended_by_a_record(
    database: Database, ingest: RecordIngest
) -> None:
    for change in ("rule_name = 'process ended'", "job_count = 3, kind = 'failure_burst'", "kind = 'manual'"):
        ingest.submit(Batch([killed()]), SUPERVISOR)
        database.execute(f"UPDATE incidents SET {change}")
        ingest.submit(Batch([over(1)]), SUPERVISOR)
        assert [state for state, *_ in states(database)] == ["open"]
        database.execute("TRUNCATE incidents CASCADE")


def test_who_lost_records_is_well_again_when_nothing_is_lost_for_ten_minutes(database: Database) -> None:
    passed = timedelta()
    ingest = RecordIngest(database, lambda: NOW + passed)
    ann = Sender("ann", "t2")

    def batch(source: str, number: int, dropped: int = 0) -> Batch:
        return Batch([record("talk", level="INFO", component="mover", seq=number)], dropped=dropped, source=source)

    ingest.submit(batch("one", 1, dropped=5), ann)
    passed = timedelta(minutes=5)
    ingest.submit(batch("two", 1, dropped=3), ann)
    passed = timedelta(minutes=12)
    assert ingest.submit(batch("one", 2), ann).accepted == 1
    assert [(state, count) for state, _, _, count in states(database)] == [("open", 2)], "the other lost some later"
    passed = timedelta(minutes=16)
    assert ingest.submit(batch("two", 2), ann).accepted == 1
    ((state, why, who, count),) = states(database)
    assert (state, count) == ("resolved", 2)
    assert "no log records of mover were lost for 10 minutes" in why and who == "component mover"
    (source,) = database.fetch("SELECT sum(dropped_count) AS dropped, sum(record_count) AS n FROM log_sources")
    assert (source["dropped"], source["n"]) == (8, 4)
