"""Retrying tasks: what would be opened, whose, and that a retry that was done is not done again."""

from __future__ import annotations

import itertools

import pytest

from core.database import Database
from core.errors import InvalidInput
from logger.deeds import confirm, undo
from logger.deeds.base import NotUndoable
from tests.logger.deeds.builders import ALICE, BOB, OLGA, HeldClock, audit_of, counts_of, do, look, make_incident
from tests.support.builders import acquire, add_up, broker, jobs_of_task, make_queue, make_task, report

_numbers = itertools.count(1)


@pytest.fixture
def clock() -> HeldClock:
    return HeldClock()


@pytest.fixture
def site(shared_database: Database) -> str:
    """A queue where no other test's jobs wait."""
    return make_queue(shared_database, f"RETRIES{next(_numbers)}")


def failed_task(database: Database, site: str, *, user: str = "alice", jobs: int = 2) -> int:
    """A task all of whose jobs failed as often as they may."""
    task = make_task(database, user=user, site=site, nJobs=jobs, maxAttempt=1)
    while broker(database):
        pass
    taken = acquire(database, site, job_count=jobs)
    assert {entry.job["jedi_task_id"] for entry in taken} == {task}
    for entry in taken:
        report(database, entry.job["panda_id"], "running")
        report(database, entry.job["panda_id"], "failed", pilot_error_code=1305, pilot_error_diag="it did not work")
    return task


def status_of_task(database: Database, task: int) -> str:
    row = database.fetch_one("SELECT status FROM tasks WHERE jedi_task_id = %(id)s", {"id": task})
    assert row is not None
    return str(row["status"])


def test_a_retry_opens_what_failed_and_makes_jobs_of_it(shared_database: Database, clock: HeldClock, site: str) -> None:
    task = failed_task(shared_database, site)
    add_up(shared_database)
    assert status_of_task(shared_database, task) == "failed"
    made = look(shared_database, "retry", ALICE, clock, tasks=[task])
    counts = counts_of(made)
    assert (counts["tasks"], counts["files"], counts["jobs"]) == (1, 2, 2)
    assert made.inverse == "" and "kill the jobs" in made.no_inverse
    before = set(jobs_of_task(shared_database, task))
    deed = confirm(shared_database, made.token, ALICE, clock, reason="the site is well again")
    assert (deed["state"], deed["result"]["done"]) == ("done", 1)
    assert len(set(jobs_of_task(shared_database, task)) - before) == 2
    assert status_of_task(shared_database, task) not in ("failed", "finished")
    (noted,) = audit_of(shared_database, "task", task)
    assert (noted["who"], noted["action"], noted["reason"]) == ("alice", "retry", "the site is well again")
    assert noted["before"] == {"status": "failed"} and noted["deed_id"] == deed["deed_id"]
    with pytest.raises(NotUndoable):
        undo(shared_database, deed["deed_id"], OLGA, "", clock)


def test_only_its_own_tasks_for_a_user_and_all_for_managers(
    shared_database: Database, clock: HeldClock, site: str
) -> None:
    tasks = [failed_task(shared_database, site, user=user) for user in ("alice", "bob")]
    add_up(shared_database)
    with pytest.raises(InvalidInput, match="belongs to bob"):
        look(shared_database, "retry", ALICE, clock, tasks=tasks[1:])
    made = look(shared_database, "retry", ALICE, clock, tasks=tasks)
    assert made.refused_count == 1 and counts_of(made)["refused"] == 1
    deed = confirm(shared_database, made.token, ALICE, clock)
    assert deed["state"] == "partly" and status_of_task(shared_database, tasks[1]) == "failed"
    assert do(shared_database, "retry", OLGA, clock, tasks=tasks[1:])["state"] == "done"


