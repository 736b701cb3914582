"""kill -9 in the middle of a deed, and between the use of a token and the deed: nothing is done twice, nothing is left."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from core.database import Database
from logger.deeds import confirm, deed_row
from logger.deeds.base import PreviewExpired, PreviewUsed
from logger.deeds.loops import DeedWorker
from tests.logger.deeds.builders import ALICE, OLGA, HeldClock, audit_of, incident, look, make_incident
from tests.support.builders import activate, make_queue, status_of

JOBS = 300
_PATIENCE_S = 30.0


@pytest.fixture
def clock() -> HeldClock:
    return HeldClock()


def done_of(database: Database, deed_id: int) -> int:
    found = database.fetch_one(
        "SELECT count(*) AS n FROM deed_targets WHERE deed_id = %(id)s AND state = 'done'", {"id": deed_id}
    )
    return int(found["n"]) if found else 0


def test_a_worker_that_is_killed_in_the_middle_is_followed_by_another(
    database: Database, clock: HeldClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_queue(database, "Q")
    jobs = activate(database, JOBS, queue="Q", user="alice")
    token = look(database, "kill", ALICE, clock, jobs=jobs).token
    # the request leaves everything to the worker
    monkeypatch.setattr("logger.deeds.carrying_out.PATIENCE_S", -1.0)
    monkeypatch.setattr("logger.deeds.jobs.JobWork.page", 1)
    deed = confirm(database, token, ALICE, clock)
    assert deed["state"] == "executing"
    worker = subprocess.Popen([sys.executable, "-m", "tests.logger.deeds.worker_host", database.url])
    try:
        deadline = time.monotonic() + _PATIENCE_S
        while not done_of(database, deed["deed_id"]) >= 5 and time.monotonic() < deadline:
            time.sleep(0.005)
    finally:
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    done = done_of(database, deed["deed_id"])
    assert 5 <= done < JOBS and deed_row(database, deed["deed_id"])["state"] == "executing"
    # nobody else touches it while the lease of the dead lasts
    assert DeedWorker(database, clock).cycle() == 0
    clock.advance(60)
    assert DeedWorker(database, clock, page=100).cycle() == JOBS - done
    row = deed_row(database, deed["deed_id"])
    assert (row["state"], row["result"]["done"], row["result"]["gone"]) == ("done", JOBS, 0)
    assert {status_of(database, job) for job in jobs} == {"cancelled"}
    ends = database.fetch("SELECT panda_id FROM job_history WHERE job_status = 'cancelled'")
    assert len(ends) == JOBS and len({end["panda_id"] for end in ends}) == JOBS
    assert len(audit_of(database, "deed", deed["deed_id"])) == 1


class Killed(BaseException):
    """The process ends here."""


def test_who_is_killed_after_the_token_was_used_has_done_nothing_and_the_token_stays_used(
    database: Database, clock: HeldClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = make_incident(database)
    token = look(database, "resolve", OLGA, clock, incidents=[key]).token

    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr("logger.deeds.carrying_out._finish", killed)
        with pytest.raises(Killed):
            confirm(database, token, OLGA, clock)
    assert incident(database, key)["state"] == "open"
    assert not database.fetch("SELECT 1 FROM deeds") and not database.fetch("SELECT 1 FROM audit")
    with pytest.raises(PreviewUsed, match="nothing was done by it"):
        confirm(database, token, OLGA, clock)


def test_two_workers_with_one_deed_take_turns(
    database: Database, clock: HeldClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_queue(database, "Q")
    jobs = activate(database, 60, queue="Q", user="alice")
    token = look(database, "kill", ALICE, clock, jobs=jobs).token
    monkeypatch.setattr("logger.deeds.carrying_out.PATIENCE_S", -1.0)
    monkeypatch.setattr("logger.deeds.jobs.JobWork.page", 1)
    deed = confirm(database, token, ALICE, clock)
    # a lease that is over at once: both believe that the other is dead
    monkeypatch.setattr("logger.deeds.carrying_out.LEASE_S", 0.0)
    program = [sys.executable, "-m", "tests.logger.deeds.worker_host", database.url]
    other = subprocess.Popen(program)
    try:
        deadline = time.monotonic() + _PATIENCE_S
        while deed_row(database, deed["deed_id"])["state"] == "executing" and time.monotonic() < deadline:
            clock.advance(60)
            DeedWorker(database, clock, page=1).cycle()
    finally:
        other.kill()
        other.wait()
    row = deed_row(database, deed["deed_id"])
    assert (row["state"], row["result"]["done"]) == ("done", 60)
    assert len(database.fetch("SELECT 1 FROM job_history WHERE job_status = 'cancelled'")) == 60


def test_what_always_fails_is_refused_by_name_and_the_rest_is_done(
    database: Database, clock: HeldClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_queue(database, "Q")
    jobs = activate(database, 20, queue="Q", user="alice")
    token = look(database, "kill", ALICE, clock, jobs=jobs).token
    monkeypatch.setattr("logger.deeds.carrying_out.PATIENCE_S", -1.0)
    monkeypatch.setattr("logger.deeds.jobs.JobWork.page", 1)
    deed = confirm(database, token, ALICE, clock)
    left = [job for job in jobs if status_of(database, job) == "activated"]
    poisoned = left[len(left) // 2]
    database.execute(
        f"""CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'row is broken'; END $$;
        CREATE TRIGGER refuse BEFORE UPDATE OR DELETE ON jobs_live FOR EACH ROW WHEN (OLD.panda_id = {poisoned})
        EXECUTE FUNCTION refuse()"""
    )
    worker = DeedWorker(database, clock, page=100)
    try:
        for _ in range(8):
            clock.advance(60)
            worker.cycle()
    finally:
        database.execute("DROP FUNCTION refuse CASCADE")
    row = deed_row(database, deed["deed_id"])
    assert (row["state"], row["result"]["done"], row["result"]["refused"]) == ("partly", 19, 1)
    assert row["result"]["notes"] == [{"target": str(poisoned), "state": "refused", "note": "failed: row is broken"}]
    assert {status_of(database, job) for job in jobs} == {"cancelled", "activated"}
    assert len(audit_of(database, "deed", deed["deed_id"])) == 1


def test_a_deed_that_fails_at_everything_is_given_up(
    database: Database, clock: HeldClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_queue(database, "Q")
    jobs = activate(database, 40, queue="Q", user="alice")
    token = look(database, "kill", ALICE, clock, jobs=jobs).token
    monkeypatch.setattr("logger.deeds.carrying_out.PATIENCE_S", -1.0)
    monkeypatch.setattr("logger.deeds.jobs.JobWork.page", 1)
    deed = confirm(database, token, ALICE, clock)

    def fails(*_: object) -> None:
        raise RuntimeError("nothing works here")

    monkeypatch.setattr("logger.deeds.jobs.JobWork.carry_out", fails)
    worker = DeedWorker(database, clock, page=100)
    for _ in range(20):
        clock.advance(60)
        worker.cycle()
    row = deed_row(database, deed["deed_id"])
    assert row["state"] in ("partly", "failed") and row["result"]["refused"] >= len(jobs) - 1
    assert database.fetch("SELECT count(*) AS n FROM deed_targets WHERE state = 'waiting'")[0]["n"] == 0


def test_a_preview_keeps_its_targets_only_while_it_can_be_confirmed(database: Database, clock: HeldClock) -> None:
    make_queue(database, "Q")
    jobs = activate(database, 3, queue="Q", user="alice")
    used = look(database, "kill", ALICE, clock, jobs=jobs[:1])
    expired = look(database, "kill", ALICE, clock, jobs=jobs[1:])
    confirm(database, used.token, ALICE, clock)

    def kept() -> dict[str, int]:
        rows = database.fetch("SELECT preview_id, jsonb_array_length(targets) AS n FROM previews")
        return {row["preview_id"]: row["n"] for row in rows}

    assert kept() == {used.preview_id: 0, expired.preview_id: 2}
    clock.advance(3600)
    DeedWorker(database, clock).cycle()
    assert kept() == {used.preview_id: 0, expired.preview_id: 0}
    with pytest.raises(PreviewExpired):
        confirm(database, expired.token, ALICE, clock)
