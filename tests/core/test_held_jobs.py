"""Reports on jobs that somebody holds, as the kill of a large task does for seconds: they wait, and nobody else does."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from core.database import Database, Transaction
from core.dispatch.update import JobReport, PilotReports
from core.errors import Unavailable
from core.states import JobStatus
from core.taskbuffer.endings import Ending, end_jobs
from core.taskbuffer.killing import TO_BE_KILLED
from tests.support.builders import make_queue, row_of, start, status_of

_LOCK = "SELECT 1 FROM jobs_live WHERE panda_id = ANY(%(ids)s) ORDER BY panda_id FOR UPDATE"
LONG = 60.0


@pytest.fixture(scope="module")
def site(shared_database: Database) -> Database:
    make_queue(shared_database)
    return shared_database


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(20) as pool:
        yield pool


class Holder:
    """A transaction that has jobs in its hands until it is let go."""

    def __init__(self, database: Database, panda_ids: list[int]) -> None:
        self._stack = ExitStack()
        self.transaction: Transaction = self._stack.enter_context(database.transaction())
        self.transaction.execute(_LOCK, {"ids": panda_ids})

    def let_go(self) -> None:
        self._stack.close()


def said(pool: ThreadPoolExecutor, reports: PilotReports, panda_ids: list[int]) -> list[Future[str | None]]:
    return [pool.submit(reports.update_job, JobReport(number, "running", max_rss_kb=77)) for number in panda_ids]


def test_held_jobs_hold_up_no_other_pilot_and_their_reports_are_kept(site, pool):
    panda_ids = start(site, 8)
    reports = PilotReports(site, patience_s=LONG)
    holder = Holder(site, panda_ids[:4])
    try:
        waiting = said(pool, reports, panda_ids[:4])
        assert [answer.result(timeout=20) for answer in said(pool, reports, panda_ids[4:])] == [None] * 4
        assert not any(answer.done() for answer in waiting)
    finally:
        holder.let_go()
    assert [answer.result(timeout=20) for answer in waiting] == [None] * 4
    assert {row_of(site, panda_id)["max_rss_kb"] for panda_id in panda_ids} == {77}


def test_a_job_that_ended_while_its_report_waited_is_killed(site, pool):
    [panda_id] = start(site)
    holder = Holder(site, [panda_id])
    try:
        [waiting] = said(pool, PilotReports(site, patience_s=LONG), [panda_id])
        end_jobs(holder.transaction, [Ending(panda_id, JobStatus.CANCELLED, "killed with its task")])
    finally:
        holder.let_go()
    assert waiting.result(timeout=20) == TO_BE_KILLED
    assert status_of(site, panda_id) == "cancelled"


def test_only_so_many_reports_wait_and_the_rest_come_again(site, pool):
    panda_ids = start(site, 6)
    reports = PilotReports(site, patience_s=LONG, seats=2)
    holder = Holder(site, panda_ids)
    try:
        answers = said(pool, reports, panda_ids)
        refused = [answer for answer in answers if _is_refused(answer, 1)]
        while len(refused) < 4:
            refused = [answer for answer in answers if _is_refused(answer, 1)]
    finally:
        holder.let_go()
    assert len(refused) == 4
    assert [answer.result(timeout=20) for answer in answers if answer not in refused] == [None] * 2
    assert [answer.result(timeout=20) for answer in said(pool, reports, panda_ids)] == [None] * 6


def _is_refused(answer: Future[str | None], timeout: float) -> bool:
    try:
        return isinstance(answer.exception(timeout), Unavailable)
    except TimeoutError:
        return False


def test_a_report_does_not_wait_for_ever_and_changes_nothing_then(site, pool):
    [panda_id] = start(site)
    before = row_of(site, panda_id)
    holder = Holder(site, [panda_id])
    try:
        [answer] = said(pool, PilotReports(site, patience_s=0.05), [panda_id])
        with pytest.raises(Unavailable, match=f"job {panda_id} is being changed") as refused:
            answer.result(timeout=20)
    finally:
        holder.let_go()
    assert refused.value.remedy
    assert row_of(site, panda_id) == before
