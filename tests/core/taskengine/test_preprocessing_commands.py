"""What people may do with a task while a first job works out its definition, and after that."""

from __future__ import annotations

import pytest

from core.agents.generator import Generator
from core.agents.task_watchdog import TaskWatchdog
from core.database import Database
from core.states import TaskStatus
from core.taskengine.commands.locking import Issuer
from core.taskengine.commands.table import COMMANDS, run_command
from core.taskengine.status import change_status
from core.workload_settings import GenerationSettings, TaskTimes
from tests.core.taskengine.submitting import accept, captured, history, jobs, place, prepare, row_of_task, run, send
from tests.core.taskengine.test_preprocessing import (
    FOUND,
    agent,
    begun,
    end,
    good_runs,
    house,
    in_order,
    runs,
    status,
)
from tests.support.builders import history_of, put_into, row_of, status_of

OWNER = Issuer("Test User")
CAROL = Issuer("carol", is_production=True)


@pytest.fixture
def site(database: Database) -> Database:
    prepare(database)
    return database


def command(database: Database, name: str, task_id: int, issuer: Issuer = OWNER, **options: object) -> str:
    outcome = run_command(database, name, task_id, issuer, **options)
    assert outcome.is_accepted, outcome
    return outcome.message


ACCEPTED = {"kill", "finish", "reactivate", "pause"}


@pytest.mark.parametrize("name", sorted(COMMANDS))
@pytest.mark.parametrize("state", ["topreprocess", "preprocessing"])
def test_every_command_works_or_says_why_not(site, name, state):
    task_id = accept(site, good_runs())
    if state == "preprocessing":
        agent(site)
    options = {"resubmit": {"new_parameters": {"nFiles": 1}}, "reassign": {"site": "Q_A"}}.get(name, {})
    before = row_of_task(site, task_id)
    outcome = run_command(site, name, task_id, CAROL, **options)
    assert outcome.is_accepted == (name in ACCEPTED), outcome
    if name not in ACCEPTED:
        assert f"in {state} status" in outcome.message or f"in the {state} state" in outcome.message
        assert row_of_task(site, task_id) == before


@pytest.mark.parametrize(("name", "ends"), [("kill", "aborted"), ("finish", "failed")])
def test_it_ends_on_request_and_is_preprocessed_when_it_is_taken_up_again(site, name, ends):
    task_id, first = begun(site)
    command(site, name, task_id)
    assert (status(site, task_id), row_of(site, first)["job_status"] in ("closed", "cancelled")) == (ends, True)
    assert agent(site) == 0
    assert "a job works out its definition first" in command(site, "incexec", task_id)
    assert status(site, task_id) == "topreprocess"
    agent(site)
    assert len(in_order(site, task_id)) == 2
    end(site, in_order(site, task_id)[-1], FOUND)
    agent(site)
    assert (status(site, task_id), row_of_task(site, task_id)["n_files"]) == ("ready", 3)


def test_one_that_is_finished_before_its_real_work_began_has_done_nothing(site):
    task_id, panda_id = begun(site)
    command(site, "pause", task_id)
    end(site, panda_id, FOUND)
    command(site, "finish", task_id)
    row = row_of_task(site, task_id)
    assert [row[name] for name in ("status", "n_files", "n_files_finished", "n_jobs")] == ["failed", 0, 0, 1]
    command(site, "retry", task_id)
    agent(site)
    assert (status(site, task_id), in_order(site, task_id)[0]) == ("ready", panda_id)


def test_a_failed_one_is_retried_or_submitted_again(site):
    task_id, _ = begun(site)
    command(site, "finish", task_id)
    command(site, "retry", task_id)
    assert history(site, task_id)[-3:] == ["toincexec", "rerefine", "topreprocess"]
    command(site, "kill", task_id)
    assert send(site, good_runs(nFiles=2)).code == 3
    assert status(site, task_id) == "topreprocess"
    agent(site)
    end(site, in_order(site, task_id)[-1], FOUND)
    agent(site)
    assert row_of_task(site, task_id)["n_files"] == 2


def test_a_job_on_a_node_ends_with_the_task(site):
    task_id, panda_id = begun(site)
    place(site)
    put_into(site, panda_id, "running")
    command(site, "kill", task_id)
    assert status(site, task_id) == "aborting"
    end(site, panda_id, FOUND)
    assert status(site, task_id) == "aborted"
    assert agent(site) == 0
    command(site, "reactivate", task_id)
    agent(site)
    # what it found before it was told to end is used
    assert (status(site, task_id), len(in_order(site, task_id))) in (("ready", 3), ("preprocessing", 2))


def test_a_paused_one_keeps_what_its_job_found(site):
    task_id, panda_id = begun(site)
    place(site)
    command(site, "pause", task_id)
    assert (status(site, task_id), status_of(site, panda_id)) == ("paused", "throttled")
    command(site, "resume", task_id)
    assert (status(site, task_id), status_of(site, panda_id)) == ("preprocessing", "activated")
    command(site, "pause", task_id)
    end(site, panda_id, FOUND)
    assert (status(site, task_id), agent(site)) == ("paused", 0)
    command(site, "resume", task_id)
    agent(site)
    assert status(site, task_id) == "ready"
    assert "throttled" in history_of(site, panda_id)


