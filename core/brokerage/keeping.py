"""Writes down what brokerage decided, all decisions of a cycle at once: funnels, weights, and which jobs went through them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from core.brokerage.broker import Decision
from core.brokerage.candidates import Candidate, Step
from core.brokerage.weighing import Weight
from core.database import Row, Transaction

_NEXT_IDS = """
SELECT nextval(pg_get_serial_sequence('brokerage_decisions', 'decision_id')) AS decision_id
FROM generate_series(1, %(count)s)
"""
_KEEP_DECISIONS = """
INSERT INTO brokerage_decisions (decision_id, jedi_task_id, chosen, job_count, funnel, kind, candidate_count,
                                 binding_step, is_temporary, weights) VALUES %s
"""
_KEEP_JOBS = """
INSERT INTO job_brokerage (panda_id, decision_id) VALUES %s
ON CONFLICT (panda_id) DO UPDATE SET decision_id = excluded.decision_id
"""


@dataclass(frozen=True)
class Outcome:
    """A decision, the jobs it was made for, and the queue of each; none while they must wait."""

    decision: Decision
    jobs: list[Row]
    chosen: list[Candidate] = field(default_factory=list)
    weights: list[Weight] = field(default_factory=list)
    """As they were before the jobs were counted in."""

    def row(self, decision_id: int) -> tuple[object, ...]:
        """The row of `brokerage_decisions`."""
        binding = self.decision.binding_step
        return (
            decision_id,
            self.jobs[0]["jedi_task_id"],
            ", ".join(sorted({queue.queue_name for queue in self.chosen})),
            len(self.jobs),
            json.dumps(self.decision.funnel()),
            self.decision.kind,
            self.decision.candidate_count,
            binding.criterion if binding is not None else "",
            self.decision.is_temporary,
            json.dumps([weight.as_dict() for weight in self.weights]),
        )


def keep_decisions(transaction: Transaction, outcomes: Sequence[Outcome]) -> None:
    """Store decisions and tie their jobs to them."""
    if not outcomes:
        return
    ids = [row["decision_id"] for row in transaction.fetch(_NEXT_IDS, {"count": len(outcomes)})]
    numbered = list(zip(ids, outcomes, strict=True))
    transaction.insert_many(_KEEP_DECISIONS, [outcome.row(decision_id) for decision_id, outcome in numbered])
    jobs = [(job["panda_id"], decision_id) for decision_id, outcome in numbered for job in outcome.jobs]
    transaction.insert_many(_KEEP_JOBS, sorted(jobs))


def keep_for_task(
    transaction: Transaction,
    jedi_task_id: int,
    kind: str,
    *,
    chosen: str,
    steps: Sequence[Step],
    candidate_count: int,
    weights: Sequence[Weight],
) -> None:
    """Store a decision about a task, without jobs. `chosen`: empty when nobody was left after the last of `steps`."""
    [number] = transaction.fetch(_NEXT_IDS, {"count": 1})
    binding = None if chosen else next((step for step in steps if step.after == 0), None)
    row = (
        number["decision_id"],
        jedi_task_id,
        chosen,
        0,
        json.dumps([step.as_dict() for step in steps]),
        kind,
        candidate_count,
        binding.criterion if binding is not None else "",
        binding is not None and binding.is_temporary,
        json.dumps([weight.as_dict() for weight in weights]),
    )
    transaction.insert_many(_KEEP_DECISIONS, [row])
