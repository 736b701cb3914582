"""Folding with candidates: what opens at once, what lives again, what is bounded, and what people are told of it."""

from __future__ import annotations

import contextlib
import itertools
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from core.clock import utc_now
from core.database import Database
from core.errors import IllegalTransition
from core.incident_settings import IncidentSettings
from core.states import IncidentState
from logger import examining, folding, grouping, life
from logger.culprit import Culprit, find_culprit
from logger.events import CoveredJob, Event
from logger.failures import FailureFolder
from logger.fingerprints import TroubleFacts
from logger.fingerprints.v1 import fingerprint as fingerprint_v1
from logger.fingerprints.v2 import fingerprint as fingerprint_v2
from logger.folding import fold
from logger.store import IncidentStore
from tests.logger.builders import end_jobs, record
from tests.logger.judgement.cases import (
    HeldClock,
    changes,
    finished_jobs,
    incidents,
    keep_file,
    number,
    retried_jobs,
    set_rule,
)


@pytest.fixture
def store(database: Database) -> IncidentStore:
    return IncidentStore(database)


def an_event(key: str = "v2:x:1:aa", **more: Any) -> Event:
    values: dict[str, Any] = {
        "rule": "service_errors",
        "kind": "service",
        "fingerprint": key,
        "grouping": "They are alike.",
        "title": "it broke",
        "time": utc_now(),
        "severity": "warning",
        "component": "x",
    }
    return Event(**{**values, **more})


def folded(database: Database, *events: Event, now: Any = None, settings: IncidentSettings | None = None) -> list[int]:
    with database.transaction() as transaction:
        return fold(transaction, events, now or utc_now(), settings or IncidentSettings())


# --- candidates


def test_what_is_tried_again_is_a_candidate_that_nobody_hears_of(database: Database, store: IncidentStore) -> None:
    retried_jobs(database, 5)
    assert store.ingest_ended_jobs() == 5
    (incident,) = incidents(database)
    assert (incident["state"], incident["opened_time"], incident["job_count"]) == ("candidate", None, 5)
    assert (incident["residue_count"], incident["change_seq"]) == (0, 0)
    assert changes(database) == [] and database.fetch("SELECT 1 FROM incident_activity") == []


def test_the_first_lost_job_opens_it_and_that_is_told_once(database: Database, store: IncidentStore) -> None:
    retried_jobs(database, 5)
    store.ingest_ended_jobs()
    lost = end_jobs(database, 2, task=77)
    number(database, lost)
    keep_file(database, 77, "failed", lost[0])
    store.ingest_ended_jobs()
    (incident,) = incidents(database)
    assert (incident["state"], incident["job_count"], incident["residue_count"]) == ("open", 7, 1)
    assert (incident["opened_by"], incident["rule_name"], incident["rule_version"]) == (
        "rule failure_burst v1",
        "failure_burst",
        1,
    )
    assert incident["change_seq"] == 1 and incident["opened_time"] is not None
    end_jobs(database, task=77)
    store.ingest_ended_jobs()
    assert changes(database) == [("opened", "open")]
    told = database.fetch("SELECT reason, severity FROM incident_changes")[0]
    assert told == {"reason": "1 job is lost after all retries", "severity": incident["severity"]}


def test_a_rule_asks_for_more_lost_jobs_where_more_work_ends(database: Database, store: IncidentStore) -> None:
    database.execute(
        "INSERT INTO throughput_totals (bin_time, job_status, prod_source_label, job_count)"
        " VALUES (date_trunc('minute', clock_timestamp()) - interval '5 min', 'finished', 'user', 4000)"
    )
    end_jobs(database, 3, task=78)
    store.ingest_ended_jobs()
    assert incidents(database)[0]["state"] == "candidate"
    end_jobs(database, task=78)
    store.ingest_ended_jobs()
    assert incidents(database)[0]["state"] == "open"


