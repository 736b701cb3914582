"""The incidents of the release before candidates are taken over: states, decisions of people, and what they still collect.

released_0010.json is what commit e67531c had in its tables: an open incident of jobs, an acknowledged and a resolved one,
one that somebody reopened, one with a key of its own; records of three levels.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from alembic import command

from core.database import Database, Row
from core.database.migrate import alembic_config
from logger.store import IncidentStore
from tests.core.upgrading.released import released, upgraded_from
from tests.logger.builders import end_jobs, record

RELEASED = released("0010")


@pytest.fixture
def upgraded(postgres_url: str) -> Iterator[Database]:
    """The database of that release, migrated to this one."""
    with upgraded_from(postgres_url, "0010") as database:
        yield database


def incidents(database: Database) -> dict[int, Row]:
    return {row["incident_id"]: row for row in database.fetch("SELECT * FROM incidents ORDER BY incident_id")}


def test_states_and_decisions_of_people_are_kept(upgraded):
    rows = incidents(upgraded)
    assert {key: row["state"] for key, row in rows.items()} == {
        row["incident_id"]: row["state"] for row in RELEASED["tables"]["incidents"]
    }
    assert all(row["opened_time"] == row["first_seen"] for row in rows.values())
    assert {row["opened_by"] for row in rows.values()} == {"rule failure_burst", "rule service_errors"}
    assert {row["rule_name"] for row in rows.values()} == {"failure_burst", "service_errors"}
    assert {key: row["held_by"] for key, row in rows.items() if row["held_by"]} == {4: "carol"}
    assert rows[2]["owner"] == "carol" and rows[3]["residue_count"] == rows[3]["job_count"] == 3


def test_what_is_open_goes_on_collecting_and_what_is_resolved_does_not(upgraded):
    store = IncidentStore(upgraded)
    end_jobs(
        upgraded,
        2,
        site="BNL",
        user="bob",
        task=2,
        code=1165,
        diag="Local output file is missing: out.txt",
        exit_code=0,
    )
    store.ingest_records({"records": [record("tape 7 is broken", component="backup", fingerprint="tape")]}, "server")
    store.ingest_ended_jobs()
    rows = incidents(upgraded)
    assert rows[1]["job_count"] == 4, "the open one is found under the key that its release gave it"
    assert rows[5]["record_count"] == 2
    assert set(rows) == {1, 2, 3, 4, 5}


def test_the_way_back_leaves_a_database_of_the_release_before(upgraded):
    end_jobs(upgraded, 1)
    IncidentStore(upgraded).ingest_ended_jobs()
    upgraded.execute("UPDATE incidents SET state = 'candidate', opened_time = NULL WHERE incident_id > 5")
    config = alembic_config(upgraded.url)
    command.downgrade(config, "0010")
    rows = incidents(upgraded)
    assert set(rows) == {1, 2, 3, 4, 5} and "opened_time" not in rows[1]
    command.upgrade(config, "head")
    assert set(incidents(upgraded)) == {1, 2, 3, 4, 5}
