"""Kills: what each code does, to whom, and who may."""

from __future__ import annotations

import pytest

from core.database import Database
from core.dispatch.workers import fail_jobs_of_worker
from core.states import FINAL_JOB_STATUSES, ON_WORKER_NODE, JobStatus
from core.taskbuffer.commanding import reassign_jobs
from core.taskbuffer.killing import KILL_CODES, TO_BE_KILLED, USER_KILL, Killer, kill_jobs
from tests.support.builders import (
    add_up,
    archived,
    everything,
    history_of,
    live,
    make_queue,
    put_into,
    report,
    report_finished,
    row_of,
    start,
    status_of,
    submit,
)

OWNER = Killer("alice", is_manager=False)
STRANGER = Killer("bob", is_manager=False)
MANAGER = Killer("carol", is_manager=True)
# what server-api.md 5.4 says, written down once more
MEANT = {
    None: ("cancelled", "", 100),
    2: ("closed", "toreassign", 102),
    3: ("cancelled", "", 103),
    4: ("closed", "toreassign", 102),
    7: ("cancelled", "", 106),
    8: ("cancelled", "toreassign", 105),
    9: ("cancelled", "", 100),
    10: ("closed", "", 130),
    50: ("cancelled", "", 100),
    51: ("closed", "toreassign", 100),
    52: ("cancelled", "", 100),
    55: ("closed", "taskdone", 100),
    60: ("closed", "", 100),
    91: ("cancelled", "", 100),
    99: ("cancelled", "", 100),
    12345: ("cancelled", "", 100),
    -1: ("cancelled", "", 100),
}
FORCED = (9, 52, 99)


@pytest.fixture(scope="module")
def site(shared_database: Database) -> Database:
    make_queue(shared_database)
    return shared_database


def ended_as(database: Database, panda_id: int) -> tuple[str, str, int]:
    row = archived(database, panda_id)
    assert row is not None
    return row["job_status"], row["job_sub_status"], row["task_buffer_error_code"]


def test_every_code_of_the_table_is_tried():
    assert set(KILL_CODES) | {None, 12345, -1} == set(MEANT)


@pytest.mark.parametrize("code", MEANT)
def test_a_waiting_job_ends_at_once_as_its_code_says(site, code):
    [panda_id] = submit(site)
    assert kill_jobs(site, [panda_id], OWNER, code) == [True]
    assert ended_as(site, panda_id) == MEANT[code]
    row = row_of(site, panda_id)
    assert row["task_buffer_error_diag"]
    assert row["end_time"] is not None
    assert history_of(site, panda_id) == ["defined", MEANT[code][0]]


@pytest.mark.parametrize("code", MEANT)
def test_a_running_job_ends_as_its_code_says_when_its_pilot_obeys(site, code):
    [panda_id] = start(site)
    assert kill_jobs(site, [panda_id], OWNER, code) == [True]
    if code in FORCED:
        assert ended_as(site, panda_id) == MEANT[code]
        assert report(site, panda_id, "running") == TO_BE_KILLED
        return
    assert status_of(site, panda_id) == "running"
    assert report(site, panda_id, "running") == TO_BE_KILLED
    report(site, panda_id, "failed", pilot_error_code=1144, pilot_error_diag="killed by panda server")
    add_up(site)
    assert ended_as(site, panda_id) == MEANT[code]
    assert row_of(site, panda_id)["pilot_error_code"] == 1144


@pytest.mark.parametrize("code", [None, 51])
def test_a_killed_job_whose_pilot_dies_counts_as_killed(site, code):
    [panda_id] = start(site, worker_id=f"w{code}")
    kill_jobs(site, [panda_id], OWNER, code)
    assert fail_jobs_of_worker(site, f"w{code}", "signal 9") == [panda_id]
    assert ended_as(site, panda_id) == MEANT[code]
    assert row_of(site, panda_id)["sup_error_code"] == 0


def test_a_job_that_finished_before_it_heard_of_its_kill_is_finished(site):
    [panda_id] = start(site, outputs=["o"])
    kill_jobs(site, [panda_id], OWNER)
    report_finished(site, panda_id)
    add_up(site)
    assert status_of(site, panda_id) == "finished"


def test_a_killed_job_that_finished_without_its_outputs_is_killed(site):
    [panda_id] = start(site, outputs=["o"])
    kill_jobs(site, [panda_id], OWNER)
    report(site, panda_id, "finished", output_report={})
    add_up(site)
    assert ended_as(site, panda_id)[0] == "cancelled"


@pytest.mark.parametrize("status", sorted(set(JobStatus) - FINAL_JOB_STATUSES))
def test_a_pilot_is_told_and_nobody_else_needs_to_be(site, status):
    [panda_id] = submit(site)
    put_into(site, panda_id, status)
    assert kill_jobs(site, [panda_id], OWNER) == [True]
    if status in ON_WORKER_NODE:
        row = live(site, panda_id)
        assert row is not None
        assert (row["job_status"], row["command_to_pilot"]) == (status, TO_BE_KILLED)
    else:
        assert ended_as(site, panda_id)[0] == "cancelled"
        assert history_of(site, panda_id) == ["defined", "cancelled"]


def test_asking_again_is_no_second_kill(site):
    [running], [waiting] = start(site), submit(site)
    both = [running, waiting]
    assert kill_jobs(site, both, OWNER) == [True, True]
    before = everything(site)
    assert kill_jobs(site, both, OWNER) == [True, False]
    assert everything(site) == before


@pytest.mark.parametrize("code", [None, 9, 91])
def test_only_the_owner_and_managers_may_kill(site, code):
    panda_ids = [*start(site), *submit(site)]
    before = everything(site)
    assert kill_jobs(site, panda_ids, STRANGER, code) == [False, False]
    assert everything(site) == before
    assert kill_jobs(site, panda_ids, MANAGER, code) == [True, True]


def test_the_production_role_of_a_group_is_for_the_production_of_that_group(site):
    higgs = Killer("bob", is_manager=False, groups=frozenset({"higgs"}))
    [its] = submit(site, prod_source_label="managed", working_group="higgs")
    others = [
        *submit(site, prod_source_label="user", working_group="higgs"),
        *submit(site, prod_source_label="managed", working_group="top"),
        *submit(site, prod_source_label="managed"),
    ]
    assert reassign_jobs(site, [its, *others], higgs) == [its]
    assert kill_jobs(site, [its, *others], higgs) == [True, False, False, False]
    assert [status_of(site, panda_id) for panda_id in others] == ["defined"] * 3


def test_answers_come_in_the_order_asked(site):
    mine, other = submit(site), submit(site, user="bob")
    [ended] = submit(site)
    kill_jobs(site, [ended], OWNER)
    asked = [10**12, *other, *mine, ended, -1, *mine]
    assert kill_jobs(site, asked, OWNER) == [False, False, True, False, False, True]
    assert kill_jobs(site, [], OWNER) == []


def test_who_killed_stands_on_the_job(site):
    [panda_id] = submit(site)
    kill_jobs(site, [panda_id], MANAGER)
    assert row_of(site, panda_id)["task_buffer_error_diag"] == f"{USER_KILL.meaning} by carol"
