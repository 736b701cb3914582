"""The job list against real PostgreSQL: counts equal brute force, pages have neither gaps nor duplicates."""

from __future__ import annotations

import random
from collections import Counter
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from core.database import Database
from core.errors import InvalidInput
from core.models.errors import primary_error
from core.monitor.facets import FACET_FIELDS, estimate_jobs
from core.monitor.filters import escape_value
from core.monitor.jobs import job_list
from core.monitor.question import read_question
from core.monitor.reading import TooSlow, read
from core.monitor.selection import JOB_GRAMMAR
from tests.core.monitor.rows import ENDED_STATUSES, NOW, insert, insert_jobs, random_job, random_jobs


@pytest.fixture(scope="module")
def stored(module_database_url):
    door = Database(module_database_url)
    yield door, random_jobs(door, 600)
    door.close()


def ask(database: Database, *items: tuple[str, str], now: datetime = NOW):
    return job_list(database, read_question(items, JOB_GRAMMAR, now))


def facet_value(job, field):
    if field == "error":
        error = primary_error(job)
        return f"{error.component}:{error.code}" if error else None
    value = job.get(field)
    return "Not specified" if value in (None, "") else str(value)


def counted(jobs, field):
    return {
        value: count for value, count in Counter(facet_value(job, field) for job in jobs).items() if value is not None
    }


def in_window(job, hours=24):
    return job["job_status"] not in ENDED_STATUSES or job["state_change_time"] >= NOW - timedelta(hours=hours)


FILTERS = {
    "job_status": ["failed", "running", "finished", "*ed"],
    "computing_site": ["CERN", "CERN*", "", "LOCAL_1"],
    "prod_user_name": ["Ada", "Grace"],
    "jedi_task_id": [None, 10_000_001],
    "error": ["pilot:1305", "pilot:*", "trans:3", "ddm:200"],
    "job_name": ["100%_sure", "pipe|d", "star*red", "!bang", "back\\slash"],
    "modification_host": ["node1", ""],
}


@settings(deadline=None, max_examples=60)
@given(
    chosen=some.fixed_dictionaries({}, optional={name: some.sampled_from(values) for name, values in FILTERS.items()}),
    negated=some.booleans(),
)
def test_facets_and_rows_equal_a_brute_force_count(stored, chosen, negated):
    database, jobs = stored
    wildcards = {"*ed", "CERN*", "pilot:*"}
    texts = {
        name: value if value in wildcards else "Not specified" if value is None else escape_value(str(value))
        for name, value in chosen.items()
    }

    def holds(job, name, value):
        shown = (facet_value(job, name) or "").replace("Not specified", "")
        if value in wildcards:
            found = shown.endswith("ed") if value == "*ed" else shown.startswith(value[:-1])
        else:
            found = shown == ("" if value is None else str(value))
        return found != negated

    wanted = [
        job
        for job in jobs
        if all(holds(job, name, value) for name, value in chosen.items())
        and ("jedi_task_id" in chosen or in_window(job))
    ]
    answer = ask(database, *((name, "!" * negated + text) for name, text in texts.items()), ("limit", "1000"))
    assert answer["count"] == len(wanted) and answer["exact"] is True
    assert [row["panda_id"] for row in answer["jobs"]] == sorted((job["panda_id"] for job in wanted), reverse=True)
    for field in FACET_FIELDS:
        assert {item["value"]: item["count"] for item in answer["facets"][field]} == counted(wanted, field)


@pytest.mark.parametrize("sortby", ["panda_id-descending", "panda_id-ascending"])
def test_pages_have_neither_gaps_nor_duplicates_while_jobs_come_and_end(database, sortby):
    jobs = random_jobs(database, 300)
    known = {job["panda_id"] for job in jobs if in_window(job)}
    seen, cursor, newest = [], "", 300
    while cursor is not None:
        answer = ask(database, ("sortby", sortby), ("limit", "17"), *([("cursor", cursor)] if cursor else []))
        seen += [row["panda_id"] for row in answer["jobs"]]
        cursor = answer["next_cursor"]
        insert_jobs(database, [random_job(random.Random(newest), newest + index) for index in range(1, 4)])
        newest += 3
        _end_one(database, seen)
        assert newest < 1000
    assert len(seen) == len(set(seen)) and known <= set(seen)
    assert seen == sorted(seen, reverse=sortby.endswith("descending"))


def _end_one(database, seen):
    """A live job that no page has shown yet ends: it moves to the archive as the task buffer moves it."""
    row = database.fetch_one("SELECT panda_id FROM jobs_live WHERE panda_id <> ALL(%(seen)s) LIMIT 1", {"seen": seen})
    if row is None:
        return
    with database.transaction() as transaction:
        transaction.execute("DELETE FROM jobs_live WHERE panda_id = %(panda_id)s", row)
        transaction.execute(
            "INSERT INTO jobs_archive (panda_id, job_status, state_change_time) VALUES (%(panda_id)s, 'finished', %(t)s)",
            {**row, "t": NOW},
        )


