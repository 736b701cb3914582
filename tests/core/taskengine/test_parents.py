"""Tasks that read what another task makes: they wait, take files as they come, and share the fate of the parent."""

from __future__ import annotations

import pytest

from core.agents.releaser import Releaser
from core.database import Database
from core.errors import PandaError
from core.taskbuffer.killing import Killer, kill_jobs
from core.taskengine.commands.locking import Issuer
from core.taskengine.commands.table import run_command
from core.taskengine.making import contents
from core.taskengine.parents import follow_parents
from core.taskengine.strays import asleep
from tests.core.taskengine.submitting import (
    accept,
    captured,
    files,
    history,
    jobs,
    place,
    prepare,
    row_of_task,
    run,
    send,
)

OWNER = Killer("Test User", False)


@pytest.fixture
def site(database: Database) -> Database:
    prepare(database)
    return database


def child_of(database: Database, parent: int, *, waits: bool, **changes: object) -> int:
    """A task that reads the outputs of `parent`."""
    wanted = {"noWaitParent": not waits, "nFilesPerJob": 1, "skipScout": True, **changes}
    parameters = captured("child", **wanted)
    for item in parameters["jobParameters"]:
        if item.get("param_type") == "input":
            item["dataset"] = parameters["dsForIN"] = "user.testuser.njobs_out.txt/"
    return accept(database, parameters, parent_tid=parent)


def follow(database: Database) -> int:
    return Releaser(database, 1).cycle()


def test_a_child_waits_for_its_parent(site):
    parent = accept(site, captured("njobs"))
    child = child_of(site, parent, waits=True)
    row = row_of_task(site, child)
    assert (row["status"], row["parent_tid"], row["n_jobs"]) == ("pending", parent, 0)
    assert "waiting for the parent" in row["error_dialog"]
    place(site)
    run(site, jobs(site, parent)[0]["panda_id"])
    assert follow(site) == 0
    run(site, *(job["panda_id"] for job in jobs(site, parent)[1:]))
    assert follow(site) == 1
    assert len(jobs(site, child)) == 3
    assert history(site, child)[:4] == ["registered", "ready", "pending", "ready"]
    assert row_of_task(site, child)["error_dialog"] == ""
    place(site)
    run(site, *(job["panda_id"] for job in jobs(site, child)))
    assert row_of_task(site, child)["status"] == "done"
    assert follow(site) == 0


def test_a_child_that_does_not_wait_takes_files_as_they_come(site):
    parent = accept(site, captured("njobs"))
    child = child_of(site, parent, waits=False)
    assert row_of_task(site, child)["status"] == "pending"
    place(site)
    first, *others = jobs(site, parent)
    run(site, first["panda_id"])
    assert follow(site) == 1
    [job] = jobs(site, child)
    place(site)
    run(site, job["panda_id"])
    assert row_of_task(site, child)["status"] == "running", "more may come"
    run(site, *(job["panda_id"] for job in others))
    assert follow(site) == 1
    assert len(jobs(site, child)) == 3
    place(site)
    run(site, *(job["panda_id"] for job in jobs(site, child)[1:]))
    assert row_of_task(site, child)["status"] == "done"
    assert len({name for piece in files(site, child, "input") for name in piece}) == 3


def test_a_child_need_not_wait_for_a_parent_that_waits_itself(site):
    parent = accept(site, captured("njobs"))
    child = child_of(site, parent, waits=True)
    parameters = captured(
        "child", noWaitParent=True, nFilesPerJob=1, skipScout=True, taskName="user.testuser.grandchild/"
    )
    made = next(
        item for item in row_of_task(site, child)["parameters"]["jobParameters"] if item.get("param_type") == "output"
    )
    for item in parameters["jobParameters"]:
        if item.get("param_type") == "input":
            item["dataset"] = parameters["dsForIN"] = made["dataset"]
        elif item.get("param_type") == "output":
            item["dataset"] = item["container"] = "user.testuser.grandchild_out.txt/"
    parameters["log"]["dataset"] = parameters["log"]["container"] = "user.testuser.grandchild.log/"
    grandchild = accept(site, parameters, parent_tid=child)
    follow(site)
    assert row_of_task(site, grandchild)["status"] == "pending"
    for task_id in (parent, child):
        place(site)
        run(site, *(job["panda_id"] for job in jobs(site, task_id)))
        follow(site)
    assert len(jobs(site, grandchild)) == 3


