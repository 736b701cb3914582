"""Finds a queue for defined jobs and makes them assigned or activated (domain.md 2.2: Setupper). Knows no HTTP.

A batch is one transaction. Where something unforeseen goes wrong it is taken again, and its jobs are halved, task by task,
until it is known whose jobs they are: those wait and the others get their queues.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import psycopg2

from core.agents.apart import done_apart
from core.agents.base import Agent
from core.brokerage.batches import by_task, counts_undone, whose
from core.brokerage.broker import Decision, broker, places
from core.brokerage.candidates import Candidate, Request
from core.brokerage.criteria import criteria_for
from core.brokerage.criteria.storage import reads_from_elsewhere
from core.brokerage.facts import LoadBook
from core.brokerage.keeping import Outcome, keep_decisions
from core.brokerage.own_load import OwnLoad
from core.brokerage.requests import JOB_COLUMNS, owner_of, requests_of_jobs
from core.brokerage.task_classes import TaskClasses
from core.database import Database, Row, Transaction
from core.dataservice.activation import activate
from core.errors import Unavailable
from core.states import JobStatus
from core.taskbuffer.transitions import advance_jobs
from core.text import clean
from core.wording import counted
from core.workload_settings import BrokerageSettings

log = logging.getLogger("panda.brokerage")

_BATCH = 1000

_AGAIN_AT_LEAST = 100
"""Jobs that are looked at once more in every cycle, however many new ones there are."""

# ix_jobs_live_unready, ix_tasks_status; those of paused tasks are left out. New jobs first, oldest first: what no queue can
# take must not keep them waiting, however much there is of it
_NEW_JOBS = f"""
SELECT {JOB_COLUMNS}
FROM jobs_live
WHERE job_status = 'defined' AND brokerage_time IS NULL
  AND NOT EXISTS (SELECT 1 FROM tasks t WHERE t.jedi_task_id = jobs_live.jedi_task_id AND t.status = 'paused')
ORDER BY panda_id LIMIT %(batch)s FOR UPDATE OF jobs_live SKIP LOCKED
"""
# then in turn those that were not looked at lately
_JOBS_AGAIN = f"""
SELECT {JOB_COLUMNS}
FROM jobs_live
WHERE job_status = 'defined' AND brokerage_time < clock_timestamp() - make_interval(secs => %(retry_s)s)
  AND NOT EXISTS (SELECT 1 FROM tasks t WHERE t.jedi_task_id = jobs_live.jedi_task_id AND t.status = 'paused')
