"""What a retry concerns besides the task itself: the children that read what it makes, its share and its priority."""

from __future__ import annotations

import pytest

from core.agents.releaser import Releaser
from core.database import Database
from core.shares.editing import replace_tree
from core.taskbuffer.killing import Killer, kill_jobs
from core.taskengine.commands import changing
from core.taskengine.commands.locking import Issuer
from core.taskengine.commands.table import run_command
from tests.core.taskengine.submitting import accept, captured, history, jobs, place, prepare, row_of_task, run
from tests.support.builders import everything

USER, OTHER, CAROL = Issuer("Test User"), Issuer("Other User"), Issuer("carol", is_production=True)
OWNER = Killer("Test User", False)
ONCE = {"maxAttempt": 1}


@pytest.fixture
def site(database: Database) -> Database:
    prepare(database)
    return database


def child_of(database: Database, parent: int, name: str = "child", **how: object) -> int:
    """A task that reads what `parent` makes."""
    parameters = captured(
        "child", noWaitParent=False, nFilesPerJob=1, skipScout=True, taskName=f"user.testuser.{name}/"
    )
    read = f"{row_of_task(database, parent)['task_name'].rstrip('/')}_out.txt/"
    for item in parameters["jobParameters"]:
        if item.get("param_type") == "input":
            item["dataset"] = parameters["dsForIN"] = read
        elif item.get("param_type") == "output":
            item["dataset"] = item["container"] = f"user.testuser.{name}_out.txt/"
    parameters["log"]["dataset"] = parameters["log"]["container"] = f"user.testuser.{name}.log/"
    return accept(database, parameters, parent_tid=parent, **how)


def follow(database: Database) -> None:
    Releaser(database, 1).cycle()


def finish(database: Database, task_id: int, *, but: int = 0) -> None:
    """Run the live jobs of a task to their end; the last `but` of them are killed."""
    place(database)
    live = [job["panda_id"] for job in jobs(database, task_id) if job["job_status"] == "activated"]
    kill_jobs(database, live[len(live) - but :] if but else [], OWNER)
    run(database, *live[: len(live) - but])
    follow(database)


def family(database: Database) -> tuple[int, int, int]:
    """A task of three jobs of which one failed, its child and the child of that, all through."""
    parent = accept(database, captured("njobs", **ONCE))
    child = child_of(database, parent)
    grandchild = child_of(database, child, "grandchild")
    for task_id, but in ((parent, 1), (child, 0), (grandchild, 0)):
        finish(database, task_id, but=but)
    assert statuses(database, parent, child, grandchild) == ["finished"] * 3
    return parent, child, grandchild


def statuses(database: Database, *task_ids: int) -> list[str]:
    return [row_of_task(database, task_id)["status"] for task_id in task_ids]


def test_children_are_taken_up_again_and_all_are_done_in_the_end(site):
    line = family(site)
    outcome = run_command(site, "retry", line[0], USER)
    assert outcome.message.endswith("(1 job is made; 2 child tasks are taken up again)")
    assert statuses(site, *line) == ["ready"] * 3
    assert "waiting for what the parent" in row_of_task(site, line[1])["error_dialog"]
    for task_id in line:
        finish(site, task_id)
    assert statuses(site, *line) == ["done"] * 3
    assert [row_of_task(site, task_id)["n_files"] for task_id in line] == [3, 3, 3]
    assert row_of_task(site, line[1])["error_dialog"] == ""


def test_the_task_alone_is_retried_when_that_is_meant(site):
    parent, *line = family(site)
    before = [row_of_task(site, task_id) for task_id in line]
    assert run_command(site, "retry", parent, USER, sole=True).message.endswith("(1 job is made)")
    assert [row_of_task(site, task_id) for task_id in line] == before


def test_a_child_that_failed_with_its_parent_waits_for_it_again(site):
    parent = accept(site, captured("njobs", **ONCE))
    child = child_of(site, parent)
    finish(site, parent, but=3)
    assert statuses(site, parent, child) == ["failed", "failed"]
    run_command(site, "retry", parent, USER)
    row = row_of_task(site, child)
    assert (row["status"], row["error_dialog"]) == ("pending", "waiting for what the parent task makes now")
    assert history(site, child)[-3:] == ["toretry", "ready", "pending"]
    finish(site, parent)
    finish(site, child)
    assert statuses(site, parent, child) == ["done", "done"]


