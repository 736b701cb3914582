"""Trying a rule on the past: what it would have opened, which incidents those are, and what could not be looked at."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any

import pytest

from core.database import Database
from core.errors import InvalidInput
from logger.backtest import BackTest, back_test
from logger.folding import fold
from logger.replays.base import Limit
from logger.rule_rows import RuleDraft
from logger.rules.service_errors import record_event
from tests.logger.rules.test_record_rules import rule as record_rule
from tests.logger.rules.test_record_rules import said
from tests.logger.rules.watched import NOW, Watched

_TABLES = (
    "incident_jobs, incidents, incident_activity, incident_changes, incident_breakdown, incident_bins, watch_samples, "
    "throughput_totals, throughput_hours, log_records"
)
_ids = itertools.count(5_000_000)


@pytest.fixture
def fresh(shared_database: Database) -> Database:
    """The module's database without what the test before left."""
    shared_database.execute(f"TRUNCATE {_TABLES}")
    return shared_database


def tried(database: Database, name: str, days: float = 7, *, evaluator: str = "", **parameters: Any) -> BackTest:
    return back_test(database, RuleDraft(name, evaluator or name, parameters=parameters), days, NOW)


def sample(database: Database, rule: str, subject: str, hours_ago: float, values: list[float], note: str = "") -> None:
    """Values of bins one after the other."""
    start = NOW.replace(minute=0) - timedelta(hours=hours_ago)
    for number, value in enumerate(values):
        database.execute(
            "INSERT INTO watch_samples VALUES (%(rule)s, %(time)s, %(subject)s, %(value)s, %(note)s)",
            {
                "rule": rule,
                "time": start + timedelta(minutes=5 * number),
                "subject": subject,
                "value": value,
                "note": note,
            },
        )


# --- measures


def test_a_lower_limit_would_have_fired_where_values_were_beyond_it(fresh: Database) -> None:
    sample(fresh, "silent_queue", "CERN", 50, [100, 400, 700, 450, 80])
    sample(fresh, "silent_queue", "BNL", 20, [200, 310])
    present = tried(fresh, "silent_queue", limit_s=600)
    assert (present.count, present.openings[0].subject, present.openings[0].would_last_s) == (1, "CERN", 300)
    lower = tried(fresh, "silent_queue", limit_s=300)
    assert [(one.subject, one.value) for one in lower.openings] == [("CERN", 700), ("BNL", 310)]
    assert lower.sentence == "would have fired twice in the last 7 days, at Tue 10:05 (CERN), Wed 16:05 (BNL)"
    assert lower.is_complete and lower.looked_at == 7
    much_lower = tried(fresh, "silent_queue", limit_s=250)
    assert "there may have been more" in much_lower.sentence
    assert tried(fresh, "silent_queue", limit_s=300, queues="BNL").count == 1
    assert tried(fresh, "silent_queue", days=1, limit_s=300).count == 1
    assert tried(fresh, "silent_queue", limit_s=9000).sentence == "would not have fired in the last 7 days"


def test_how_long_it_must_last_and_where_it_ends_count_too(fresh: Database) -> None:
    sample(fresh, "silent_queue", "CERN", 50, [700, 700, 400, 700, 100])
    assert tried(fresh, "silent_queue", limit_s=600, for_s=600).count == 0
    assert tried(fresh, "silent_queue", limit_s=600, for_s=300).count == 1
    clear = tried(fresh, "silent_queue", limit_s=600, clear_part=0.5)
    assert (clear.count, clear.openings[0].would_last_s) == (1, 1200)
    assert tried(fresh, "silent_queue", limit_s=600).count == 2


def test_limits_that_are_worked_out_from_the_usual_are_tried_with_another_factor(fresh: Database) -> None:
    sample(fresh, "wait_percentile", "CERN", 30, [4000, 4000, 4000, 4000], note="1500")
    assert tried(fresh, "wait_percentile", times_usual=3).count == 0
    assert tried(fresh, "wait_percentile", times_usual=2).count == 1


