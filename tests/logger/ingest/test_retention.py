"""The days of log_records: made ahead, counted, thinned by severity as they age, dropped whole."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest

from core.configuration import Settings
from core.database import Database
from core.incident_settings import IngestSettings
from logger.agents import Retention, build_agents
from logger.retention import DAYS_AHEAD, count_hours, keep_days, kept_from, partition_name
from logger.store import IncidentStore
from tests.logger.builders import record
from tests.support.races import waiting

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
DAY = timedelta(days=1)
INDEXES = 6
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def partitions(database: Database) -> dict[str, int]:
    rows = database.fetch("SELECT tableoid::regclass::text AS name, count(*) AS n FROM log_records GROUP BY 1")
    return {row["name"]: row["n"] for row in rows}


def exists(database: Database, day: date) -> bool:
    row = database.fetch("SELECT to_regclass(%(name)s) IS NOT NULL AS there", {"name": partition_name(day)})
    return bool(row[0]["there"])


def indexes(database: Database, day: date) -> int:
    statement = "SELECT count(*) AS n FROM pg_indexes WHERE tablename = %(name)s"
    return int(database.fetch(statement, {"name": partition_name(day)})[0]["n"])


def send(database: Database, now: datetime, count: int = 1, **fields: object) -> None:
    store = IncidentStore(database, lambda: now)
    store.ingest_records({"records": [record(time=now.isoformat(), **fields)] * count}, "x")


def levels(database: Database, day: datetime) -> list[str]:
    statement = "SELECT level FROM log_records WHERE received_time::date = %(day)s ORDER BY severity_number"
    return [row["level"] for row in database.fetch(statement, {"day": day.date()})]


@pytest.fixture
def aged(database: Database) -> Iterator[Database]:
    """A day with a record of each level."""
    keep_days(database, lambda: NOON)
    for level in LEVELS:
        send(database, NOON, level=level, message=f"said at {level}")
    yield database


def test_days_are_made_ahead_and_early_records_move_into_theirs(database: Database) -> None:
    send(database, NOON, 3)
    assert partitions(database) == {"log_records_default": 3}
    assert keep_days(database, lambda: NOON) == DAYS_AHEAD + 1
    assert partitions(database) == {"log_records_20261121": 3}
    send(database, NOON + DAY)
    assert partitions(database) == {"log_records_20261121": 3, "log_records_20261122": 1}
    assert keep_days(database, lambda: NOON) == 0
    assert keep_days(database, lambda: NOON + DAY) == 1
    assert indexes(database, NOON.date()) == INDEXES


def test_ids_go_on_counting_across_days(database: Database) -> None:
    keep_days(database, lambda: NOON)
    for day in range(3):
        send(database, NOON + day * DAY, 2)
    assert database.fetch("SELECT count(DISTINCT record_id) AS n FROM log_records") == [{"n": 6}]


def test_old_days_are_dropped_whole_with_strays_in_the_default_partition(database: Database) -> None:
    send(database, NOON - 100 * DAY)
    keep_days(database, lambda: NOON - 91 * DAY)
    send(database, NOON - 91 * DAY)
    send(database, NOON)
    keep_days(database, lambda: NOON)
    assert not exists(database, (NOON - 91 * DAY).date())
    assert exists(database, NOON.date())
    assert partitions(database) == {"log_records_20261121": 1}


def test_a_day_keeps_warnings_for_a_month_and_errors_for_three(aged: Database) -> None:
    for days, kept in ((7, LEVELS), (8, LEVELS[2:]), (30, LEVELS[2:]), (31, LEVELS[3:]), (90, LEVELS[3:]), (91, ())):
        keep_days(aged, lambda days=days: NOON + days * DAY)
        assert levels(aged, NOON) == list(kept), days
    assert not exists(aged, NOON.date())


def test_a_thinned_day_is_a_partition_like_the_others(aged: Database) -> None:
    keep_days(aged, lambda: NOON + 8 * DAY)
    assert partitions(aged) == {"log_records_20261121": 3}
    assert indexes(aged, NOON.date()) == INDEXES
    rows = aged.fetch("SELECT message, incident_id, fields FROM log_records ORDER BY severity_number")
    assert [row["message"] for row in rows] == ["said at WARNING", "said at ERROR", "said at CRITICAL"]
    constraints = (
        "SELECT count(*) AS n FROM pg_constraint WHERE conrelid = 'log_records_20261121'::regclass AND contype = 'c'"
    )
    assert aged.fetch(constraints) == [{"n": 0}]
    [day] = aged.fetch("SELECT * FROM record_days WHERE day = '2026-11-21'")
    assert (day["kept_from"], day["row_count"], day["thinned_time"]) == (30, 3, NOON + 8 * DAY)
    assert day["size_bytes"] > 0
    assert keep_days(aged, lambda: NOON + 8 * DAY) == 0


def test_rows_of_an_older_release_are_thinned_by_their_level(aged: Database) -> None:
    aged.execute("UPDATE log_records SET severity_number = 0")
    keep_days(aged, lambda: NOON + 31 * DAY)
    assert sorted(levels(aged, NOON)) == ["CRITICAL", "ERROR"]


def test_strays_are_thinned_too(database: Database) -> None:
    for level in LEVELS:
        send(database, NOON, level=level)
    assert partitions(database) == {"log_records_default": 5}
    keep_days(database, lambda: NOON + 8 * DAY)
    assert levels(database, NOON) == list(LEVELS[2:])


def test_an_installation_may_keep_less(aged: Database) -> None:
    limits = IngestSettings(keep_info_d=1, keep_warning_d=2, keep_error_d=3)
    keep_days(aged, lambda: NOON + 2 * DAY, limits)
    assert levels(aged, NOON) == list(LEVELS[2:])
    keep_days(aged, lambda: NOON + 4 * DAY, limits)
    assert levels(aged, NOON) == []
    assert kept_from(date(2026, 1, 1), date(2026, 1, 4), limits) == 40


def test_hours_are_counted_once_they_are_over_and_before_anything_is_thinned(aged: Database) -> None:
    hours = "SELECT hour, component, level, record_count FROM log_hours ORDER BY hour, level"
    count_hours(aged, NOON + timedelta(minutes=59))
    assert aged.fetch(hours) == []
    keep_days(aged, lambda: NOON + 40 * DAY)
    counted = aged.fetch(hours)
    assert {row["level"]: row["record_count"] for row in counted} == dict.fromkeys(LEVELS, 1)
    assert {(row["hour"], row["component"]) for row in counted} == {(NOON, "adder")}
    count_hours(aged, NOON + 41 * DAY)
    assert aged.fetch(hours) == counted


def test_what_was_collapsed_counts_as_often_as_it_was_said(database: Database) -> None:
    send(database, NOON, 500, level="INFO")
    count_hours(database, NOON + DAY)
    assert database.fetch("SELECT level, record_count FROM log_hours") == [{"level": "INFO", "record_count": 500}]


def test_who_invents_components_and_levels_does_not_make_the_counts_grow(database: Database) -> None:
    for start in range(0, 2500, 500):
        records = [record(component=f"c{n}", level=f"L{n}", time=NOON.isoformat()) for n in range(start, start + 500)]
        IncidentStore(database, lambda: NOON).ingest_records({"records": [*records, record(level="INFO")]}, "x")
    count_hours(database, NOON + DAY)
    [counted] = database.fetch("SELECT count(*) AS n, sum(record_count) AS of, min(level) AS level FROM log_hours")
    assert (counted["n"], counted["of"], counted["level"]) == (2001, 2505, "INFO")
    [rest] = database.fetch("SELECT record_count FROM log_hours WHERE component = ''")
    assert rest["record_count"] == 501
    [named] = database.fetch("SELECT record_count FROM log_hours WHERE component = 'adder'")
    assert named["record_count"] == 5


def test_silent_senders_and_old_counts_are_forgotten(database: Database) -> None:
    database.execute(
        "INSERT INTO log_sources (source, last_seen) VALUES ('old', %(old)s), ('new', %(new)s)",
        {"old": NOON - 8 * DAY, "new": NOON - 6 * DAY},
    )
    database.execute(
        "INSERT INTO log_hours (hour, component, level) VALUES (%(old)s, 'c', 'INFO')", {"old": NOON - 1200 * DAY}
    )
    keep_days(database, lambda: NOON)
    assert database.fetch("SELECT source FROM log_sources") == [{"source": "new"}]
    assert database.fetch("SELECT 1 FROM log_hours") == []


def test_a_busy_table_is_left_for_the_next_round(aged: Database) -> None:
    other = Database(aged.url)
    with aged.transaction() as reader:
        reader.execute("LOCK TABLE log_records IN SHARE MODE")
        assert keep_days(other, lambda: NOON + 8 * DAY) == 0
        assert levels(other, NOON) == list(LEVELS)
    assert keep_days(other, lambda: NOON + 8 * DAY) == DAYS_AHEAD + 2
    other.close()
    assert levels(aged, NOON) == list(LEVELS[2:])


def test_a_round_that_cannot_exchange_a_day_leaves_it_as_it_was(aged: Database) -> None:
    keep_days(aged, lambda: NOON + 7 * DAY)
    keep_days(aged, lambda: NOON + 8 * DAY, IngestSettings(keep_info_d=20))
    other = Database(aged.url)
    with aged.transaction() as reader:
        reader.fetch("SELECT count(*) FROM log_records")
        assert keep_days(other, lambda: NOON + 8 * DAY) == 0
    other.close()
    assert levels(aged, NOON) == list(LEVELS)
    assert aged.fetch("SELECT to_regclass('log_records_20261121_thinned') IS NULL AS gone") == [{"gone": True}]


def test_the_agent_of_the_store_keeps_the_days(database: Database) -> None:
    agents = build_agents(database, Settings(database_url=database.url))
    [retention] = [agent for agent in agents if isinstance(agent, Retention)]
    assert retention.cycle() == 0
    assert exists(database, datetime.now(UTC).date())


def test_a_record_that_waits_while_its_day_is_made_is_stored_once(database: Database) -> None:
    store = IncidentStore(database, lambda: NOON)
    batch = [{**record(time=NOON.isoformat()), "seq": 1}]

    def send_one() -> tuple[int, int]:
        done = store.ingest_records({"records": batch, "source": "p-1"}, "x")
        return done.accepted, done.duplicate

    days = Database(database.url)
    with days.transaction() as reader:
        # the keeper waits for the reader of the default partition, and the record for the keeper
        reader.fetch("SELECT count(*) FROM log_records_default")
        keeper = waiting(database, lambda: keep_days(days, lambda: NOON), "LOCK TABLE log_records_default")
        with keeper, waiting(database, send_one, "COPY"):
            reader.execute("COMMIT")
    days.close()
    assert sum(partitions(database).values()) == 1
    assert send_one() == (0, 1), "numbered records that come again are known"
    assert sum(partitions(database).values()) == 1
