"""The watch rules: what does not happen and what takes too long becomes an incident, and ends with its cause."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from core.clock import utc_now
from core.database import Database
from logger.rules import RULES
from logger.store import IncidentStore
from logger.watching import watch

_JOB = """
INSERT INTO jobs_live (panda_id, job_status, computing_site, state_change_time)
VALUES (nextval('panda_id_seq'), %(state)s, %(site)s, clock_timestamp() - make_interval(mins => %(minutes)s))
"""
_CONTACT = """
INSERT INTO queue_contacts (queue_name, last_request_time)
VALUES (%(site)s, clock_timestamp() - make_interval(mins => %(minutes)s))
ON CONFLICT (queue_name) DO UPDATE SET last_request_time = excluded.last_request_time
"""


def waits(database: Database, minutes: int, state: str = "activated", site: str = "CERN") -> None:
    database.execute(_JOB, {"state": state, "site": site, "minutes": minutes})


def contact(database: Database, minutes: int, site: str = "CERN") -> None:
    database.execute(_CONTACT, {"site": site, "minutes": minutes})


def incidents(database: Database) -> list[dict[str, Any]]:
    return database.fetch("SELECT * FROM incidents ORDER BY incident_id")


def look(database: Database) -> int:
    return watch(database, utc_now)


def test_every_rule_says_what_it_is_for() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)
    assert all(rule.sentence.endswith(".") and rule.kind for rule in RULES)


def test_a_queue_with_work_and_no_pilot_is_told_and_ends_with_the_next_contact(database: Database) -> None:
    waits(database, 30)
    waits(database, 15)
    contact(database, 20)
    assert look(database) == 1
    (incident,) = incidents(database)
    assert (incident["kind"], incident["computing_site"], incident["state"]) == ("absence", "CERN", "open")
    assert "2 activated jobs wait" in incident["title"] and incident["culprit_line"].startswith("last request for work")
    contact(database, 0)
    assert look(database) == 1
    assert incidents(database)[0]["state"] == "resolved"
    activity = database.fetch("SELECT who, action FROM incident_activity ORDER BY activity_id")
    assert [tuple(row.values()) for row in activity] == [
        ("rule silent_queue", "open"),
        ("rule silent_queue", "resolve"),
    ]


@pytest.mark.parametrize(("job_minutes", "contact_minutes"), [(5, 60), (30, 5), (5, None)])
def test_short_silence_is_no_trouble(database: Database, job_minutes: int, contact_minutes: int | None) -> None:
    waits(database, job_minutes)
    if contact_minutes is not None:
        contact(database, contact_minutes)
    assert look(database) == 0


def test_a_queue_that_no_pilot_ever_asked_is_told(database: Database) -> None:
    waits(database, 11)
    look(database)
    assert incidents(database)[0]["culprit_line"] == "no pilot has ever asked for work here"


def test_the_same_silence_is_one_incident_that_stays_alive(database: Database) -> None:
    waits(database, 30)
    look(database)
    before = incidents(database)[0]["last_seen"]
    assert [look(database), look(database)] == [0, 0]
    (incident,) = incidents(database)
    assert incident["last_seen"] > before and incident["record_count"] == 1


def test_long_waits_are_told_by_queue_and_state(database: Database) -> None:
    waits(database, 61, "defined", "")
    waits(database, 30, "defined", "")
    waits(database, 7 * 60, "assigned", "BNL")
    contact(database, 0)
    waits(database, 3 * 60, "activated", "CERN")
    assert look(database) == 3
    titles = sorted(incident["title"] for incident in incidents(database))
    assert titles == [
        "1 jobs wait at BNL for input files that are not at the queue's storage",
        "1 jobs wait at CERN for a pilot with room for them",
        "1 jobs wait for a queue (see the brokerage of such a job for the reasons)",
    ]
    database.execute("DELETE FROM jobs_live")
    assert look(database) == 3
    assert {incident["state"] for incident in incidents(database)} == {"resolved"}


def test_an_acknowledged_incident_ends_too_but_a_reopened_one_is_peoples(database: Database) -> None:
    store = IncidentStore(database)
    waits(database, 30, site="A")
    waits(database, 30, site="B")
    look(database)
    first, second = (incident["incident_id"] for incident in incidents(database))
    store.acknowledge(first, "ann")
    store.resolve(second, "bob")
    store.reopen(second, "bob", "not yet")
    database.execute("DELETE FROM jobs_live")
    look(database)
    assert [incident["state"] for incident in incidents(database)] == ["resolved", "open"]


def test_other_rules_incidents_are_left_alone(database: Database) -> None:
    IncidentStore(database).ingest_records(
        {"records": [{"time": (utc_now() - timedelta(hours=1)).isoformat(), "level": "ERROR", "message": "x"}]}, "x"
    )
    look(database)
    assert incidents(database)[0]["state"] == "open"