def test_low_values_are_the_bad_ones_of_some_rules(fresh: Database) -> None:
    sample(fresh, "throughput_low", "CERN", 30, [0.45, 0.3, 0.3, 0.45])
    assert tried(fresh, "throughput_low", limit_part=0.5).count == 1
    assert tried(fresh, "throughput_low", limit_part=0.2).count == 0


def test_openings_are_told_with_the_incidents_that_they_were_and_misses_with_theirs(fresh: Database) -> None:
    watched = Watched(fresh, rules=("silent_queue",))
    fresh.execute("TRUNCATE jobs_live, queue_contacts")
    watched.now = NOW - timedelta(hours=5)
    for site, minutes in (("A", 12), ("B", 40)):
        watched.job(minutes, site=site)
    watched.contact(0, "Z")
    assert watched.look() == 2
    watched.after(minutes=10)
    fresh.execute("TRUNCATE jobs_live")
    watched.look()
    ids = {one["computing_site"]: one["incident_id"] for one in watched.incidents()}
    same = tried(fresh, "silent_queue", limit_s=600)
    assert {one.subject: one.incident_id for one in same.openings} == ids and same.missed == []
    assert "were among them" in same.sentence
    fewer = tried(fresh, "silent_queue", limit_s=1800)
    assert fewer.missed == [ids["A"]]
    assert fewer.sentence.endswith(f"incident {ids['A']} would not have been opened")


def test_a_new_rule_is_tried_on_what_its_evaluator_measured(fresh: Database) -> None:
    sample(fresh, "silent_queue", "CERN", 50, [700])
    assert tried(fresh, "cern_silent", evaluator="silent_queue", limit_s=600, queues="CERN").count == 1
    assert "nothing has been measured yet" in tried(fresh, "clock_skew").sentence


# --- jobs


def failures(
    database: Database,
    count: int,
    hours_ago: float,
    *,
    fingerprint: str = "v2:pilot:1305:x",
    site: str = "CERN",
    is_residue: bool = True,
    opened: bool = False,
    every_s: float = 10,
    **fields: Any,
) -> int:
    """Jobs that failed alike, one after the other, as they stand in their incident; returns which."""
    time = NOW - timedelta(hours=hours_ago)
    (row,) = database.fetch(
        """INSERT INTO incidents (fingerprint, kind, state, title, component, code, first_seen, last_seen, opened_time,
                                  resolved_time, rule_name)
           VALUES (%(key)s, 'failure_burst', 'resolved', 'it failed', 'pilot', 1305, %(time)s, %(time)s,
                   CASE WHEN %(opened)s THEN %(time)s::timestamptz END, %(time)s, 'failure_burst') RETURNING incident_id""",
        {"key": fingerprint, "time": time, "opened": opened},
    )
    for number in range(count):
        database.execute(
            """INSERT INTO incident_jobs (panda_id, incident_id, time, computing_site, is_residue, lost_core_s, error_class)
               VALUES (%(id)s, %(incident)s, %(time)s, %(site)s, %(residue)s, %(lost)s, %(class)s)""",
            {
                "id": next(_ids),
                "incident": row["incident_id"],
                "time": time + timedelta(seconds=every_s * number),
                "site": site,
                "residue": is_residue,
                "lost": fields.get("lost_core_s", 0),
                "class": fields.get("error_class", "software"),
            },
        )
    return int(row["incident_id"])


def ended(database: Database, hours_ago: float, count: int, site: str = "CERN") -> None:
    """Jobs that ended in an hour."""
    time = (NOW - timedelta(hours=hours_ago)).replace(minute=0)
    for table, place in (("throughput_totals", ""), ("throughput_hours", "computing_site, ")):
        database.execute(
            f"""INSERT INTO {table} (bin_time, {place}job_status, prod_source_label, job_count)
                VALUES (%(time)s, {"%(site)s, " if place else ""}'finished', 'user', %(count)s)""",
            {"time": time, "site": site, "count": count},
        )


