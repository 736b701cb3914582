"""Constructed situations of jobs, made by the functions the server uses: the first reason is the right one."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.accounts.limits import Account, set_limits
from core.clock import utc_now
from core.dispatch.acquire import SlotOffer
from core.dispatch.contacts import ContactBook
from core.errors import UnknownObject
from core.queues import set_queue
from core.states import FINAL_JOB_STATUSES, JobStatus
from core.taskbuffer.killing import Killer, kill_jobs
from core.taskbuffer.user_caps import Holder
from core.taskengine.commands.locking import Issuer
from core.taskengine.commands.table import run_command
from core.taskengine.making.generation import generate_jobs
from tests.core.monitor.rows import insert
from tests.core.why.asking import about_job, first
from tests.support.builders import (
    acquire,
    activate,
    add_up,
    broker,
    jobs_of_task,
    make_dataset,
    make_older,
    make_queue,
    make_task,
    put_into,
    report,
    report_finished,
    start,
    status_of,
    submit,
)


def test_no_queue_allows_the_memory(database):
    for number in range(4):
        make_queue(database, f"S{number}", max_ram_mb=1000 * (number + 1))
    (panda_id,) = submit(database, queue="", min_ram_mb=6000)
    broker(database)
    answer = about_job(database, panda_id)
    identity, sentence = first(answer)
    assert identity == "no_queue"
    assert sentence.startswith("None of 4 queues can take it: the last 4 fail at 'the queue allows the memory")
    assert "(S0 allows 1000 MB, the job needs 6000 MB; S1 allows 2000 MB" in sentence
    reason = answer["reason"]
    assert (reason["responsible"], reason["numbers"]["binding_step"]) == ("user", "memory")
    assert reason["next_time"] is not None and reason["advice"]
    assert answer["brokerage"]["funnel"][-1]["before"] == 4
    assert answer["start"] == {**answer["start"], "is_known": False, "start_p90": None}


def test_input_is_not_at_the_storage_of_the_queue(database):
    make_queue(database)
    make_queue(database, "FAR")
    make_dataset(database, "in", ["a", "b", "c", "d"], at=["FAR_DISK"])
    task = make_task(database, inputDataset="in", nFilesPerJob=4)
    broker(database)
    (panda_id,) = jobs_of_task(database, task)
    answer = about_job(database, panda_id)
    assert first(answer)[0] == "input_missing"
    reason = answer["reason"]
    assert (reason["responsible"], reason["numbers"]["missing"], reason["numbers"]["endpoint"]) == ("data", 4, "Q_DISK")
    assert reason["numbers"]["limit_s"] == 12 * 3600
    assert answer["brokerage"]["best_change"]["words"] == "without naming queue Q"


def test_a_paused_task_names_who_paused_it(database):
    make_queue(database)
    task = make_task(database)
    while broker(database):
        pass
    assert run_command(database, "pause", task, Issuer("alice")).is_accepted
    (panda_id,) = jobs_of_task(database, task)
    answer = about_job(database, panda_id)
    identity, sentence = first(answer)
    assert (identity, answer["reason"]["numbers"]["who"]) == ("task_paused", "alice")
    assert f"task {task} was paused by alice" in sentence
    assert answer["start"]["sentence"] == f"Unknown: its task {task} was paused by alice."


def test_a_user_at_the_cap_reads_the_cap(database):
    make_queue(database)
    set_limits(database, Account("user", "alice"), {"max_running_jobs": 2}, who="op", now=utc_now())
    start(database, 2)
    (panda_id,) = activate(database)
    Holder(database, 0.9).round(utc_now())
    assert status_of(database, panda_id) == "throttled"
    answer = about_job(database, panda_id)
    assert first(answer)[0] == "user_cap"
    numbers = answer["reason"]["numbers"]
    assert (numbers["running_jobs"], numbers["max_running_jobs"]) == (2, 2)
    assert answer["reason"]["clause"] == "user alice has 2 of 2 running jobs"


def test_a_banned_user_s_job_for_a_group_reads_the_ban(database):
    make_queue(database)
    decision = {"banned_until": utc_now() + timedelta(days=1), "reason": "stolen key"}
    (panda_id,) = activate(database, working_group="higgs")
    set_limits(database, Account("user", "alice"), decision, who="op", now=utc_now())
    Holder(database, 0.9).round(utc_now())
    answer = about_job(database, panda_id)
    assert (first(answer)[0], answer["reason"]["responsible"]) == ("user_cap", "operators")
    assert "user alice is banned" in first(answer)[1] and "stolen key" in first(answer)[1]


def test_a_closed_queue_names_who_closed_it(database):
    make_queue(database)
    (panda_id,) = activate(database)
    set_queue(database, "Q", {"status": "offline", "comment": "cooling"})
    change = {"queue_name": "Q", "time": utc_now(), "previous_status": "online", "status": "offline"}
    database.execute("DELETE FROM queue_status_history WHERE queue_name = 'Q'")
    insert(database, "queue_status_history", [{**change, "who": "oscar", "reason": "cooling"}])
    answer = about_job(database, panda_id)
    identity, sentence = first(answer)
    assert (identity, answer["reason"]["responsible"]) == ("queue_closed", "operators")
    assert sentence.startswith("Queue Q is offline (cooling), set by oscar at ")
    assert answer["start"]["sentence"] == "Unknown: queue Q is offline (cooling)."


def test_a_job_in_line_knows_its_place_and_its_share(database):
    make_queue(database)
    for name in ("prod", "analysis"):
        insert(database, "global_shares", [{"name": name, "value": 50, "position": 1}])
    start(database)
    first_id, second, third = activate(database, 3)
    database.execute("UPDATE jobs_live SET gshare = 'analysis'")
    put_into(database, first_id, "activated", gshare="prod", current_priority=5000)
    usage = {"gshare": "analysis", "computing_site": "Q", "resource_type": "SCORE"}
    insert(database, "share_usage", [{**usage, "executing_power": 10, "queued_power": 20}])
    insert(database, "share_usage", [{**usage, "gshare": "prod", "executing_power": 0, "queued_power": 10}])
    database.execute("INSERT INTO queue_contact_hours VALUES ('Q', date_trunc('hour', clock_timestamp()), 7, 5, 2, 9)")
    answer = about_job(database, third)
    identity, sentence = first(answer)
    assert identity == "in_line"
    numbers = answer["reason"]["numbers"]
    assert (numbers["on_node"], numbers["ahead"], numbers["share_rank"]) == (1, 1, 2)
    assert "It is number 2 of the jobs of its share analysis that wait at Q (priority 1000)" in sentence
    assert "Share analysis is number 2 of" in sentence
    assert "200% of its target" in sentence or "100% of its target" in sentence
    assert "pilots asked 7 times and got 5" in sentence
    assert about_job(database, second)["reason"]["numbers"]["ahead"] == 0


def test_a_queue_without_pilots_is_the_site_s_to_mend(database):
    make_queue(database)
    (panda_id,) = activate(database)
    worker = {"harvester_id": "H", "computing_site": "Q"}
    insert(database, "harvester_workers", [{**worker, "worker_id": n, "status": "submitted"} for n in (1, 2, 3)])
    answer = about_job(database, panda_id)
    identity, sentence = first(answer)
    assert (identity, answer["reason"]["responsible"]) == ("no_pilot", "site")
    assert sentence == "No pilot of Q has ever asked for a job. Its factory has 0 workers running and 3 queued."


def test_a_line_at_a_queue_without_pilots_waits_for_pilots_not_for_its_turn(database):
    make_queue(database)
    *_, last = activate(database, 20)
    answer = about_job(database, last)
    assert [answer["reason"]["id"], *(reason["id"] for reason in answer["also"])] == ["no_pilot", "in_line"]
    assert answer["also"][0]["clause"] == "19 jobs are ahead of it at Q"


def test_a_queue_that_was_named_is_said_to_be_named(database):
    make_queue(database)
    make_queue(database, "OTHER")
    (panda_id,) = activate(database)
    set_queue(database, "Q", {"status": "offline"})
    sentence = about_job(database, panda_id)["brokerage"]["sentence"]
    assert (
        sentence == "Its submitter named queue Q, so no other is asked; without naming queue Q, 1 of 2 would take it."
    )


def test_pilots_that_ask_and_do_not_fit(database):
    make_queue(database)
    (panda_id,) = activate(database, min_ram_mb=9000, core_count=2)
    ContactBook().note(database, SlotOffer("Q"), 0)
    answer = about_job(database, panda_id)
    assert first(answer)[0] == "pilots_do_not_fit"
    assert "it needs 2 cores, 9000 MB of memory, a pilot for label user" in answer["reason"]["sentence"]


def test_what_every_pilot_is_too_small_for_is_said_before_the_place_in_the_line(database):
    make_queue(database)
    start(database)
    (panda_id,) = activate(database, min_ram_mb=9000, max_walltime_s=7200)
    book = ContactBook(period_s=0)
    for memory_mb, remaining_s in ((4000, 3600), (8000, None)):
        book.note(database, SlotOffer("Q", memory_mb=memory_mb, remaining_s=remaining_s), 0)
    answer = about_job(database, panda_id)
    assert first(answer)[0] == "offers_too_small"
    sentence = answer["reason"]["sentence"]
    assert "do not fit it: it needs 9,000 MB of memory, they offer 8,000 MB of memory at most" in sentence
    assert answer["reason"]["advice"][0] == "ask for no more than 8,000 MB of memory, if the job allows it"


def test_a_single_core_on_offer_is_one_core(database):
    make_queue(database)
    (panda_id,) = activate(database, core_count=8)
    ContactBook(period_s=0).note(database, SlotOffer("Q", cores=1), 0)
    answer = about_job(database, panda_id)
    assert "it needs 8 cores, they offer 1 core at most" in answer["reason"]["sentence"]


def test_a_job_that_waits_for_its_build_job(database):
    make_queue(database)
    task = make_task(database)
    (panda_id,) = jobs_of_task(database, task)
    put_into(database, panda_id, "pending")
    (build,) = submit(database)
    database.execute(
        "UPDATE jobs_live SET jedi_task_id = %(task)s, job_index = 0 WHERE panda_id = %(id)s",
        {"task": task, "id": build},
    )
    answer = about_job(database, panda_id)
    identity, sentence = first(answer)
    assert identity == "build_job"
    assert f"build job {build}, which is defined" in sentence


def test_a_job_that_was_just_given_to_a_pilot(database):
    make_queue(database)
    (panda_id,) = activate(database)
    acquire(database, node="node7")
    answer = about_job(database, panda_id)
    assert first(answer)[0] == "starting"
    assert "was given to a pilot, which has not reported yet on node7" in answer["reason"]["sentence"]
    assert answer["reason"]["numbers"]["limit_s"] == 1800
    assert answer["start"] is None and answer["brokerage"] is None


def test_a_running_job_tells_heartbeat_efficiency_and_end(database):
    make_queue(database)
    now = utc_now()
    task = make_task(database)
    (panda_id,) = jobs_of_task(database, task)
    done = {"jedi_task_id": task, "job_status": "finished", "computing_site": "Q", "state_change_time": now}
    rows = [
        {**done, "panda_id": 9000 + n, "start_time": now - timedelta(seconds=600 * n), "end_time": now}
        for n in range(1, 11)
    ]
    insert(database, "jobs_archive", rows)
    started = now - timedelta(seconds=1000)
    put_into(
        database,
        panda_id,
        "running",
        start_time=started,
        state_change_time=started,
        modification_time=now - timedelta(seconds=200),
        cpu_consumption_time_s=400,
        computing_site="Q",
    )
    answer = about_job(database, panda_id, now)
    assert first(answer)[0] == "running"
    numbers = answer["reason"]["numbers"]
    assert (numbers["like_jobs"], numbers["like_p50_s"], numbers["like_p90_s"]) == (10, 3000, 5400)
    assert numbers["cpu_efficiency"] == pytest.approx(0.5)
    assert "last heartbeat 3 min 20 s ago, CPU efficiency 50%" in answer["reason"]["sentence"]
    assert answer["reason"]["next_time"] == started + timedelta(seconds=3000)


def test_a_kill_on_its_way_comes_first(database):
    make_queue(database)
    (panda_id,) = start(database)
    assert kill_jobs(database, [panda_id], Killer("alice", False)) == [True]
    answer = about_job(database, panda_id)
    assert first(answer)[0] == "kill_requested"
    assert [reason["id"] for reason in answer["also"]] == ["running"]


def test_a_job_that_ended_says_how_and_what_follows(database):
    make_queue(database)
    (panda_id,) = start(database)
    report_finished(database, panda_id)
    assert first(about_job(database, panda_id))[0] == "outputs"
    add_up(database)
    answer = about_job(database, panda_id)
    assert first(answer)[0] == "ended"
    assert (answer["status"], answer["start"], answer["brokerage"]) == ("finished", None, None)


def test_failed_attempts_are_told_with_their_error_and_the_rule(database):
    make_queue(database)
    task = make_task(database, maxAttempt=4, maxFailure=4)
    (one,) = jobs_of_task(database, task)
    while broker(database):
        pass
    acquire(database)
    report(database, one, "failed", pilot_error_code=1305, pilot_error_diag="boom")
    add_up(database)
    jobs = [panda_id for panda_id in jobs_of_task(database, task) if panda_id != one]
    if not jobs:  # the generator has not come by yet
        with database.transaction() as transaction:
            generate_jobs(transaction, task)
        jobs = [panda_id for panda_id in jobs_of_task(database, task) if panda_id != one]
    (two,) = jobs
    assert about_job(database, one)["reason"]["next_step"] == f"its input went into job {two}"
    deed = {"panda_id": one, "jedi_task_id": task, "action": "increase_memory", "effect": "2000 MB per core"}
    insert(database, "retry_log", [deed])
    answer = about_job(database, two)
    (attempts,) = [reason for reason in answer["also"] if reason["id"] == "failed_attempts"]
    assert attempts["numbers"]["error"].startswith("pilot:1305")
    assert attempts["numbers"]["failed"] == 1
    assert "It is attempt 2 of 4; 1 of 4 allowed failures are used." in attempts["sentence"]
    assert "increase_memory: 2000 MB per core" in attempts["next_step"]


def test_the_agent_that_rests_is_named(database):
    make_queue(database)
    (panda_id,) = submit(database)
    assert first(about_job(database, panda_id))[0] == "being_brokered"
    insert(database, "agent_runs", [{"name": "setupper", "last_run": utc_now() - timedelta(minutes=5)}])
    answer = about_job(database, panda_id)
    assert (first(answer)[0], answer["reason"]["responsible"]) == ("setupper_rests", "operators")


def test_every_state_has_a_reason(database):
    make_queue(database)
    (panda_id,) = submit(database)
    for status in JobStatus:
        if status not in FINAL_JOB_STATUSES:
            put_into(database, panda_id, status, computing_site="Q")
            make_older(database, panda_id, "state_change_time", 60)
            assert about_job(database, panda_id)["reason"], status


def test_a_job_that_is_not_there(database):
    with pytest.raises(UnknownObject) as refused:
        about_job(database, 2**62)
    assert refused.value.field == "panda_id" and refused.value.remedy
