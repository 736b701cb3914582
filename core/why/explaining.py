"""The whole answer to "why is it not running?", for a job and for a task. Knows no HTTP and no page.

The first true statement is the answer, the further ones follow as `also`; beside them what brokerage says now, with what
would help, and when it may start.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from core.configuration import Settings
from core.database import Row, Transaction
from core.errors import UnknownObject
from core.states import AWAITING_PILOT, FINAL_TASK_STATUSES, JobStatus
from core.why.brokerage import BrokerageAsked
from core.why.estimate import StartEstimate, estimate_start, no_start_of, unknown
from core.why.job_case import JobCase, job_row_of
from core.why.job_statements import JOB_STATEMENTS
from core.why.reason import Reason, true_reasons
from core.why.task_case import TaskCase, task_row_of
from core.why.task_statements import TASK_STATEMENTS

_NO_START = frozenset({"task_paused", "queue_gone", "queue_closed", "offers_too_small"})
"""Reasons for which the waits of other jobs tell nothing."""


class Explainer:
    """Answers for one installation. Safe to share between threads."""

    def __init__(self, settings: Settings, *, load_kept_s: float = 10.0) -> None:
        """`load_kept_s`: how long the counts of jobs per queue are kept for questions to brokerage."""
        self._settings = settings
        self._brokerage = BrokerageAsked(settings.brokerage, load_kept_s=load_kept_s)

    def job(self, transaction: Transaction, panda_id: int, as_of: datetime) -> dict[str, Any]:
        """Why a job is as it is. Raises UnknownObject when there is no such job."""
        job = job_row_of(transaction, panda_id)
        if job is None:
            raise UnknownObject(
                f"there is no job {panda_id}", field="panda_id", remedy="see `panda jobs`, or GET /api/monitor/jobs"
            )
        case = self._case(transaction, job, as_of)
        reasons = list(true_reasons(JOB_STATEMENTS, case))
        waits = job["job_status"] in AWAITING_PILOT
        start = self._start(case, reasons) if waits else None
        return {
            "kind": "job",
            "panda_id": panda_id,
            "jedi_task_id": job["jedi_task_id"],
            "status": job["job_status"],
            "computing_site": job["computing_site"],
            **_told(reasons),
            "brokerage": self._brokerage.about_job(transaction, job, as_of) if waits else None,
            "start": start.as_dict() if start else None,
        }

    def task(self, transaction: Transaction, jedi_task_id: int, as_of: datetime) -> dict[str, Any]:
        """Why a task is as it is. Raises UnknownObject when there is no such task."""
        task = task_row_of(transaction, jedi_task_id)
        if task is None:
            raise UnknownObject(
                f"there is no task {jedi_task_id}",
                field="jedi_task_id",
                remedy="see `panda tasks`, or GET /api/monitor/tasks",
            )
        case = TaskCase(transaction, task, as_of, self._settings)
        reasons = list(true_reasons(TASK_STATEMENTS, case))
        is_over = task["status"] in FINAL_TASK_STATUSES
        waiting = None if is_over else case.waiting_job
        start = self._start(waiting, reasons) if waiting else None
        return {
            "kind": "task",
            "panda_id": waiting.panda_id if waiting else None,
            "jedi_task_id": jedi_task_id,
            "status": task["status"],
            "computing_site": waiting.job["computing_site"] if waiting else task["site"],
            **_told(reasons),
            "brokerage": None if is_over else self._brokerage_of(transaction, case, as_of),
            "start": start.as_dict() if start else None,
        }

    def _case(self, transaction: Transaction, job: Row, as_of: datetime) -> JobCase:
        settings = self._settings
        return JobCase(transaction, job, as_of, timeouts=settings.timeouts, accounts=settings.accounts)

    def _brokerage_of(self, transaction: Transaction, case: TaskCase, as_of: datetime) -> dict[str, Any] | None:
        """Of the job that stands for those that wait; of the task itself while it has none and none runs."""
        if case.waiting_job is not None:
            return self._brokerage.about_job(transaction, case.waiting_job.job, as_of)
        return None if case.n_on_node else self._brokerage.about_task(transaction, case.task, as_of)

    def _start(self, case: JobCase, reasons: list[Reason]) -> StartEstimate:
        """By like jobs when it is ready and its queue gives out work; else why nothing can be said."""
        first = reasons[0] if reasons else None
        if first is not None and first.id in _NO_START:
            return unknown(first.clause, case.age_s)
        if case.status != JobStatus.ACTIVATED:
            return no_start_of(case.job, case.as_of)
        ahead = case.queue.ahead_of(case.job) if case.queue.row else 0
        return estimate_start(case.transaction, case.job, case.as_of, ahead)


def _told(reasons: Iterable[Reason]) -> dict[str, Any]:
    documents = [reason.as_dict() for reason in reasons]
    return {"reason": documents[0] if documents else None, "also": documents[1:]}
