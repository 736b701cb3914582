"""More memory for the next attempt, and for the whole task when many of its files needed it (domain.md 3.6).

All values are MB per core. Knows files of tasks; does not know which rule asked.
"""

from __future__ import annotations

from collections.abc import Iterable

from core.database import Transaction
from core.retrial.effects import Effects
from core.retrial.facts import Case, TaskFacts

LADDER_MB = (1000, 2000, 3000, 4000, 6000, 8000)
PART_OF_TASK = 0.3
_FACTOR_BELOW = 10
"""A step below it multiplies; 10 and more are MB."""

_FILES_FOR_EVERY_LOOK = 5000
"""Of larger tasks only some endings look, so that what they read does not grow with the task."""

# ix_task_files_ram, backwards: the memory that more files have reached than the part of the task that counts
_LEVEL = """
SELECT v.task_id, l.ram_mb FROM unnest(%(task_ids)s::bigint[], %(spared)s::bigint[], %(above)s::bigint[])
     AS v (task_id, spared, above)
CROSS JOIN LATERAL (
    SELECT f.ram_mb FROM task_files f WHERE f.jedi_task_id = v.task_id AND f.ram_mb > 0 AND f.ram_mb > v.above
    ORDER BY f.ram_mb DESC OFFSET v.spared LIMIT 1
) l
"""


def present_mb(case: Case) -> int:
    """What the job had per core; if nothing was stated, what it was seen to use."""
    asked = -(-int(case.row["min_ram_mb"]) // case.core_count)
    known = max(asked, case.held.ram_mb)
    used_kb = case.row["max_pss_kb"] or case.row["max_rss_kb"] or 0
    return known or used_kb // 1024 // case.core_count


def next_step(present: int) -> int | None:
    """The next step of the ladder; None above the last."""
    return next((step for step in LADDER_MB if step > present), None)


def next_by_task(present: int, task: TaskFacts) -> int | None:
    """The next value by the task's own step: MB, or a factor if it is below 10; None when that is no more than before.

    A task that states no step goes up the ladder, but not above its own maximum.
    """
    step, most, start = (task.number(f"retryRam{name}") for name in ("Step", "Max", "Offset"))
    grown: float = next_step(present) or 0
    if step > 0:
        grown = present * step if 1 < step < _FACTOR_BELOW and present else present + step
    wanted = int(min(max(grown, start), most) if most > 0 else max(grown, start))
    return wanted if wanted > present else None


def looks_at_task(case: Case) -> bool:
    """Whether this ending shall see how many files of the task were raised."""
    return case.panda_id % max(1, case.task.n_files // _FILES_FOR_EVERY_LOOK) == 0


def raise_task(transaction: Transaction, tasks: Iterable[TaskFacts], effects: Effects) -> dict[int, str]:
    """Raise tasks of which more than 30 % of the files need more; sentences by task id. The files are written before."""
    open_to_it = {task.task_id: task for task in tasks if not task.ram_is_fixed and task.n_files > 0}
    if not open_to_it:
        return {}
    values = {
        "task_ids": list(open_to_it),
        "spared": [int(task.n_files * PART_OF_TASK) for task in open_to_it.values()],
        "above": [task.ram_mb_per_core for task in open_to_it.values()],
    }
    said = {}
    for row in transaction.fetch(_LEVEL, values):
        task = open_to_it[row["task_id"]]
        value = row["ram_mb"] * (1 if task.counts_per_core else task.core_count)
        learned = {"old": task.ram_mb, "new": value, "why": "more than 30 % of the files needed more"}
        effects.set_of_task(task, {"ramCount": value}, {"raised_ramCount": learned})
        per_core = " per core" if task.counts_per_core else ""
        said[task.task_id] = (
            f"the task from {task.ram_mb} to {value} MB{per_core}, as more than 30 % of its files needed more"
        )
    return said
