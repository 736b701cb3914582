"""Retry, resubmission, reload of input, reactivation: what becomes a job again, under which parameters and attempts."""

from __future__ import annotations

from itertools import count

import pytest

from core.database import Database
from core.errors import InvalidInput, PandaError
from core.taskengine.commands.changing import increase_attempts
from core.taskengine.commands.locking import Issuer
from core.taskengine.commands.table import run_command
from tests.core.taskengine.rows import file_statuses, history, insert_files, insert_task, task_row
from tests.core.taskengine.submitting import accept, captured, place, run
from tests.support.builders import (
    acquire,
    activate,
    add_up,
    everything,
    jobs_of_task,
    make_dataset,
    make_queue,
    make_task,
    report,
    report_finished,
    row_of,
)

ALICE, CAROL = Issuer("alice"), Issuer("carol", is_production=True)
_numbers = count()


@pytest.fixture(scope="module")
def site(shared_database: Database) -> Database:
    make_queue(shared_database)
    make_queue(shared_database, "R", endpoint="Q_DISK")
    return shared_database


def ended(database: Database, results: str, **parameters: object) -> tuple[int, list[int]]:
    """A task of one file per letter, whose jobs ended so: f(inished), x failed, r(unning)."""
    name = f"ds{next(_numbers)}"
    make_dataset(database, name, [f"{name}.{index}" for index in range(len(results))], at=["Q_DISK"])
    task_id = make_task(database, inputDataset=name, **parameters)
    activate(database, 0)
    panda_ids = jobs_of_task(database, task_id)
    assert len(acquire(database, job_count=len(results), jedi_task_id=task_id)) == len(results)
    for panda_id, result in zip(panda_ids, results, strict=True):
        report(database, panda_id, "running")
        if result == "f":
            report_finished(database, panda_id)
        elif result == "x":
            report(database, panda_id, "failed", pilot_error_code=1305)
    add_up(database)
    return task_id, panda_ids


def finish_all(database: Database, task_id: int) -> None:
    while activate(database, 0):
        pass
    activate(database, 0)
    for entry in acquire(database, job_count=100, jedi_task_id=task_id):
        report(database, entry.job["panda_id"], "running")
        report_finished(database, entry.job["panda_id"])
    add_up(database)


def new_jobs(database: Database, task_id: int, old: list[int]) -> list[int]:
    return sorted(set(jobs_of_task(database, task_id)) - set(old))


def inputs_of(database: Database, panda_id: int) -> list[str]:
    rows = database.fetch(
        "SELECT lfn FROM job_files WHERE panda_id = %(id)s AND type = 'input' ORDER BY row_id", {"id": panda_id}
    )
    return [row["lfn"].split(".")[-1] for row in rows]


def test_a_retry_makes_jobs_of_what_failed_and_the_task_is_done_in_the_end(site):
    task_id, old = ended(site, "fxfx")
    assert task_row(site, task_id)["status"] == "finished"
    outcome = run_command(site, "retry", task_id, ALICE)
    assert (outcome.is_accepted, outcome.code) == (True, 0)
    assert outcome.message.endswith("(2 jobs are made)")
    row = task_row(site, task_id)
    assert (row["status"], row["end_time"], row["n_files"], row["n_files_finished"], row["n_files_failed"]) == (
        *("ready", None),
        *(4, 2, 0),
    )
    assert history(site, task_id)[-2:] == [("finished", "toretry"), ("toretry", "ready")]
    fresh = new_jobs(site, task_id, old)
    assert [inputs_of(site, panda_id) for panda_id in fresh] == [["1"], ["3"]]
    assert [row_of(site, panda_id)["attempt_nr"] for panda_id in fresh] == [2, 2]
    assert [row_of(site, panda_id)["parent_id"] for panda_id in fresh] == [old[1], old[3]]
    finish_all(site, task_id)
    row = task_row(site, task_id)
    assert (row["status"], row["n_files_finished"], row["n_files_failed"]) == ("done", 4, 0)
    assert run_command(site, "retry", task_id, ALICE).code == 4


def test_what_a_finish_left_over_is_retried_too(site):
    task_id, old = ended(site, "frr")
    run_command(site, "finish", task_id, ALICE)
    assert file_statuses(site, task_id) == ["finished", "cancelled", "cancelled"]
    run_command(site, "retry", task_id, ALICE)
    assert [inputs_of(site, panda_id) for panda_id in new_jobs(site, task_id, old)] == [["1"], ["2"]]