def test_what_costs_much_opens_however_few_jobs_it_is(database: Database, store: IncidentStore) -> None:
    set_rule(database, min_residue_jobs=1000)
    end_jobs(database, 2, task=78, cores=64, walltime_s=200)
    store.ingest_ended_jobs()
    assert incidents(database)[0]["state"] == "candidate"
    end_jobs(database, task=78, cores=64, walltime_s=300)
    store.ingest_ended_jobs()
    assert incidents(database)[0]["state"] == "open"
    assert database.fetch("SELECT reason FROM incident_changes")[0]["reason"].endswith(
        "core-hours are lost after all retries"
    )


def test_data_troubles_are_their_own_kind_and_the_first_rule_that_speaks_counts(
    database: Database, store: IncidentStore
) -> None:
    end_jobs(database, code=1171, diag="adler32 mismatch on input file: a.txt", exit_code=0)
    end_jobs(database, code=1165, diag="Local output file is missing: out.txt", exit_code=0)
    store.ingest_ended_jobs()
    by_kind = sorted(incidents(database), key=lambda row: row["kind"])
    assert [(row["kind"], row["rule_name"], row["error_class"]) for row in by_kind] == [
        ("data", "data_failures", "data"),
        ("failure_burst", "failure_burst", "user"),
    ]


def test_failures_that_no_rule_means_are_left_alone(database: Database, store: IncidentStore) -> None:
    set_rule(database, queues="!LAB")
    end_jobs(database, site="LAB")
    assert store.ingest_ended_jobs() == 0 and incidents(database) == []


def test_the_file_of_a_failure_tells_endpoint_and_dataset(database: Database, store: IncidentStore) -> None:
    database.execute("INSERT INTO queues (queue_name, storage_endpoint) VALUES ('CERN', 'CERN_DISK')")
    first, second = end_jobs(database, 2, code=1103, diag="No such file or directory: b.dat", exit_code=0)
    (third,) = end_jobs(database, code=1137, diag="Failed to stage-out file: o.txt", exit_code=0)
    statement = """INSERT INTO job_files (panda_id, type, lfn, dataset, endpoint)
                   VALUES (%(id)s, %(type)s, %(lfn)s, %(dataset)s, %(endpoint)s)"""
    for panda_id, kind, lfn, dataset, endpoint in (
        (first, "input", "a.dat", "user.a", "A_DISK"),
        (first, "input", "b.dat", "user.b", "B_DISK"),
        (second, "input", "a.dat", "user.a", "A_DISK"),
        (third, "output", "o.txt", "out.1", ""),
        (third, "input", "b.dat", "user.b", "B_DISK"),
    ):
        values = {"id": panda_id, "type": kind, "lfn": lfn, "dataset": dataset, "endpoint": endpoint}
        database.execute(statement, values)
    store.ingest_ended_jobs()
    rows = database.fetch("SELECT panda_id, endpoint, dataset, step FROM incident_jobs ORDER BY panda_id")
    assert [tuple(row.values()) for row in rows] == [
        (first, "B_DISK", "user.b", "stage-in"),
        (second, "A_DISK", "user.a", "stage-in"),
        (third, "CERN_DISK", "", "stage-out"),
    ]
    assert incidents(database)[0]["storage_count"] == 2


def test_a_payload_that_failed_is_explained_by_its_own_words_whatever_the_pilot_says(
    database: Database, store: IncidentStore
) -> None:
    logs = {"payload.stderr": "cp: error writing '/dev/full': No space left on device\n", "pilot.log": "ERROR 1098\n"}
    end_jobs(database, code=1098, diag="work directory is full", exit_code=1, logs=logs)
    store.ingest_ended_jobs()
    (incident,) = incidents(database)
    assert (incident["step"], incident["error_class"]) == ("payload", "disk")
    assert incident["culprit_line"].endswith("No space left on device")


