"""More CPU time per event for a task whose jobs ran out of time (domain.md 3.6, increase CPU time).

Values are HS06 seconds per event: power of a core of the queue x seconds / events.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from core.core_power import CORE_POWER, core_power
from core.database import Row, Transaction
from core.retrial.effects import Effects
from core.retrial.facts import Case

_MARGIN = 1.5
_MOST = 10**12
_JOBS_LOOKED_AT = 1000

# ix_jobs_archive_task backwards, at most so many jobs; queues by primary key. 95 in 100 jobs must fit
_FROM_FINISHED = f"""
SELECT percentile_disc(0.95) WITHIN GROUP (ORDER BY cpu_s * power / n_events) AS per_event
FROM (
    SELECT j.cpu_consumption_time_s::float AS cpu_s, j.n_events, {CORE_POWER} AS power
    FROM jobs_archive j LEFT JOIN queues q ON q.queue_name = j.computing_site
    WHERE j.jedi_task_id = %(task_id)s AND j.job_status = 'finished' AND j.job_index > 0 AND j.n_events > 0
      AND j.cpu_consumption_time_s > 0
    ORDER BY j.panda_id DESC LIMIT %(limit)s
) f
"""
# primary key
_QUEUES = "SELECT queue_name, max_walltime_s, parameters -> 'corepower' AS power FROM queues WHERE queue_name = ANY(%(names)s)"


def increase_cputime(transaction: Transaction, cases: Sequence[Case], effects: Effects) -> dict[int, tuple[str, bool]]:
    """Raise cpuTime of the tasks of these jobs; by PandaID what happened in words, and whether anything changed."""
    names = sorted({case.row["computing_site"] for case in cases})
    queues = {row["queue_name"]: row for row in transaction.fetch(_QUEUES, {"names": names})}
    answers: dict[int, tuple[str, bool]] = {}
    of_tasks: dict[int, tuple[str, bool]] = {}
    for case in cases:
        if case.task_id not in of_tasks:
            of_tasks[case.task_id] = _raise(transaction, case, queues.get(case.row["computing_site"]), effects)
        answers[case.panda_id] = of_tasks[case.task_id]
    return answers


def _raise(transaction: Transaction, case: Case, queue: Row | None, effects: Effects) -> tuple[str, bool]:
    task = case.task
    unit = str(task.settings.get("cpuTimeUnit") or "HS06sPerEvent")
    if unit.endswith("Fixed"):
        return "left alone: the task's CPU time is fixed", False
    needed, source = _needed(transaction, case, queue)
    present = int(task.number("cpuTime"))
    value = min(_MOST, math.ceil(needed * (1000 if unit.startswith("m") else 1)))
    if value <= present:
        return f"left alone: {source} need no more than its {present} {unit}", False
    learned = {"old": present, "new": value, "why": f"computed from {source}"}
    effects.set_of_task(task, {"cpuTime": value}, {"raised_cpuTime": learned})
    return f"CPU time of the task from {present} to {value} {unit}, computed from {source}", True


def _needed(transaction: Transaction, case: Case, queue: Row | None) -> tuple[float, str]:
    if case.task.n_finished > 0:
        values = {"task_id": case.task_id, "limit": _JOBS_LOOKED_AT}
        per_event = transaction.fetch(_FROM_FINISHED, values)[0]["per_event"]
        if per_event:
            return float(per_event) * _MARGIN, "jobs that finished"
    longest_s = (queue["max_walltime_s"] if queue else 0) or case.row["max_walltime_s"]
    events = case.held.n_events or case.row["n_events"] or max(1, case.held.n_files)
    power = core_power(queue["power"] if queue else None)
    return longest_s * power * case.core_count / events * _MARGIN, "the failed job and the time its queue allows"