ORDER BY brokerage_time, panda_id LIMIT %(batch)s FOR UPDATE OF jobs_live SKIP LOCKED
"""

# primary key
_NO_QUEUE = """
UPDATE jobs_live j SET brokerage_time = clock_timestamp(), brokerage_error_code = %(code)s, brokerage_error_diag = w.diag
FROM unnest(%(panda_ids)s::bigint[], %(diags)s::text[]) AS w (panda_id, diag) WHERE j.panda_id = w.panda_id
"""
_NO_CANDIDATE, _BROKERAGE_FAILED = 100, 102
"""Error codes of jobs that wait, see `core.error_codes`."""
_NAMED = 5
"""Tasks that are named in a record."""


@dataclass(frozen=True)
class _Trouble:
    """Jobs of one task, or one job without a task, and what brokerage of them ends with."""

    jobs: list[Row]
    error: Exception

    @property
    def diag(self) -> str:
        """For people; the same for all jobs that the same thing happens to: further lines name rows."""
        said = next(iter(str(self.error).splitlines()), "")
        return clean(f"brokerage met an error of the system: {type(self.error).__name__}: {said}", 500)

    @property
    def whose(self) -> str:
        """Whose jobs these are."""
        return whose(self.jobs)


class Setupper(Agent):
    """Brokerage of defined jobs, group by group."""

    name = "setupper"

    def __init__(self, database: Database, period_s: float, settings: BrokerageSettings | None = None) -> None:
        self._database = database
        self.period_s = period_s
        self._settings = settings or BrokerageSettings()
        self._load = LoadBook(self._settings.load_s)
        self._own_load = OwnLoad(self._settings)
        self._classes = TaskClasses()
        self._criteria = {kind: criteria_for(kind, self._settings) for kind in ("production", "analysis")}

    def cycle(self) -> int:
        """Decide for one batch of jobs; returns how many got a queue."""
        try:
            return self._batch(is_careful=False)
        except (Unavailable, psycopg2.OperationalError, psycopg2.InterfaceError):
            raise  # the database's trouble, not that of any job
        except Exception:  # noqa: BLE001  (told by the careful one, with whose jobs they are)
            return self._batch(is_careful=True)

    def _batch(self, *, is_careful: bool) -> int:
        """One batch, all or nothing; `is_careful`: all but what something goes wrong with.

        Savepoints come only then: what is locked before one and changed after it is written down twice by the database.
        """
        with self._database.transaction() as transaction:
            jobs = self._defined_jobs(transaction)
            if not jobs:
                return 0
            candidates = self._load.read(transaction)
            if not is_careful:
                with counts_undone(candidates):
                    return self._place(transaction, jobs, candidates)
            placed, troubles = self._place_apart(transaction, jobs, candidates)
            _set_aside(transaction, troubles)
            return placed

    def _defined_jobs(self, transaction: Transaction) -> list[Row]:
        new = transaction.fetch(_NEW_JOBS, {"batch": _BATCH})
        most = max(_AGAIN_AT_LEAST, _BATCH - len(new))
        again = transaction.fetch(_JOBS_AGAIN, {"batch": most, "retry_s": self._settings.retry_s})
        return sorted([*new, *again], key=lambda job: int(job["panda_id"]))

    def _place_apart(
        self, transaction: Transaction, jobs: list[Row], candidates: list[Candidate]
    ) -> tuple[int, list[_Trouble]]:
        """Place what can be placed: how many jobs that is, and whose could not be."""

        def place(owners: Sequence[list[Row]]) -> int:
            return self._place(transaction, [job for jobs in owners for job in jobs], candidates)

        placed, failures = done_apart(transaction, by_task(jobs), place, partial(counts_undone, candidates))
        return placed, [_Trouble(members, error) for members, error in failures]

    def _place(self, transaction: Transaction, jobs: list[Row], candidates: list[Candidate]) -> int:
        groups = requests_of_jobs(transaction, jobs, candidates, self._settings, self._classes)
        own = self._own_load.read(transaction, {owner_of(request) for request in groups}, candidates)
        outcomes = [
            self._decide(replace(request, at_queues=own[owner_of(request)]), members, candidates)
            for request, members in groups.items()
        ]
        placed = [outcome for outcome in outcomes if outcome.chosen]
        waiting = [outcome for outcome in outcomes if not outcome.chosen]
        keep_decisions(transaction, placed)
        _move(transaction, placed)
        _explain(transaction, waiting)
        return sum(len(outcome.jobs) for outcome in placed)

    def _decide(self, request: Request, jobs: list[Row], candidates: list[Candidate]) -> Outcome:
        """One group; its jobs count at their queues at once, so that the next group sees them there."""
        decision = broker(request, candidates, self._criteria[request.kind])
        if not decision.accepted:
            return Outcome(decision, jobs)
        weights = decision.weights(self._settings.candidates)
        seed = int(jobs[0]["panda_id"])
        chosen = places(decision, len(jobs), self._settings.candidates, self._settings.low_weight, seed)
        return Outcome(decision, jobs, chosen, weights)


def _move(transaction: Transaction, outcomes: list[Outcome]) -> None:
    """Activate what can start where it goes, assign what must wait for its input."""
    moves: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for outcome in outcomes:
        for job, queue in zip(outcome.jobs, outcome.chosen, strict=True):
            reason = _reason_to_activate(outcome.decision, queue)
            if not reason:
                queue.activated -= 1
                queue.assigned += 1
            moves[reason].append((job["panda_id"], queue.queue_name))
    for reason, members in sorted(moves.items()):
        panda_ids, sites = [panda_id for panda_id, _ in members], [site for _, site in members]
        if reason:
            activate(transaction, panda_ids, reason=reason, sites=sites)
        else:
            waiting = "queue chosen, waiting for input"
            advance_jobs(transaction, panda_ids, JobStatus.ASSIGNED, reason=waiting, sites=sites)


def _explain(transaction: Transaction, outcomes: list[Outcome]) -> None:
    """Put the reason on jobs that must wait; a decision that says what they know already is not stored again."""
    said = {job["panda_id"]: outcome.decision.explanation()[:500] for outcome in outcomes for job in outcome.jobs}
    if said:
        _make_wait(transaction, said, _NO_CANDIDATE)
    new = [
        outcome
        for outcome in outcomes
        if any(job["brokerage_error_diag"] != said[job["panda_id"]] for job in outcome.jobs)
    ]
    keep_decisions(transaction, new)
    for outcome in new:
        first = outcome.jobs[0]
        owner = (
            f"task {first['jedi_task_id']}" if first["jedi_task_id"] else f"{first['prod_user_name']}, without a task"
        )
        log.warning(
            *("%s of %s without a queue: %s", counted(len(outcome.jobs), "job"), owner, said[first["panda_id"]]),
            extra={"component": "brokerage"},
        )


def _make_wait(transaction: Transaction, said: Mapping[int, str], code: int) -> None:
    """Have jobs looked at again after the usual pause; until then they say why they wait."""
    transaction.execute(_NO_QUEUE, {"panda_ids": list(said), "diags": list(said.values()), "code": code})


def _set_aside(transaction: Transaction, troubles: list[_Trouble]) -> None:
    """Put what went wrong on the jobs it went wrong with, and tell once for each kind of trouble that is new to them."""
    said = {job["panda_id"]: trouble.diag for trouble in troubles for job in trouble.jobs}
    if said:
        _make_wait(transaction, said, _BROKERAGE_FAILED)
    alike: dict[str, list[_Trouble]] = defaultdict(list)
    for trouble in troubles:
        if any(job["brokerage_error_diag"] != trouble.diag for job in trouble.jobs):
            alike[trouble.diag].append(trouble)
    for diag, new in alike.items():
        named = ", ".join(trouble.whose for trouble in new[:_NAMED])
        more = f" and those of {len(new) - _NAMED} more tasks" if len(new) > _NAMED else ""
        first = new[0].jobs[0]
        log.error(
            *("no queue can be chosen for %s%s: %s", named, more, diag),
            exc_info=new[0].error,
            extra={
                "component": "brokerage",
                "jedi_task_id": first["jedi_task_id"],
                "panda_id": first["panda_id"],
                "fingerprint": diag,
            },
        )


def _reason_to_activate(decision: Decision, queue: Candidate) -> str:
    """Why a job can start at a queue now; empty when its input must come first, as a pinned job's may have to."""
    request = decision.request
    if not request.has_input:
        return "queue chosen, no input needed"
    if queue.storage_endpoint in request.complete_at:
        return "queue chosen, input is there"
    if decision.kind != "pinned" and reads_from_elsewhere(request, queue):
        return "queue chosen, input is read from elsewhere"
    return ""
