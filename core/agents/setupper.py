"""Finds a queue for defined jobs and makes them assigned or activated (domain.md 2.2: Setupper). Knows no HTTP."""

from __future__ import annotations

import json
import logging
from collections import defaultdict

from core.agents.base import Agent
from core.brokerage.broker import Decision, broker, take_best
from core.brokerage.candidates import Candidate, Request
from core.brokerage.followers import is_build_job, needs_of_waiting
from core.brokerage.wishes import queue_wishes
from core.database import Database, Row, Transaction
from core.dataservice.activation import activate
from core.states import JobStatus
from core.taskbuffer.transitions import advance_jobs

log = logging.getLogger("panda.brokerage")

_BATCH = 1000
_RETRY_S = 10
"""Pause before brokerage looks again at a job that no queue could take."""

# ix_jobs_live_unready, ix_tasks_status; oldest first, those that were looked at lately or are paused are left out
_DEFINED_JOBS = """
SELECT panda_id, jedi_task_id, job_index, core_count, min_ram_mb, max_disk_mb, max_walltime_s, prod_source_label, computing_site,
       site_is_pinned, brokerage_error_diag
FROM jobs_live
WHERE job_status = 'defined'
  AND (brokerage_time IS NULL OR brokerage_time < clock_timestamp() - make_interval(secs => %(retry_s)s))
  AND NOT EXISTS (SELECT 1 FROM tasks t WHERE t.jedi_task_id = jobs_live.jedi_task_id AND t.status = 'paused')
ORDER BY panda_id LIMIT %(batch)s FOR UPDATE OF jobs_live SKIP LOCKED
"""

# ix_job_files_job, primary key of replicas: for each job its number of inputs and the endpoints that hold them all
_INPUT_PLACES = """
WITH input AS (
    SELECT panda_id, file_id FROM job_files WHERE panda_id = ANY(%(panda_ids)s) AND type IN ('input', 'sandbox')
), total AS (
    SELECT panda_id, count(*) AS n FROM input GROUP BY panda_id
), held AS (
    SELECT i.panda_id, r.endpoint, count(*) AS n FROM input i JOIN replicas r USING (file_id) GROUP BY 1, 2
)
SELECT t.panda_id, coalesce(array_agg(h.endpoint) FILTER (WHERE h.n = t.n), '{}') AS endpoints
FROM total t LEFT JOIN held h USING (panda_id) GROUP BY t.panda_id
"""

# ix_jobs_live_status
_CANDIDATES = """
SELECT q.queue_name, q.status, q.storage_endpoint, q.max_ram_mb, q.max_disk_mb, q.max_core_count, q.max_walltime_s,
       coalesce(e.state = 'online', false) AS storage_is_online,
       coalesce(l.running, 0) AS running, coalesce(l.waiting, 0) AS waiting
FROM queues q LEFT JOIN storage_endpoints e ON e.name = q.storage_endpoint LEFT JOIN (
    SELECT computing_site, count(*) FILTER (WHERE job_status = 'running') AS running,
           count(*) FILTER (WHERE job_status IN ('assigned', 'activated', 'sent', 'starting')) AS waiting
    FROM jobs_live WHERE job_status IN ('assigned', 'activated', 'sent', 'starting', 'running')
    GROUP BY computing_site
) l ON l.computing_site = q.queue_name
ORDER BY q.queue_name
"""

_NO_QUEUE = """
UPDATE jobs_live SET brokerage_time = clock_timestamp(), brokerage_error_code = 100, brokerage_error_diag = %(diag)s
WHERE panda_id = ANY(%(panda_ids)s)
"""

_KEEP_DECISION = """
INSERT INTO brokerage_decisions (jedi_task_id, chosen, job_count, funnel)
VALUES (%(jedi_task_id)s, %(chosen)s, %(job_count)s, %(funnel)s::jsonb) RETURNING decision_id
"""
_KEEP_JOBS = """
INSERT INTO job_brokerage (panda_id, decision_id) VALUES %s
ON CONFLICT (panda_id) DO UPDATE SET decision_id = excluded.decision_id
"""


