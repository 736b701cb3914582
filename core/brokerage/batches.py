"""A batch of jobs in parts that can fail alone: whose they are, and what a failed part had counted. Knows no table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from core.brokerage.candidates import Candidate
from core.database import Row
from core.wording import counted


def by_task(jobs: Iterable[Row]) -> list[list[Row]]:
    """Jobs by their task, each without a task alone; in the order in which they came."""
    groups: dict[tuple[str, int], list[Row]] = defaultdict(list)
    for job in jobs:
        task_id = job["jedi_task_id"]
        groups[("job", job["panda_id"]) if task_id is None else ("task", task_id)].append(job)
    return list(groups.values())


def whose(jobs: Sequence[Row]) -> str:
    """`7 jobs of task 12`, of one of the groups."""
    first = jobs[0]
    if first["jedi_task_id"] is None:
        return f"job {first['panda_id']}, without a task"
    return f"{counted(len(jobs), 'job')} of task {first['jedi_task_id']}"


@contextmanager
def counts_undone(candidates: Sequence[Candidate]) -> Iterator[None]:
    """Take back what a block counted in at the queues when it raises: those jobs do not go there."""
    before = [(queue.activated, queue.assigned) for queue in candidates]
    try:
        yield
    except BaseException:
        for queue, (activated, assigned) in zip(candidates, before, strict=True):
            queue.activated, queue.assigned = activated, assigned
        raise