def test_a_retry_of_a_running_task_gives_what_failed_more_attempts(site):
    task_id, old = ended(site, "xr")
    limit = site.fetch("SELECT max_attempt FROM task_files WHERE jedi_task_id = %(id)s", {"id": task_id})[0]
    outcome = run_command(site, "retry", task_id, ALICE)
    words = "retry has been triggered for failed jobs while the task is still running"
    assert (outcome.is_accepted, outcome.code, outcome.message) == (True, 0, words)
    assert task_row(site, task_id)["status"] == "running"
    assert [inputs_of(site, panda_id) for panda_id in new_jobs(site, task_id, old)] == [["0"]]
    files = site.fetch("SELECT max_attempt FROM task_files WHERE jedi_task_id = %(id)s", {"id": task_id})
    assert {row["max_attempt"] for row in files} == {limit["max_attempt"] + 5}
    # nothing more has failed: nothing more is made
    before = jobs_of_task(site, task_id)
    run_command(site, "retry", task_id, ALICE)
    assert jobs_of_task(site, task_id) == before


def test_a_retry_with_nothing_left_changes_nothing(site):
    task_id = insert_task(site, status="finished", parameters={"taskName": "t"})
    insert_files(site, task_id, ["finished"])
    before = everything(site)
    outcome = run_command(site, "retry", task_id, ALICE)
    assert (outcome.code, outcome.message.endswith("(nothing is left to retry)")) == (0, True)
    assert everything(site) == before


def test_new_parameters_cut_what_is_left_anew(site):
    task_id, old = ended(site, "fxxxx")
    outcome = run_command(site, "resubmit", task_id, ALICE, new_parameters={"nFilesPerJob": 3, "ramCount": 4000})
    assert (outcome.is_accepted, outcome.code) == (True, 3)
    assert outcome.message == (
        f"reactivation accepted. jediTaskID={task_id} (currently in finished state) will be re-executed with old and/or new input"
    )
    fresh = new_jobs(site, task_id, old)
    assert [inputs_of(site, panda_id) for panda_id in fresh] == [["1", "2", "3"], ["4"]]
    assert {row_of(site, panda_id)["min_ram_mb"] for panda_id in fresh} == {4000}
    row = task_row(site, task_id)
    assert (row["parameters"]["nFilesPerJob"], row["ram_count"], row["status"]) == (3, 4000, "ready")
    assert [step[1] for step in history(site, task_id)[-3:]] == ["toincexec", "rerefine", "ready"]


def test_new_parameters_move_a_task_to_another_queue(site):
    task_id, old = ended(site, "x")
    run_command(site, "resubmit", task_id, ALICE, new_parameters={"site": "R"})
    [fresh] = new_jobs(site, task_id, old)
    assert (row_of(site, fresh)["computing_site"], task_row(site, task_id)["site"]) == ("R", "R")


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"site": "NOWHERE"}, "new_parameters.site"),
        ({"nFilesPerJob": "x"}, "new_parameters.nFilesPerJob"),
        ({"nFilesPerJob": [1]}, "new_parameters.nFilesPerJob"),
        ({"ramCount": 10**20}, "new_parameters.ramCount"),
        ({"taskName": "other"}, "new_parameters.taskName"),
        ({"userName": "bob"}, "new_parameters.userName"),
        ({"workingGroup": "higgs"}, "new_parameters.workingGroup"),
        ({"countryGroup": "us"}, "new_parameters.countryGroup"),
        ({"loopingCheck": "perhaps"}, "loopingCheck"),
    ],
    ids=str,
)
def test_new_parameters_that_will_not_do_are_named_and_change_nothing(site, wrong, field):
    task_id, _ = ended(site, "x")
    before = everything(site)
    with pytest.raises(PandaError) as refused:
        run_command(site, "resubmit", task_id, ALICE, new_parameters=wrong, prefix="new_parameters.")
    assert refused.value.field.endswith(field.removeprefix("new_parameters."))
    assert refused.value.remedy
    assert everything(site) == before


def test_a_user_cannot_jump_the_queue_by_new_parameters(site):
    task_id, _ = ended(site, "x")
    run_command(site, "resubmit", task_id, ALICE, new_parameters={"currentPriority": 900_000})
    assert task_row(site, task_id)["current_priority"] <= 1100


