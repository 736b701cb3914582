"""Nobody speaks of a job that is not his, in the name of another, or as a part of the system."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from core.clock import utc_now
from core.configuration import Settings
from core.database import Database
from logger.admission import Sender
from logger.agents import build_agents
from logger.batches import read_batch
from logger.ingest import RecordIngest
from logger.records import read_record
from logger.trust import OUR_COMPONENTS, Trust
from tests.logger.builders import end_jobs, record

ANN = Sender("ann", "t1")


@pytest.fixture
def ingest(shared_database: Database) -> Iterator[RecordIngest]:
    yield RecordIngest(shared_database)
    shared_database.execute("TRUNCATE log_records, incidents, incident_breakdown, incident_bins")


def sent(ingest: RecordIngest, database: Database, sender: Sender, **fields: Any) -> dict[str, Any]:
    ingest.submit(read_batch([record(**{"component": "tool", **fields})]), sender)
    [row] = database.fetch("SELECT * FROM log_records ORDER BY record_id DESC LIMIT 1")
    return row


def test_a_job_of_somebody_else_is_a_claim_and_its_page_does_not_show_it(
    shared_database: Database, ingest: RecordIngest
) -> None:
    [hers] = end_jobs(shared_database, user="ann")
    [his] = end_jobs(shared_database, user="bob")
    row = sent(ingest, shared_database, ANN, panda_id=hers)
    assert (row["panda_id"], row["is_trusted"]) == (hers, True)
    row = sent(ingest, shared_database, ANN, panda_id=his)
    assert (row["panda_id"], row["is_trusted"], row["fields"]) == (None, False, {"claimed_panda_id": his})
    row = sent(ingest, shared_database, ANN, panda_id=999, fields={"a": 1})
    assert (row["panda_id"], row["fields"]) == (None, {"a": 1, "claimed_panda_id": 999})


def test_a_task_of_somebody_else_is_a_claim_too(shared_database: Database, ingest: RecordIngest) -> None:
    shared_database.execute(
        "INSERT INTO tasks (jedi_task_id, task_name, user_name) VALUES (71, 'a', 'ann'), (72, 'b', 'bob')"
    )
    assert sent(ingest, shared_database, ANN, jedi_task_id=71)["jedi_task_id"] == 71
    row = sent(ingest, shared_database, ANN, jedi_task_id=72)
    assert (row["jedi_task_id"], row["is_trusted"], row["fields"]) == (None, False, {"claimed_jedi_task_id": 72})


@pytest.mark.parametrize("role", ["pilot", "production", "operator", "admin"])
def test_what_the_system_says_of_a_job_is_taken_as_said(
    shared_database: Database, ingest: RecordIngest, role: str
) -> None:
    row = sent(
        ingest, shared_database, Sender("site", "t2", frozenset({role})), panda_id=4, user="bob", component="api"
    )
    assert (row["panda_id"], row["user_name"], row["component"], row["is_trusted"]) == (4, "bob", "api", True)


def test_a_user_speaks_in_his_own_name_only(shared_database: Database, ingest: RecordIngest) -> None:
    row = sent(ingest, shared_database, ANN, user="bob")
    assert (row["user_name"], row["fields"]) == ("ann", {"claimed_user": "bob"})
    assert sent(ingest, shared_database, ANN)["user_name"] == "ann"


@pytest.mark.parametrize(
    "component",
    [
        "database",
        "Adder",
        "core.agents.adder",
        " API ",
        "pilot.stagein",
        "panda.x.api",
        "api-1",
        "postgres",
        "supervisor",
    ],
)
def test_no_user_opens_an_incident_of_a_part_of_the_system(
    shared_database: Database, ingest: RecordIngest, component: str
) -> None:
    assert sent(ingest, shared_database, ANN, component=component)["component"].startswith("ann/")


def test_other_components_are_free(shared_database: Database, ingest: RecordIngest) -> None:
    for component in ("backup", "nginx", "apiary", "my.pilot", "mover-1", "-1"):
        assert sent(ingest, shared_database, ANN, component=component)["component"] == component


def test_who_invents_components_opens_no_incidents_without_bound(shared_database: Database) -> None:
    now = 0.0
    trust = Trust(shared_database, lambda: now)
    for start in range(0, 1000, 100):
        batch = [read_record(record(component=f"c{number}"), utc_now()) for number in range(start, start + 100)]
        judged = trust.judged(batch, ANN)
        if start:
            assert {one.component for one in judged} == {"ann/…"}
            assert judged[0].fields["claimed_component"] == f"c{start}"
    assert [one.component for one in trust.judged([read_record(record(component="c7"), utc_now())], ANN)] == ["c7"]
    now = 3601.0
    assert [one.component for one in trust.judged([read_record(record(component="c777"), utc_now())], ANN)] == ["c777"]


@pytest.mark.parametrize(
    "key",
    [
        "database does not answer",
        "Pilots refused:CERN",
        "silent_queue:CERN",
        "flood:bob",
        "pilot:1305:0a1b",
        "manual:x",
    ],
)
def test_keys_of_the_system_are_its_own(shared_database: Database, ingest: RecordIngest, key: str) -> None:
    row = sent(ingest, shared_database, ANN, fingerprint=key)
    assert row["fingerprint"] == f"v1:ann/{key}"
    assert sent(ingest, shared_database, ANN, fingerprint="tape robot")["fingerprint"] == "v1:tape robot"


def test_what_a_user_says_of_a_strange_job_is_no_evidence_for_it(
    shared_database: Database, ingest: RecordIngest
) -> None:
    [his] = end_jobs(shared_database, user="bob")
    row = sent(ingest, shared_database, ANN, component="pilot", panda_id=his)
    assert row["incident_id"] is not None and row["panda_id"] is None


def test_every_agent_of_the_store_is_a_component_of_the_system(shared_database: Database) -> None:
    agents = build_agents(shared_database, Settings(database_url=shared_database.url))
    assert {agent.name for agent in agents} <= OUR_COMPONENTS
