"""The days of log_records: made ahead, filled from the default partition, dropped whole."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from core.configuration import Settings
from core.database import Database
from logger.agents import build_agents
from logger.retention import DAYS_AHEAD, keep_days, partition_name
from logger.store import IncidentStore
from tests.logger.builders import end_jobs, record

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def partitions(database: Database) -> dict[str, int]:
    rows = database.fetch("SELECT tableoid::regclass::text AS name, count(*) AS n FROM log_records GROUP BY 1")
    return {row["name"]: row["n"] for row in rows}


def exists(database: Database, day: date) -> bool:
    row = database.fetch("SELECT to_regclass(%(name)s) IS NOT NULL AS there", {"name": partition_name(day)})
    return bool(row[0]["there"])


def send(database: Database, now: datetime, count: int = 1) -> None:
    IncidentStore(database, lambda: now).ingest_records({"records": [record()] * count}, "x")


def test_days_are_made_ahead_and_early_records_move_into_theirs(database: Database) -> None:
    send(database, NOON, 3)
    assert partitions(database) == {"log_records_default": 3}
    assert keep_days(database, lambda: NOON) == DAYS_AHEAD + 1
    assert partitions(database) == {"log_records_20261121": 3}
    send(database, NOON + timedelta(days=1))
    assert partitions(database) == {"log_records_20261121": 3, "log_records_20261122": 1}
    assert keep_days(database, lambda: NOON) == 0
    assert keep_days(database, lambda: NOON + timedelta(days=1)) == 1
    indexes = database.fetch("SELECT count(*) AS n FROM pg_indexes WHERE tablename = 'log_records_20261121'")
    assert indexes == [{"n": 4}]


def test_ids_go_on_counting_across_days(database: Database) -> None:
    keep_days(database, lambda: NOON)
    for day in range(3):
        send(database, NOON + timedelta(days=day), 2)
    assert database.fetch("SELECT count(DISTINCT record_id) AS n FROM log_records") == [{"n": 6}]


def test_old_days_are_dropped_whole_with_strays_in_the_default_partition(database: Database) -> None:
    send(database, NOON - timedelta(days=40))
    keep_days(database, lambda: NOON - timedelta(days=31))
    send(database, NOON - timedelta(days=31))
    send(database, NOON)
    keep_days(database, lambda: NOON)
    assert not exists(database, (NOON - timedelta(days=31)).date())
    assert exists(database, NOON.date())
    assert partitions(database) == {"log_records_20261121": 1}


def test_a_busy_table_is_left_for_the_next_round(database: Database) -> None:
    with database.transaction() as reader:
        reader.execute("LOCK TABLE log_records_default IN ACCESS SHARE MODE")
        reader.execute("LOCK TABLE log_records IN SHARE MODE")
        other = Database(database.url)
        assert keep_days(other, lambda: NOON) == 0
        other.close()
    assert keep_days(database, lambda: NOON) == DAYS_AHEAD + 1


def test_the_agents_do_their_round(database: Database, database_url: str) -> None:
    end_jobs(database, 3)
    builder, watcher, retention = build_agents(database, Settings(database_url=database_url))
    assert [builder.cycle(), builder.cycle(), watcher.cycle(), retention.cycle()] == [3, 0, 0, 0]
    assert len({agent.name for agent in (builder, watcher, retention)}) == 3
    assert exists(database, datetime.now(UTC).date())