def test_reloaded_input_adds_the_files_that_came(site):
    task_id, old = ended(site, "fx")
    name = task_row(site, task_id)["parameters"]["inputDataset"]
    site.execute(
        "INSERT INTO files (dataset_id, lfn, guid, size_bytes, checksum) "
        "SELECT dataset_id, %(lfn)s, 'g', 3, 'ad:00000001' FROM datasets WHERE name = %(name)s",
        {"name": name, "lfn": f"{name}.new"},
    )
    site.execute(
        "INSERT INTO replicas (file_id, endpoint, pfn) SELECT file_id, 'Q_DISK', '/x' FROM files WHERE lfn = %(lfn)s",
        {"lfn": f"{name}.new"},
    )
    outcome = run_command(site, "incexec", task_id, ALICE)
    assert outcome.message.startswith(f"command=incexec is registered for task ID {task_id}. ")
    assert [inputs_of(site, panda_id) for panda_id in new_jobs(site, task_id, old)] == [["1"], ["new"]]
    finish_all(site, task_id)
    row = task_row(site, task_id)
    assert (row["status"], row["n_files"], row["n_files_finished"]) == ("done", 3, 3)


def test_reloading_without_anything_new_leaves_a_task_done(site):
    task_id, old = ended(site, "ff")
    before = everything(site)
    assert run_command(site, "incexec", task_id, ALICE).is_accepted
    assert everything(site) == before
    assert jobs_of_task(site, task_id) == old


def test_an_aborted_task_goes_on_by_reloading_its_input(site):
    task_id, old = ended(site, "fr")
    run_command(site, "kill", task_id, ALICE)
    report(site, old[1], "failed", pilot_error_code=1144)
    add_up(site)
    assert run_command(site, "retry", task_id, ALICE).code == 4
    assert run_command(site, "incexec", task_id, ALICE).is_accepted
    assert len(new_jobs(site, task_id, old)) == 1


@pytest.mark.parametrize("keep", [False, True])
def test_a_reactivated_task_does_everything_once_more(site, keep):
    task_id, old = ended(site, "ff")
    assert run_command(site, "reactivate", task_id, CAROL, keep_attempt_nr=keep).is_accepted
    fresh = new_jobs(site, task_id, old)
    assert [row_of(site, panda_id)["attempt_nr"] for panda_id in fresh] == ([2, 2] if keep else [1, 1])
    row = task_row(site, task_id)
    assert (row["status"], row["n_files_finished"]) == ("ready", 0)
    finish_all(site, task_id)
    assert task_row(site, task_id)["status"] == "done"


def test_a_reactivated_task_leaves_its_running_jobs_alone(site):
    task_id, old = ended(site, "fr")
    run_command(site, "reactivate", task_id, CAROL)
    assert [inputs_of(site, panda_id) for panda_id in new_jobs(site, task_id, old)] == [["0"]]


def test_attempts_are_increased_where_upstream_does(site):
    task_id, old = ended(site, "xr")
    code, message = increase_attempts(site, task_id, 3)
    assert (code, "2 inputs" in message) == (0, True)
    assert len(new_jobs(site, task_id, old)) == 1
    assert increase_attempts(site, insert_task(site, status="done"), 3)[0] == 2
    assert (
        increase_attempts(
            site, insert_task(site, status="paused", old_status="running", parameters={"taskName": "t"}), 3
        )[0]
        == 0
    )
    assert increase_attempts(site, 5, 3)[0] == 1
    for wrong in (-1, 10**9):
        with pytest.raises(InvalidInput):
            increase_attempts(site, task_id, wrong)


def test_what_a_limit_on_jobs_leaves_out_stays_out_when_the_input_is_loaded_again(database):
    make_queue(database)
    make_dataset(database, "user.testuser.one", [f"f{number}" for number in range(8)], at=["Q_DISK"])
    database.execute("UPDATE files SET size_bytes = 600000000")
    task_id = accept(database, captured("gigabytes", nGBPerJob=1, maxNumJobs=3, skipScout=True, site="Q"))
    place(database)
    run(database, *jobs_of_task(database, task_id))
    before = task_row(database, task_id)
    assert (before["status"], before["n_files"], before["n_input_files"]) == ("done", 3, 3)
    assert run_command(database, "incexec", task_id, CAROL).is_accepted
    after = task_row(database, task_id)
    assert (after["status"], after["n_files"], after["n_input_files"], after["n_jobs"]) == ("done", 3, 3, 3)
    assert file_statuses(database, task_id) == ["finished"] * 3
