"""The schema comes up once, however many processes start, and newer databases are left alone."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Iterator

import psycopg2
import pytest
from alembic import command
from sqlalchemy import make_url
from sqlmodel import SQLModel

import core.models  # noqa: F401  (fills the metadata)
from core.database import Database, migrate
from core.database.migrate import alembic_config
from core.errors import ConfigurationError, Unavailable

_MIGRATE = "import sys; from core.database import Database, migrate; print(migrate(Database(sys.argv[1])))"


def administer(url: str, statement: str) -> None:
    address = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    connection = psycopg2.connect(address)
    connection.autocommit = True
    try:
        connection.cursor().execute(statement)
    finally:
        connection.close()


@pytest.fixture
def empty_url(postgres_url: str) -> Iterator[str]:
    """A database without a schema."""
    name = f"empty_{uuid.uuid4().hex[:12]}"
    administer(postgres_url, f"CREATE DATABASE {name}")
    yield make_url(postgres_url).set(database=name).render_as_string(hide_password=False)
    administer(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")


def tables(database: Database) -> set[str]:
    rows = database.fetch("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
    return {row["table_name"] for row in rows}


def test_processes_that_start_together_bring_up_one_schema(empty_url):
    program = [sys.executable, "-c", _MIGRATE, empty_url]
    started = [subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    said = [process.communicate(timeout=120) for process in started]
    assert [process.returncode for process in started] == [0, 0, 0], said
    assert len({out for out, _ in said}) == 1
    database = Database(empty_url)
    assert set(SQLModel.metadata.tables) <= tables(database)
    assert len(database.fetch("SELECT 1 FROM alembic_version")) == 1
    database.close()


def test_a_database_that_is_up_to_date_is_left_alone(database):
    before = tables(database)
    version = migrate(database)
    assert migrate(database) == version
    assert tables(database) == before


def test_a_database_of_a_newer_release_is_refused_and_untouched(database):
    database.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(ConfigurationError) as refused:
        migrate(database)
    assert "9999" in refused.value.detail
    assert "newer release" in refused.value.remedy
    assert database.fetch("SELECT version_num FROM alembic_version") == [{"version_num": "9999"}]


def test_the_models_and_the_migrations_agree(database):
    """Every column of every model is in the migrated database, and no other."""
    rows = database.fetch(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"
    )
    found: dict[str, set[str]] = {}
    for row in rows:
        found.setdefault(row["table_name"], set()).add(row["column_name"])
    for name, table in SQLModel.metadata.tables.items():
        assert found[name] == {column.name for column in table.columns}, name


def test_a_database_that_is_away_is_unavailable(postgres_url):
    with pytest.raises(Unavailable) as refused:
        migrate(Database(make_url(postgres_url).set(database="nowhere").render_as_string(hide_password=False)))
    assert refused.value.remedy


def test_a_database_of_the_release_before_gets_the_hours_of_its_minutes(empty_url):
    command.upgrade(alembic_config(empty_url), "0001")
    database = Database(empty_url)
    database.execute(
        """
        INSERT INTO throughput_minutes (bin_time, computing_site, job_status, prod_source_label, job_count)
        SELECT '2026-11-21 10:00+00'::timestamptz + make_interval(mins => i), 'CERN', 'failed', 'user', 2
        FROM generate_series(0, 80) i
        """
    )
    database.execute(
        "INSERT INTO agent_runs (name, cursor) "
        "VALUES ('rollups', extract(epoch FROM '2026-11-21 11:20+00'::timestamptz)::bigint)"
    )
    migrate(database)
    (row,) = database.fetch("SELECT * FROM throughput_hours")
    assert (row["bin_time"].hour, row["computing_site"], row["job_count"]) == (10, "CERN", 120)
    command.downgrade(alembic_config(empty_url), "0001")
    assert "throughput_hours" not in tables(database)
    database.close()
