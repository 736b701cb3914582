"""The scratch database is there for one run and gone after it, however the run ends."""

from __future__ import annotations

import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import psycopg2
import pytest
from sqlalchemy import make_url

from core.database import Database
from core.errors import ConfigurationError
from core.simulation.scratch import scratch_database

START = datetime(2030, 1, 7, tzinfo=UTC)


def _databases(postgres_url: str) -> set[str]:
    door = Database(postgres_url)
    try:
        return {row["datname"] for row in door.fetch("SELECT datname FROM pg_database WHERE datname LIKE 'panda_sim%'")}
    finally:
        door.close()


def test_it_is_made_on_the_given_server_and_dropped(postgres_url: str) -> None:
    before = _databases(postgres_url)
    with scratch_database(postgres_url, START) as (database, _):
        name = make_url(database.url).database
        assert _databases(postgres_url) - before == {name}
        assert database.fetch("SELECT count(*) AS n FROM jobs_live") == [{"n": 0}]
    assert _databases(postgres_url) == before


@pytest.mark.parametrize("ending", [RuntimeError, KeyboardInterrupt])
def test_it_is_dropped_when_the_run_breaks_off(postgres_url: str, ending: type[BaseException]) -> None:
    before = _databases(postgres_url)
    with pytest.raises(ending), scratch_database(postgres_url, START) as (database, _), database.transaction():
        raise ending
    assert _databases(postgres_url) == before


def test_a_role_that_may_make_no_database_is_told_what_to_do(postgres_url: str) -> None:
    door = Database(postgres_url)
    door.execute("CREATE ROLE simulates_nothing LOGIN")
    try:
        url = make_url(postgres_url).set(username="simulates_nothing").render_as_string(hide_password=False)
        with pytest.raises(ConfigurationError) as refused, scratch_database(url, START):
            pass
        assert refused.value.field == "database_url"
        assert "CREATEDB" in refused.value.remedy
    finally:
        door.execute("DROP ROLE simulates_nothing")
        door.close()


def test_a_server_that_does_not_answer_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(ConfigurationError) as refused,
        scratch_database(f"postgresql+psycopg2://panda@/panda?host={tmp_path}", START),
    ):
        pass
    assert refused.value.field == "database_url"


def test_without_a_server_one_is_started_and_leftovers_of_killed_runs_go(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory(prefix="panda-test-") as name:
        directory = Path(name)
        directory.chmod(0o711)
        monkeypatch.setattr(tempfile, "tempdir", name)
        left = directory / "panda-simulation-killed"
        left.mkdir()
        (left / "owner.lock").touch()
        foreign = directory / "panda-simulation-of-somebody"
        foreign.mkdir()
        with scratch_database("", START) as (database, _):
            socket = make_url(database.url).query["host"]
            assert database.fetch("SHOW fsync") == [{"fsync": "off"}]
            assert not left.exists()
            assert foreign.exists()
        assert os.listdir(name) == [foreign.name]  # noqa: PTH208
        with pytest.raises(psycopg2.OperationalError):
            psycopg2.connect(host=str(socket), user="panda", dbname="panda")
