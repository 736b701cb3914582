"""Killing jobs: consequences with counts, one's own only, the pilot's next heartbeat, and what becomes of the input."""

from __future__ import annotations

import pytest

from core.database import Database
from core.errors import InvalidInput
from logger.deeds import Actor, confirm, undo
from logger.deeds.base import NotUndoable
from logger.deeds.loops import DeedWorker
from tests.logger.deeds.builders import ALICE, BOB, OLGA, HeldClock, audit_of, counts_of, do, look, make_incident
from tests.support.builders import activate, archived, jobs_of_task, live, make_queue, make_task, start, status_of

PRODUCTION = Actor("prod", "token-of-prod", frozenset({"production"}))


@pytest.fixture
def clock() -> HeldClock:
    return HeldClock()


@pytest.fixture(scope="module")
def site(shared_database: Database) -> str:
    return make_queue(shared_database, "KILLS")


def test_a_kill_ends_what_waits_and_tells_the_pilots_of_what_runs(
    shared_database: Database, clock: HeldClock, site: str
) -> None:
    running = start(shared_database, 2, queue=site, user="alice")
    waiting = activate(shared_database, 3, queue=site, user="alice")
    made = look(shared_database, "kill", ALICE, clock, jobs=running + waiting)
    counts = counts_of(made)
    assert (counts["ends_at_once"], counts["ends_later"], counts["users"]) == (3, 2, 1)
    assert made.inverse == "" and "cannot be brought back" in made.no_inverse
    deed = confirm(shared_database, made.token, ALICE, clock, reason="wrong input")
    assert (deed["state"], deed["result"]["done"]) == ("done", 5)
    assert [status_of(shared_database, job) for job in waiting] == ["cancelled"] * 3
    for job in running:
        row = live(shared_database, job)
        assert (
            row is not None
            and row["command_to_pilot"] == "tobekilled"
            and "wrong input" in row["task_buffer_error_diag"]
        )
    row = archived(shared_database, waiting[0])
    assert row is not None and row["task_buffer_error_diag"] == "killed by alice: wrong input"
    (noted,) = audit_of(shared_database, "deed", deed["deed_id"])
    assert noted["action"] == "kill" and noted["after"]["done"] == 5 and len(noted["after"]["targets"]) == 5
    with pytest.raises(NotUndoable, match="is not taken back"):
        undo(shared_database, deed["deed_id"], OLGA, "", clock)


def test_a_kill_of_what_has_ended_says_so_and_what_to_do_instead(
    shared_database: Database, clock: HeldClock, site: str
) -> None:
    jobs = activate(shared_database, 2, queue=site, user="alice")
    do(shared_database, "kill", ALICE, clock, jobs=jobs)
    previews = shared_database.fetch("SELECT count(*) AS n FROM previews")
    for chosen in (jobs, jobs[:1], [10**15]):
        with pytest.raises(InvalidInput) as caught:
            look(shared_database, "kill", ALICE, clock, jobs=chosen)
        assert (caught.value.field, caught.value.detail) == (
            "jobs",
            "no job is meant by this, or all of them have ended",
        )
        assert "done again by `retry`" in str(caught.value.remedy)
    with pytest.raises(InvalidInput) as caught:  # of other kinds nothing ends
        look(shared_database, "resolve", OLGA, clock, filter=[("q", "nothing like it")])
    assert "ended" not in caught.value.detail
    assert shared_database.fetch("SELECT count(*) AS n FROM previews") == previews


def test_a_user_ends_only_its_own_jobs(shared_database: Database, clock: HeldClock, site: str) -> None:
    alices = activate(shared_database, 2, queue=site, user="alice")
    bobs = activate(shared_database, 1, queue=site, user="bob")
    made = look(shared_database, "kill", ALICE, clock, jobs=alices + bobs)
    assert counts_of(made)["not_yours"] == 1 and made.refused_count == 1
    deed = confirm(shared_database, made.token, ALICE, clock)
    assert (deed["state"], deed["result"]["done"], deed["result"]["refused"]) == ("partly", 2, 1)
    assert status_of(shared_database, bobs[0]) == "activated"
    with pytest.raises(InvalidInput, match="belongs to bob"):
        look(shared_database, "kill", ALICE, clock, jobs=bobs)
    assert do(shared_database, "kill", BOB, clock, jobs=bobs)["state"] == "done"


