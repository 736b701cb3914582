"""What an examiner would send to a real server: each is refused with the field and what to do, or stored and harmless."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.clock import utc_now
from tests.logger.builders import record
from tests.support.system import RunningSystem, running_system

PATH = "/api/logger/records"


@pytest.fixture(scope="module")
def house(module_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSystem]:
    with running_system(module_database_url, tmp_path_factory.mktemp("house"), agents=False) as system:
        yield system


def send(house: RunningSystem, *entries: dict[str, Any]) -> dict[str, Any]:
    """What the server says of a batch; written out, so that lone surrogates are sent as they are."""
    body = json.dumps({"records": entries}).encode()
    answer = house.client("site", "pilot").post(PATH, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("panda_id", 10**30), ("panda_id", 2**63), ("panda_id", -1), ("panda_id", 1.5), ("panda_id", True)),
        *(("jedi_task_id", 2**63), ("code", 10**30), ("fingerprint", ["a"]), ("fields", [1]), ("level", ["ERROR"])),
        *(("message", None), ("message", ["x"]), ("kind", "nonsense")),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused_by_its_field_and_the_others_are_kept(
    house: RunningSystem, field: str, value: object
) -> None:
    answer = send(house, {**record("bad"), field: value}, record("good"))
    assert (answer["accepted"], answer["rejected"]) == (1, 1)
    [reason] = answer["reasons"]
    assert reason.startswith(f"record 0: {field}: ") and reason.endswith(")")  # what to do, in parentheses


@pytest.mark.parametrize(
    "strange",
    [
        *({"time": 1e300}, {"time": -1e18}, {"time": [1]}, {"time": "0000-00-00"}, {"time": "99999-01-01T00:00:00Z"}),
        *({"time": "0001-01-01T00:00:00+14:00"}, {"time": "9999-12-31T23:59:59-14:00"}, {"seq": 2**63}, {"seq": -5}),
        *({"component": "\ud83d", "fingerprint": "\udcff"}, {"fingerprint": "\x00"}, {"fingerprint": "f" * 100_000}),
        *({"component": "c" * 100_000, "host": "h" * 100_000}, {"traceback": ["a"]}, {"severity": "zzz"}),
        {"fields": {"": "", "\x00": 1, "\ud800": 2, "deep": json.loads('{"a":' * 900 + "1" + "}" * 900)}},
        {f"extra{number}": number for number in range(10_000)},
    ],
    ids=range(17),
)
def test_what_can_be_kept_is_kept_within_bounds(house: RunningSystem, strange: dict[str, Any]) -> None:
    assert send(house, {**record("strange", level="ERROR"), **strange})["accepted"] == 1
    [row] = house.database.fetch("SELECT * FROM log_records ORDER BY record_id DESC LIMIT 1")
    assert row["message"] == "strange" and row["incident_id"] is not None
    assert row["time"] <= utc_now()
    assert len(json.dumps(row, default=str)) < 30_000
    shown = house.client("olga", "operator").get(f"/api/monitor/incident/{row['incident_id']}")
    assert shown.status_code == 200, shown.text


def test_records_in_the_wrong_order_are_one_incident_from_the_first_to_the_last(house: RunningSystem) -> None:
    start = utc_now().astimezone(UTC) - timedelta(hours=1)
    times = [start + timedelta(minutes=minute) for minute in (30, 5, 55, 1, 40)]
    for time in times:
        send(house, record("the belt stands still", level="ERROR", component="belt", time=time.isoformat()))
    [row] = house.database.fetch("SELECT * FROM incidents WHERE component = 'belt'")
    assert (row["first_seen"], row["last_seen"], row["record_count"]) == (min(times), max(times), len(times))


def test_a_key_is_the_same_however_its_accents_are_written(house: RunningSystem) -> None:
    send(house, record("one", fingerprint="caf\u00e9 is closed"), record("two", fingerprint="cafe\u0301 is closed"))
    found = house.database.fetch("SELECT record_count FROM incidents WHERE fingerprint LIKE '%%caf\u00e9 is closed'")
    assert [row["record_count"] for row in found] == [2]


def test_what_would_be_obeyed_is_text(house: RunningSystem) -> None:
    """Escapes, line ends that forge a line, text that runs backwards, markup."""
    send(
        house, record("\x1b[31mred\r\n2026-01-01 CRITICAL forged\u2028\u202e<script>", level="ERROR", component="forge")
    )
    [row] = house.database.fetch("SELECT title FROM incidents WHERE component = 'forge'")
    assert row["title"].isprintable() and "\u202e" not in row["title"] and "<script>" in row["title"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        *(("state=%00", "state"), ("q=%00", "q"), ("incident_id=99999999999999999999", "incident_id")),
        *(("jedi_task_id=9999999999999999999999", "jedi_task_id"), ("code=1e99", "code"), ("days=1e99", "days")),
        *(("limit=99999999999999999999", "limit"), ("cursor=abc", "cursor"), ("cursor=%00", "cursor")),
    ],
)
def test_a_question_that_cannot_be_meant_is_refused_by_its_field(house: RunningSystem, query: str, field: str) -> None:
    answer = house.client("olga", "operator").get(f"/api/monitor/incidents?{query}")
    assert answer.status_code == 422, answer.text
    assert answer.json()["field"] == field and answer.json()["remedy"]


def test_an_hour_that_is_to_come_is_now(house: RunningSystem) -> None:
    ahead = datetime(9999, 1, 1, tzinfo=UTC)
    send(house, record("from the future", level="ERROR", component="prophet", time=ahead.isoformat()))
    [row] = house.database.fetch("SELECT last_seen FROM incidents WHERE component = 'prophet'")
    assert row["last_seen"] <= utc_now()
