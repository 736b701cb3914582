"""Merges and splits: counts are exact on both sides, later events follow, nothing is lost when they are taken back."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.database import Database, Transaction
from core.errors import Conflict, InvalidInput, UnknownObject
from logger.events import CoveredJob, Event
from logger.folding import fold
from logger.grouping import live_links, merge, resolve, split, undo_link
from logger.life import Act
from logger.links import Links, Step
from logger.moving import all_of, of_jobs, of_records
from logger.store import IncidentStore
from tests.logger.builders import record

OLD = "v1:x:1:0123456789abcdef"
"""A key that an algorithm before has computed."""
NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
ANN = Act("ann", "merge", "same cause", via="cli")
_ids = itertools.count(5_000_000)


def event(key: str, site: str = "CERN", task: int = 1, user: str = "u", **changes: Any) -> Event:
    """A failed job of a trouble."""
    job = CoveredJob(next(_ids), lost_core_s=7, is_residue=task % 2 == 1, endpoint=f"{site}_DATADISK")
    minutes = changes.pop("minutes", 0)
    values: dict[str, Any] = {
        **{"rule": "failure_burst", "kind": "failure_burst", "fingerprint": key, "grouping": "alike", "title": key},
        **{"time": NOW - timedelta(minutes=minutes), "severity": "warning", "component": "pilot", "code": 1305},
        **{"computing_site": site, "jedi_task_id": task, "user_name": user, "host": f"wn.{site}", "job": job},
    }
    return Event(**{**values, **changes})


def fold_all(database: Database, *events: Event) -> None:
    with database.transaction() as transaction:
        fold(transaction, events, NOW)


def incident_of(database: Database, key: str) -> dict[str, Any]:
    """The newest incident of a fingerprint."""
    statement = "SELECT * FROM incidents WHERE fingerprint = %(key)s ORDER BY incident_id DESC LIMIT 1"
    row = database.fetch_one(statement, {"key": key})
    assert row is not None
    return row


def job_counts(database: Database) -> dict[str, int]:
    rows = database.fetch("SELECT fingerprint, job_count FROM incidents WHERE job_count > 0")
    return {row["fingerprint"]: row["job_count"] for row in rows}


def assert_exact(database: Database, *, with_times: bool = True) -> None:
    """Counts, breakdown, bins and times of every incident are those of its jobs and records."""
    with database.transaction() as transaction:
        for incident in transaction.fetch("SELECT * FROM incidents"):
            counted, wanted = all_of(transaction, incident), _derived(transaction, incident["incident_id"])
            assert +counted.counts == +wanted.counts
            assert counted.breakdown == wanted.breakdown and counted.bins == wanted.bins
            for column, dimension in _DISTINCT.items():
                distinct = sum(name == dimension for name, _ in wanted.breakdown)
                assert incident[column] == distinct, column
            if with_times and wanted.first:
                assert incident["first_seen"] == wanted.first and incident["last_seen"] == wanted.last


_DISTINCT = {"queue_count": "computing_site", "task_count": "jedi_task_id", "user_count": "prod_user_name"}


def _derived(transaction: Transaction, incident_id: int) -> Any:
    key = {"id": incident_id}
    jobs = transaction.fetch("SELECT * FROM incident_jobs WHERE incident_id = %(id)s", key)
    records = transaction.fetch("SELECT * FROM log_records WHERE incident_id = %(id)s", key)
    return of_jobs(jobs) + of_records(records)


def do(database: Database, what: Any, *arguments: Any) -> dict[str, Any]:
    with database.transaction() as transaction:
        row: dict[str, Any] = what(transaction, *arguments, ANN, NOW)
        return row


# --- where events go


def test_a_split_wins_over_a_merge_and_chains_are_followed() -> None:
    links = Links(
        {"a": Step(1, "b"), "b": Step(2, "c")},
        {"c": {("computing_site", "BNL"): Step(3, "c|BNL")}, "a": {("jedi_task_id", "9"): Step(4, "a|9")}},
    )
    keys = [
        resolve([event("a", site, task)], links)[0].fingerprint
        for site, task in (("CERN", 1), ("BNL", 1), ("BNL", 9), ("CERN", 9))
    ]
    assert keys == ["c", "c|BNL", "a|9", "a|9"]
    (unchanged,) = resolve([event("x")], links)
    assert unchanged.fingerprint == "x" and unchanged.own_fingerprint == ""


def test_the_own_key_stays_beside_it_and_the_old_key_is_followed_when_the_new_has_no_link() -> None:
    links = Links({OLD: Step(1, "b")})
    (moved,) = resolve([event("v3:a", older_keys=lambda: ("v2:a", OLD))], links)
    assert (moved.fingerprint, moved.own_fingerprint, moved.older_keys()) == ("b", OLD, ())
    assert resolve([moved], links) == [moved]


def test_nobody_computes_older_keys_for_links_between_keys_of_today() -> None:
    links = Links({"v1:storage CERN down": Step(1, "b"), "v3:a:1:0123456789abcdef": Step(2, "b")})
    asked: list[str] = []

    def older() -> tuple[str, ...]:
        asked.append("asked")
        return (OLD,)

    made = event("v3:x", older_keys=older)
    assert resolve([made], links) == [made] and not asked


def test_no_chain_is_followed_for_ever() -> None:
    circle = Links({"a": Step(1, "b"), "b": Step(2, "a")})
    assert resolve([event("a")], circle)[0].fingerprint == "a"
    long = Links({str(n): Step(n, str(n + 1)) for n in range(1, 30)})
    assert resolve([event("1")], long)[0].fingerprint == "9"


# --- merge


def test_a_merge_moves_everything_and_later_events_follow(database: Database) -> None:
    fold_all(database, *(event("a", site, minutes=n) for n, site in enumerate(("CERN", "BNL", "CERN", "RAL"))))
    fold_all(database, event("b", "BNL", task=2, user="bob"), event("b", "FZK", task=2))
    a, b = incident_of(database, "a"), incident_of(database, "b")
    link = do(database, merge, a["incident_id"], b["incident_id"])
    assert job_counts(database) == {"b": 6}
    assert_exact(database)
    merged, stays = incident_of(database, "a"), incident_of(database, "b")
    assert (merged["state"], merged["merged_into"]) == ("resolved", b["incident_id"])
    assert stays["queue_count"] == 4 and stays["user_count"] == 2 and stays["jedi_task_id"] is None
    assert link["kind"] == "merge" and link["target"] == "b"
    fold_all(database, event("a", "CERN"), event("a", "NEW"))
    assert job_counts(database) == {"b": 8}
    assert_exact(database)
    what = database.fetch("SELECT action, comment FROM incident_activity WHERE who = 'ann' ORDER BY activity_id")
    assert [row["action"] for row in what] == ["merge", "merge"]
    assert what[0]["comment"] == f"merged into incident {b['incident_id']}: same cause"
    audit = database.fetch("SELECT object_id, action, via FROM audit WHERE who = 'ann' ORDER BY audit_id")
    assert [(row["action"], row["via"]) for row in audit] == [("merge", "cli")] * 3  # both incidents, and the link


def test_an_undone_merge_is_as_before_with_what_came_meanwhile(database: Database) -> None:
    fold_all(database, event("a"), event("a", "BNL", minutes=20), event("b", "FZK", minutes=40))
    a, b = incident_of(database, "a"), incident_of(database, "b")
    link = do(database, merge, a["incident_id"], b["incident_id"])
    fold_all(database, event("a", "RAL"), event("b", "RAL"))
    do(database, undo_link, link["link_id"])
    assert job_counts(database) == {"a": 3, "b": 2}
    assert_exact(database)
    back = incident_of(database, "a")
    assert back["incident_id"] == a["incident_id"] and back["merged_into"] is None
    assert back["state"] == a["state"] and back["resolution"] == ""
    fold_all(database, event("a"))
    assert job_counts(database) == {"a": 4, "b": 2}
    with pytest.raises(Conflict, match="undone already"):
        do(database, undo_link, link["link_id"])
    with pytest.raises(UnknownObject):
        do(database, undo_link, 999)


def test_an_undone_merge_leaves_it_explained_by_what_explained_it(database: Database) -> None:
    fold_all(database, event("a"), event("b"), event("central"))
    a, b, central = (incident_of(database, key) for key in ("a", "b", "central"))
    explain = "UPDATE incidents SET inhibited_by = %(central)s WHERE incident_id = %(incident)s"
    for is_over in (False, True):
        database.execute(explain, {"central": central["incident_id"], "incident": a["incident_id"]})
        link = do(database, merge, a["incident_id"], b["incident_id"])
        if is_over:
            database.execute("UPDATE incidents SET state = 'resolved' WHERE incident_id = %(incident_id)s", central)
        do(database, undo_link, link["link_id"])
        assert incident_of(database, "a")["inhibited_by"] == (None if is_over else central["incident_id"])


def test_a_link_is_in_the_audit_from_its_beginning_to_its_end(database: Database) -> None:
    fold_all(database, event("a"), event("a", "BNL"), event("b", "FZK"))
    a, b = incident_of(database, "a"), incident_of(database, "b")
    merged = do(database, merge, a["incident_id"], b["incident_id"])
    do(database, undo_link, merged["link_id"])
    cut = do(database, split, a["incident_id"], "computing_site", "BNL")
    rows = database.fetch("SELECT * FROM audit WHERE object_kind = 'link' ORDER BY audit_id")
    said = {"incident_id": a["incident_id"], "into_incident_id": b["incident_id"], "fingerprint": "a", "target": "b"}
    assert [(row["action"], row["before"], row["after"]) for row in rows[:2]] == [
        ("merge", {}, said),
        ("undo merge", said, {}),
    ]
    assert (rows[2]["action"], rows[2]["object_id"]) == ("split", str(cut["link_id"]))
    assert rows[2]["after"]["value"] == "BNL" and {row["reason"] for row in rows} == {"same cause"}


def test_what_cannot_be_merged_says_why(database: Database) -> None:
    fold_all(database, event("a"), event("b"), event("c"))
    a, b, c = (incident_of(database, key)["incident_id"] for key in "abc")
    with pytest.raises(InvalidInput) as itself:
        do(database, merge, a, a)
    assert itself.value.field == "into"
    with pytest.raises(UnknownObject):
        do(database, merge, a, 99_999)
    do(database, merge, a, b)
    for source, target, field in ((a, c, "incident_id"), (c, a, "into")):
        with pytest.raises(Conflict, match="is resolved") as refused:
            do(database, merge, source, target)
        assert refused.value.field == field
    assert job_counts(database) == {"b": 2, "c": 1}


# --- split


def test_a_split_takes_what_is_there_and_what_comes(database: Database) -> None:
    fold_all(database, event("a"), event("a", "BNL", minutes=3), event("a", "BNL", task=2, minutes=9))
    a = incident_of(database, "a")["incident_id"]
    link = do(database, split, a, "computing_site", "BNL")
    assert job_counts(database) == {"a": 1, "a|computing_site=BNL": 2}
    assert_exact(database)
    part = incident_of(database, "a|computing_site=BNL")
    assert link["into_incident_id"] == part["incident_id"]
    assert part["state"] == "open" and part["opened_by"] == "ann" and part["change_seq"] == 1
    assert part["opened_time"] is not None and part["computing_site"] == "BNL"
    fold_all(database, event("a", "BNL"), event("a", "CERN"))
    assert job_counts(database) == {"a": 2, "a|computing_site=BNL": 3}
    do(database, undo_link, link["link_id"])
    assert job_counts(database) == {"a": 5}
    assert_exact(database)
    over = incident_of(database, "a|computing_site=BNL")
    assert (over["state"], over["merged_into"]) == ("resolved", a)


@pytest.mark.parametrize(
    ("dimension", "value"),
    [
        ("jedi_task_id", "2"),
        ("prod_user_name", "bob"),
        ("modification_host", "wn.BNL"),
        ("storage", "BNL_DATADISK"),
        ("step", "stage-in"),
    ],
)
def test_by_what_a_trouble_can_be_split(database: Database, dimension: str, value: str) -> None:
    fold_all(database, event("a"), event("a", "BNL", task=2, user="bob", step="stage-in"))
    do(database, split, incident_of(database, "a")["incident_id"], dimension, value)
    assert job_counts(database) == {"a": 1, f"a|{dimension}={value}": 1}
    fold_all(database, event("a", "BNL", task=2, user="bob", step="stage-in"))
    assert job_counts(database) == {"a": 1, f"a|{dimension}={value}": 2}


def test_what_cannot_be_split_says_why(database: Database) -> None:
    fold_all(database, event("a"), event("a", "BNL"))
    a = incident_of(database, "a")["incident_id"]
    for dimension, value, error, field in (
        ("colour", "red", InvalidInput, "dimension"),
        ("computing_site", "RAL", InvalidInput, "value"),
        ("jedi_task_id", "1", Conflict, "value"),
    ):
        with pytest.raises(error) as refused:
            do(database, split, a, dimension, value)
        assert refused.value.field == field and refused.value.remedy
    do(database, split, a, "computing_site", "BNL")
    with pytest.raises(Conflict, match="split off already"):
        do(database, split, a, "computing_site", "BNL")
    part = incident_of(database, "a|computing_site=BNL")["incident_id"]
    with pytest.raises(Conflict, match="already") as circle:
        do(database, merge, part, a)
    assert "undo" in str(circle.value.remedy)


# --- whatever people do


_STEP = st.one_of(
    st.tuples(st.just("fold"), st.sampled_from("abc"), st.sampled_from(["CERN", "BNL", "RAL"])),
    st.tuples(st.just("merge"), st.integers(0, 9), st.integers(0, 9)),
    st.tuples(st.just("split"), st.integers(0, 9), st.sampled_from(["CERN", "BNL"])),
    st.tuples(st.just("undo"), st.integers(0, 9), st.just(0)),
)


@settings(max_examples=25)
@given(steps=st.lists(_STEP, min_size=3, max_size=14))
def test_counts_are_exact_after_any_steps_and_all_undone_is_as_if_nothing_was(
    shared_database: Database, steps: list[tuple[str, Any, Any]]
) -> None:
    database = shared_database
    database.execute(
        "TRUNCATE incidents, incident_jobs, incident_breakdown, incident_bins, fingerprint_links, log_records"
    )
    folded: Counter[str] = Counter()
    for what, one, other in [("fold", "a", "CERN"), ("fold", "b", "BNL"), *steps]:
        if what == "fold":
            fold_all(database, event(one, other))
            folded[one] += 1
        else:
            _try(database, what, one, other)
        assert_exact(database)
    for row in database.fetch("SELECT link_id FROM fingerprint_links WHERE undone_time IS NULL ORDER BY link_id DESC"):
        do(database, undo_link, row["link_id"])
        assert_exact(database)
    assert job_counts(database) == dict(folded)


def _try(database: Database, what: str, one: int, other: Any) -> None:
    """A step of a person, which may be refused."""
    living = [
        row["incident_id"]
        for row in database.fetch("SELECT incident_id FROM incidents WHERE state <> 'resolved' ORDER BY incident_id")
    ]
    links = [row["link_id"] for row in database.fetch("SELECT link_id FROM fingerprint_links ORDER BY link_id")]
    try:
        if what == "merge":
            do(database, merge, living[one % len(living)], living[other % len(living)])
        elif what == "split":
            do(database, split, living[one % len(living)], "computing_site", other)
        elif links:
            do(database, undo_link, links[one % len(links)])
    except (Conflict, InvalidInput):
        pass


def test_links_hold_while_somebody_folds(database: Database) -> None:
    """A merge waits for those who fold by the links as they were."""
    fold_all(database, event("a"), event("b"))
    with database.transaction() as folding, database.transaction() as other:
        assert not live_links(folding)
        free = other.fetch_one("SELECT pg_try_advisory_xact_lock(7307) AS free")
        assert free == {"free": False}


# --- records, and keys that lead nowhere


def say(database: Database, *messages: str, site: str = "CERN", component: str = "adder") -> None:
    """Errors of a service."""
    batch = [record(message, component=component, computing_site=site) for message in messages]
    IncidentStore(database).ingest_records({"records": batch}, "x")


def of_component(database: Database, component: str) -> dict[str, Any]:
    statement = "SELECT * FROM incidents WHERE component = %(name)s ORDER BY incident_id DESC LIMIT 1"
    row = database.fetch_one(statement, {"name": component})
    assert row is not None
    return row


def record_counts(database: Database) -> dict[str, int]:
    rows = database.fetch("SELECT component, record_count FROM incidents WHERE record_count > 0")
    return {row["component"]: row["record_count"] for row in rows}


def test_records_move_with_their_incident_and_come_back(database: Database) -> None:
    say(database, *["disk full"] * 30)
    say(database, "disk full", site="BNL")
    say(database, "socket closed", component="carrier")
    fold_all(database, event("jobs"))
    ids = {name: of_component(database, name)["incident_id"] for name in ("adder", "carrier", "pilot")}
    one = do(database, merge, ids["adder"], ids["pilot"])
    assert record_counts(database) == {"pilot": 31, "carrier": 1}
    two = do(database, merge, ids["carrier"], ids["pilot"])
    say(database, "disk full", site="RAL")
    assert record_counts(database) == {"pilot": 33}
    linked = database.fetch("SELECT DISTINCT incident_id FROM log_records")
    assert linked == [{"incident_id": ids["pilot"]}]
    do(database, undo_link, one["link_id"])
    assert record_counts(database) == {"adder": 32, "pilot": 1}
    assert of_component(database, "adder")["queue_count"] == 3
    do(database, undo_link, two["link_id"])
    assert record_counts(database) == {"adder": 32, "carrier": 1} and job_counts(database) == {"jobs": 1}
    say(database, "disk full")
    assert record_counts(database)["adder"] == 33


def test_what_is_kept_no_longer_is_counted_back_all_the_same(database: Database) -> None:
    say(database, *["disk full"] * 5)
    say(database, "socket closed", component="carrier")
    adder, carrier = (of_component(database, name)["incident_id"] for name in ("adder", "carrier"))
    link = do(database, merge, adder, carrier)
    database.execute("DELETE FROM log_records")
    say(database, "disk full", "disk full")
    do(database, undo_link, link["link_id"])
    assert record_counts(database) == {"adder": 7, "carrier": 1}


def test_records_are_split_by_what_they_name(database: Database) -> None:
    say(database, "disk full")
    say(database, "disk full", "disk full", site="BNL")
    adder = of_component(database, "adder")["incident_id"]
    link = do(database, split, adder, "computing_site", "BNL")
    say(database, "disk full", site="BNL")
    parts = database.fetch("SELECT incident_id, record_count FROM incidents ORDER BY incident_id")
    assert [row["record_count"] for row in parts] == [1, 3]
    do(database, undo_link, link["link_id"])
    parts = database.fetch("SELECT record_count, state FROM incidents ORDER BY incident_id")
    assert [(row["record_count"], row["state"]) for row in parts] == [(4, "open"), (0, "resolved")]


def test_jobs_that_came_under_a_key_of_another_age_come_back_too(database: Database) -> None:
    fold_all(database, event(OLD), event("b"))
    fold_all(database, event("v3:a", older_keys=lambda: ("v2:a", OLD)))
    keys = {"old": OLD, "new": "v3:a"}
    database.execute("UPDATE incident_jobs SET own_fingerprint = %(new)s WHERE own_fingerprint = %(old)s", keys)
    a, b = incident_of(database, OLD)["incident_id"], incident_of(database, "b")["incident_id"]
    link = do(database, merge, a, b)
    fold_all(database, event("v3:a", older_keys=lambda: ("v2:a", OLD)))
    assert job_counts(database) == {"b": 4}
    do(database, undo_link, link["link_id"])
    assert job_counts(database) == {OLD: 3, "b": 1}
    assert_exact(database)


def test_a_merge_into_what_was_merged_further_comes_back_from_there(database: Database) -> None:
    fold_all(database, event("a"), event("b"), event("c"))
    a, b, c = (incident_of(database, key)["incident_id"] for key in "abc")
    first = do(database, merge, a, b)
    do(database, merge, b, c)
    fold_all(database, event("a"))
    assert job_counts(database) == {"c": 4}
    do(database, undo_link, first["link_id"])
    assert job_counts(database) == {"a": 2, "c": 2}
    assert_exact(database)


def test_what_was_over_meanwhile_stays_over(database: Database) -> None:
    fold_all(database, event("a"), event("b"))
    a, b = (incident_of(database, key)["incident_id"] for key in "ab")
    link = do(database, merge, a, b)
    IncidentStore(database).resolve(b, "bob")
    do(database, undo_link, link["link_id"])
    row = incident_of(database, "a")
    assert (row["state"], row["merged_into"], row["job_count"]) == ("resolved", None, 1)
    fold_all(database, event("a"))
    assert incident_of(database, "a")["incident_id"] != a


def test_a_severity_that_a_merge_raised_falls_back(database: Database) -> None:
    fold_all(database, event("a", severity="critical"), event("b"))
    a, b = (incident_of(database, key)["incident_id"] for key in "ab")
    link = do(database, merge, a, b)
    assert incident_of(database, "b")["severity"] == "critical"
    told = database.fetch("SELECT what FROM incident_changes WHERE incident_id = %(b)s ORDER BY change_seq", {"b": b})
    assert [row["what"] for row in told][-1] == "worse"
    do(database, undo_link, link["link_id"])
    assert incident_of(database, "b")["severity"] == "warning"


def test_what_people_know_of_does_not_vanish_in_a_candidate(database: Database) -> None:
    fold_all(database, event("a"), event("b", task=2, opens=False))
    a, b = (incident_of(database, key) for key in "ab")
    assert b["state"] == "candidate"
    do(database, merge, a["incident_id"], b["incident_id"])
    row = incident_of(database, "b")
    assert (row["state"], row["opened_by"], row["job_count"]) == ("open", "ann", 2)


def test_a_persons_severity_is_not_raised_by_a_merge(database: Database) -> None:
    fold_all(database, event("a", severity="critical"), event("b"))
    a, b = (incident_of(database, key)["incident_id"] for key in "ab")
    IncidentStore(database).set_severity(b, "warning", "bob")
    do(database, merge, a, b)
    assert incident_of(database, "b")["severity"] == "warning"


def test_nothing_is_lost_while_people_merge_and_jobs_fail(database: Database) -> None:
    """Four threads fold and one merges and takes back, again and again: every job is counted once, in one place."""
    fold_all(database, event("a"), event("b"))
    errors: list[BaseException] = []
    stop = threading.Event()

    def fail() -> None:
        try:
            for _ in range(25):
                fold_all(database, event("a", "BNL"), event("b", "CERN"))
        except BaseException as error:  # noqa: BLE001  (told by the main thread)
            errors.append(error)

    def regroup() -> None:
        try:
            while not stop.is_set():
                a, b = incident_of(database, "a"), incident_of(database, "b")
                link = do(database, merge, a["incident_id"], b["incident_id"])
                do(database, undo_link, link["link_id"])
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    failing = [threading.Thread(target=fail) for _ in range(4)]
    regrouping = threading.Thread(target=regroup)
    for thread in (*failing, regrouping):
        thread.start()
    for thread in failing:
        thread.join()
    stop.set()
    regrouping.join()
    assert errors == []
    assert job_counts(database) == {"a": 101, "b": 101}
    assert len(database.fetch("SELECT 1 FROM incidents")) == 2
    assert_exact(database)