def test_a_child_whose_parent_fails_fails(site):
    parent = accept(site, captured("njobs"))
    child = child_of(site, parent, waits=True)
    kill_jobs(site, [job["panda_id"] for job in jobs(site, parent)], OWNER)
    assert row_of_task(site, parent)["status"] == "failed"
    assert follow(site) == 1
    row = row_of_task(site, child)
    assert row["status"] == "failed"
    assert f"task {parent}, is failed" in row["error_dialog"]
    assert follow(site) == 0


@pytest.mark.parametrize(("killed", "end"), [(3, "failed"), (1, "finished"), (0, "done")])
def test_a_child_without_input_of_its_own_ends_as_its_parent_lets_it(site, killed, end):
    parent = accept(site, captured("njobs"))
    child = child_of(site, parent, waits=True, allowEmptyInput=True)
    place(site)
    panda_ids = [job["panda_id"] for job in jobs(site, parent)]
    kill_jobs(site, panda_ids[:killed], OWNER)
    run(site, *panda_ids[killed:])
    site.execute("DELETE FROM replicas")
    site.execute("DELETE FROM files")
    follow(site)
    row = row_of_task(site, child)
    assert (row["status"], row["n_files"]) == (end, 0)


def test_the_beginning_of_a_piece_is_not_lost_sight_of_while_the_rest_is_to_come(site):
    parent = accept(site, captured("njobs"))
    child = child_of(site, parent, waits=False, nFilesPerJob=2)
    place(site)
    run(site, jobs(site, parent)[0]["panda_id"])
    follow(site)
    row = row_of_task(site, child)
    assert (row["n_files"], row["n_jobs"], row["generate_at"]) == (1, 0, None)
    assert asleep(site, batch=10) == []
    run(site, *(job["panda_id"] for job in jobs(site, parent)[1:]))
    follow(site)
    assert [len(names) for names in files(site, child, "input")] == [2, 1]


def test_a_child_of_half_a_parent_is_never_quite_done(site):
    parent = accept(site, captured("njobs"))
    child = child_of(site, parent, waits=True)
    place(site)
    first, *others = jobs(site, parent)
    kill_jobs(site, [job["panda_id"] for job in others], OWNER)
    run(site, first["panda_id"])
    assert row_of_task(site, parent)["status"] == "finished"
    follow(site)
    place(site)
    run(site, *(job["panda_id"] for job in jobs(site, child)))
    assert row_of_task(site, child)["status"] == "finished"


def test_a_child_of_a_parent_that_is_done_begins_at_once(site):
    parent = accept(site, captured("njobs"))
    place(site)
    run(site, *(job["panda_id"] for job in jobs(site, parent)))
    assert len(jobs(site, child_of(site, parent, waits=True))) == 3


def test_a_parent_that_is_not_there_is_upstreams_code_11(site):
    answer = send(site, captured("child"), parent_tid=5)
    assert (answer.code, answer.message) == (11, "parent task jediTaskID=5 not found")


def test_a_parent_that_has_failed_has_no_more_children(site):
    parent = accept(site, captured("single"))
    kill_jobs(site, [job["panda_id"] for job in jobs(site, parent)], OWNER)
    with pytest.raises(PandaError) as refused:
        send(site, captured("child"), parent_tid=parent)
    assert refused.value.field == "parent_tid"


def test_what_a_parent_makes_and_nobody_can_use_breaks_the_child(site):
    parent = accept(site, captured("njobs"))
    child = child_of(site, parent, waits=True, site="Q")
    site.execute("UPDATE tasks SET split_rule = '{\"nFilesPerJob\": -1}' WHERE jedi_task_id = %(id)s", {"id": child})
    place(site)
    run(site, *(job["panda_id"] for job in jobs(site, parent)))
    assert follow(site) == 1
    row = row_of_task(site, child)
    assert (row["status"], row["error_dialog"][:13]) == ("broken", "nFilesPerJob:")
    assert follow(site) == 0


