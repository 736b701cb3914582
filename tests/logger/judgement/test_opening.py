"""Which candidates become incidents besides by lost work, which lapse, and when an incident is over."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from core.database import Database
from core.states import IncidentState
from logger import job_incidents, life
from logger.failures import FailureFolder
from logger.job_incidents import JobIncidents
from logger.judging import counts_between
from logger.opening import decide
from logger.rules.job_parameters import JobRuleParameters, JobTrouble
from logger.store import IncidentStore
from logger.verdicts import VerdictKeeper
from tests.logger.builders import end_jobs, record
from tests.logger.judgement.cases import HeldClock, changes, finished_jobs, incidents, retried_jobs, set_rule

_CVMFS = {"payload.stderr": "ls: cannot access '/cvmfs/sw.example.org': Transport endpoint is not connected\n"}


@pytest.fixture
def clock() -> HeldClock:
    return HeldClock()


def folded(database: Database, clock: HeldClock) -> dict[str, Any]:
    """Fold at a clock that is a little ahead of the database, and give the one incident."""
    clock.move(seconds=5)
    FailureFolder(database, clock).fold()
    return incidents(database)[0]


# --- deciding


@pytest.mark.parametrize(
    ("residue", "lost_h", "ended", "expected"),
    [(1, 0, 0, True), (0, 0, 0, False), (39, 0, 40_000, False), (40, 0, 40_000, True), (2, 11, 40_000, True)],
)
def test_lost_work_counts_by_what_ends_in_an_hour_and_cost_always(
    residue: int, lost_h: int, ended: int, expected: bool
) -> None:
    row = {"residue_count": residue, "residue_lost_core_s": lost_h * 3600}
    assert (decide(row, ended, JobRuleParameters()) is not None) is expected


def test_rules_mean_what_their_selectors_say() -> None:
    trouble = JobTrouble("data", "CERN_1", "ann", "user", "pilot", 1171)
    for parameters, expected in (
        ({}, True),
        ({"classes": "data|storage", "queues": "CERN*", "codes": "1171|1103"}, True),
        ({"classes": "!data&!storage"}, False),
        ({"users": "!ann"}, False),
        ({"labels": "managed"}, False),
        ({"components": "pilot"}, True),
    ):
        assert JobRuleParameters.model_validate(parameters).mean(trouble) is expected


def test_lost_work_counts_by_what_was_lost_lately_however_long_its_candidate_lives(
    database: Database, clock: HeldClock
) -> None:
    set_rule(database, min_residue_jobs=3, min_lost_core_h=2)
    for _ in range(3):  # 1.8 core-hours are lost every second hour
        end_jobs(database, cores=1, walltime_s=6500)
        assert folded(database, clock)["state"] == "candidate"
        database.execute("UPDATE incident_jobs SET time = time - interval '2 h'")
    assert incidents(database)[0]["residue_count"] == 3
    end_jobs(database, 2)
    assert folded(database, clock)["state"] == "candidate"
    end_jobs(database)
    assert folded(database, clock)["state"] == "open"
    assert database.fetch("SELECT reason FROM incident_changes")[0]["reason"] == "3 jobs are lost after all retries"


# --- bursts


def test_a_black_hole_whose_victims_all_succeed_elsewhere_is_an_incident(database: Database, clock: HeldClock) -> None:
    finished_jobs(database, 100, site="G", host="wn1", task=77, ago_s=30)
    retried_jobs(database, 30, site="G", host="wn99", logs=_CVMFS)
    finished_jobs(database, 40, site="G", host="wn1", task=77)
    assert folded(database, clock)["state"] == "candidate"
    loop = JobIncidents(database, clock)
    assert loop.look() == 1
    (incident,) = incidents(database)
    assert (incident["state"], incident["residue_count"]) == ("open", 0)
    told = database.fetch("SELECT what, who, reason FROM incident_changes")
    assert told == [
        {
            "what": "opened",
            "who": "rule failure_burst v1",
            "reason": "30 of 30 jobs that ended at the node G wn99 failed like this",
        }
    ]
    VerdictKeeper(database, clock).look()
    assert incidents(database)[0]["verdict_value"] == "G wn99"
    assert loop.look() == 0


def test_a_few_transient_failures_among_much_work_are_none(database: Database, clock: HeldClock) -> None:
    finished_jobs(database, 600, site="G", host="wn1", task=77)
    for place in range(12):
        retried_jobs(database, site="G", host=f"wn{place}", logs=_CVMFS)
    folded(database, clock)
    database.execute("UPDATE incidents SET first_seen = first_seen - interval '1 min'")
    assert JobIncidents(database, clock).look() == 0
    set_rule(database, burst_jobs=2, burst_rate=0.001)
    assert JobIncidents(database, clock).look() == 1


def test_a_burst_counts_by_what_came_lately_however_long_its_candidate_lives(
    database: Database, clock: HeldClock
) -> None:
    finished_jobs(database, 400, site="G", host="wn1", task=77)
    for place in range(30):
        retried_jobs(database, site="G", host=f"wn{place}", logs=_CVMFS)
    FailureFolder(database, clock).fold()
    for table, column in (
        ("incident_jobs", "time"),
        ("jobs_archive", "state_change_time"),
        ("incidents", "first_seen"),
    ):
        database.execute(f"UPDATE {table} SET {column} = {column} - interval '5 h'")
    loop = JobIncidents(database, clock)
    assert loop.look() == 0
    finished_jobs(database, 30, site="G", host="wn1", task=78)
    retried_jobs(database, 12, site="G", host="wn99", logs=_CVMFS)
    folded(database, clock)
    assert loop.look() == 1 and incidents(database)[0]["state"] == "open"
    reason = database.fetch("SELECT reason FROM incident_changes")[0]["reason"]
    assert reason == "12 of 12 jobs that ended at the node G wn99 failed like this"


def test_one_candidate_that_cannot_be_counted_keeps_no_other_from_opening(
    database: Database, clock: HeldClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    retried_jobs(database, 10, host="wn9", logs=_CVMFS)
    retried_jobs(database, 10, host="wn9", code=1165, diag="Local output file is missing", exit_code=0)
    folded(database, clock)
    bad = incidents(database)[0]["incident_id"]

    def fragile(door: Database, row: dict[str, Any], *given: Any) -> Any:
        if row["incident_id"] == bad:
            raise ValueError("no")
        return counted(door, row, *given)

    counted = counts_between
    monkeypatch.setattr(job_incidents, "counts_between", fragile)
    assert JobIncidents(database, clock).look() == 1
    assert [row["state"] for row in incidents(database)] == ["candidate", "open"]


# --- lapse


def test_a_quiet_candidate_lapses_unheard_and_the_next_failure_begins_anew(
    database: Database, clock: HeldClock
) -> None:
    retried_jobs(database, 3)
    folded(database, clock)
    loop = JobIncidents(database, clock)
    clock.move(minutes=29)
    assert loop.look() == 0
    clock.move(minutes=2)
    assert loop.look() == 1
    (incident,) = incidents(database)
    assert (incident["state"], incident["opened_time"], incident["resolution"]) == (
        "resolved",
        None,
        "below the threshold",
    )
    assert changes(database) == []
    retried_jobs(database, 1)
    FailureFolder(database, clock).fold()
    first, second = incidents(database)
    assert (second["state"], second["job_count"], second["previous_id"], first["job_count"]) == (
        "candidate",
        1,
        None,
        3,
    )


# --- the end


def opened(database: Database, clock: HeldClock) -> int:
    end_jobs(database, 3, site="CERN", task=5, user="ann")
    incident = folded(database, clock)
    VerdictKeeper(database, clock).look()
    database.execute("UPDATE incidents SET verdict = 'site', verdict_value = 'CERN'")
    return int(incident["incident_id"])


def finish_later(database: Database, clock: HeldClock, count: int, **more: Any) -> None:
    """Jobs that finish at the held time."""
    ids = finished_jobs(database, count, **more)
    database.execute(
        "UPDATE jobs_archive SET state_change_time = %(now)s WHERE panda_id = ANY(%(ids)s)",
        {"now": clock(), "ids": list(ids)},
    )


def test_what_was_quiet_for_an_hour_is_over_once_work_succeeds_there(database: Database, clock: HeldClock) -> None:
    incident_id = opened(database, clock)
    loop = JobIncidents(database, clock)
    clock.move(minutes=50)
    finish_later(database, clock, 31, site="CERN")
    finish_later(database, clock, 100, site="BNL")
    assert loop.end_what_is_over() == 0
    clock.move(minutes=15)
    assert loop.end_what_is_over() == 1
    (incident,) = incidents(database)
    assert incident["state"] == "resolved" and incident["incident_id"] == incident_id and incident["held_by"] == ""
    assert incident["resolution"].startswith("no failure since ")
    assert incident["resolution"].endswith(", 31 jobs finished at CERN")
    assert changes(database)[-1] == ("resolved", "resolved")


def test_refused_pilots_are_over_when_one_was_served_and_none_refused_for_a_while(
    database: Database, clock: HeldClock
) -> None:
    refused = record("pilots are refused", fingerprint="pilots refused:CERN", kind="service", level="WARNING")
    IncidentStore(database).ingest_records({"records": [refused, record("something else")]}, "panda")
    loop = JobIncidents(database, clock)
    served = "INSERT INTO queue_contacts (queue_name, last_request_time) VALUES (%(queue)s, %(time)s)"
    database.execute(served, {"queue": "BNL", "time": clock()})
    database.execute(served, {"queue": "CERN", "time": clock() - timedelta(minutes=1)})
    clock.move(minutes=30)
    assert loop.end_what_is_over() == 0, "none has been served since"
    database.execute("UPDATE queue_contacts SET last_request_time = %(now)s", {"now": clock()})
    database.execute("UPDATE incidents SET last_seen = %(time)s", {"time": clock() - timedelta(minutes=9)})
    assert loop.end_what_is_over() == 0, "some may still be refused"
    clock.move(minutes=2)
    assert loop.end_what_is_over() == 1
    ended = {row["fingerprint"]: row["resolution"] for row in incidents(database) if row["state"] == "resolved"}
    assert list(ended) == ["v1:pilots refused:CERN"]
    assert ended["v1:pilots refused:CERN"].startswith("a pilot of CERN was served at ")


def test_where_nothing_succeeds_it_goes_on_until_it_is_forgotten(database: Database, clock: HeldClock) -> None:
    opened(database, clock)
    loop = JobIncidents(database, clock)
    clock.move(hours=2)
    finish_later(database, clock, 19, site="CERN")
    finish_later(database, clock, 50, site="BNL")
    assert loop.end_what_is_over() == 0
    clock.move(hours=22)
    assert loop.end_what_is_over() == 1
    assert incidents(database)[0]["resolution"].startswith("nothing since ")


@pytest.mark.parametrize(
    ("verdict", "value", "work", "other"),
    [
        ("task", "5", {"task": 5}, {"task": 6}),
        ("user", "ann", {"user": "ann"}, {"user": "bob"}),
        ("user", "higgs", {"user": "gus"}, {"user": "higgs-fan"}),
        ("node", "CERN wn7", {"site": "CERN", "host": "slot1@wn7.cern.ch"}, {"site": "BNL", "host": "wn7"}),
        ("unclear", "", {"site": "CERN"}, {"site": "BNL"}),
        ("central", "", {"site": "BNL"}, None),
    ],
)
def test_work_has_to_succeed_where_the_verdict_says(
    database: Database, clock: HeldClock, verdict: str, value: str, work: dict[str, Any], other: dict[str, Any] | None
) -> None:
    opened(database, clock)
    database.execute("UPDATE incidents SET verdict = %(v)s, verdict_value = %(value)s", {"v": verdict, "value": value})
    clock.move(hours=2)
    loop = JobIncidents(database, clock)
    if other is not None:
        finish_later(database, clock, 30, **{"task": 99, "user": "eve", "site": "X", **other})
        assert loop.end_what_is_over() == 0
    finish_later(database, clock, 30, **{"task": 98, "user": "fay", "site": "Y", **work})
    database.execute("UPDATE jobs_archive SET working_group = 'higgs' WHERE prod_user_name = 'gus'")
    assert loop.end_what_is_over() == 1


def test_what_a_person_holds_and_what_others_measure_is_left_alone(database: Database, clock: HeldClock) -> None:
    incident_id = opened(database, clock)
    with database.transaction() as transaction:
        life.touch(transaction, incident_id, life.Act("ann", "hold"), clock(), held_by="ann")
    store = IncidentStore(database, clock)
    store.ingest_records({"records": [record()]}, "x")
    clock.move(hours=3)
    assert JobIncidents(database, clock).end_what_is_over() == 0
    clock.move(hours=24)
    assert JobIncidents(database, clock).end_what_is_over() == 1
    assert [row["state"] for row in incidents(database)] == ["open", "resolved"]


def test_what_is_silenced_until_it_is_fixed_ends_and_what_a_silence_holds_does_not(
    database: Database, clock: HeldClock
) -> None:
    incident_id = opened(database, clock)
    with database.transaction() as transaction:
        life.change(transaction, incident_id, IncidentState.SILENCED, life.Act("ann", "silence"), clock())
    clock.move(hours=2)
    finish_later(database, clock, 31, site="CERN")
    assert JobIncidents(database, clock).end_what_is_over() == 0
    database.execute("UPDATE incidents SET held_by = ''")  # as a silence until it is fixed leaves it
    assert JobIncidents(database, clock).end_what_is_over() == 1