def test_the_count_of_the_first_page_goes_with_the_cursor(stored):
    database, _ = stored
    first = ask(database, ("limit", "10"))
    second = ask(database, ("limit", "10"), ("cursor", first["next_cursor"]))
    assert second["count"] == first["count"] and "facets" not in second


@pytest.mark.parametrize("cursor", ["x", "AAAA", "W10", "e30", "é"])
def test_a_foreign_cursor_is_refused(stored, cursor):
    with pytest.raises(InvalidInput) as refusal:
        ask(stored[0], ("cursor", cursor))
    assert refusal.value.field == "cursor"


def test_a_cursor_of_other_filters_is_refused(stored):
    database, _ = stored
    cursor = ask(database, ("limit", "10"))["next_cursor"]
    with pytest.raises(InvalidInput):
        ask(database, ("limit", "10"), ("cursor", cursor), ("job_status", "failed"))


def test_a_window_in_the_past_leaves_out_what_changed_later(stored):
    database, jobs = stored
    start, end = NOW - timedelta(hours=30), NOW - timedelta(hours=20)
    answer = ask(database, ("date_from", start.isoformat()), ("date_to", end.isoformat()), ("limit", "1000"))
    wanted = {job["panda_id"] for job in jobs if start <= job["state_change_time"] < end}
    assert {row["panda_id"] for row in answer["jobs"]} == wanted and wanted
    assert answer["window"] == {"from": start, "to": end}


def test_spellings_of_bigpandamon_are_understood_and_unknown_ones_are_named(stored):
    database, _ = stored
    ours = ask(database, ("job_status", "failed"), ("prod_user_name", "Ada"))
    theirs = ask(database, ("jobstatus", "failed"), ("produsername", "Ada"), ("colour", "blue"), ("json", ""))
    assert theirs["count"] == ours["count"] > 0
    assert theirs["warnings"] == ["ignored: colour"] and ours["warnings"] == []
    with pytest.raises(InvalidInput) as refusal:
        ask(database, ("colour", "blue"), ("strict", "1"))
    assert refusal.value.field == "colour" and "job_status" in refusal.value.remedy


def test_a_row_names_its_primary_error_its_incident_and_its_culprit_line(database):
    insert_jobs(
        database,
        [
            {
                "panda_id": 1,
                "job_status": "failed",
                "state_change_time": NOW,
                "pilot_error_code": 1305,
                "trans_exit_code": 3,
            }
        ],
    )
    insert(database, "incidents", [{"incident_id": 7, "opened_time": NOW}])
    insert(database, "incident_jobs", [{"panda_id": 1, "incident_id": 7, "culprit_line": "ValueError: no"}])
    insert(database, "incident_jobs", [{"panda_id": 2, "incident_id": 7, "culprit_line": ""}])
    (row,) = ask(database, ("incident", "7"))["jobs"]
    assert (row["error"]["component"], row["error"]["code"]) == ("pilot", 1305)
    assert (row["error"]["name"], row["error"]["diag"]) == ("PAYLOADEXECUTIONFAILURE", "Failed to execute payload")
    assert (row["culprit_line"], row["incident_id"]) == ("ValueError: no", 7)


def test_text_search_takes_signs_literally(stored):
    database, jobs = stored
    found = ask(database, ("q", "100%_S"), ("limit", "1000"))["jobs"]
    assert {row["panda_id"] for row in found} == {
        job["panda_id"] for job in jobs if job["job_name"] == "100%_sure" and in_window(job)
    }


def test_hostile_values_are_only_values(stored):
    database, _ = stored
    for value in ["'; DROP TABLE jobs_live; --", "%(limit)s", "%s", "{}", '"', "$1", "\\"]:
        assert ask(database, ("computing_site", value), ("q", value))["count"] == 0


def test_counts_too_slow_to_make_are_estimated_from_the_minute_counts_and_say_so(stored):
    database, jobs = stored
    insert(
        database,
        "throughput_minutes",
        [
            {
                "bin_time": NOW.replace(second=0),
                "computing_site": "CERN",
                "job_status": status,
                "prod_source_label": "user",
                "job_count": 50,
            }
            for status in ("failed", "finished", "running")
        ],
    )
    items = [("prod_source_label", "user"), ("computing_site", "CERN")]
    estimate = estimate_jobs(database, read_question(items, JOB_GRAMMAR, NOW))
    live = [job for job in jobs if job["job_status"] not in ENDED_STATUSES]
    live_here = [job for job in live if job["computing_site"] == "CERN" and job["prod_source_label"] == "user"]
    assert estimate.exact is False and any("estimated" in warning for warning in estimate.warnings)
    assert estimate.count == 100 + len(live_here)
    assert {"value": "failed", "count": 50} in estimate.values["job_status"]


def test_a_question_that_takes_too_long_says_how_to_ask_for_less(database, database_url):
    blocker = Database(database_url)
    with blocker.transaction() as transaction:
        transaction.execute("LOCK TABLE jobs_archive IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(TooSlow) as refusal:
            read(database, "SELECT count(*) FROM jobs_archive", {}, limit_s=0.05)
    blocker.close()
    assert "hours=1" in refusal.value.remedy
    assert database.fetch_one("SHOW statement_timeout") == {"statement_timeout": "1min"}