def test_a_paused_one_whose_job_fails_goes_on_with_the_next(site):
    task_id, panda_id = begun(site)
    command(site, "pause", task_id)
    end(site, panda_id, status="failed", pilot_error_code=1305)
    assert (status(site, task_id), agent(site)) == ("paused", 0)
    command(site, "resume", task_id)
    agent(site)
    assert (status(site, task_id), len(in_order(site, task_id))) == ("preprocessing", 2)


@pytest.mark.parametrize("name", ["release", "reactivate", "watchdog"])
def test_one_that_met_an_obstacle_goes_back_to_it(site, name):
    task_id, panda_id = begun(site)
    with site.transaction() as transaction:
        change_status(transaction, task_id, TaskStatus.PENDING, who="test", reason="an obstacle")
    if name == "watchdog":
        site.execute("UPDATE tasks SET next_try_time = clock_timestamp() - interval '1 s'")
        TaskWatchdog(site, TaskTimes(), 1).cycle()
    else:
        command(site, name, task_id)
    agent(site)
    assert (status(site, task_id), in_order(site, task_id)) == ("preprocessing", [panda_id])
    end(site, panda_id, FOUND)
    agent(site)
    assert status(site, task_id) == "ready"


def test_an_exhausted_one_goes_on_with_the_job_it_has(site):
    task_id, panda_id = begun(site)
    site.execute("UPDATE tasks SET creation_time = creation_time - interval '40 days'")
    site.execute("UPDATE task_history SET time = time - interval '40 days'")
    site.execute("UPDATE jobs_live SET brokerage_error_code = 100, brokerage_error_diag = 'none fits'")
    TaskWatchdog(site, TaskTimes(), 1).cycle()
    assert status(site, task_id) == "exhausted"
    command(site, "retry", task_id, CAROL)
    agent(site)
    assert (status(site, task_id), in_order(site, task_id)) == ("preprocessing", [panda_id])


def test_the_engine_leaves_it_alone(site):
    task_id, panda_id = begun(site)
    site.execute("UPDATE tasks SET modification_time = modification_time - interval '30 days', generate_at = now()")
    Generator(site, GenerationSettings(), TaskTimes(), 1).cycle()
    TaskWatchdog(site, TaskTimes(), 1).cycle()
    assert (status(site, task_id), in_order(site, task_id)) == ("preprocessing", [panda_id])


@pytest.mark.parametrize("name", ["retry", "incexec", "reactivate"])
def test_what_was_worked_out_is_not_worked_out_again(site, name):
    task_id, panda_id = begun(site)
    end(site, panda_id, FOUND)
    agent(site)
    command(site, "kill", task_id) if name != "retry" else command(site, "finish", task_id)
    command(site, name, task_id)
    agent(site)
    place(site)
    run(site, *(job["panda_id"] for job in runs(site, task_id) if job["job_status"] == "activated"))
    assert (status(site, task_id), row_of_task(site, task_id)["n_files_finished"]) == ("done", 3)
    assert [job["special_handling"] for job in jobs(site, task_id)].count("preprocess") == 1


def test_a_child_is_preprocessed_when_its_parent_has_ended(site):
    parent = accept(site, captured("njobs"))
    child = accept(site, house(taskName="user.testuser.child"), parent_tid=parent)
    eager = accept(site, house(taskName="user.testuser.eager", noWaitParent=True), parent_tid=parent)
    agent(site)
    assert (status(site, child), status(site, eager)) == ("topreprocess", "preprocessing")
    place(site)
    run(site, *in_order(site, parent))
    assert status(site, parent) == "done"
    agent(site)
    assert status(site, child) == "preprocessing"
    [panda_id] = in_order(site, child)
    end(site, panda_id, {"inputFiles": ["f1.txt"]})
    agent(site)
    assert (status(site, child), len(runs(site, child))) == ("ready", 1)


def test_a_child_of_a_parent_that_failed_meanwhile_is_broken(site):
    parent = accept(site, captured("njobs"))
    child, panda_id = begun(site, house(taskName="user.testuser.child", noWaitParent=True)), 0
    site.execute("UPDATE tasks SET parent_tid = %(p)s WHERE jedi_task_id = %(id)s", {"p": parent, "id": child[0]})
    command(site, "kill", parent)
    panda_id = child[1]
    assert row_of(site, panda_id)["job_status"] in ("closed", "cancelled")
    assert status(site, child[0]) == "aborted"


def test_a_retry_of_the_parent_takes_a_child_up_where_it_was(site):
    parent = accept(site, captured("njobs"))
    child = accept(site, house(taskName="user.testuser.child"), parent_tid=parent)
    command(site, "finish", parent)
    command(site, "finish", child)
    assert (status(site, parent), status(site, child)) == ("failed", "failed")
    command(site, "retry", parent)
    assert status(site, child) == "topreprocess"
    assert agent(site) == 0
