"""kill -9 in the middle of a deed, and between the use of a token and the deed: nothing is done twice, nothing is left."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from typing import Any

import pytest

from core.database import Database, Row
from logger.deeds import confirm, deed_row
from logger.deeds.base import PreviewExpired, PreviewUsed
from logger.deeds.carrying_out import go_on
from logger.deeds.giving_up import Failures
from logger.deeds.loops import DeedWorker
from tests.logger.deeds.builders import ALICE, OLGA, HeldClock, audit_of, incident, look, make_incident
from tests.support.builders import activate, make_queue, status_of
from tests.support.system import eventually

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


def slow_kill(
    database: Database, clock: HeldClock, monkeypatch: pytest.MonkeyPatch, count: int
) -> tuple[Row, list[int]]:
    """A kill of so many jobs that is carried out one by one; the request that began it leaves the others to workers."""
    make_queue(database, "Q")
    jobs = activate(database, count, queue="Q", user="alice")
    token = look(database, "kill", ALICE, clock, jobs=jobs).token
    monkeypatch.setattr("logger.deeds.carrying_out.PATIENCE_S", -1.0)
    monkeypatch.setattr("logger.deeds.jobs.JobWork.page", 1)
    deed = confirm(database, token, ALICE, clock)
    assert deed["state"] == "executing" and done_of(database, deed["deed_id"]) == 1
    return deed, jobs


def test_a_worker_that_is_killed_in_the_middle_is_followed_by_another(
    database: Database, clock: HeldClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    deed, jobs = slow_kill(database, clock, monkeypatch, JOBS)
    held = jobs[len(jobs) // 2]
    with database.transaction() as transaction:  # the worker comes as far as this one, and not beyond
        transaction.execute("SELECT 1 FROM jobs_live WHERE panda_id = %(job)s FOR UPDATE", {"job": held})
        worker = subprocess.Popen([sys.executable, "-m", "tests.logger.deeds.worker_host", database.url])
        try:
            eventually(lambda: done_of(database, deed["deed_id"]) >= 5, what="the worker is in the middle")
        finally:
            worker.send_signal(signal.SIGKILL)
            worker.wait()
    done = done_of(database, deed["deed_id"])
    assert 5 <= done < JOBS and deed_row(database, deed["deed_id"])["state"] == "executing"
    # nobody else touches it while the lease of the dead lasts
    assert DeedWorker(database, clock).cycle() == 0
    clock.advance(600)
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
    deed, _ = slow_kill(database, clock, monkeypatch, 60)
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
    deed, jobs = slow_kill(database, clock, monkeypatch, 20)
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
    deed, jobs = slow_kill(database, clock, monkeypatch, 40)

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


def test_the_one_that_failed_alone_is_the_one_that_is_given_up(
    database: Database, clock: HeldClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    deed, _ = slow_kill(database, clock, monkeypatch, 12)
    waiting = [row["target"] for row in database.fetch("SELECT target FROM deed_targets WHERE state = 'waiting'")]
    waiting.sort()
    # rows lie in the order in which they were last written: the other way round than their names
    for target in reversed(waiting):
        database.execute("UPDATE deed_targets SET note = note WHERE target = %(target)s", {"target": target})
    tried: list[str] = []

    def fails(*given: Any) -> None:
        tried.append(given[-1][0])
        raise RuntimeError("nothing works here")

    monkeypatch.setattr("logger.deeds.jobs.JobWork.carry_out", fails)
    failures = Failures()
    for _ in range(6):
        clock.advance(60)
        with pytest.raises(RuntimeError) as caught:
            go_on(database, deed["deed_id"], clock, page=1)
        failures.note(database, deed["deed_id"], clock, caught.value)
    refused = database.fetch("SELECT target FROM deed_targets WHERE state = 'refused' ORDER BY target")
    assert [row["target"] for row in refused] == waiting[:3] and tried == [*waiting[:1] * 4, *waiting[1:3]]