def test_lines_around_the_culprit_are_kept_of_the_first_jobs(
    database: Database, store: IncidentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folding, "CONTEXTS_OF_FIRST", 3)
    monkeypatch.setattr(folding, "CONTEXT_OF_EVERY", 5)
    ids = end_jobs(database, 12, logs={"payload.stderr": "one\ntwo\nValueError: x\nfour\n"})
    store.ingest_ended_jobs()
    rows = database.fetch("SELECT * FROM culprit_contexts ORDER BY panda_id")
    assert [row["panda_id"] - ids[0] for row in rows] == [0, 1, 2, 5, 10]
    assert (rows[0]["log_name"], rows[0]["first_line_number"], rows[0]["culprit_line_number"]) == (
        "payload.stderr",
        1,
        3,
    )
    assert rows[0]["lines"] == "one\ntwo\nValueError: x\nfour"


def test_a_flood_of_one_failure_is_read_by_sample_and_counted_whole(
    database: Database, store: IncidentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at = 0

    def counting(log: str) -> Culprit | None:
        nonlocal looked_at
        looked_at += 1
        return find(log)

    find = find_culprit
    monkeypatch.setattr(examining, "find_culprit", counting)
    end_jobs(database, 1200, logs={"payload.stderr": "start\nValueError: x\n"})
    assert store.ingest_ended_jobs() == 1200
    (incident,) = incidents(database)
    assert incident["job_count"] == 1200 and looked_at < 400
    assert incident["culprit_line"] == "ValueError: x"


def test_one_job_that_cannot_be_examined_keeps_no_other_out(
    database: Database, store: IncidentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fragile(log: str) -> Culprit | None:
        if "poison" in log:
            raise ValueError("nobody can read this")
        return find(log)

    find = find_culprit
    monkeypatch.setattr(examining, "find_culprit", fragile)
    end_jobs(database, 5, logs={"payload.stderr": "ValueError: x\n"})
    (bad,) = end_jobs(database, logs={"payload.stderr": "poison\n"})
    assert store.ingest_ended_jobs() == 6
    assert sum(row["job_count"] for row in incidents(database)) == 6
    row = database.fetch("SELECT culprit_line FROM incident_jobs WHERE panda_id = %(id)s", {"id": bad})[0]
    assert row["culprit_line"] == "Failed to execute payload: exit code 1"
    assert store.ingest_ended_jobs() == 0


# --- the algorithms before

_DIAG = "Local output file is missing: out.txt"


@pytest.mark.parametrize(
    ("old", "version"),
    [
        (fingerprint_v1("pilot", 1165, _DIAG, "", code_name="NOOUTPUT").key, 1),
        (fingerprint_v2(TroubleFacts("pilot", 1165, _DIAG)).key, 2),
    ],
)
def test_while_an_incident_of_an_algorithm_before_lives_it_goes_on(
    database: Database, store: IncidentStore, old: str, version: int
) -> None:
    database.execute(
        """INSERT INTO incidents (fingerprint, state, component, code, opened_time, rule_name, job_count, change_seq,
                                  algorithm)
           VALUES (%(key)s, 'open', 'pilot', 1165, clock_timestamp(), 'failure_burst', 3, 1, %(version)s)""",
        {"key": old, "version": version},
    )
    end_jobs(database, 2, code=1165, diag=_DIAG, exit_code=0)
    store.ingest_ended_jobs()
    (incident,) = incidents(database)
    assert (incident["fingerprint"], incident["algorithm"], incident["job_count"]) == (old, version, 5)
    store.resolve(incident["incident_id"], "ann")
    end_jobs(database, code=1165, diag=_DIAG, exit_code=0)
    store.ingest_ended_jobs()
    new = incidents(database)[1]
    assert new["fingerprint"].startswith("v3:pilot:1165:") and new["algorithm"] == 3 and new["fingerprint_words"]


def test_older_keys_are_asked_for_only_while_the_present_one_is_new(database: Database) -> None:
    asked: list[str] = []

    def told(key: str) -> tuple[str, ...]:
        asked.append(key)
        return ()

    folded(database, an_event("v3:x:1:a", older_keys=partial(told, "first")))
    assert set(asked) == {"first"}
    folded(database, *(an_event("v3:x:1:a", older_keys=partial(told, "later")) for _ in range(50)))
    assert "later" not in asked


# --- living again


def ended(database: Database, incident_id: int, clock: HeldClock, who: str = "") -> None:
    act = life.Act(who or "rule x", "resolve", "over", is_automatic=not who)
    with database.transaction() as transaction:
        life.change(transaction, incident_id, IncidentState.RESOLVED, act, clock())


def test_a_trouble_that_comes_back_soon_after_it_ended_by_itself_is_the_same_incident(database: Database) -> None:
    clock = HeldClock()
    (first,) = folded(database, an_event(), now=clock())
    ended(database, first, clock)
    clock.move(minutes=29)
    assert folded(database, an_event(time=clock()), now=clock()) == [first]
    (incident,) = incidents(database)
    assert (incident["state"], incident["reopened_count"], incident["record_count"]) == ("reopened", 1, 2)
    assert changes(database) == [("opened", "open"), ("resolved", "resolved"), ("reopened", "reopened")]


@pytest.mark.parametrize(("who", "minutes"), [("ann", 5), ("", 31)])
def test_what_a_person_ended_and_what_ended_long_ago_is_a_new_incident(
    database: Database, who: str, minutes: int
) -> None:
    clock = HeldClock()
    (first,) = folded(database, an_event(), now=clock())
    ended(database, first, clock, who)
    clock.move(minutes=minutes)
    (second,) = folded(database, an_event(time=clock()), now=clock())
    assert second != first
    assert incidents(database)[1]["previous_id"] == first


def test_a_candidate_that_lapsed_is_nobodys_previous_occurrence(database: Database) -> None:
    clock = HeldClock()
    (first,) = folded(database, an_event(opens=False), now=clock())
    ended(database, first, clock)
    (second,) = folded(database, an_event(), now=clock())
    assert second != first and incidents(database)[1]["previous_id"] is None


# --- bounds


def test_a_sender_that_makes_up_messages_gets_twenty_six_incidents(database: Database) -> None:
    events = [an_event(f"v2:x::{number:04}") for number in range(1500)]
    for start in range(0, 1500, 500):
        folded(database, *events[start : start + 500])
    rows = incidents(database)
    assert len(rows) == 26 and sum(row["record_count"] for row in rows) == 1500
    common = rows[-1]
    assert common["fingerprint"] == "v2:x:…" and common["record_count"] == 1475
    assert common["title"].startswith("Many different troubles of x: ")
    folded(database, an_event("v2:y::1", component="y"), an_event("v2:x::0003"))
    assert len(incidents(database)) == 27


def test_two_that_make_up_messages_at_once_are_bounded_together(database: Database) -> None:
    def send(prefix: str) -> None:
        for start in range(0, 100, 20):
            folded(database, *(an_event(f"v2:x::{prefix}{number}") for number in range(start, start + 20)))

    threads = [threading.Thread(target=send, args=(prefix,)) for prefix in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rows = incidents(database)
    assert len(rows) == 26 and sum(row["record_count"] for row in rows) == 400


def test_failed_jobs_are_bounded_for_each_task_so_that_users_bugs_stay_apart(database: Database) -> None:
    def event(task: int, place: int) -> Event:
        job = CoveredJob(task * 1000 + place)
        return an_event(
            f"v2:pilot:1305:{task}.{place}", rule="failure_burst", component="pilot", jedi_task_id=task, job=job
        )

    folded(database, *(event(1, place) for place in range(40)), *(event(2, place) for place in range(3)))
    keys = [row["fingerprint"] for row in incidents(database)]
    assert len(keys) == 26 + 3 and "v2:pilot:…:1" in keys
    own = database.fetch("SELECT own_fingerprint FROM incident_jobs WHERE panda_id = 1039")[0]["own_fingerprint"]
    assert own == "v2:pilot:…:1"


def test_what_is_counted_together_follows_what_people_merged(database: Database) -> None:
    folded(database, *(an_event(f"v2:x::{number:04}") for number in range(30)))
    first, *_, common = (row["incident_id"] for row in incidents(database))
    with database.transaction() as transaction:
        grouping.merge(transaction, common, first, life.Act("ann", "merge"), utc_now())
    assert folded(database, an_event("v2:x::9999")) == [first]
    assert incidents(database)[0]["record_count"] == 1 + 5 + 1


def test_measured_subjects_and_all_components_have_their_own_bounds(database: Database) -> None:
    queues = [an_event(f"v1:silent_queue:Q{place}", rule="silent_queue", component="pilot") for place in range(40)]
    folded(database, *queues)
    assert len(incidents(database)) == 40
    many = [an_event(f"v2:c{place}::1", component=f"c{place}") for place in range(10)]
    folded(database, *many, settings=IncidentSettings(most_new_in_all=4))
    *_, common = incidents(database)
    assert len(incidents(database)) == 44 + 1 and (common["fingerprint"], common["record_count"]) == ("v2:…", 6)
    assert common["component"] == "" and common["title"].startswith("Many different troubles of many components: ")


def test_invented_components_hide_neither_failed_jobs_nor_the_system(database: Database) -> None:
    settings = IncidentSettings(most_new_in_all=5)
    folded(database, *(an_event(f"v2:c{place}::1", component=f"c{place}") for place in range(30)), settings=settings)
    lost = an_event("v2:pilot:1305:a", rule="failure_burst", component="pilot", jedi_task_id=7, job=CoveredJob(70))
    folded(database, lost, an_event("v2:adder::1", component="core.agents.adder"), settings=settings)
    keys = {row["fingerprint"] for row in incidents(database)}
    assert len(keys) == 5 + 1 + 2 and {"v2:…", "v2:pilot:1305:a", "v2:adder::1"} <= keys
    jobs = [
        an_event(f"v2:pilot:1305:{n}", rule="failure_burst", component="pilot", jedi_task_id=n, job=CoveredJob(80 + n))
        for n in range(10)
    ]
    folded(database, *jobs, settings=settings)
    assert {"v2:…:jobs"} == {row["fingerprint"] for row in incidents(database)} - keys - {e.fingerprint for e in jobs}


def test_who_has_a_common_incident_keeps_it_when_there_is_one_for_all(database: Database) -> None:
    mine = [an_event(f"v2:x::{place:04}") for place in range(30)]
    folded(database, *mine, settings=IncidentSettings(most_new_in_all=28))
    others = [an_event(f"v2:c{place}::1", component=f"c{place}") for place in range(10)]
    folded(database, *others, an_event("v2:x::0031"), settings=IncidentSettings(most_new_in_all=28))
    counts = {row["fingerprint"]: row["record_count"] for row in incidents(database)}
    assert len(counts) == 25 + 1 + 2 + 1 and (counts["v2:x:…"], counts["v2:…"]) == (6, 8)


def test_batches_that_share_old_and_new_keys_never_wait_for_each_other_in_a_ring(database: Database) -> None:
    """Of records and of jobs, while what was opened ends by itself and comes back; every event is counted once."""
    old = [f"v2:x::old{place}" for place in range(30)]
    folded(database, *(an_event(key) for key in old))
    settings = IncidentSettings(most_new=20, most_new_in_all=60)
    ids = itertools.count(77_000_000)

    def one(chance: random.Random, turn: int) -> Event:
        component = chance.choice("xyz")
        key = chance.choice([*old, f"v2:{component}::{turn}.{chance.randrange(12)}"])
        if chance.random() < 0.5:
            return an_event(key, component=component)
        return an_event(key, component=component, rule="failure_burst", job=CoveredJob(next(ids)), opens=False)

    def send(seed: int) -> None:
        chance = random.Random(seed)
        for turn in range(25):
            folded(database, *(one(chance, turn) for _ in range(20)), settings=settings)

    def end() -> None:
        chance = random.Random(99)
        for _ in range(60):
            with database.transaction() as transaction:
                row = transaction.fetch_one(
                    "SELECT incident_id FROM incidents WHERE fingerprint = %(key)s AND state IN ('open', 'reopened')",
                    {"key": chance.choice(old)},
                )
                if row is not None:
                    with contextlib.suppress(IllegalTransition):
                        act = life.Act("rule x", "resolve", is_automatic=True)
                        life.change(transaction, row["incident_id"], IncidentState.RESOLVED, act, utc_now())

    with ThreadPoolExecutor(9) as pool:
        for one_of_them in [*(pool.submit(send, seed) for seed in range(8)), pool.submit(end)]:
            one_of_them.result()
    rows = incidents(database)
    assert sum(row["record_count"] + row["job_count"] for row in rows) == 30 + 8 * 25 * 20
    assert len(database.fetch("SELECT 1 FROM incident_jobs")) == sum(row["job_count"] for row in rows)
    living = [row["fingerprint"] for row in rows if row["state"] != "resolved"]
    assert len(living) == len(set(living)) and len(rows) <= 30 + 60 + 2


def test_a_dimension_tells_a_bounded_number_of_values_apart(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folding, "MOST_VALUES", 4)
    folded(database, *(an_event(computing_site=f"Q{place}", count=2) for place in range(3)))
    folded(database, *(an_event(computing_site=f"Q{place % 8}") for place in range(16)))
    rows = database.fetch(
        "SELECT value, event_count FROM incident_breakdown WHERE dimension = 'computing_site' ORDER BY value"
    )
    assert {row["value"]: row["event_count"] for row in rows} == {"Q0": 4, "Q1": 4, "Q2": 4, "Q3": 2, "…": 8}
    assert incidents(database)[0]["record_count"] == 6 + 16


def test_an_event_may_stand_for_many(database: Database) -> None:
    folded(database, an_event(count=500, computing_site="A"), an_event(count=1))
    assert incidents(database)[0]["record_count"] == 501
    assert database.fetch("SELECT sum(event_count) AS n FROM incident_bins")[0]["n"] == 501
    assert database.fetch("SELECT event_count FROM incident_breakdown") == [{"event_count": 500}]


# --- severity


def test_what_becomes_worse_is_told_and_what_is_held_stays(database: Database) -> None:
    (incident_id,) = folded(database, an_event(computing_site="A"))
    folded(database, an_event(computing_site="B"))
    assert incidents(database)[0]["severity"] == "error"
    assert changes(database) == [("opened", "open"), ("worse", "open")]
    with database.transaction() as transaction:
        life.touch(transaction, incident_id, life.Act("ann", "hold"), utc_now(), held_by="ann")
    folded(database, an_event(severity="critical"))
    assert incidents(database)[0]["severity"] == "error"


def test_the_same_state_seen_again_counts_nothing_and_keeps_its_title_fresh(database: Database) -> None:
    event = an_event("v1:long_wait:A:defined", rule="long_wait", kind="backlog", title="3 jobs wait")
    folded(database, event)
    folded(database, replace(event, is_occurrence=False, title="5 jobs wait"))
    (incident,) = incidents(database)
    assert (incident["title"], incident["record_count"]) == ("5 jobs wait", 1)


def test_jobs_that_end_while_another_still_writes_are_folded_at_once(database: Database) -> None:
    """A writer of long breath holds only the cursor: what it does not touch is an incident within a round."""
    folder = FailureFolder(database, utc_now)
    with database.transaction() as slow:
        slow.execute("INSERT INTO queues (queue_name) VALUES ('X')")
        end_jobs(database)
        assert folder.fold() == 1 and incidents(database)[0]["state"] == "open"
    assert folder.fold() == 0


def test_old_and_future_events_are_bounded_by_the_clock(database: Database) -> None:
    clock = HeldClock()
    finished_jobs(database, 1)
    folded(
        database,
        an_event(time=clock() + timedelta(days=400)),
        an_event(time=clock() - timedelta(days=400)),
        now=clock(),
    )
    (incident,) = incidents(database)
    assert incident["last_seen"] == clock() and incident["first_seen"] == clock() - timedelta(days=1)


def test_records_open_at_once(database: Database, store: IncidentStore) -> None:
    store.ingest_records({"records": [record()]}, "x")
    (incident,) = incidents(database)
    assert incident["state"] == "open" and incident["opened_by"].startswith("rule service_errors")
    assert changes(database) == [("opened", "open")]