@pytest.mark.parametrize("manager", [PRODUCTION, OLGA], ids=["production", "operator"])
def test_managers_end_all(shared_database: Database, clock: HeldClock, site: str, manager: Actor) -> None:
    jobs = activate(shared_database, 1, queue=site, user="alice") + activate(shared_database, 1, queue=site, user="bob")
    deed = do(shared_database, "kill", manager, clock, jobs=jobs)
    assert deed["state"] == "done" and [status_of(shared_database, job) for job in jobs] == ["cancelled"] * 2


def test_the_input_is_cancelled_or_given_to_other_jobs_as_was_said(
    shared_database: Database, clock: HeldClock, site: str
) -> None:
    for what, name, files in (("cancel", "input_lost", "cancelled"), ("again", "input_again", "ready")):
        task = make_task(shared_database, user="alice", site=site, nJobs=2, maxAttempt=3)
        jobs = jobs_of_task(shared_database, task)
        made = look(shared_database, "kill", ALICE, clock, {"input": what}, tasks=[task])
        inputs = shared_database.fetch("SELECT 1 FROM task_files WHERE jedi_task_id = %(id)s", {"id": task})
        assert counts_of(made).get(name, 0) == len(inputs)
        confirm(shared_database, made.token, ALICE, clock)
        rows = shared_database.fetch("SELECT status FROM task_files WHERE jedi_task_id = %(id)s", {"id": task})
        assert all(row["status"] in (files, "running") for row in rows)
        first = archived(shared_database, jobs[0])
        assert first is not None and first["job_status"] == ("closed" if what == "again" else "cancelled")


def test_the_jobs_of_an_incident_are_those_of_its_tasks_and_of_its_queue_when_that_is_to_blame(
    shared_database: Database, clock: HeldClock, site: str
) -> None:
    task, other = (make_task(shared_database, user="alice", site=site, nJobs=2) for _ in range(2))
    breakdown = "INSERT INTO incident_breakdown VALUES (%(id)s, 'jedi_task_id', %(task)s, 5)"
    everywhere = make_incident(shared_database, verdict="user")
    elsewhere = make_incident(shared_database, verdict="site", computing_site="BNL")
    for key in (everywhere, elsewhere):
        shared_database.execute(breakdown, {"id": key, "task": str(task)})
    made = look(shared_database, "kill", OLGA, clock, incidents=[everywhere])
    assert sorted(int(target.key) for target in made.targets) == sorted(jobs_of_task(shared_database, task))
    assert not set(jobs_of_task(shared_database, other)) & {int(target.key) for target in made.targets}
    with pytest.raises(InvalidInput, match="no job is meant"):
        look(shared_database, "kill", OLGA, clock, incidents=[elsewhere])


def test_a_large_kill_goes_on_in_the_background_and_ends_each_job_once(
    shared_database: Database, clock: HeldClock, site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = activate(shared_database, 230, queue=site, user="alice")
    token = look(shared_database, "kill", ALICE, clock, jobs=jobs).token
    # a request without any patience leaves all but the first page to the agent
    monkeypatch.setattr("logger.deeds.carrying_out.PATIENCE_S", -1.0)
    monkeypatch.setattr("logger.deeds.jobs.JobWork.page", 100)
    deed = confirm(shared_database, token, ALICE, clock)
    assert deed["state"] == "executing"
    DeedWorker(shared_database, clock).cycle()
    row = shared_database.fetch("SELECT * FROM deeds WHERE deed_id = %(id)s", {"id": deed["deed_id"]})[0]
    assert row["state"] == "done" and row["result"]["done"] == 230
    assert {status_of(shared_database, job) for job in jobs} == {"cancelled"}
    assert len(audit_of(shared_database, "deed", deed["deed_id"])) == 1


def test_a_kill_of_everything_is_no_filter(shared_database: Database, clock: HeldClock) -> None:
    with pytest.raises(InvalidInput, match="of which jobs"):
        look(shared_database, "kill", OLGA, clock)
    with pytest.raises(InvalidInput, match="is empty"):
        look(shared_database, "kill", OLGA, clock, filter=[("computing_site", "")])