def test_children_of_slow_parents_do_not_hide_others(site):
    slow, quick = accept(site, captured("njobs")), accept(site, captured("njobs", taskName="user.testuser.quick/"))
    waiting = child_of(site, slow, waits=True)
    other = child_of(site, slow, waits=True, uniqueTaskName=False)
    last = child_of(site, quick, waits=True, uniqueTaskName=False)
    kill_jobs(site, [job["panda_id"] for job in jobs(site, quick)], OWNER)
    assert follow_parents(site, page=1) == 1
    assert [row_of_task(site, task)["status"] for task in (waiting, other, last)] == ["pending", "pending", "failed"]


def test_parents_that_lead_back_to_themselves_have_no_children(site):
    first, second = accept(site, captured("njobs")), accept(site, captured("njobs", taskName="user.testuser.second/"))
    for task_id, parent in ((first, second), (second, first)):
        site.execute("UPDATE tasks SET parent_tid = %(p)s WHERE jedi_task_id = %(id)s", {"p": parent, "id": task_id})
    with pytest.raises(PandaError) as refused:
        send(site, captured("child"), parent_tid=first)
    assert refused.value.field == "parent_tid"


def test_a_task_that_reads_what_it_writes_is_refused(site):
    parameters = captured("child", skipScout=True)
    for item in parameters["jobParameters"]:
        if item.get("param_type") == "output":
            item["dataset"] = item["container"] = "user.testuser.circle/"
        elif item.get("param_type") == "input":
            item["dataset"] = "user.testuser.circle"
    with pytest.raises(PandaError) as refused:
        send(site, {**parameters, "dsForIN": "user.testuser.circle"})
    assert refused.value.field.endswith(".dataset")


def test_a_page_at_a_time_a_child_gets_all_that_its_parent_made(site, monkeypatch):
    parent = accept(site, captured("njobs"))
    child = child_of(site, parent, waits=True)
    place(site)
    run(site, *(job["panda_id"] for job in jobs(site, parent)))
    monkeypatch.setitem(contents.feed_contents.__kwdefaults__, "limit", 1)
    assert follow(site) == 1
    assert row_of_task(site, child)["status"] == "pending"
    while follow(site):
        pass
    assert len(jobs(site, child)) == 3
    place(site)
    run(site, *(job["panda_id"] for job in jobs(site, child)))
    assert row_of_task(site, child)["status"] == "done"


@pytest.mark.parametrize("command", ["retry", "incexec", "reactivate"])
@pytest.mark.parametrize("waits", [True, False])
def test_a_child_that_is_taken_up_while_its_parent_works_again_follows_it_again(site, command, waits):
    parent = accept(site, captured("njobs", maxAttempt=1))
    child = child_of(site, parent, waits=waits)
    place(site)
    kill_jobs(site, [job["panda_id"] for job in jobs(site, parent)], OWNER)
    follow(site)
    assert (row_of_task(site, parent)["status"], row_of_task(site, child)["status"]) == ("failed", "failed")
    assert run_command(site, "retry", parent, Issuer("Test User"), sole=True).is_accepted
    assert run_command(site, command, child, Issuer("Test User")).is_accepted
    place(site)
    again = [job["panda_id"] for job in jobs(site, parent) if job["job_status"] == "activated"]
    run(site, again[0])
    follow(site)
    assert row_of_task(site, child)["n_files"] == (0 if waits else 1)
    run(site, *again[1:])
    follow(site)
    assert row_of_task(site, child)["n_files"] == len(again) == 3
    place(site)
    run(site, *(job["panda_id"] for job in jobs(site, child)))
    assert row_of_task(site, child)["status"] == "done"


def test_a_child_that_a_person_let_go_says_no_longer_that_it_waits_when_its_input_came(site):
    parent = accept(site, captured("njobs"))
    child = child_of(site, parent, waits=True)
    for command in ("pause", "resume"):
        assert run_command(site, command, child, Issuer("Test User")).is_accepted
    assert (row_of_task(site, child)["status"], row_of_task(site, child)["error_dialog"][:7]) == ("ready", "waiting")
    place(site)
    run(site, *(job["panda_id"] for job in jobs(site, parent)))
    follow(site)
    assert (row_of_task(site, child)["n_jobs"], row_of_task(site, child)["error_dialog"]) == (3, "")
