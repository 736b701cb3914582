"""What the monitor shows of records: found by what people look for, counted once, with their senders."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from core.clock import utc_now
from logger.batches import read_batch
from logger.ingest import OURSELVES, RecordIngest
from logger.retention import count_hours
from tests.logger.builders import end_jobs, record
from tests.support.system import RunningSystem, running_system

MONITOR = "/api/monitor"


@pytest.fixture(scope="module")
def house(module_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSystem]:
    """A server with some records: two hours old, and now."""
    with running_system(module_database_url, tmp_path_factory.mktemp("house"), agents=False) as system:
        [job] = end_jobs(system.database)
        old = RecordIngest(system.database, lambda: utc_now() - timedelta(hours=2))
        old.submit(read_batch([record("of yore", level="INFO", component="mover", jedi_task_id=71)]), OURSELVES)
        new = [
            *[record(f"Disk {n} is FULL at 100%", component="mover", host=f"wn{n}") for n in range(30)],
            record("payload failed", component="pilot", panda_id=job, level="WARNING", user="ann"),
            *[record("talk", level="INFO", component="chat")] * 80,
        ]
        batch = {"source": "b1", "sent": utc_now().isoformat(), "dropped": 2, "records": new}
        RecordIngest(system.database).submit(read_batch(batch), OURSELVES)
        yield system


@pytest.fixture(scope="module")
def reader(house: RunningSystem) -> httpx.Client:
    return house.client("ann")


def messages(reader: httpx.Client, **asked: object) -> list[str]:
    answer = reader.get(f"{MONITOR}/records", params={name: str(value) for name, value in asked.items()})
    assert answer.status_code == 200, answer.text
    return [row["message"] for row in answer.json()["records"]]


def test_records_are_found_by_what_people_look_for(house: RunningSystem, reader: httpx.Client) -> None:
    assert len(messages(reader, component="mover", level="ERROR")) == 30
    assert messages(reader, host="wn7") == ["Disk 7 is FULL at 100%"]
    assert messages(reader, q="disk 11 is full") == ["Disk 11 is FULL at 100%"]
    assert len(messages(reader, q="100%")) == 30
    assert messages(reader, q="100_") == []
    assert set(messages(reader, severity="warning", component="pilot|chat")) == {"payload failed"}
    assert messages(reader, jedi_task_id=71) == ["of yore"]
    assert messages(reader, component="mover", hours=3)[-1] == "of yore"
    assert messages(reader, user="ann", level="WARNING") == ["payload failed"]
    [job] = house.database.fetch("SELECT panda_id FROM jobs_archive")
    assert messages(reader, pandaid=job["panda_id"]) == ["payload failed"]
    [incident] = house.database.fetch("SELECT incident_id FROM incidents WHERE record_count = 30")
    assert len(messages(reader, incident_id=incident["incident_id"])) == 30


def test_pages_follow_each_other_without_gap_or_repetition(reader: httpx.Client) -> None:
    seen: list[int] = []
    cursor = ""
    while True:
        answer = reader.get(f"{MONITOR}/records", params={"limit": "25", "cursor": cursor}).json()
        seen += [row["record_id"] for row in answer["records"]]
        cursor = answer["next_cursor"]
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) and seen == sorted(seen, reverse=True)
    assert len(seen) == 30 + 1 + 1 + 51 + 0  # the loss is a record, and of the talk one row stands for thirty


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"severity": "LOUD"}, "severity"),
        ({"q": "a"}, "q"),
        ({"cursor": "x"}, "cursor"),
        ({"panda_id": "x"}, "panda_id"),
    ],
)
def test_what_makes_no_sense_is_named(reader: httpx.Client, asked: dict[str, str], field: str) -> None:
    answer = reader.get(f"{MONITOR}/records", params=asked)
    assert answer.status_code == 422 and answer.json()["field"] == field


def counted(reader: httpx.Client, **asked: str) -> dict[str, Any]:
    answer: dict[str, Any] = reader.get(f"{MONITOR}/record-counts", params=asked).json()
    return answer


def test_counts_say_the_same_before_and_after_an_hour_is_counted(house: RunningSystem, reader: httpx.Client) -> None:
    before = counted(reader)
    assert before["count"] == 1 + 30 + 1 + 80 + 1
    mover = next(row for row in before["components"] if row["component"] == "mover")
    assert (mover["count"], mover["levels"]) == (32, {"ERROR": 30, "INFO": 1, "WARNING": 1})
    assert before["components"][0]["component"] == "chat"
    count_hours(house.database, utc_now())
    after = counted(reader)
    assert house.database.fetch("SELECT count(*) AS n FROM log_hours") != [{"n": 0}]
    assert (after["hours"], after["components"]) == (before["hours"], before["components"])
    assert counted(reader, component="chat", level="INFO")["count"] == 80


def test_senders_are_shown_with_what_was_lost(reader: httpx.Client) -> None:
    [sender] = reader.get(f"{MONITOR}/senders", params={"host": "wn*"}).json()["senders"]
    assert (sender["emitter"], sender["component"], sender["host"]) == ("logger", "mover", "wn0")
    assert (sender["record_count"], sender["dropped_count"], sender["refused_count"]) == (111, 2, 0)
    assert abs(sender["skew_ms"]) < 5000
    assert reader.get(f"{MONITOR}/senders", params={"host": "none"}).json()["senders"] == []
