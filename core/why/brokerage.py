"""What brokerage would say now of a job or a task: the funnel, who is accepted, what would help. Asks core.brokerage.

The counts of jobs per queue are the dear part; a process keeps them for some seconds. Queues themselves are always fresh.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import datetime
from typing import Any

from core.brokerage.broker import Decision, broker
from core.brokerage.candidates import ANALYSIS, Candidate, Request
from core.brokerage.criteria import criteria_for
from core.brokerage.facts import LoadBook
from core.brokerage.own_load import OwnLoad
from core.brokerage.requests import owner_of, request_of_jobs, request_of_task
from core.brokerage.task_classes import TaskClasses
from core.database import Row, Transaction
from core.errors import PandaError
from core.taskengine.dialects.reading import definition_of
from core.why.what_if import best_of, changes_that_help, sentence_of
from core.workload_settings import BrokerageSettings

_LOAD_KEPT_S = 10.0
_OWN_LOAD_KEPT_S = 300.0
"""Jobs of users at crowded queues take a second to count where a million wait; they only make brokerage prefer queues."""
_SHOWN_QUEUES = 10


class BrokerageAsked:
    """Asks brokerage without deciding anything. Safe to share between threads."""

    def __init__(self, settings: BrokerageSettings, *, load_kept_s: float = _LOAD_KEPT_S) -> None:
        """`load_kept_s`: how long counts of jobs are kept; 0 counts for every question."""
        self._settings = settings
        self._lock = threading.Lock()
        self._loads = LoadBook(load_kept_s)
        self._own = OwnLoad(settings, kept_s=min(_OWN_LOAD_KEPT_S, 30 * load_kept_s))

    def about_job(self, transaction: Transaction, job: Row, as_of: datetime) -> dict[str, Any]:
        """What brokerage would say of a live job now, whichever queue it has. `job`: all its columns."""
        candidates = self._candidates(transaction)
        request = request_of_jobs(transaction, [job], candidates)
        assert request is not None  # one job was given
        return self._answer(transaction, request, candidates, as_of)

    def about_task(self, transaction: Transaction, task: Row, as_of: datetime) -> dict[str, Any] | None:
        """What brokerage would say of an average job of a task now; None when its definition cannot be read."""
        try:
            request = request_of_task(transaction, task, definition_of(task))
        except PandaError:
            return None
        candidates = self._candidates(transaction)
        classes = TaskClasses().read(transaction, [request], candidates)
        request = replace(request, task_class=classes.get(request, ""))
        return self._answer(transaction, request, candidates, as_of)

    def _candidates(self, transaction: Transaction) -> list[Candidate]:
        with self._lock:
            return self._loads.read(transaction)

    def _answer(
        self, transaction: Transaction, request: Request, candidates: list[Candidate], as_of: datetime
    ) -> dict[str, Any]:
        # a queue that jobs were cut for is only asked first; people want to know of all
        request = replace(request, first_queue="")
        if request.kind == ANALYSIS:
            owner = owner_of(request)
            with self._lock:
                request = replace(request, at_queues=self._own.read(transaction, [owner], candidates)[owner])
        criteria = criteria_for(request.kind, self._settings)
        decision = broker(request, candidates, criteria)
        changes = changes_that_help(decision, candidates, criteria, request)
        best = best_of(changes)
        return {
            "time": as_of,
            "kind": decision.kind,
            "queue_count": len(candidates),
            "accepted_count": len(decision.accepted),
            "accepted": [queue.queue_name for queue in decision.accepted[:_SHOWN_QUEUES]],
            "binding_step": _binding(decision),
            "is_temporary": decision.is_temporary,
            "funnel": decision.funnel(),
            "sentence": sentence_of(decision, changes),
            "changes": [change.as_dict() for change in changes],
            "best_change": best.as_dict() if best else None,
        }


def _binding(decision: Decision) -> str:
    return decision.binding_step.criterion if decision.binding_step else ""