def test_lost_work_opens_and_what_was_retried_does_not(fresh: Database) -> None:
    real = failures(fresh, 3, 30, opened=True)
    failures(fresh, 5, 20, fingerprint="v2:retried", is_residue=False)
    found = tried(fresh, "failure_burst", evaluator="job")
    assert [(one.subject, one.incident_id, one.title) for one in found.openings] == [("CERN", real, "it failed")]
    assert (found.looked_at, found.is_complete, found.missed) == (8, True, [])
    assert tried(fresh, "failure_burst", evaluator="job", min_residue_jobs=3).count == 1
    stricter = tried(fresh, "failure_burst", evaluator="job", min_residue_jobs=4)
    assert stricter.count == 0 and stricter.missed == [real]


def test_lost_jobs_are_weighed_by_how_many_ended_in_the_hour_before(fresh: Database) -> None:
    failures(fresh, 3, 30)
    ended(fresh, 30, 8000)
    assert tried(fresh, "failure_burst", evaluator="job", residue_part_of_ended=0.001).count == 0
    assert tried(fresh, "failure_burst", evaluator="job", residue_part_of_ended=0.0003).count == 1


def test_cost_opens_too(fresh: Database) -> None:
    failures(fresh, 2, 30, lost_core_s=6 * 3600)
    assert tried(fresh, "failure_burst", evaluator="job", min_residue_jobs=50).count == 1
    assert tried(fresh, "failure_burst", evaluator="job", min_residue_jobs=50, min_lost_core_h=20).count == 0


def test_a_burst_at_a_queue_opens_and_many_failures_among_more_work_do_not(fresh: Database) -> None:
    failures(fresh, 40, 30, is_residue=False)
    ended(fresh, 30, 60)
    assert tried(fresh, "failure_burst", evaluator="job").count == 1
    ended(fresh, 29.99 + 0.9, 5000)
    fresh.execute("UPDATE throughput_hours SET job_count = 5000")
    assert tried(fresh, "failure_burst", evaluator="job").count == 0


def test_failures_of_many_hours_are_no_burst_and_the_same_within_one_are(fresh: Database) -> None:
    """As live: a candidate may live for days on failures here and there."""
    failures(fresh, 40, 30, is_residue=False, every_s=400)
    assert tried(fresh, "failure_burst", evaluator="job", burst_jobs=20).count == 0
    failures(fresh, 40, 60, fingerprint="v2:b", is_residue=False, every_s=60)
    found = tried(fresh, "failure_burst", evaluator="job", burst_jobs=20)
    assert [(one.title, one.value) for one in found.openings] == [("it failed", 20)] and not found.cautions


def test_a_late_burst_of_a_long_trouble_opens_when_it_comes(fresh: Database) -> None:
    failures(fresh, 30, 30, is_residue=False, every_s=1000)
    failures(fresh, 25, 20, is_residue=False, fingerprint="v2:late", every_s=10)
    found = tried(fresh, "failure_burst", evaluator="job", burst_jobs=20)
    assert [(one.time - NOW).total_seconds() for one in found.openings] == [-20 * 3600 + 190]


def test_what_only_a_node_or_a_task_would_show_is_said(fresh: Database) -> None:
    failures(fresh, 40, 30, is_residue=False)
    ended(fresh, 30, 5000)
    found = tried(fresh, "failure_burst", evaluator="job")
    assert found.count == 0 and found.sentence.endswith(
        "1 trouble had 10 failures or more within an hour, which may be a burst at a node, of a task or of a user: "
        "only queues are counted here"
    )


def test_candidates_lapse_and_begin_anew(fresh: Database) -> None:
    failures(fresh, 6, 30, every_s=1200)
    assert tried(fresh, "failure_burst", evaluator="job", min_residue_jobs=3, quiet_s=600).count == 0
    assert tried(fresh, "failure_burst", evaluator="job", min_residue_jobs=3, quiet_s=1800).count == 1


def test_jobs_lost_now_and_then_do_not_add_up(fresh: Database) -> None:
    failures(fresh, 9, 40, every_s=1500)
    failures(fresh, 9, 20, fingerprint="v2:b", every_s=1100)
    found = tried(fresh, "failure_burst", evaluator="job", min_residue_jobs=4)
    assert [(one.subject, one.value) for one in found.openings] == [("CERN", 4)]


