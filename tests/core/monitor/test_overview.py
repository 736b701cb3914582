"""Queues, tasks, the summary and the search."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.errors import InvalidInput, UnknownObject
from core.monitor.question import read_question
from core.monitor.queues import QUEUE_GRAMMAR, queue_list
from core.monitor.search import search
from core.monitor.summary import SUMMARY_GRAMMAR, summary
from core.monitor.tasks import TASK_GRAMMAR, task_detail, task_list
from tests.core.monitor.rows import NOW, insert, insert_jobs
from tests.support.builders import make_dataset


def minutes_ago(minutes: float):
    return NOW - timedelta(minutes=minutes)


@pytest.fixture
def filled(database):
    insert(
        database, "queues", [{"queue_name": name, "status": "online", "site": "S"} for name in ("BNL", "CERN", "IDLE")]
    )
    insert(
        database,
        "queue_contacts",
        [
            {"queue_name": "CERN", "last_request_time": minutes_ago(1)},
            {"queue_name": "BNL", "last_request_time": minutes_ago(11)},
        ],
    )
    jobs = [
        *((index, "activated", "CERN") for index in range(1, 3)),
        *((index, "activated", "BNL") for index in range(3, 6)),
        *((index, "running", "CERN") for index in range(6, 10)),
    ]
    insert_jobs(
        database,
        [
            {"panda_id": number, "job_status": status, "computing_site": site, "state_change_time": minutes_ago(5)}
            for number, status, site in jobs
        ],
    )
    steps = [
        *((100 + index, "activated", 50) for index in range(4)),
        *((100 + index, "running", 50 - 10 * (index + 1)) for index in range(4)),
        *((100 + index, "finished", 5) for index in range(3)),
        (103, "failed", 5),
        (200, "finished", 7 * 24 * 60 + 30),
        (201, "finished", 90),
    ]
    insert(
        database,
        "job_history",
        [
            {
                "panda_id": number,
                "job_status": status,
                "computing_site": "CERN",
                "modification_time": minutes_ago(minutes),
            }
            for number, status, minutes in steps
        ],
    )
    return database


def test_queues_show_their_jobs_their_rates_and_whether_pilots_ask(filled):
    rows = {row["queue_name"]: row for row in queue_list(filled, read_question([], QUEUE_GRAMMAR, NOW))["queues"]}
    assert list(rows) == ["BNL", "CERN", "IDLE"]
    assert rows["CERN"]["jobs"] == {"activated": 2, "running": 4} and rows["CERN"]["silent"] is False
    assert (rows["CERN"]["finished_last_hour"], rows["CERN"]["failed_last_hour"]) == (3, 1)
    assert rows["BNL"]["silent"] is True and rows["BNL"]["last_pilot_contact"] == minutes_ago(11)
    assert (rows["IDLE"]["jobs"], rows["IDLE"]["silent"], rows["IDLE"]["last_pilot_contact"]) == ({}, False, None)
    chosen = queue_list(filled, read_question([("computingsite", "*N*")], QUEUE_GRAMMAR, NOW))
    assert [row["queue_name"] for row in chosen["queues"]] == ["BNL", "CERN"]


def test_the_summary_counts_live_and_ended_jobs_rates_and_waits(filled):
    answer = summary(filled, read_question([], SUMMARY_GRAMMAR, NOW))
    assert answer["jobs"] == {"activated": 5, "running": 4, "finished": 4, "failed": 1}
    assert answer["throughput"] == {
        "finished_last_hour": 3,
        "failed_last_hour": 1,
        "finished_same_hour_last_week": 1,
        "failure_rate": 0.25,
    }
    assert answer["waits"] == {"p50_s": 1500.0, "p95_s": pytest.approx(2310.0)}
    assert answer["silent_queues"] == ["BNL"]
    assert sum(answer["sparkline"]["finished"]) == 3 and sum(answer["sparkline"]["failed"]) == 1
    assert len(answer["sparkline"]["finished"]) == 12 and answer["sparkline"]["bin_s"] == 300


def test_the_summary_of_an_empty_system_has_no_rates(database):
    answer = summary(database, read_question([], SUMMARY_GRAMMAR, NOW))
    assert answer["jobs"] == {} and answer["throughput"]["failure_rate"] is None
    assert answer["waits"] == {"p50_s": None, "p95_s": None}


def tasks(database, *items):
    return task_list(database, read_question(items, TASK_GRAMMAR, NOW))


@pytest.fixture
def with_tasks(database):
    insert(
        database,
        "tasks",
        [
            {
                "jedi_task_id": 10_000_000 + index,
                "task_name": f"task {index}",
                "status": "running" if index % 2 else "done",
                "user_name": "Ada" if index % 3 else "Grace",
                "n_jobs": 10,
                "n_finished": 4,
                "n_failed": 1,
                "creation_time": minutes_ago(60 * 24 * index),
                "end_time": None if index % 2 else minutes_ago(60 * 24 * index),
            }
            for index in range(1, 31)
        ],
    )
    return database


def test_tasks_under_way_always_count_and_ended_ones_in_their_window(with_tasks):
    answer = tasks(with_tasks, ("limit", "1000"))
    shown = {row["jedi_task_id"] - 10_000_000 for row in answer["tasks"]}
    assert shown == {index for index in range(1, 31) if index % 2 or index <= 7} and answer["count"] == len(shown)
    assert answer["tasks"][0]["n_active"] == 5


def test_pages_of_tasks_follow_each_other(with_tasks):
    seen, items = [], [("days", "100"), ("limit", "7"), ("user_name", "Ada")]
    answer = tasks(with_tasks, *items)
    while True:
        seen += [row["jedi_task_id"] for row in answer["tasks"]]
        if answer["next_cursor"] is None:
            break
        answer = tasks(with_tasks, *items, ("cursor", answer["next_cursor"]))
    assert seen == [10_000_000 + index for index in range(30, 0, -1) if index % 3] and answer["count"] == 20


def test_a_task_tells_its_jobs_by_state_and_its_incidents(with_tasks):
    insert_jobs(with_tasks, [{"panda_id": 1, "jedi_task_id": 10_000_001, "job_status": "running"}])
    insert_jobs(
        with_tasks,
        [{"panda_id": n, "jedi_task_id": 10_000_001, "job_status": "failed", "state_change_time": NOW} for n in (2, 3)],
    )
    insert(with_tasks, "incidents", [{"incident_id": 5, "title": "boom", "opened_time": NOW}])
    insert(with_tasks, "incident_jobs", [{"panda_id": 2, "incident_id": 5, "jedi_task_id": 10_000_001}])
    answer = task_detail(with_tasks, 10_000_001, NOW)
    assert answer["jobs"] == {"running": 1, "failed": 2}
    assert answer["incidents"] == [
        {"incident_id": 5, "title": "boom", "state": "open", "severity": "error", "job_count": 1}
    ]
    with pytest.raises(UnknownObject) as refusal:
        task_detail(with_tasks, 1, NOW)
    assert refusal.value.field == "jedi_task_id"


def test_a_task_tells_its_files_its_datasets_and_its_history(with_tasks):
    key = {"jedi_task_id": 10_000_001}
    with_tasks.execute(
        "UPDATE tasks SET n_files = 3, n_files_finished = 1, n_files_failed = 1, req_id = 7, gshare = 'g', site = 'Q' "
        "WHERE jedi_task_id = %(jedi_task_id)s",
        key,
    )
    insert(
        with_tasks,
        "task_datasets",
        [{**key, "dataset_id": number, "name": f"d{number}", "stream": "IN", "is_master": True} for number in (1, 2)],
    )
    statuses = ["finished", "failed", "ready"]
    insert(with_tasks, "task_files", [{**key, "dataset_id": 1, "status": status} for status in statuses])
    steps = [("", "ready"), ("ready", "running")]
    insert(
        with_tasks,
        "task_history",
        [{**key, "previous_status": one, "status": two, "who": "Ada", "reason": "r"} for one, two in steps],
    )
    answer = task_detail(with_tasks, 10_000_001, NOW)
    row = answer["task"]
    assert [row[f"n_files{kind}"] for kind in ("", "_finished", "_failed")] == [3, 1, 1]
    assert (row["super_status"], row["req_id"], row["gshare"], row["site"]) == ("running", 7, "g", "Q")
    counts = [(one["name"], one["n_files"], one["n_finished"], one["n_failed"]) for one in answer["datasets"]]
    assert counts == [("d1", 3, 1, 1), ("d2", 0, 0, 0)]
    assert [(step["previous_status"], step["status"]) for step in answer["history"]] == steps
    assert set(answer["history"][0]) == {"time", "previous_status", "status", "who", "reason"}
    [listed] = tasks(with_tasks, ("req_id", "7"))["tasks"]
    assert row.items() >= listed.items()
    assert set(row) - set(listed) == {"goal", "n_pieces", "next_try_time"}


def test_outputs_are_counted_by_what_is_in_the_catalogue(with_tasks):
    key = {"jedi_task_id": 10_000_001}
    made = [("out", "output"), ("log", "log"), ("none", "output")]
    insert(
        with_tasks,
        "task_datasets",
        [
            {**key, "dataset_id": number, "name": name, "stream": name, "type": kind, "is_master": False}
            for number, (name, kind) in enumerate(made, 11)
        ],
    )
    make_dataset(with_tasks, "out", ["a", "b"])
    make_dataset(with_tasks, "log", ["l"])
    counts = {
        one["name"]: (one["n_files"], one["n_finished"], one["n_failed"])
        for one in task_detail(with_tasks, 10_000_001, NOW)["datasets"]
    }
    assert {name: counts[name] for name, _ in made} == {"out": (2, 2, 0), "log": (1, 1, 0), "none": (0, 0, 0)}


def test_a_search_finds_ids_and_parts_of_names(with_tasks):
    insert_jobs(with_tasks, [{"panda_id": 10_000_003, "job_status": "running", "job_name": "Word count"}])
    insert(with_tasks, "queues", [{"queue_name": "A|B_100%", "site": "S"}])
    insert(with_tasks, "users", [{"user_name": "Ada"}])
    by_number = search(with_tasks, " 10000003 ", NOW)["hits"]
    assert [(hit["kind"], hit["id"], hit["address"]) for hit in by_number] == [
        ("job", "10000003", "/job/10000003/"),
        ("task", "10000003", "/task/10000003/"),
    ]
    assert search(with_tasks, "word COUNT", NOW)["hits"][0]["kind"] == "job"
    assert search(with_tasks, "_100%", NOW)["hits"] == [
        {
            "kind": "queue",
            "id": "A|B_100%",
            "title": "A|B_100% online",
            "address": "/jobs/?computing_site=A%5C%7CB_100%25",
        }
    ]
    assert search(with_tasks, "ada", NOW)["hits"][0]["address"] == "/jobs/?prod_user_name=Ada"
    assert len(search(with_tasks, "task", NOW)["hits"]) == 5
    assert search(with_tasks, "no such thing", NOW)["count"] == 0


@pytest.mark.parametrize("text", ["", "  ", "x" * 501, "\x00"])
def test_a_search_for_nothing_is_refused(database, text):
    with pytest.raises(InvalidInput) as refusal:
        search(database, text, NOW)
    assert refusal.value.field == "q"