def test_the_tasks_of_an_incident_are_those_whose_work_it_lost(
    shared_database: Database, clock: HeldClock, site: str
) -> None:
    lost, helped = failed_task(shared_database, site), failed_task(shared_database, site)
    add_up(shared_database)
    key = make_incident(shared_database)
    for number, (task, is_residue) in enumerate(((lost, True), (helped, False))):
        shared_database.execute(
            "INSERT INTO incident_jobs (panda_id, incident_id, jedi_task_id, is_residue)"
            " VALUES (%(job)s, %(id)s, %(task)s, %(is_residue)s)",
            {"job": 10**9 + number, "id": key, "task": task, "is_residue": is_residue},
        )
    made = look(shared_database, "retry", OLGA, clock, incidents=[key])
    assert [int(target.key) for target in made.targets] == [lost]
    assert counts_of(made)["open_incidents"] == 1
    deed = confirm(shared_database, made.token, OLGA, clock)
    assert deed["incident_id"] == key and deed["state"] == "done"


def test_of_an_incident_only_the_files_that_it_lost_are_opened(
    shared_database: Database, clock: HeldClock, site: str
) -> None:
    task = failed_task(shared_database, site, jobs=5)
    add_up(shared_database)
    lost = jobs_of_task(shared_database, task)[:2]
    key = make_incident(shared_database)
    for job in lost:
        shared_database.execute(
            "INSERT INTO incident_jobs (panda_id, incident_id, jedi_task_id) VALUES (%(job)s, %(id)s, %(task)s)",
            {"job": job, "id": key, "task": task},
        )
    made = look(shared_database, "retry", ALICE, clock, incidents=[key])
    counts = counts_of(made)
    assert (counts["files"], counts["jobs"], counts["other_files"]) == (2, 2, 3)
    assert made.parameters == {"of_incident": key}
    all_of_it = look(shared_database, "retry", ALICE, clock, {"of_incident": None}, incidents=[key])
    assert counts_of(all_of_it)["files"] == 5 and "other_files" not in counts_of(all_of_it)
    assert confirm(shared_database, made.token, ALICE, clock)["state"] == "done"
    files = shared_database.fetch(
        "SELECT status, count(*) AS n FROM task_files WHERE jedi_task_id = %(id)s GROUP BY 1", {"id": task}
    )
    assert {row["status"]: row["n"] for row in files} == {"failed": 3, "running": 2}
    assert len(jobs_of_task(shared_database, task)) == 7


def test_a_task_that_was_retried_meanwhile_is_another_set(
    shared_database: Database, clock: HeldClock, site: str
) -> None:
    task = failed_task(shared_database, site)
    add_up(shared_database)
    first = look(shared_database, "retry", ALICE, clock, tasks=[task]).token
    second = look(shared_database, "retry", OLGA, clock, tasks=[task]).token
    confirm(shared_database, first, ALICE, clock)
    jobs = jobs_of_task(shared_database, task)
    with pytest.raises(Exception, match="the set changed since the preview"):
        confirm(shared_database, second, OLGA, clock)
    assert jobs_of_task(shared_database, task) == jobs


def test_a_task_that_cannot_be_retried_is_named(shared_database: Database, clock: HeldClock, site: str) -> None:
    task = make_task(shared_database, user="bob", site=site, nJobs=1)
    shared_database.execute("UPDATE tasks SET status = 'paused' WHERE jedi_task_id = %(id)s", {"id": task})
    with pytest.raises(InvalidInput, match="is paused"):
        look(shared_database, "retry", BOB, clock, tasks=[task])


def test_children_that_ended_are_counted_and_taken_up_with_their_parent(
    shared_database: Database, clock: HeldClock, site: str
) -> None:
    parent, child = failed_task(shared_database, site), failed_task(shared_database, site)
    add_up(shared_database)
    family = {"parent": parent, "child": child}
    shared_database.execute("UPDATE tasks SET parent_tid = %(parent)s WHERE jedi_task_id = %(child)s", family)
    made = look(shared_database, "retry", ALICE, clock, tasks=[parent])
    assert counts_of(made)["children"] == 1
    assert confirm(shared_database, made.token, ALICE, clock)["state"] == "done"
    assert [status_of_task(shared_database, task) for task in (parent, child)] == ["ready", "ready"]
