"""The incident store on real PostgreSQL: failed jobs become incidents, once each, whoever races."""

from __future__ import annotations

import threading

import pytest

from core.database import Database
from logger.store import IncidentStore
from tests.logger.builders import end_jobs
from tests.logger.judgement.cases import incidents

_TRACEBACK = """start
Traceback (most recent call last):
  File "/srv/job/count.py", line 7, in main
    int(word)
ValueError: invalid literal for int() with base 10: 'x17'
"""


@pytest.fixture
def store(database: Database) -> IncidentStore:
    return IncidentStore(database)


def test_failures_with_one_cause_are_one_incident(database: Database, store: IncidentStore) -> None:
    end_jobs(database, 3, site="CERN", user="ann", task=1, logs={"payload.stderr": _TRACEBACK})
    end_jobs(database, 2, site="BNL", user="bob", task=2, cores=8, walltime_s=100, logs={"payload.stderr": _TRACEBACK})
    assert store.ingest_ended_jobs() == 5
    (incident,) = incidents(database)
    assert incident["kind"] == "failure_burst" and incident["state"] == "open"
    assert (incident["component"], incident["code"]) == ("pilot", 1305)
    assert incident["culprit_line"] == "ValueError: invalid literal for int() with base 10: 'x17'"
    assert (incident["job_count"], incident["queue_count"], incident["task_count"], incident["user_count"]) == (
        5,
        2,
        2,
        2,
    )
    assert 1600 <= incident["lost_core_s"] <= 1620
    assert incident["computing_site"] == "CERN" and incident["severity"] == "error"
    assert incident["jedi_task_id"] is None
    assert "payload count.py:main" in str(incident["grouping"])


def test_different_causes_are_different_incidents(database: Database, store: IncidentStore) -> None:
    end_jobs(database, logs={"payload.stderr": _TRACEBACK})
    end_jobs(database, logs={"payload.stderr": _TRACEBACK.replace("count.py", "other.py")})
    end_jobs(database, code=1165, diag="Local output file is missing: out.txt", exit_code=0)
    end_jobs(database, code=1171, diag="adler32 mismatch on input file: a.txt", exit_code=0)
    end_jobs(
        database, code=0, diag="", exit_code=0, dispatcher_code=100, dispatcher_diag="lost heartbeat", before="running"
    )
    end_jobs(
        database, code=0, diag="", exit_code=0, dispatcher_code=100, dispatcher_diag="lost heartbeat", before="starting"
    )
    store.ingest_ended_jobs()
    assert len(incidents(database)) == 6


def test_a_second_look_finds_nothing_new(database: Database, store: IncidentStore) -> None:
    end_jobs(database, 10)
    assert [store.ingest_ended_jobs() for _ in range(3)] == [10, 0, 0]
    assert incidents(database)[0]["job_count"] == 10


def test_success_and_kills_on_request_are_no_incident(database: Database, store: IncidentStore) -> None:
    end_jobs(database, status="finished", code=0, exit_code=0)
    end_jobs(database, status="cancelled", code=1144)
    end_jobs(database, status="failed", code=1144)
    end_jobs(database, status="failed", code=0, exit_code=0, buffer_code=100)
    assert store.ingest_ended_jobs() == 0
    assert incidents(database) == []


def test_a_failure_after_the_end_of_an_incident_opens_a_new_one(database: Database, store: IncidentStore) -> None:
    end_jobs(database)
    store.ingest_ended_jobs()
    (first,) = incidents(database)
    store.resolve(first["incident_id"], "ann", "fixed")
    end_jobs(database)
    store.ingest_ended_jobs()
    one, two = incidents(database)
    assert one["fingerprint"] == two["fingerprint"]
    assert (one["state"], one["job_count"], two["state"], two["job_count"]) == ("resolved", 1, "open", 1)


def test_a_job_that_commits_late_is_not_missed(database: Database, store: IncidentStore) -> None:
    """Its history row has a lower id and an earlier time than rows that are long folded."""
    with database.transaction() as slow:
        end_jobs(slow)
        for _ in range(3):
            end_jobs(database)
            store.ingest_ended_jobs()
        assert incidents(database)[0]["job_count"] == 3
    assert store.ingest_ended_jobs() == 1
    assert incidents(database)[0]["job_count"] == 4