def test_what_a_child_failed_at_is_opened_as_well(site):
    parent = accept(site, captured("njobs", **ONCE))
    child = child_of(site, parent)
    finish(site, parent, but=1)
    site.execute("UPDATE task_files SET max_attempt = 1 WHERE jedi_task_id = %(id)s", {"id": child})
    finish(site, child, but=1)
    assert statuses(site, parent, child) == ["finished", "finished"]
    assert run_command(site, "retry", parent, USER).is_accepted
    assert len([job for job in jobs(site, child) if job["job_status"] == "defined"]) == 1


@pytest.mark.parametrize("ended", ["kill", "finish"])
def test_a_child_that_a_person_killed_stays_as_it_is_and_one_that_was_finished_does_not(site, ended):
    parent = accept(site, captured("njobs", **ONCE))
    child = child_of(site, parent)
    finish(site, parent, but=1)
    run_command(site, ended, child, USER)
    [status] = statuses(site, child)
    run_command(site, "retry", parent, USER)
    assert statuses(site, child) == (["aborted"] if ended == "kill" else ["ready"])
    assert status == ("aborted" if ended == "kill" else "failed")


def test_the_children_of_others_are_theirs_unless_production_asks(site):
    parent = accept(site, captured("njobs", **ONCE))
    child = child_of(site, parent, user_name="Other User")
    finish(site, parent, but=3)
    before = row_of_task(site, child)
    run_command(site, "retry", parent, USER)
    assert row_of_task(site, child) == before
    finish(site, parent, but=3)
    run_command(site, "retry", parent, CAROL)
    assert statuses(site, child) == ["pending"]


def test_a_child_under_way_takes_what_is_made_now_as_well(site):
    parent = accept(site, captured("njobs", **ONCE))
    child = child_of(site, parent)
    finish(site, parent, but=1)
    assert len(jobs(site, child)) == 2
    run_command(site, "retry", parent, USER)
    finish(site, child)
    assert statuses(site, child) == ["running"], "its parent works"
    finish(site, parent)
    finish(site, child)
    assert (statuses(site, parent, child), row_of_task(site, child)["n_files"]) == (["done", "done"], 3)


def test_a_child_that_cannot_go_on_keeps_its_parent_from_nothing(site):
    parent = accept(site, captured("njobs", **ONCE))
    child = child_of(site, parent)
    finish(site, parent, but=3)
    site.execute(
        'UPDATE tasks SET parameters = parameters || \'{"nFilesPerJob": "x"}\' WHERE jedi_task_id = %(id)s',
        {"id": child},
    )
    before = row_of_task(site, child)
    outcome = run_command(site, "retry", parent, USER)
    assert f"task {child} is left as it is: " in outcome.message
    assert row_of_task(site, child) == before
    assert statuses(site, parent) == ["ready"]


def test_a_retry_of_a_family_that_is_refused_changes_nothing(site):
    line = family(site)
    before = everything(site)
    assert not run_command(site, "retry", line[0], OTHER).is_accepted
    assert everything(site) == before


@pytest.mark.parametrize("keep", [False, True])
def test_share_and_priority_are_those_of_the_submission_again_unless_they_are_kept(site, keep):
    tree = [{"name": "Analysis", "value": 50, "prod_source_label": "user"}, {"name": "Rest", "value": 50}]
    replace_tree(site, tree, who="carol")
    task_id = accept(site, captured("njobs", **ONCE))
    finish(site, task_id, but=1)
    changing.reassign_global_share(site, [task_id], "Rest", running_too=False)
    run_command(site, "resubmit", task_id, CAROL, new_parameters={"currentPriority": 1050})
    finish(site, task_id, but=1)
    assert (row_of_task(site, task_id)["gshare"], row_of_task(site, task_id)["current_priority"]) == ("Rest", 1050)
    run_command(site, "retry", task_id, USER, keep=keep)
    row = row_of_task(site, task_id)
    [fresh] = [job for job in jobs(site, task_id) if job["job_status"] == "defined"]
    wanted = ("Rest", 1050) if keep else ("Analysis", 1000)
    assert (row["gshare"], row["current_priority"]) == wanted
    assert (fresh["gshare"], fresh["current_priority"]) == wanted


def test_a_priority_that_production_set_stays_with_the_task(site):
    task_id = accept(site, captured("njobs", **ONCE))
    changing.change_priority(site, task_id, 1234)
    finish(site, task_id, but=1)
    run_command(site, "retry", task_id, USER)
    assert row_of_task(site, task_id)["current_priority"] == 1234