class Setupper(Agent):
    """Brokerage of defined jobs, group by group."""

    name = "setupper"

    def __init__(self, database: Database, period_s: float) -> None:
        self._database = database
        self.period_s = period_s

    def cycle(self) -> int:
        """Decide for one batch of jobs; returns how many got a queue."""
        with self._database.transaction() as transaction:
            jobs = transaction.fetch(_DEFINED_JOBS, {"batch": _BATCH, "retry_s": _RETRY_S})
            if not jobs:
                return 0
            candidates = [Candidate(**row) for row in transaction.fetch(_CANDIDATES)]
            placed = 0
            for request, members in self._grouped(transaction, jobs).items():
                placed += self._place(transaction, request[0], members, candidates)
            return placed

    def _grouped(self, transaction: Transaction, jobs: list[Row]) -> dict[tuple[Request, int | None], list[Row]]:
        """Jobs of one task that need the same share one decision."""
        places = {
            row["panda_id"]: frozenset(row["endpoints"])
            for row in transaction.fetch(_INPUT_PLACES, {"panda_ids": [job["panda_id"] for job in jobs]})
        }
        task_ids = {job["jedi_task_id"] for job in jobs if job["jedi_task_id"] is not None}
        wishes = queue_wishes(transaction, task_ids)
        builds = {job["jedi_task_id"] for job in jobs if is_build_job(job)}
        followers = needs_of_waiting(transaction, builds)
        groups: dict[tuple[Request, int | None], list[Row]] = defaultdict(list)
        for job in jobs:
            request = Request(
                core_count=job["core_count"],
                min_ram_mb=job["min_ram_mb"],
                max_disk_mb=job["max_disk_mb"],
                max_walltime_s=job["max_walltime_s"],
                prod_source_label=job["prod_source_label"],
                has_input=job["panda_id"] in places,
                complete_at=places.get(job["panda_id"], frozenset()),
                pinned_queue=job["computing_site"] if job["site_is_pinned"] else "",
            )
            if job["jedi_task_id"] in wishes:
                request = wishes[job["jedi_task_id"]].added_to(request)
            if is_build_job(job) and job["jedi_task_id"] in followers:
                request = followers[job["jedi_task_id"]].added_to(request)
            groups[(request, job["jedi_task_id"])].append(job)
        return groups

    def _place(self, transaction: Transaction, request: Request, jobs: list[Row], candidates: list[Candidate]) -> int:
        decision = broker(request, candidates)
        panda_ids = [job["panda_id"] for job in jobs]
        chosen = [take_best(decision.accepted) for _ in jobs] if decision.accepted else []
        if not chosen:
            self._explain(transaction, decision, jobs)
            return 0
        self._keep(transaction, decision, jobs, sorted({queue.queue_name for queue in chosen}))
        here = [index for index, queue in enumerate(chosen) if _is_complete(request, queue)]
        away = [index for index, queue in enumerate(chosen) if not _is_complete(request, queue)]
        activate(
            transaction,
            [panda_ids[index] for index in here],
            reason="queue chosen, input is there" if request.has_input else "queue chosen, no input needed",
            sites=[chosen[index].queue_name for index in here],
        )
        advance_jobs(
            transaction,
            [panda_ids[index] for index in away],
            JobStatus.ASSIGNED,
            reason="queue chosen, waiting for input",
            sites=[chosen[index].queue_name for index in away],
        )
        return len(jobs)

    def _explain(self, transaction: Transaction, decision: Decision, jobs: list[Row]) -> None:
        """Put the reason on jobs that must wait; a decision that says what they know already is not stored again."""
        explanation = decision.explanation()[:500]
        transaction.execute(_NO_QUEUE, {"panda_ids": [job["panda_id"] for job in jobs], "diag": explanation})
        if any(job["brokerage_error_diag"] != explanation for job in jobs):
            self._keep(transaction, decision, jobs, [])
            log.warning("%d jobs of task %s wait: %s", len(jobs), jobs[0]["jedi_task_id"], explanation)

    def _keep(self, transaction: Transaction, decision: Decision, jobs: list[Row], chosen: list[str]) -> None:
        row = transaction.fetch_one(
            _KEEP_DECISION,
            {
                "jedi_task_id": jobs[0]["jedi_task_id"],
                "chosen": ", ".join(chosen),
                "job_count": len(jobs),
                "funnel": json.dumps([step.as_dict() for step in decision.steps]),
            },
        )
        if row is not None:
            transaction.insert_many(_KEEP_JOBS, [(job["panda_id"], row["decision_id"]) for job in jobs])


def _is_complete(request: Request, queue: Candidate) -> bool:
    return not request.has_input or queue.storage_endpoint in request.complete_at