def test_the_cursor_waits_for_the_oldest_writer(database: Database, store: IncidentStore) -> None:
    def cursor() -> int:
        return int(database.fetch("SELECT cursor FROM agent_runs WHERE name = 'incident_builder'")[0]["cursor"])

    with database.transaction() as slow:
        slow.execute("INSERT INTO queues (queue_name) VALUES ('X')")
        began = slow.fetch("SELECT extract(epoch FROM now()) * 1000000 AS t")[0]["t"]
        end_jobs(database)
        store.ingest_ended_jobs()
        assert cursor() <= began
    store.ingest_ended_jobs()
    assert cursor() > began - 1_000_000


def test_two_builders_at_once_fold_each_job_once(database: Database, store: IncidentStore) -> None:
    end_jobs(database, 1200, site="CERN")
    end_jobs(database, 300, site="BNL")
    done: list[int] = []
    threads = [threading.Thread(target=lambda: done.append(store.ingest_ended_jobs())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(done) == 1500
    (incident,) = incidents(database)
    assert incident["job_count"] == 1500
    bins = database.fetch("SELECT sum(event_count) AS n FROM incident_bins")[0]["n"]
    sites = database.fetch(
        "SELECT value, event_count FROM incident_breakdown WHERE dimension = 'computing_site' ORDER BY 1"
    )
    assert bins == 1500
    assert [(row["value"], row["event_count"]) for row in sites] == [("BNL", 300), ("CERN", 1200)]


def test_thousands_of_failures_with_one_cause_are_one_incident_in_few_statements(
    database: Database, store: IncidentStore
) -> None:
    end_jobs(database, 5_000, host="wn1")
    before = _statements(database)
    assert store.ingest_ended_jobs() == 5_000
    (incident,) = incidents(database)
    assert incident["job_count"] == 5_000
    assert _statements(database) - before < 50


def _statements(database: Database) -> int:
    """Row versions written to the incident itself: one or two per batch, not one per job."""
    database.execute("SELECT pg_stat_force_next_flush()")
    row = database.fetch("SELECT n_tup_ins + n_tup_upd AS n FROM pg_stat_user_tables WHERE relname = 'incidents'")
    return int(row[0]["n"])


_CULPRITS = [
    (
        1305,
        {"payload.stderr": "a\nbash: x: command not found\n", "pilot.log": "ERROR pilot\n"},
        "payload.stderr",
        2,
    ),
    (1305, {"payload.stderr": "just talk\n", "payload.stdout": "Error: in stdout\n"}, "payload.stdout", 1),
    (1305, {"payload.stderr": "just talk\nlast words\n"}, "payload.stderr", 2),
    (
        1305,
        {"payload.stderr": "", "payload.stdout": "last words\n", "pilot.log": "ERROR it failed\n"},
        "payload.stdout",
        1,
    ),
    (1305, {"payload.stderr": "", "payload.stdout": "", "pilot.log": "ERROR it failed\n"}, "pilot.log", 1),
    (1099, {"payload.stderr": "Error: x", "pilot.log": "just talk"}, "payload.stderr", 1),
    (1099, {"payload.stderr": "", "pilot.log": "ok\nERROR stage-in failed\nbye\n"}, "pilot.log", 2),
    (1305, {"payload.stderr": ""}, "", 0),
]


def test_the_culprit_is_looked_for_where_the_trouble_was(database: Database, store: IncidentStore) -> None:
    expected = {end_jobs(database, code=code, logs=logs)[0]: (log, line) for code, logs, log, line in _CULPRITS}
    store.ingest_ended_jobs()
    jobs = database.fetch("SELECT panda_id, culprit_log, culprit_line_number FROM incident_jobs")
    assert {job["panda_id"]: (job["culprit_log"], job["culprit_line_number"]) for job in jobs} == expected


def test_the_title_is_the_payloads_complaint_or_the_pilots_diagnosis(database: Database, store: IncidentStore) -> None:
    end_jobs(database, logs={"payload.stderr": _TRACEBACK})
    end_jobs(database, diag="exit code 3", logs={"pilot.log": "2026-11-21 WARNING job 3 fails\n"})
    end_jobs(database, code=1171, diag="a.txt: 0a0b0c0d is not 01020304", exit_code=0)
    end_jobs(database, code=0, exit_code=0)
    store.ingest_ended_jobs()
    assert {row["title"] for row in incidents(database)} == {
        "Failed to execute payload: ValueError: invalid literal for int() with base 10: 'x17'",
        "Failed to execute payload: exit code 3",
        "adler32 mismatch on input file: a.txt: 0a0b0c0d is not 01020304",
        "It failed and no component gave an error code",
    }
