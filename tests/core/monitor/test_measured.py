"""What scouts measured, in words and units, and what the API tells of it."""

from __future__ import annotations

from core.clock import utc_now
from core.database import Database
from core.monitor.measured import measured_in_words
from core.monitor.tasks import task_detail
from core.taskengine.scouting.measuring import Measurement
from tests.core.taskengine.rows import insert_task
from tests.support.measured import MEASURED, note_measured


def test_values_have_names_and_units_and_changes_say_from_what_to_what():
    scouts, again = measured_in_words(MEASURED)
    assert (scouts["stage"], scouts["reason"]) == ("scouts", "5 of 10 scouts succeeded")
    assert scouts["values"] == [
        {"name": "jobs measured", "value": 5, "unit": ""},
        {"name": "memory per core", "value": 3380, "unit": "MB"},
        {"name": "CPU time of an event", "value": 324.0, "unit": "HS06 s"},
    ]
    assert scouts["changed"] == [
        {"parameter": "cpuTime", "old": None, "new": 325},
        {"parameter": "ramCount", "old": 1000, "new": 3380},
    ]
    assert (again["stage"], again["changed"]) == ("first jobs", [])


def test_nothing_is_told_of_a_task_that_measured_nothing():
    assert measured_in_words({}) == []
    assert measured_in_words({"scouts": {"outcome": "scouted", "reason": "avalanche"}})[0]["values"] == []


def test_every_measure_but_the_count_of_short_jobs_has_a_name_for_people():
    values = dict.fromkeys(vars(Measurement()), 1)
    told = measured_in_words({"scouts": {"values": values}})[0]["values"]
    assert len(told) == len(values) - 1


def test_the_answer_about_a_task_holds_its_measured_needs_and_when_the_system_acts(shared_database: Database):
    task_id = insert_task(shared_database, status="pending")
    note_measured(shared_database, task_id)
    answer = task_detail(shared_database, task_id, utc_now())
    assert answer["measured"] == measured_in_words(MEASURED)
    assert answer["task"]["goal"] == 800
    assert answer["task"]["next_try_time"] > utc_now()
