"""Verdicts on real PostgreSQL: what is counted, from which window, and when it is judged again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import psycopg2.errors
import pytest

from core.clock import utc_now
from core.database import Database
from core.incident_settings import IncidentSettings
from logger import judging
from logger.events import Event
from logger.folding import fold
from logger.judging import counts_for
from logger.store import IncidentStore
from logger.verdicts import VerdictKeeper
from tests.logger.builders import end_jobs, record
from tests.logger.judgement.cases import changes, finished_jobs, incidents

_LOGS = {"payload.stderr": "./run.sh: line 1: calibrate: command not found\n"}


def normal_work(database: Database, queues: tuple[str, ...] = ("A", "B", "C1", "C2"), **more: Any) -> None:
    """Eighty jobs for each queue, of four users and four tasks, on five nodes."""
    with database.transaction() as transaction:
        for queue in queues:
            for place in range(20):
                finished_jobs(
                    transaction,  # type: ignore[arg-type]
                    4,
                    **{
                        "site": queue,
                        "user": f"user{place % 4}",
                        "task": 900 + place % 4,
                        "host": f"slot1@wn{place % 5}.{queue.lower()}.org",
                        "ago_s": 60 + place,
                        **more,
                    },
                )


def judged(database: Database) -> dict[str, Any]:
    """Fold what failed, judge it, and give the incident that is left."""
    IncidentStore(database).ingest_ended_jobs()
    VerdictKeeper(database, utc_now).look()
    (incident,) = incidents(database)
    return incident


def test_a_bad_node_whatever_its_slots_and_domain_are_called(database: Database) -> None:
    normal_work(database)
    for place in range(24):
        host = f"slot{place}@wn42.a.org" if place % 2 else "wn42"
        end_jobs(database, site="A", user=f"user{place % 4}", task=900 + place % 4, host=host, logs=_LOGS)
    finished_jobs(database, 2, site="A", host="slot9@wn42.a.org")
    finished_jobs(database, 2, site="B", host="wn42")
    incident = judged(database)
    assert (incident["verdict"], incident["verdict_value"], incident["node_count"]) == ("node", "A wn42", 1)
    document = incident["verdict_document"]
    node = next(one for one in document["dimensions"] if one["dimension"] == "node")
    assert (node["k"], node["b"], document["n"], document["ended"]) == (24, 26, 24, 320 + 24 + 4)
    assert document["sentence"].endswith("0 of 80 other jobs of the queue A failed like this")
    assert incident["verdict_score"] > 4 and document["confidence"] == "strong"


def test_two_bad_nodes_of_a_queue_are_named_and_the_queue_is_not(database: Database) -> None:
    normal_work(database)
    for place in range(24):
        host = ("slot1@wn42.a.org", "wn43")[place % 2]
        end_jobs(database, site="A", user=f"user{place // 2 % 4}", task=900 + place // 2 % 4, host=host, logs=_LOGS)
    incident = judged(database)
    assert (incident["verdict"], incident["verdict_value"]) == ("node", "A wn42")
    document = incident["verdict_document"]
    assert [(one["value"], one["k"], one["b"]) for one in document["nodes"]] == [("A wn42", 12, 12), ("A wn43", 12, 12)]
    assert "the nodes A wn42 and A wn43" in document["sentence"]


def test_a_broken_release_is_the_site_and_a_bug_the_user(database: Database) -> None:
    normal_work(database)
    for place in range(30):
        end_jobs(database, site="B", user=f"user{place % 4}", task=900 + place % 4, host=f"wn{place % 6}", logs=_LOGS)
    incident = judged(database)
    assert (incident["verdict"], incident["verdict_value"]) == ("site", "B")


def test_a_users_bug_in_three_tasks_is_the_user(database: Database) -> None:
    normal_work(database)
    for place in range(12):
        queue = ("A", "B", "C1")[place % 3]
        end_jobs(database, site=queue, user="mallory", task=800 + place % 3, host=f"wn{place}", logs=_LOGS)
    incident = judged(database)
    assert (incident["verdict"], incident["verdict_value"]) == ("user", "mallory")


def test_work_of_a_group_is_the_groups_whoever_submits_it(database: Database) -> None:
    normal_work(database)
    for place in range(12):
        queue = ("A", "B", "C1")[place % 3]
        end_jobs(database, site=queue, user=f"user{place % 4}", task=800 + place, host=f"wn{place}", logs=_LOGS)
    database.execute("UPDATE jobs_archive SET working_group = 'higgs' WHERE job_status = 'failed'")
    incident = judged(database)
    assert (incident["verdict"], incident["verdict_value"], incident["user_count"]) == ("user", "higgs", 1)
    document = incident["verdict_document"]
    user = next(one for one in document["dimensions"] if one["dimension"] == "user")
    assert (user["k"], user["b"]) == (12, 12)


def test_a_storage_that_two_queues_share_is_the_datas(database: Database) -> None:
    for queue in ("A", "B", "C1", "C2"):
        storage = "C_DISK" if queue in ("C1", "C2") else f"{queue}_DISK"
        database.execute(
            "INSERT INTO queues (queue_name, storage_endpoint) VALUES (%(queue)s, %(storage)s)",
            {"queue": queue, "storage": storage},
        )
    normal_work(database, ("A", "B", "D", "E", "F", "C1", "C2"))
    for place in range(12):
        more: dict[str, Any] = {"site": f"C{place % 2 + 1}", "user": f"user{place % 4}", "task": 900 + place % 4}
        end_jobs(database, code=1137, diag="Failed to stage-out file: Not a directory", exit_code=0, **more)
    incident = judged(database)
    assert (incident["kind"], incident["verdict"], incident["verdict_value"]) == ("data", "data", "C_DISK")


def test_a_missing_input_is_its_dataset(database: Database) -> None:
    normal_work(database)
    database.execute("INSERT INTO task_datasets (jedi_task_id, name, type) VALUES (7, 'user.dan.lost', 'input')")
    ids = end_jobs(
        database, 6, site="A", task=7, user="dan", code=1103, diag="No such file or directory: lost.01.dat", exit_code=0
    )
    database.execute(
        "INSERT INTO job_files (panda_id, type, lfn, dataset, endpoint)"
        " SELECT panda_id, 'input', 'lost.01.dat', 'user.dan.lost', 'A_DISK' FROM unnest(%(ids)s) AS j (panda_id)",
        {"ids": list(ids)},
    )
    incident = judged(database)
    assert (incident["verdict"], incident["verdict_value"]) == ("data", "user.dan.lost")
    dataset = next(one for one in incident["verdict_document"]["dimensions"] if one["dimension"] == "dataset")
    assert (dataset["k"], dataset["b"]) == (6, 6)


def test_readers_of_a_storage_that_is_no_queues_own_are_estimated(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "_SAMPLED_JOBS", 100)
    normal_work(database)
    readers = [
        row["panda_id"] for row in database.fetch("SELECT panda_id FROM jobs_archive WHERE computing_site = 'B'")
    ]
    ids = end_jobs(database, 6, site="A", code=1103, diag="No such file or directory: x.dat", exit_code=0)
    database.execute(
        "INSERT INTO job_files (panda_id, type, lfn, endpoint)"
        " SELECT panda_id, 'input', 'x.dat', 'FAR_DISK' FROM unnest(%(ids)s) AS j (panda_id)",
        {"ids": [*ids, *readers]},
    )
    document = judged(database)["verdict_document"]
    storage = next(one for one in document["dimensions"] if one["dimension"] == "storage")
    assert document["estimated"] == ["storage"] and storage["k"] == 6 and 60 <= storage["b"] <= 100


def test_a_trouble_everywhere_is_central(database: Database) -> None:
    normal_work(database)
    for place in range(40):
        end_jobs(
            database,
            site=("A", "B", "C1", "C2")[place % 4],
            user=f"user{place % 7}",
            task=700 + place % 9,
            host=f"wn{place % 5}",
            code=1151,
            diag="File transfer timed out",
            exit_code=0,
        )
    incident = judged(database)
    assert incident["verdict"] == "central" and incident["verdict_document"]["overlap"] > 0.9
    assert incident["verdict_document"]["sentence"].startswith("everywhere: 4 queues are hit")


def test_a_flood_is_not_its_own_normal(database: Database) -> None:
    """In the hour before it little ended; the window goes back to where other work outnumbers it."""
    finished_jobs(database, 300, site="B", user="bob", task=5, host="wn5", ago_s=5 * 3600)
    finished_jobs(database, 5, site="A", user="bob", task=5, host="wn5", ago_s=600)
    end_jobs(database, 60, site="A", user="ann", task=6, host="wn1", logs=_LOGS)
    incident = judged(database)
    document = incident["verdict_document"]
    assert document["ended"] == 365 and incident["verdict"] in ("node", "task")


def test_an_incident_that_lives_for_days_is_judged_by_its_last_day(database: Database) -> None:
    normal_work(database)
    end_jobs(database, 40, site="B", user="bob", task=5, host="wn1", logs=_LOGS)
    store = IncidentStore(database)
    store.ingest_ended_jobs()
    for table, column in (("incident_jobs", "time"), ("incidents", "first_seen")):
        database.execute(f"UPDATE {table} SET {column} = {column} - interval '30 h'")
    for place in range(12):
        end_jobs(database, site="A", user=f"user{place % 4}", task=900 + place % 4, host="wn9", logs=_LOGS)
    incident = judged(database)
    assert (incident["job_count"], incident["verdict_document"]["n"]) == (52, 12)
    assert (incident["verdict"], incident["verdict_value"]) == ("node", "A wn9")


def test_a_slow_database_makes_the_window_shorter_and_says_so(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished_jobs(database, 3, site="B", ago_s=600)
    end_jobs(database, 10, site="A", logs=_LOGS)
    IncidentStore(database).ingest_ended_jobs()
    counted = judging._counted
    spans: list[timedelta] = []

    def slow(*given: Any) -> Any:
        window = given[3]
        spans.append(window.end - window.start)
        if spans[-1] > limit:
            raise psycopg2.errors.QueryCanceled
        return counted(*given)

    monkeypatch.setattr(judging, "_counted", slow)
    limit = timedelta(hours=3)
    found = counts_for(database, incidents(database)[0])
    assert "further back were not counted" in found.note and found.ended == 13
    limit = timedelta(minutes=20)
    found = counts_for(database, incidents(database)[0])
    assert "only the last part" in found.note and found.ended == 13


def test_it_is_judged_at_once_and_again_only_when_it_changed(database: Database) -> None:
    now = 0.0
    keeper = VerdictKeeper(database, utc_now, monotonic=lambda: now)
    store = IncidentStore(database)
    end_jobs(database, 2, logs=_LOGS)
    store.ingest_ended_jobs()
    assert keeper.look() == 1 and incidents(database)[0]["verdict"] == "unclear"
    assert incidents(database)[0]["verdict_document"]["hint"]
    assert keeper.look() == 0
    end_jobs(database, 8, logs=_LOGS)
    finished_jobs(database, 100, site="B", user="bob", task=1, host="wn2", ago_s=60)
    store.ingest_ended_jobs()
    assert keeper.look() == 1
    end_jobs(database, logs=_LOGS)
    store.ingest_ended_jobs()
    assert keeper.look() == 0
    now += 60
    assert keeper.look() == 1 and incidents(database)[0]["verdict_document"]["n"] == 11


def test_candidates_are_not_judged_and_one_that_fails_stops_no_other(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    fold_events(database, an_event("v2:x::1", opens=False), an_event("v2:x::2"), an_event("v2:x::3"))

    def fragile(keeper: VerdictKeeper, row: dict[str, Any]) -> Any:
        if row["fingerprint"] == "v2:x::2":
            raise ValueError("cannot be judged")
        return verdict_of(keeper, row)

    verdict_of = VerdictKeeper.verdict_of
    monkeypatch.setattr(VerdictKeeper, "verdict_of", fragile)
    assert VerdictKeeper(database, utc_now).look() == 1
    assert [row["verdict"] for row in incidents(database)] == ["", "", "unclear"]


def test_an_incident_that_wastes_the_running_cores_is_critical(database: Database) -> None:
    database.execute(
        "INSERT INTO jobs_live (panda_id, job_status, computing_site, core_count)"
        " SELECT n, 'running', 'A', 8 FROM generate_series(1, 10) n"
    )
    end_jobs(database, 4, cores=8, walltime_s=3600, logs=_LOGS)
    incident = judged(database)
    assert incident["slot_share"] == pytest.approx(0.4, abs=0.01) and incident["severity"] == "critical"
    assert changes(database) == [("opened", "open"), ("worse", "open")]


def test_a_lock_on_the_jobs_keeps_no_verdict_waiting(database: Database) -> None:
    fold_events(database, an_event("v1:database does not answer", component="database"))
    with database.transaction() as holder:
        holder.execute("LOCK TABLE jobs_live IN ACCESS EXCLUSIVE MODE")
        VerdictKeeper(database, utc_now).look()
    assert incidents(database)[0]["verdict"] == "central"


# --- incidents without jobs


def an_event(key: str, **more: Any) -> Event:
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


def fold_events(database: Database, *events: Event) -> None:
    with database.transaction() as transaction:
        fold(transaction, events, utc_now())


@pytest.mark.parametrize(
    ("event", "verdict", "value"),
    [
        (an_event("v1:silent_queue:H", rule="silent_queue", kind="absence", computing_site="H"), "site", "H"),
        (an_event("v1:task_stalled:17", rule="task_stalled", kind="absence", jedi_task_id=17), "task", "17"),
        (
            an_event("v1:transfer_stuck:stage-in:D_DISK", rule="transfer_stuck", kind="data", computing_site="D"),
            "data",
            "D_DISK",
        ),
        (an_event("v1:agents_late:adder", rule="agents_late", component="adder"), "central", ""),
        (an_event("v1:clock_skew:wn7", rule="clock_skew", host="wn7"), "node", "wn7"),
        (an_event("v1:database does not answer", component="database"), "central", ""),
        (an_event("v1:flood:gail", component="gail"), "central", ""),
        (an_event("v1:pilots refused:F", component="dispatcher", computing_site="F"), "site", "F"),
        (an_event("v2:mover::abc", component="mover"), "unclear", ""),
        (an_event("v2:adder::abc", component="core.agents.adder"), "central", ""),
        (an_event("v2:api-1::abc", component="api-1"), "central", ""),
        (an_event("v2:postgres::abc", component="postgres"), "central", ""),
    ],
)
def test_what_has_no_jobs_is_judged_by_what_it_is_about(
    database: Database, event: Event, verdict: str, value: str
) -> None:
    fold_events(database, event)
    VerdictKeeper(database, utc_now).look()
    (incident,) = incidents(database)
    assert (incident["verdict"], incident["verdict_value"]) == (verdict, value)
    assert incident["verdict_document"]["sentence"]


def test_records_that_name_queues_are_held_against_what_pilots_call(database: Database) -> None:
    for queue in "ABCDEFGH":
        database.execute(
            "INSERT INTO queue_contact_hours (queue_name, hour, request_count)"
            " VALUES (%(queue)s, date_trunc('hour', clock_timestamp()), 100)",
            {"queue": queue},
        )
    store = IncidentStore(database)
    store.ingest_records({"records": [record("mount lost", component="mover", computing_site="A")] * 12}, "x")
    everywhere = [record("proxy away", component="gate", computing_site=queue) for queue in "ABCDEFGH" * 5]
    store.ingest_records({"records": everywhere}, "x")
    VerdictKeeper(database, utc_now).look()
    assert {row["component"]: (row["verdict"], row["verdict_value"]) for row in incidents(database)} == {
        "mover": ("site", "A"),
        "gate": ("central", ""),
    }


def test_the_settings_decide_how_sure_a_verdict_must_be(database: Database) -> None:
    normal_work(database)
    end_jobs(database, 30, site="B", user="user1", task=901, host="wn1", logs=_LOGS)
    IncidentStore(database).ingest_ended_jobs()
    VerdictKeeper(database, utc_now, IncidentSettings(verdict_min_score=100)).look()
    assert incidents(database)[0]["verdict"] == "unclear"
