"""The way of a production task where outputs are collected: assigned, pending with its reason, unchanged where no nucleus is."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time

import pytest

from core.agents.feeder import Feeder
from core.agents.generator import Generator
from core.agents.releaser import Releaser
from core.agents.task_broker import TaskBroker
from core.agents.task_watchdog import TaskWatchdog
from core.configuration import Settings
from core.database import Database
from core.errors import InvalidInput, UnknownObject
from core.monitor.tasks import task_detail
from core.taskengine.commands.locking import Issuer
from core.taskengine.commands.table import run_command
from core.workload_settings import GenerationSettings, TaskTimes
from tests.core.taskbrokerage.grid import assign, decisions, make_grid, make_nucleus, production
from tests.core.taskengine.submitting import accept, captured, prepare, row_of_task, send
from tests.core.why.asking import about_task, first
from tests.support.builders import broker, jobs_of_task, make_dataset, make_queue, make_task, row_of

MANAGER = Issuer("manager", is_production=True)


@pytest.fixture
def site(database: Database) -> Database:
    make_grid(database)
    return database


def status(database: Database, task_id: int) -> str:
    return str(row_of_task(database, task_id)["status"])


def steps(database: Database, task_id: int) -> list[str]:
    statement = "SELECT status FROM task_history WHERE jedi_task_id = %(id)s ORDER BY history_id"
    return [row["status"] for row in database.fetch(statement, {"id": task_id})]


def test_a_production_task_gets_a_nucleus_before_its_jobs(site: Database) -> None:
    task_id = production(site)
    assert status(site, task_id) == "assigning"
    assert jobs_of_task(site, task_id) == []
    assert first(about_task(site, task_id))[0] == "assigning"
    assert assign(site) == 1
    row = row_of_task(site, task_id)
    assert (row["nucleus"], row["n_jobs"]) == ("NUC", 3)
    assert steps(site, task_id)[:4] == ["registered", "defined", "assigning", "ready"]
    [decision] = decisions(site, task_id)
    assert (decision["chosen"], decision["candidate_count"], decision["job_count"]) == ("NUC", 1, 0)
    assert [step["criterion"] for step in decision["funnel"]] == [
        *("status", "storage", "excluded", "space", "locality", "job"),
    ]
    detail = task_detail(site, task_id, row["creation_time"])
    assert detail["task"]["nucleus"] == "NUC"
    assert detail["destination"]["weights"][0]["queue"] == "NUC"


def test_nothing_changes_where_no_endpoint_is_a_nucleus(database: Database) -> None:
    make_queue(database)
    task_id = production(database)
    assert status(database, task_id) == "ready"
    assert row_of_task(database, task_id)["n_jobs"] == 3
    assert assign(database) == 0
    assert decisions(database, task_id) == []


def test_a_task_that_keeps_its_outputs_where_they_are_made_is_not_assigned(site: Database) -> None:
    task_id = production(site, stayOutputOnSite=True)
    row = row_of_task(site, task_id)
    assert (row["status"], row["nucleus"], row["error_dialog"]) == ("ready", "", "")
    with pytest.raises(InvalidInput) as refused:
        production(site, "other", stayOutputOnSite=True, nucleus="NUC")
    assert refused.value.field == "stayOutputOnSite"


def test_tasks_of_users_are_not_assigned(site: Database) -> None:
    task_id = make_task(site, site="APART")
    assert (status(site, task_id), row_of_task(site, task_id)["nucleus"]) == ("ready", "")


def test_a_task_that_no_nucleus_suits_waits_with_the_numbers_and_is_tried_again(site: Database) -> None:
    make_nucleus(site, free_mb=150_000, total_mb=900_000)
    task_id = production(site)
    assert assign(site) == 1
    row = row_of_task(site, task_id)
    assert (row["status"], row["old_status"]) == ("pending", "assigning")
    assert "NUC has 150000 MB free" in row["error_dialog"]
    assert 1790 < (row["next_try_time"] - row["modification_time"]).total_seconds() < 1810
    reason = about_task(site, task_id)["reason"]
    assert reason["id"] == "no_nucleus"
    assert (
        "of 1 nucleus that may collect its outputs none is left after 'the storage endpoint has room"
        in reason["sentence"]
    )
    assert reason["numbers"]["criterion"] == "space"
    assert reason["numbers"]["parameters"]["min_usable_mb"] == 200_000
    # tried again when its time has come; what it knows already is not written down again
    for _ in range(2):
        site.execute("UPDATE tasks SET next_try_time = clock_timestamp() - interval '1 s'")
        TaskWatchdog(site, TaskTimes(), 1.0).cycle()
        assert status(site, task_id) == "assigning"
        assert assign(site) == 1
    assert [decision["binding_step"] for decision in decisions(site, task_id)] == ["space"]
    make_nucleus(site, free_mb=800_000, total_mb=900_000)
    assert run_command(site, "release", task_id, MANAGER).is_accepted
    assert assign(site) == 1
    assert row_of_task(site, task_id)["nucleus"] == "NUC"
    assert row_of_task(site, task_id)["frozen_time"] is None
    assert row_of_task(site, task_id)["error_dialog"] == ""


def test_what_is_assigned_counts_at_once(site: Database) -> None:
    make_nucleus(site, free_mb=300_000, total_mb=900_000)
    # 3 events of 40 GB each
    tasks = [production(site, f"mc{number}", outDiskCount=40_000, outDiskUnit="MBPerEvent") for number in range(3)]
    assert assign(site) == 3
    assert [row_of_task(site, task)["nucleus"] for task in tasks] == ["NUC", "", ""]
    assert "120000 MB are still to come" in row_of_task(site, tasks[1])["error_dialog"]


def test_a_task_goes_where_its_input_is_and_a_large_one_is_listed_first(site: Database) -> None:
    make_nucleus(site, "FAR_DISK")
    make_dataset(site, "large.input", [f"f{number}" for number in range(30)], at=["FAR_DISK"])
    site.execute("UPDATE files SET size_bytes = 10000000000")
    items = [
        {"type": "template", "param_type": "input", "value": "${IN/L}", "dataset": "large.input"},
        {"type": "template", "param_type": "output", "value": "o.${SN}.root", "dataset": "large.out"},
    ]
    task_id = production(
        site,
        "large",
        noInput=False,
        nEvents=None,
        nEventsPerJob=None,
        nFilesPerJob=1,
        jobParameters=items,
        ioIntensity=500,
    )
    assert assign(site, locality_min_mb=1000) == 1
    [decision] = decisions(site, task_id)
    assert decision["chosen"] == "FAR_DISK"
    assert decision["funnel"][4]["excluded"] == [
        {"queue": "NUC", "reason": "has 0 of 300000 MB of the input, 10% must be there"}
    ]


def test_the_feeder_and_followers_bring_tasks_to_be_assigned_too(site: Database) -> None:
    parent = production(site, "parent")
    assign(site)
    child = send(
        site,
        {
            **{"taskName": "child", "vo": "testvo", "prodSourceLabel": "managed", "transPath": "Merge_tf.py"},
            **{"nFilesPerJob": 1, "skipScout": True, "noWaitParent": True},
            "log": {"type": "template", "param_type": "log", "dataset": "child.log", "value": "child.${SN}.log.tgz"},
            "jobParameters": [
                {"type": "template", "param_type": "input", "value": "${IN/L}", "dataset": "parent.out"},
                {"type": "template", "param_type": "output", "value": "c.${SN}.root", "dataset": "child.out"},
            ],
        },
        is_production=True,
        parent_tid=parent,
    ).jedi_task_id
    assert child is not None
    assert status(site, child) == "pending"
    make_dataset(site, "parent.more", ["p1"], at=["NUC"])
    site.execute(
        "UPDATE files SET dataset_id = (SELECT dataset_id FROM datasets WHERE name = 'parent.out') WHERE lfn = 'p1'"
    )
    Releaser(site, 1.0).cycle()
    assert status(site, child) == "assigning"
    assign(site)
    assert row_of_task(site, child)["nucleus"] == "NUC"
    # what the child reads lies at the nucleus, and its job goes there
    broker(site)
    [job] = jobs_of_task(site, child)
    assert row_of(site, job)["computing_site"] == "CENTRE"
    # listed page by page
    listed = production(site, "listed")
    site.execute("UPDATE tasks SET status = 'defined' WHERE jedi_task_id = %(id)s", {"id": listed})
    Feeder(site, GenerationSettings(), 1.0).cycle()
    assert status(site, listed) == "assigning"


def test_a_nucleus_may_be_named_and_must_be_one(site: Database) -> None:
    task_id = production(site, "named", nucleus="NUC")
    assert (status(site, task_id), row_of_task(site, task_id)["nucleus"]) == ("ready", "NUC")
    for wrong in ("NOWHERE", "APART_DISK"):
        with pytest.raises(UnknownObject) as refused:
            production(site, "wrong", nucleus=wrong)
        assert refused.value.field == "nucleus"
    with pytest.raises(InvalidInput) as refused_user:
        accept(site, {"taskName": "u", "jobParameters": "true", "nucleus": "NUC"})
    assert refused_user.value.field == "nucleus"


def test_nobody_else_makes_jobs_of_a_task_that_is_being_assigned(site: Database) -> None:
    task_id = production(site)
    settings = Settings()
    Generator(site, settings.generation, settings.tasks, 1.0).cycle()
    site.execute("UPDATE tasks SET modification_time = now() - interval '1 h', generate_at = NULL")
    TaskWatchdog(site, TaskTimes(), 1.0).cycle()
    row = row_of_task(site, task_id)
    assert (row["status"], row["n_jobs"], row["generate_at"]) == ("assigning", 0, None)


def test_tasks_go_on_without_when_no_storage_collects_outputs_any_more(site: Database) -> None:
    task_id = production(site)
    make_nucleus(site, is_nucleus=False)
    assert assign(site) == 1
    assert (row_of_task(site, task_id)["nucleus"], row_of_task(site, task_id)["n_jobs"]) == ("", 3)


def test_a_damaged_task_keeps_the_others_from_nothing(site: Database) -> None:
    broken, odd, sound = production(site, "a"), production(site, "b"), production(site, "c")
    site.execute("UPDATE tasks SET parameters = '{}' WHERE jedi_task_id = %(id)s", {"id": broken})
    site.execute("UPDATE tasks SET split_rule = '{\"goal\": []}' WHERE jedi_task_id = %(id)s", {"id": odd})
    assign(site)
    assert status(site, broken) in ("broken", "pending")
    assert status(site, odd) in ("broken", "pending")
    assert row_of_task(site, broken)["error_dialog"]
    assert row_of_task(site, sound)["nucleus"] == "NUC"


@pytest.mark.parametrize(
    ("command", "after"), [("pause", "paused"), ("kill", "aborted"), ("finish", "failed"), ("release", "assigning")]
)
def test_commands_work_on_a_task_that_is_being_assigned(site: Database, command: str, after: str) -> None:
    task_id = production(site)
    assert run_command(site, command, task_id, MANAGER).is_accepted
    assert status(site, task_id) == after


def test_a_task_that_was_paused_or_killed_before_is_assigned_later(site: Database) -> None:
    paused, killed = production(site, "paused"), production(site, "killed")
    assert run_command(site, "pause", paused, MANAGER).is_accepted
    assert run_command(site, "kill", killed, MANAGER).is_accepted
    assert assign(site) == 0
    assert run_command(site, "resume", paused, MANAGER).is_accepted
    assert run_command(site, "incexec", killed, MANAGER).is_accepted
    assert (status(site, paused), status(site, killed)) == ("assigning", "assigning")
    assert assign(site) == 2
    assert {row_of_task(site, task)["nucleus"] for task in (paused, killed)} == {"NUC"}


def test_reassigning_names_a_nucleus_and_jobs_made_again_write_there(site: Database) -> None:
    make_nucleus(site, "FAR_DISK")
    task_id = production(site, nucleus="NUC")
    with pytest.raises(UnknownObject):
        run_command(site, "reassign", task_id, MANAGER, nucleus="APART_DISK")
    with pytest.raises(InvalidInput):
        run_command(site, "reassign", task_id, MANAGER, nucleus="FAR_DISK", site="APART")
    assert row_of_task(site, task_id)["nucleus"] == "NUC"
    assert run_command(site, "reassign", task_id, MANAGER, nucleus="FAR_DISK").is_accepted
    assert row_of_task(site, task_id)["nucleus"] == "FAR_DISK"
    broker(site)
    rows = site.fetch("SELECT DISTINCT computing_site FROM jobs_live WHERE jedi_task_id = %(id)s", {"id": task_id})
    assert [row["computing_site"] for row in rows] == ["FAR"]
    # to a queue that cannot write there: outputs stay with it
    assert run_command(site, "reassign", task_id, MANAGER, site="APART").is_accepted
    assert row_of_task(site, task_id)["nucleus"] == ""


@pytest.mark.parametrize("before", ["assigning", "pending"])
def test_reassigning_ends_the_wait_for_a_nucleus(site: Database, before: str) -> None:
    task_id = production(site)
    if before == "pending":
        make_nucleus(site, state="offline")
        assign(site)
        make_nucleus(site)
    assert status(site, task_id) == before
    assert run_command(site, "reassign", task_id, MANAGER, nucleus="NUC").is_accepted
    assert (status(site, task_id), row_of_task(site, task_id)["n_jobs"]) == ("ready", 3)


def test_a_paused_task_that_is_given_a_nucleus_stays_paused(site: Database) -> None:
    task_id = production(site)
    assert run_command(site, "pause", task_id, MANAGER).is_accepted
    assert run_command(site, "reassign", task_id, MANAGER, nucleus="NUC").is_accepted
    assert status(site, task_id) == "paused"
    assert run_command(site, "resume", task_id, MANAGER).is_accepted
    assign(site)
    assert (status(site, task_id), row_of_task(site, task_id)["n_jobs"]) == ("ready", 3)
    assert decisions(site, task_id) == []


def test_a_users_task_cannot_be_moved_to_a_nucleus(site: Database) -> None:
    task_id = make_task(site, site="APART")
    with pytest.raises(InvalidInput) as refused:
        run_command(site, "reassign", task_id, MANAGER, nucleus="NUC")
    assert refused.value.field == "nucleus"


def _assign_for_ever(url: str) -> None:
    database = Database(url)
    agent = TaskBroker(database, Settings().task_brokerage, 0.01)
    while True:
        agent.cycle()


def test_killed_at_any_moment_it_leaves_every_task_whole(site: Database) -> None:
    tasks = [production(site, f"mc{number}") for number in range(60)]
    for _ in range(4):
        process = multiprocessing.get_context("spawn").Process(target=_assign_for_ever, args=(site.url,))
        process.start()
        begun = {row["n"] for row in site.fetch("SELECT count(*) AS n FROM tasks WHERE nucleus <> ''")}
        deadline = time.monotonic() + 30
        while {row["n"] for row in site.fetch("SELECT count(*) AS n FROM tasks WHERE nucleus <> ''")} == begun:
            if time.monotonic() > deadline or status(site, tasks[-1]) != "assigning":
                break
            time.sleep(0.005)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        for task_id in tasks:
            row = row_of_task(site, task_id)
            assert (row["status"], row["nucleus"], row["n_jobs"], len(decisions(site, task_id))) in (
                ("assigning", "", 0, 0),
                ("ready", "NUC", 3, 1),
            )
    while assign(site):
        pass
    assert {row_of_task(site, task_id)["nucleus"] for task_id in tasks} == {"NUC"}


def test_merging_tasks_of_users_still_work_beside_nuclei(site: Database) -> None:
    prepare(site)
    task_id = accept(site, captured("merge", nEvents=2, site="Q"))
    assert row_of_task(site, task_id)["status"] in ("ready", "scouting", "running")