def test_selectors_choose_failures(fresh: Database) -> None:
    failures(fresh, 1, 30, error_class="storage")
    failures(fresh, 1, 20, fingerprint="v2:b", site="BNL")
    assert [one.subject for one in tried(fresh, "data_failures", evaluator="job", classes="data|storage").openings] == [
        "CERN"
    ]
    assert [one.subject for one in tried(fresh, "mine", evaluator="job", queues="BNL").openings] == ["BNL"]
    assert "labels were not compared" in tried(fresh, "mine", evaluator="job", labels="user").sentence


# --- records


def heard(database: Database, count: int, hours_ago: float, *, repeat: int = 1, **fields: Any) -> None:
    """Records as the store keeps them: folded, with their fingerprint and incident."""
    record = said(**fields)
    event = record_event((record_rule(),), record)
    with database.transaction() as transaction:
        incidents = fold(transaction, [event], NOW) if event else [None]
        for number in range(count):
            transaction.execute(
                """INSERT INTO log_records (received_time, time, level, severity_number, name, component, message,
                                            fingerprint, incident_id, repeat_count)
                   VALUES (%(time)s, %(time)s, %(level)s, %(number)s, 'x', %(component)s, %(message)s, %(key)s,
                           %(incident)s, %(repeat)s)""",
                {
                    "time": NOW - timedelta(hours=hours_ago) + timedelta(seconds=number),
                    "level": record.level,
                    "number": record.severity_number,
                    "component": record.component,
                    "message": record.message,
                    "key": event.fingerprint if event else "",
                    "incident": incidents[0],
                    "repeat": repeat,
                },
            )


def test_records_alike_are_counted_within_their_window(fresh: Database) -> None:
    heard(fresh, 5, 30)
    heard(fresh, 2, 20, message="other words", repeat=40)
    heard(fresh, 3, 10, message="a warning", level="WARNING")
    heard(fresh, 1, 5, fingerprint="my key", level="INFO")
    one = tried(fresh, "service_errors", evaluator="record")
    assert [opening.title for opening in one.openings] == ["adder: it broke", "adder: other words", "adder: it broke"]
    assert len({opening.incident_id for opening in one.openings}) == 3 and one.is_complete
    many = tried(fresh, "service_errors", evaluator="record", min_records=6)
    assert [opening.value for opening in many.openings] == [80, 1], "a key of its own needs no company"
    assert tried(fresh, "mine", evaluator="record", level="WARNING").count == 4
    assert tried(fresh, "mine", evaluator="record", keys="my*").count == 1
    assert tried(fresh, "mine", evaluator="record", components="!adder").count == 0


# --- limits


@pytest.mark.parametrize("days", [0, -1, 31, float("nan")])
def test_the_past_that_is_kept_bounds_the_days(fresh: Database, days: float) -> None:
    with pytest.raises(InvalidInput) as refused:
        tried(fresh, "silent_queue", days)
    assert refused.value.field == "days"


def test_parameters_that_do_not_fit_are_refused(fresh: Database) -> None:
    with pytest.raises(InvalidInput) as refused:
        tried(fresh, "silent_queue", limit_x=1)
    assert refused.value.field == "parameters.limit_x"


@pytest.mark.parametrize("evaluator", ["job", "record", "silent_queue"])
def test_what_takes_too_long_says_so(fresh: Database, evaluator: str) -> None:
    sample(fresh, "silent_queue", "CERN", 50, [700])
    found = back_test(fresh, RuleDraft("tried", evaluator), 7, NOW, Limit(0.0))
    assert not found.is_complete and "not all of it could be looked at" in found.sentence


def test_trying_changes_nothing(fresh: Database) -> None:
    failures(fresh, 3, 30, opened=True)
    before = fresh.fetch("SELECT * FROM incidents"), fresh.fetch("SELECT * FROM incident_rules ORDER BY rule_id")
    tried(fresh, "failure_burst", evaluator="job")
    assert before == (
        fresh.fetch("SELECT * FROM incidents"),
        fresh.fetch("SELECT * FROM incident_rules ORDER BY rule_id"),
    )
