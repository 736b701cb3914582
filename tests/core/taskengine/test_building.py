"""Build jobs first, run jobs after them: released, cancelled, not built twice."""

from __future__ import annotations

import pytest

from core.agents.releaser import Releaser
from core.database import Database
from core.taskbuffer.killing import Killer, kill_jobs
from tests.core.taskengine.submitting import (
    accept,
    captured,
    files,
    jobs,
    place,
    prepare,
    row_of_task,
    run,
    send,
    texts,
)
from tests.support.builders import add_up, history_of, kill_task, make_dataset, make_queue, report, row_of

OWNER = Killer("Test User", False)


@pytest.fixture
def site(database: Database) -> Database:
    prepare(database)
    return database


def release(database: Database) -> int:
    return Releaser(database, 1).cycle()


def built(database: Database, **changes: object) -> tuple[int, int, list[int]]:
    """A task with its build job and its run jobs."""
    task_id = accept(database, captured("build", **changes))
    first, *others = (job["panda_id"] for job in jobs(database, task_id))
    return task_id, first, others


def finish_build(database: Database, build: int) -> None:
    place(database)
    run(database, build)


def test_the_build_job_comes_first_and_the_others_wait(site):
    task_id, build, runs = built(site)
    row = row_of(site, build)
    library = f"user.testuser.build.{task_id}.1.lib.tgz"
    facts = ("job_status", "prod_source_label", "transformation", "current_priority", "job_index", "attempt_nr")
    assert [row[name] for name in facts] == ["defined", "panda", "buildGen-00-00-01", 2000, 0, 1]
    assert [row_of(site, job)["job_status"] for job in runs] == ["pending", "pending"]
    text = texts(site, task_id)
    assert text[0] == (
        f'-i sources.captured.tar.gz -o {library} --sourceURL http://127.0.0.1:28443 -r . --bexec "make%20all"'
    )
    assert f"-l {library} -o" in text[1]
    assert files(site, task_id, "lib") == [[library], [], []]
    assert files(site, task_id, "input") == [[], [library], [library]]
    assert release(site) == 0
    assert row_of_task(site, task_id)["n_jobs"] == 3


def test_run_jobs_go_where_the_library_was_made(site):
    task_id, build, runs = built(site)
    finish_build(site, build)
    assert row_of(site, build)["job_status"] == "finished"
    assert row_of_task(site, task_id)["status"] == "running"
    assert release(site) == 2
    place(site)
    assert [history_of(site, job)[:3] for job in runs] == [["pending", "defined", "activated"]] * 2
    assert {row_of(site, job)["computing_site"] for job in runs} == {row_of(site, build)["computing_site"]}
    [library] = site.fetch("SELECT * FROM job_files WHERE panda_id = %(id)s AND type = 'input'", {"id": runs[0]})
    assert (library["status"], library["size_bytes"], library["file_id"] is not None) == ("ready", 3, True)
    run(site, *runs)
    row = row_of_task(site, task_id)
    assert (row["status"], row["n_finished"], row["n_files_finished"], row["n_files"]) == ("done", 3, 2, 2)


def test_a_build_that_fails_takes_its_jobs_along(site):
    task_id, build, runs = built(site)
    place(site)
    site.execute("UPDATE jobs_live SET job_status = 'running' WHERE panda_id = %(id)s", {"id": build})
    report(site, build, "failed", pilot_error_code=1305, trans_exit_code=2)
    add_up(site)
    assert row_of_task(site, task_id)["status"] == "running"
    assert release(site) == 2
    ended = [row_of(site, job) for job in runs]
    assert [job["job_status"] for job in ended] == ["cancelled", "cancelled"]
    assert {job["task_buffer_error_diag"] for job in ended} == {"upstream job failed"}
    assert row_of_task(site, task_id)["status"] == "failed"


def test_a_build_that_is_killed_takes_its_jobs_along(site):
    task_id, build, runs = built(site)
    assert kill_jobs(site, [build], OWNER) == [True]
    release(site)
    assert {row_of(site, job)["job_status"] for job in runs} == {"cancelled"}
    assert row_of_task(site, task_id)["status"] == "failed"


def test_a_kill_of_the_task_ends_all(site):
    task_id, _, _ = built(site)
    assert kill_task(site, task_id, OWNER) == 3
    assert row_of_task(site, task_id)["status"] == "aborted"
    assert release(site) == 0


def test_a_second_execution_uses_the_library_that_is_there(site):
    task_id, build, runs = built(site)
    finish_build(site, build)
    release(site)
    place(site)
    run(site, runs[0])
    kill_jobs(site, runs[1:], OWNER)
    assert row_of_task(site, task_id)["status"] == "finished"
    accept_again(site, "build")
    again = jobs(site, task_id)
    assert [job["job_index"] for job in again] == [0, 1, 2, 3]
    assert (again[-1]["job_status"], again[-1]["attempt_nr"]) == ("defined", 2)


def test_a_second_execution_builds_anew_when_the_first_build_failed(site):
    task_id, build, _ = built(site)
    kill_jobs(site, [build], OWNER)
    release(site)
    accept_again(site, "build")
    labels = [(job["job_index"], job["attempt_nr"], job["job_status"]) for job in jobs(site, task_id)]
    assert labels.count((0, 2, "defined")) == 1
    assert labels.count((3, 2, "pending")) == 1
    assert files(site, task_id, "lib").count([f"user.testuser.build.{task_id}.2.lib.tgz"]) == 1


def accept_again(database: Database, name: str) -> None:
    assert send(database, captured(name)).code == 3


def test_the_build_goes_where_the_run_jobs_can_follow(site):
    make_queue(site, "Q_FAR", max_ram_mb=0)
    make_dataset(site, "user.testuser.far", ["x1", "x2"], at=["Q_FAR_DISK"])
    parameters = captured("build", taskName="user.testuser.far_build/")
    item = {"type": "template", "param_type": "input", "value": '-i "${IN/T}"', "dataset": "user.testuser.far"}
    parameters["jobParameters"].insert(5, item)
    task_id = accept(site, {**parameters, "noInput": False, "nFilesPerJob": 1, "nEvents": None, "nEventsPerJob": None})
    place(site)
    assert jobs(site, task_id)[0]["computing_site"] == "Q_FAR"
    finish_build(site, jobs(site, task_id)[0]["panda_id"])
    release(site)
    place(site)
    assert [job["job_status"] for job in jobs(site, task_id)[1:]] == ["activated", "activated"]
