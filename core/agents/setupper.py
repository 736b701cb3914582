"""Finds a queue for defined jobs and makes them assigned or activated (domain.md 2.2: Setupper). Knows no HTTP."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import replace

from core.agents.base import Agent
from core.brokerage.broker import Decision, broker, take_best
from core.brokerage.candidates import Candidate, Request
from core.brokerage.criteria import criteria_for
from core.brokerage.criteria.storage import reads_from_elsewhere
from core.brokerage.facts import LoadBook
from core.brokerage.own_load import OwnLoad
from core.brokerage.requests import JOB_COLUMNS, owner_of, requests_of_jobs
from core.database import Database, Row, Transaction
from core.dataservice.activation import activate
from core.states import JobStatus
from core.taskbuffer.transitions import advance_jobs
from core.workload_settings import BrokerageSettings

log = logging.getLogger("panda.brokerage")

_BATCH = 1000

# ix_jobs_live_unready, ix_tasks_status; oldest first, those that were looked at lately or are paused are left out
_DEFINED_JOBS = f"""
SELECT {JOB_COLUMNS}
FROM jobs_live
WHERE job_status = 'defined'
  AND (brokerage_time IS NULL OR brokerage_time < clock_timestamp() - make_interval(secs => %(retry_s)s))
  AND NOT EXISTS (SELECT 1 FROM tasks t WHERE t.jedi_task_id = jobs_live.jedi_task_id AND t.status = 'paused')
ORDER BY panda_id LIMIT %(batch)s FOR UPDATE OF jobs_live SKIP LOCKED
"""

_NO_QUEUE = """
UPDATE jobs_live SET brokerage_time = clock_timestamp(), brokerage_error_code = 100, brokerage_error_diag = %(diag)s
WHERE panda_id = ANY(%(panda_ids)s)
"""

_KEEP_DECISION = """
INSERT INTO brokerage_decisions
    (jedi_task_id, chosen, job_count, funnel, kind, candidate_count, binding_step, is_temporary, weights)
VALUES (%(jedi_task_id)s, %(chosen)s, %(job_count)s, %(funnel)s::jsonb, %(kind)s, %(candidate_count)s, %(binding_step)s,
        %(is_temporary)s, %(weights)s::jsonb)
RETURNING decision_id
"""
_KEEP_JOBS = """
INSERT INTO job_brokerage (panda_id, decision_id) VALUES %s
ON CONFLICT (panda_id) DO UPDATE SET decision_id = excluded.decision_id
"""


class Setupper(Agent):
    """Brokerage of defined jobs, group by group."""

    name = "setupper"

    def __init__(self, database: Database, period_s: float, settings: BrokerageSettings | None = None) -> None:
        self._database = database
        self.period_s = period_s
        self._settings = settings or BrokerageSettings()
        self._load = LoadBook(self._settings.load_s)
        self._own_load = OwnLoad(self._settings)
        self._criteria = {kind: criteria_for(kind, self._settings) for kind in ("production", "analysis")}

    def cycle(self) -> int:
        """Decide for one batch of jobs; returns how many got a queue."""
        with self._database.transaction() as transaction:
            jobs = transaction.fetch(_DEFINED_JOBS, {"batch": _BATCH, "retry_s": self._settings.retry_s})
            if not jobs:
                return 0
            candidates = self._load.read(transaction)
            groups = requests_of_jobs(transaction, jobs, candidates, self._settings)
            own = self._own_load.read(transaction, {owner_of(request) for request in groups}, candidates)
            placed = 0
            for request, members in groups.items():
                asked = replace(request, at_queues=own[owner_of(request)])
                placed += self._place(transaction, asked, members, candidates)
            return placed

    def _place(self, transaction: Transaction, request: Request, jobs: list[Row], candidates: list[Candidate]) -> int:
        decision = broker(request, candidates, self._criteria[request.kind])
        if not decision.accepted:
            self._explain(transaction, decision, jobs)
            return 0
        best = decision.best(self._settings.candidates, self._settings.low_weight)
        weights = decision.weights(self._settings.candidates)
        chosen = [take_best(best, decision.request) for _ in jobs]
        names = sorted({queue.queue_name for queue in chosen})
        self._keep(transaction, decision, jobs, names, [weight.as_dict() for weight in weights])
        panda_ids = [job["panda_id"] for job in jobs]
        here = [index for index, queue in enumerate(chosen) if _can_start(decision, queue)]
        away = [index for index, queue in enumerate(chosen) if not _can_start(decision, queue)]
        activate(
            transaction,
            [panda_ids[index] for index in here],
            reason=_reason(decision.request, chosen),
            sites=[chosen[index].queue_name for index in here],
        )
        advance_jobs(
            transaction,
            [panda_ids[index] for index in away],
            JobStatus.ASSIGNED,
            reason="queue chosen, waiting for input",
            sites=[chosen[index].queue_name for index in away],
        )
        for index in away:
            chosen[index].activated -= 1
            chosen[index].assigned += 1
        return len(jobs)

    def _explain(self, transaction: Transaction, decision: Decision, jobs: list[Row]) -> None:
        """Put the reason on jobs that must wait; a decision that says what they know already is not stored again."""
        explanation = decision.explanation()[:500]
        transaction.execute(_NO_QUEUE, {"panda_ids": [job["panda_id"] for job in jobs], "diag": explanation})
        if any(job["brokerage_error_diag"] != explanation for job in jobs):
            self._keep(transaction, decision, jobs, [], [])
            log.warning(
                "%d jobs of task %s wait: %s",
                len(jobs),
                jobs[0]["jedi_task_id"],
                explanation,
                extra={"component": "brokerage"},
            )

    def _keep(
        self,
        transaction: Transaction,
        decision: Decision,
        jobs: list[Row],
        chosen: list[str],
        weights: Sequence[dict[str, object]],
    ) -> None:
        binding = decision.binding_step
        row = transaction.fetch_one(
            _KEEP_DECISION,
            {
                "jedi_task_id": jobs[0]["jedi_task_id"],
                "chosen": ", ".join(chosen),
                "job_count": len(jobs),
                "funnel": json.dumps(decision.funnel()),
                "kind": decision.kind,
                "candidate_count": decision.candidate_count,
                "binding_step": binding.criterion if binding is not None else "",
                "is_temporary": decision.is_temporary,
                "weights": json.dumps(list(weights)),
            },
        )
        if row is not None:
            transaction.insert_many(_KEEP_JOBS, [(job["panda_id"], row["decision_id"]) for job in jobs])


def _is_complete(request: Request, queue: Candidate) -> bool:
    return not request.has_input or queue.storage_endpoint in request.complete_at


def _can_start(decision: Decision, queue: Candidate) -> bool:
    """Whether the input is at the queue, or will be read from elsewhere; a pinned job waits for its input to come."""
    if _is_complete(decision.request, queue):
        return True
    return decision.kind != "pinned" and reads_from_elsewhere(decision.request, queue)


def _reason(request: Request, chosen: list[Candidate]) -> str:
    if not request.has_input:
        return "queue chosen, no input needed"
    if all(_is_complete(request, queue) for queue in chosen):
        return "queue chosen, input is there"
    return "queue chosen, input is there or read from elsewhere"
