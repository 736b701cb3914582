"""When it may start: median and ninth decile by hand, the nearest group that is large enough, and an honest unknown."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from core.clock import utc_now
from core.database import Database
from core.why.estimate import quantile
from tests.core.monitor.rows import insert
from tests.core.why.asking import about_job
from tests.support.builders import activate, make_older, make_queue


def waited(
    database: Database, waits_s: Sequence[float], *, first_id: int, hours_ago: float = 1.0, site: str = "Q", **job: Any
) -> None:
    """Jobs that ended at a queue, each having waited so long between ready and given to a pilot."""
    given = utc_now() - timedelta(hours=hours_ago)
    columns = {
        "resource_type": "SCORE",
        "current_priority": 1000,
        "job_status": "finished",
        "computing_site": site,
        **job,
    }
    insert(
        database,
        "jobs_archive",
        [
            {"panda_id": first_id + n, "state_change_time": min(given + timedelta(minutes=5), utc_now()), **columns}
            for n in range(len(waits_s))
        ],
    )
    history = []
    for number, wait_s in enumerate(waits_s):
        step = {"panda_id": first_id + number, "computing_site": site}
        ready: datetime = given - timedelta(seconds=wait_s)
        history += [
            {**step, "modification_time": ready, "previous_status": "defined", "job_status": "activated"},
            {**step, "modification_time": given, "previous_status": "activated", "job_status": "sent"},
        ]
    insert(database, "job_history", history)


@pytest.fixture
def job(database: Database) -> int:
    make_queue(database)
    (panda_id,) = activate(database)
    return panda_id


def test_the_median_and_the_ninth_decile_are_those_by_hand(database, job):
    # sorted: 60 120 ... 600; the fifth of ten is 300, the ninth 540
    waited(database, [600, 60, 300, 240, 120, 480, 420, 180, 540, 360], first_id=9000)
    now = utc_now()
    make_older(database, job, "state_change_time", 100)
    start = about_job(database, job, now)["start"]
    assert (start["is_known"], start["sample"]) == (True, 10)
    assert (start["p50_s"], start["p90_s"]) == (pytest.approx(300), pytest.approx(540))
    assert start["start_p50"] > now and start["start_p90"] > start["start_p50"]
    # nine waited longer than its 100 s: 120 to 600, of which the fifth is 360 and the ninth 600
    assert (start["start_p50"] - now).total_seconds() == pytest.approx(360 - start["waited_s"], abs=1)
    assert (start["start_p90"] - now).total_seconds() == pytest.approx(600 - start["waited_s"], abs=1)
    assert start["basis"] == "SCORE, priority 1000 to 1099"
    assert start["sentence"].startswith(
        "Half of 10 jobs that started there in the last 24 h (SCORE, priority 1000 to 1099)"
    )


def test_jobs_of_other_kinds_count_only_when_there_are_too_few(database, job):
    waited(database, [100] * 4, first_id=9000)
    waited(database, [700] * 6, first_id=9100, current_priority=2000)
    start = about_job(database, job)["start"]
    assert (start["sample"], start["p50_s"], start["basis"]) == (10, pytest.approx(700), "SCORE, any priority")
    waited(database, [100], first_id=9200)
    assert about_job(database, job)["start"]["p90_s"] == pytest.approx(100)


def test_other_queues_and_other_days_tell_nothing(database, job):
    waited(database, [60] * 10, first_id=9000, site="OTHER")
    waited(database, [60] * 10, first_id=9100, hours_ago=30)
    waited(database, [60] * 4, first_id=9200)
    start = about_job(database, job)["start"]
    assert (start["is_known"], start["start_p50"], start["start_p90"]) == (False, None, None)
    assert start["sentence"] == "Unknown: 4 jobs started at Q in the last 24 h, and fewer than 5 tell nothing."


def test_without_any_data_it_is_unknown(database, job):
    start = about_job(database, job)["start"]
    assert start["sentence"].startswith("Unknown: 0 jobs started at Q in the last 24 h")


def test_a_job_that_waits_longer_than_nearly_all_others_has_no_prediction(database, job):
    waited(database, [60] * 10, first_id=9000)
    make_older(database, job, "state_change_time", 3600)
    start = about_job(database, job)["start"]
    assert (start["is_known"], start["p90_s"]) == (False, pytest.approx(60))
    assert "longer than nine of ten of 10 jobs" in start["sentence"]


def test_half_of_those_that_waited_as_long_still_wait(database, job):
    # unconditioned, the median of 60 s lay in the past and "half" was everything and now
    waited(database, [60] * 10 + [7200] * 10, first_id=9000)
    make_older(database, job, "state_change_time", 600)
    now = utc_now()
    start = about_job(database, job, now)["start"]
    assert start["p50_s"] == pytest.approx(60)
    assert (start["start_p50"] - now).total_seconds() == pytest.approx(6600, abs=5)


def test_a_line_that_grows_takes_its_time_at_the_pace_of_late(database, job):
    # ten started in the last hour after a minute each; forty came since, and all but one before the last
    waited(database, [60] * 10, first_id=9000)
    *_, last = activate(database, 40)
    now = utc_now()
    start = about_job(database, last, now)["start"]
    assert start["p90_s"] == pytest.approx(60)
    assert (start["start_p50"] - now).total_seconds() == pytest.approx(40 * 360, rel=0.02)
    assert (start["start_p90"] - start["start_p50"]).total_seconds() == pytest.approx(
        40 * 360 * 1.3 / 40**0.5, rel=0.02
    )
    assert start["sentence"].endswith("40 jobs of its share come first; about 10 an hour started lately.")


@given(some.lists(some.floats(0, 1e6), min_size=1, max_size=50), some.floats(0.01, 1.0))
def test_a_quantile_is_a_value_that_enough_do_not_exceed(values, part):
    found = quantile(values, part)
    assert found in values
    assert sum(value <= found for value in values) >= part * len(values) - 1e-9
    assert sum(value < found for value in values) < part * len(values)
