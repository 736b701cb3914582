"""Virtual time reaches every statement, default and connection of its database, and no other."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from core.agents.setupper import Setupper
from core.database import Database
from core.database.prepared import PreparedStatement
from core.simulation.clock import VirtualClock
from core.simulation.scratch import scratch_database
from tests.support.builders import make_queue, submit

START = datetime(2030, 1, 7, tzinfo=UTC)


@pytest.fixture(scope="module")
def scratch(postgres_url: str) -> Iterator[tuple[Database, VirtualClock]]:
    with scratch_database(postgres_url, START) as made:
        yield made


def _now(database: Database) -> datetime:
    [row] = database.fetch("SELECT clock_timestamp() AS now")
    moment: datetime = row["now"]
    return moment


def test_statements_get_the_virtual_time_and_follow_it(scratch: tuple[Database, VirtualClock]) -> None:
    database, clock = scratch
    clock.move_to(START)
    assert _now(database) == START
    clock.move_to(START + timedelta(hours=5))
    assert _now(database) == clock.now() == START + timedelta(hours=5)


def test_two_connections_agree(scratch: tuple[Database, VirtualClock]) -> None:
    database, clock = scratch
    with database.transaction():
        pass
    clock.move_to(START + timedelta(days=1))
    with database.transaction() as first, database.transaction() as second:
        times = [transaction.fetch("SELECT clock_timestamp() AS now")[0]["now"] for transaction in (first, second)]
    assert times == [clock.now()] * 2


def test_a_prepared_statement_follows_the_time(scratch: tuple[Database, VirtualClock]) -> None:
    database, clock = scratch
    statement = PreparedStatement("virtual_time", "SELECT clock_timestamp() AS now, %(word)s AS word", {"word": "text"})
    seen = []
    for day in (2, 3):
        clock.move_to(START + timedelta(days=day))
        seen.append(database.fetch_prepared(statement, {"word": "x"})[0]["now"])
    assert seen == [START + timedelta(days=2), START + timedelta(days=3)]


def test_a_rolled_back_transaction_does_not_turn_time_back(scratch: tuple[Database, VirtualClock]) -> None:
    database, clock = scratch
    clock.move_to(START + timedelta(days=4))
    with pytest.raises(ZeroDivisionError), database.transaction() as transaction:
        transaction.execute("SELECT 1")
        raise ZeroDivisionError
    assert _now(database) == START + timedelta(days=4)


def test_jobs_carry_the_virtual_time_in_defaults_and_history(scratch: tuple[Database, VirtualClock]) -> None:
    database, clock = scratch
    clock.move_to(START + timedelta(days=5))
    make_queue(database, "VIRTUAL")
    [panda_id] = submit(database, queue="")
    clock.move_to(START + timedelta(days=5, minutes=10))
    Setupper(database, 1.0).cycle()
    [job] = database.fetch("SELECT * FROM jobs_live WHERE panda_id = %(id)s", {"id": panda_id})
    history = database.fetch(
        "SELECT modification_time FROM job_history WHERE panda_id = %(id)s ORDER BY history_id", {"id": panda_id}
    )
    assert job["job_status"] == "activated"
    assert job["creation_time"] == START + timedelta(days=5)
    assert job["state_change_time"] == START + timedelta(days=5, minutes=10)
    assert [row["modification_time"] for row in history] == [job["creation_time"], job["state_change_time"]]


def test_other_databases_of_the_server_keep_the_real_time(
    scratch: tuple[Database, VirtualClock], database: Database
) -> None:
    assert abs((_now(database) - datetime.now(UTC)).total_seconds()) < 3600
