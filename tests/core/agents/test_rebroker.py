"""Waiting jobs are taken back where they do not start, if another queue would take them; everything else stays."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from core.agents.rebroker import Rebroker
from core.database import Database
from core.direct_submission import submit_jobs
from core.queues import set_endpoint, set_queue
from core.shares.usage import refresh
from core.taskbuffer.submission import NewFile
from core.workload_settings import RebrokerageSettings
from tests.support.builders import (
    activate,
    archived,
    broker,
    history_of,
    jobs_of_task,
    live,
    make_dataset,
    make_older,
    make_queue,
    make_task,
    new_job,
    put_into,
    row_of,
    start,
    status_of,
    submit,
)

HOUR = 3600


@pytest.fixture
def site(database: Database) -> Database:
    make_queue(database, "Q")
    return database


def rebroker(database: Database, **settings: Any) -> None:
    refresh(database)
    assert Rebroker(database, RebrokerageSettings(min_queued=5, **settings), 1).cycle() == 0


def waiting(database: Database, count: int, **columns: Any) -> list[int]:
    """Jobs without a task that brokerage sent to Q."""
    panda_ids = submit(database, count, queue="")
    broker(database)
    for panda_id in panda_ids:
        put_into(database, panda_id, "activated", computing_site="Q", **columns)
    return panda_ids


def task_at_q(database: Database, jobs: int, **parameters: Any) -> list[int]:
    task_id = make_task(database, site="", nJobs=jobs, **{"maxAttempt": 3, **parameters})
    broker(database)
    panda_ids = jobs_of_task(database, task_id)
    for panda_id in panda_ids:
        put_into(database, panda_id, "activated", computing_site="Q")
    return panda_ids


def statuses(database: Database, panda_ids: list[int]) -> list[str]:
    return [status_of(database, panda_id) for panda_id in panda_ids]


def test_the_excess_of_a_stuck_share_is_closed_lowest_id_first_and_its_input_is_ready_again(site):
    start(site, 2, current_priority=10_000)
    panda_ids = task_at_q(site, 10)
    make_queue(site, "FREE")
    start(site, 9, queue="FREE", current_priority=10_000)
    rebroker(site)
    # 10 queued, 2 running: 3 for each may be, so 4 are too many, and FREE stays the better place for them
    assert statuses(site, panda_ids) == ["closed"] * 4 + ["activated"] * 6
    row = archived(site, panda_ids[0])
    assert (row["task_buffer_error_code"], row["job_status"]) == (130, "closed")
    assert "work without a share has 10 jobs queued and 2 running at Q" in row["task_buffer_error_diag"]
    files = site.fetch(
        "SELECT status, failed_attempt FROM task_files WHERE panda_id = ANY(%(ids)s) OR status = 'ready'",
        {"ids": panda_ids[:4]},
    )
    assert {(file["status"], file["failed_attempt"]) for file in files} == {("ready", 0)}
    assert len(files) == 4


def test_jobs_without_a_task_keep_their_number_and_are_brokered_again(site):
    set_endpoint(site, "EMPTY_DISK", mover="cp", path="/storage/EMPTY_DISK")
    make_dataset(site, "in", ["a"], at=["Q_DISK", "EMPTY_DISK"])
    job = new_job(queue="", outputs=["out"])
    job.files.append(NewFile("input", "a", "a", dataset="in"))
    [reading] = submit_jobs(site, [job])
    broker(site)
    panda_ids = [reading, *waiting(site, 5)]
    make_queue(site, "EMPTY")
    rebroker(site)
    assert (status_of(site, reading), row_of(site, reading)["computing_site"]) == ("defined", "")
    assert history_of(site, reading) == ["defined", "activated", "defined"]
    files = site.fetch("SELECT type, status, endpoint, pfn FROM job_files WHERE panda_id = %(id)s", {"id": reading})
    assert {(file["endpoint"], file["pfn"]) for file in files} == {("", "")}
    assert {file["status"] for file in files if file["type"] == "input"} == {"pending"}
    broker(site)
    assert row_of(site, reading)["computing_site"] == "EMPTY"
    [there] = site.fetch(
        "SELECT endpoint, status FROM job_files WHERE panda_id = %(id)s AND type = 'input'", {"id": reading}
    )
    assert there == {"endpoint": "EMPTY_DISK", "status": "ready"}
    assert {row_of(site, panda_id)["computing_site"] for panda_id in panda_ids} == {"Q", "EMPTY"}


def test_the_only_queue_keeps_its_jobs(site):
    panda_ids = [*waiting(site, 20), *task_at_q(site, 20)]
    make_queue(site, "OFF", status="offline")
    make_queue(site, "SMALL", max_core_count=1, parameters={"type": "production"})
    rebroker(site)
    assert set(statuses(site, panda_ids)) == {"activated"}


def test_a_fuller_queue_is_no_better_place(site):
    panda_ids = waiting(site, 20)
    make_queue(site, "FULLER")
    activate(site, 30, queue="FULLER")
    rebroker(site)
    assert {row_of(site, panda_id)["computing_site"] for panda_id in panda_ids} == {"Q"}


@pytest.mark.parametrize(
    ("waits", "runs", "elsewhere"),
    [(5, 0, 0), (9, 3, 0), (9, 0, 30)],
    ids=["too few", "three for each that runs", "a small part of the share"],
)
def test_a_share_that_is_not_stuck_is_left_alone(site, waits, runs, elsewhere):
    start(site, runs)
    panda_ids = waiting(site, waits)
    make_queue(site, "EMPTY")
    make_queue(site, "OTHER")
    activate(site, elsewhere, queue="OTHER")
    rebroker(site)
    assert set(statuses(site, panda_ids)) == {"activated"}


def test_each_share_counts_for_itself(site):
    start(site, 10)
    site.execute("UPDATE jobs_live SET gshare = 'running well'")
    stuck = waiting(site, 8, gshare="stuck")
    others = waiting(site, 8, gshare="running well")
    make_queue(site, "EMPTY")
    rebroker(site)
    assert set(statuses(site, others)) == {"activated"}
    assert "defined" in statuses(site, stuck)


@pytest.mark.parametrize(
    "change",
    [
        {"status": "paused"},
        {"parameters": {"disableReassign": True}},
        {"parameters": {"catchall": "disableReassign"}},
    ],
)
def test_queues_may_keep_their_jobs(site, change):
    panda_ids = waiting(site, 20)
    make_queue(site, "EMPTY")
    set_queue(site, "Q", change)
    rebroker(site)
    assert set(statuses(site, panda_ids)) == {"activated"}


def test_pinned_last_build_and_merge_jobs_stay(site):
    pinned = activate(site, 3)
    last = task_at_q(site, 3, maxAttempt=1)
    build = task_at_q(site, 1)
    put_into(site, build[0], "activated", job_index=0)
    merge = waiting(site, 3, special_handling="debug,merge")
    make_queue(site, "EMPTY")
    rebroker(site)
    assert set(statuses(site, [*pinned, *last, *build, *merge])) == {"activated"}


def test_a_dry_run_only_says_what_it_would_do(site, caplog):
    panda_ids = waiting(site, 20)
    make_queue(site, "EMPTY")
    with caplog.at_level(logging.WARNING, logger="panda.rebroker"):
        rebroker(site, is_dry_run=True)
    assert set(statuses(site, panda_ids)) == {"activated"}
    [said] = [record.getMessage() for record in caplog.records]
    assert said.startswith("dry run: ") and "has 20 jobs queued and 0 running at Q; EMPTY would take some" in said


# jobs of users that wait where nothing moves


def old_task(site: Database, jobs: int = 2) -> list[int]:
    panda_ids = task_at_q(site, jobs)
    for panda_id in panda_ids:
        make_older(site, panda_id, "state_change_time", 12 * HOUR + 60)
    make_queue(site, "OTHER")
    return panda_ids


def test_idle_jobs_of_a_user_go_to_another_queue(site):
    panda_ids = old_task(site)
    rebroker(site)
    assert statuses(site, panda_ids) == ["closed", "closed"]
    row = archived(site, panda_ids[0])
    assert row["job_sub_status"] == "toreassign"
    assert "waited 12 h at Q, nothing moved" in row["task_buffer_error_diag"]


def test_jobs_that_have_not_waited_long_enough_stay(site):
    panda_ids = task_at_q(site, 2)
    for panda_id in panda_ids:
        make_older(site, panda_id, "state_change_time", 11 * HOUR)
    make_queue(site, "OTHER")
    rebroker(site)
    assert set(statuses(site, panda_ids)) == {"activated"}


def test_a_task_of_which_a_job_started_there_lately_is_not_idle(site):
    panda_ids = old_task(site, 3)
    put_into(site, panda_ids[0], "running")
    site.execute(
        "UPDATE jobs_live SET state_change_time = clock_timestamp() WHERE panda_id = %(id)s", {"id": panda_ids[0]}
    )
    rebroker(site)
    assert statuses(site, panda_ids) == ["running", "activated", "activated"]
    make_older(site, panda_ids[0], "state_change_time", 4 * HOUR)
    rebroker(site)
    assert statuses(site, panda_ids) == ["running", "closed", "closed"]


@pytest.mark.parametrize("status", ["offline", "test"])
def test_jobs_at_a_queue_that_was_closed_go_at_once(site, status):
    panda_ids = [*task_at_q(site, 2), *waiting(site, 1)]
    assigned = waiting(site, 1)
    put_into(site, assigned[0], "assigned")
    set_queue(site, "Q", {"status": status})
    rebroker(site)
    assert "closed" not in statuses(site, panda_ids)  # there is no other queue
    make_queue(site, "OTHER")
    rebroker(site)
    assert statuses(site, panda_ids) == ["closed", "closed", "defined"]
    assert status_of(site, assigned[0]) == "defined"
    broker(site)
    assert live(site, assigned[0])["computing_site"] == "OTHER"


def test_production_is_left_to_the_watchdog(site):
    panda_ids = waiting(site, 2, prod_source_label="managed")
    set_queue(site, "Q", {"status": "offline"})
    make_queue(site, "OTHER")
    rebroker(site)
    assert set(statuses(site, panda_ids)) == {"activated"}


# what must not keep others from going


def test_a_damaged_task_keeps_no_other_job_at_a_closed_queue(site, caplog):
    make_queue(site, "OTHER")
    damaged, sound, alone = task_at_q(site, 2), task_at_q(site, 2), waiting(site, 1)
    site.execute(
        "UPDATE tasks SET split_rule = %(rule)s::jsonb WHERE jedi_task_id = %(id)s",
        {"rule": '{"ramCount": ' + "9" * 400 + "}", "id": row_of(site, damaged[0])["jedi_task_id"]},
    )
    set_queue(site, "Q", {"status": "offline"})
    with caplog.at_level(logging.WARNING, logger="panda.rebroker"):
        rebroker(site)
    assert statuses(site, [*damaged, *sound, *alone]) == ["activated"] * 2 + ["closed"] * 2 + ["defined"]
    [said] = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert said.startswith(f"2 jobs of task {row_of(site, damaged[0])['jedi_task_id']} cannot be taken back: ")


def test_idle_jobs_that_nobody_takes_do_not_hide_those_behind_them(site, monkeypatch):
    monkeypatch.setattr("core.agents.rebroker._BATCH", 2)
    monkeypatch.setattr("core.agents.rebroker._BATCHES", 2)
    make_queue(site, "OTHER", max_core_count=8)
    hopeless, others = waiting(site, 5, core_count=16), waiting(site, 4)
    set_queue(site, "Q", {"status": "offline"})
    agent = Rebroker(site, RebrokerageSettings(), 1)
    agent.cycle()  # looks at the first four
    assert set(statuses(site, others)) == {"activated"}
    agent.cycle()  # at the fifth and three behind it
    agent.cycle()
    assert statuses(site, [*hopeless, *others]) == ["activated"] * 5 + ["defined"] * 4
    agent.cycle()  # begins anew, and finds that nothing changed
    assert set(statuses(site, hopeless)) == {"activated"}


def test_of_a_stuck_share_others_go_for_those_that_nobody_takes(site):
    make_queue(site, "FREE", max_core_count=8)
    start(site, 1, current_priority=10_000)
    start(site, 9, queue="FREE", current_priority=10_000)
    hopeless, others = waiting(site, 3, core_count=16), waiting(site, 5)
    rebroker(site)
    # 8 queued, 1 running: 3 may be, so 5 are too many
    assert statuses(site, [*hopeless, *others]) == ["activated"] * 3 + ["defined"] * 5


def test_no_more_of_a_stuck_share_go_than_are_too_many(site):
    make_queue(site, "FREE")
    start(site, 2, current_priority=10_000)
    start(site, 9, queue="FREE", current_priority=10_000)
    panda_ids = [*waiting(site, 4), *task_at_q(site, 3), *waiting(site, 1)]
    rebroker(site)
    # 8 queued, 2 running: 2 are too many, the lowest PandaIDs
    assert statuses(site, panda_ids) == ["defined"] * 2 + ["activated"] * 6


def test_a_stuck_share_of_which_nothing_may_go_is_left(site):
    panda_ids = activate(site, 20)
    make_queue(site, "EMPTY")
    rebroker(site)
    assert set(statuses(site, panda_ids)) == {"activated"}


def test_one_job_is_said_in_the_singular(site, caplog):
    make_queue(site, "OTHER")
    waiting(site, 1)
    set_queue(site, "Q", {"status": "test"})
    with caplog.at_level(logging.WARNING, logger="panda.rebroker"):
        rebroker(site)
    assert [record.getMessage() for record in caplog.records] == [
        "1 job taken back from Q: Q is test; OTHER would take some"
    ]


def test_a_queue_with_declared_slots_keeps_what_is_queued_for_them(site):
    panda_ids = waiting(site, 20)
    make_queue(site, "EMPTY")
    site.execute("INSERT INTO harvester_slots (computing_site, gshare, resource_type, slots) VALUES ('Q', '', '', 100)")
    rebroker(site)
    assert set(statuses(site, panda_ids)) == {"activated"}
    site.execute("UPDATE harvester_slots SET expiration_time = clock_timestamp() - interval '1 minute'")
    rebroker(site)
    assert "defined" in statuses(site, panda_ids)
