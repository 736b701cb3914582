"""Locks a task together with its live jobs, in the order every ending uses. Knows no command."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from core.database import Row, Transaction
from core.states import JobStatus, TaskStatus


class JobsCameMeanwhile(Exception):
    """Jobs were made while the locks were being taken: begin again, with them."""


@dataclass(frozen=True)
class Issuer:
    """Who gives a command."""

    user_name: str
    is_production: bool = False
    """May command tasks of others."""


@dataclass(frozen=True)
class LockedTask:
    """A task nobody else can change until the transaction ends, and its live jobs likewise."""

    transaction: Transaction
    row: Row
    jobs: dict[int, JobStatus]
    """Live jobs in order of PandaID, each with the status it had when it was locked."""
    issuer: Issuer
    children: list[LockedTask] = field(default_factory=list)
    """Tasks that hang on this one, and theirs, where the command concerns them."""

    @property
    def task_id(self) -> int:
        """jediTaskID."""
        return int(self.row["jedi_task_id"])

    @property
    def status(self) -> TaskStatus:
        """The status when it was locked."""
        return TaskStatus(self.row["status"])

    @property
    def panda_ids(self) -> list[int]:
        """All its live jobs, in order."""
        return list(self.jobs)

    def jobs_in(self, statuses: Collection[JobStatus]) -> list[int]:
        """The live jobs that were in one of these states, in order."""
        return [panda_id for panda_id, status in self.jobs.items() if status in statuses]

    def execute(self, statement: str, **values: Any) -> int:
        """Run a statement with the id of the task as `task_id`."""
        return self.transaction.execute(statement, {"task_id": self.task_id, **values})


# ix_jobs_live_task
_LOCK_JOBS = """
SELECT panda_id, jedi_task_id, job_status FROM jobs_live
WHERE jedi_task_id = ANY(%(ids)s) ORDER BY panda_id FOR UPDATE
"""
_JOBS_NOW = "SELECT panda_id FROM jobs_live WHERE jedi_task_id = ANY(%(ids)s)"
# primary key
_LOCK_TASKS = "SELECT * FROM tasks WHERE jedi_task_id = ANY(%(ids)s) ORDER BY jedi_task_id FOR UPDATE"

# ix_tasks_parent; UNION, not UNION ALL: a circle of parents ends
_DESCENDANTS = """
WITH RECURSIVE family AS (
    SELECT jedi_task_id FROM tasks WHERE parent_tid = %(id)s AND jedi_task_id <> %(id)s
    UNION
    SELECT t.jedi_task_id FROM tasks t JOIN family f ON t.parent_tid = f.jedi_task_id WHERE t.jedi_task_id <> %(id)s
)
SELECT jedi_task_id FROM family
"""


def lock_task_with_jobs(
    transaction: Transaction, task_id: int, issuer: Issuer, *, with_descendants: bool = False
) -> LockedTask | None:
    """Lock live jobs, then the task; None when there is no such task. Raises JobsCameMeanwhile."""
    found = transaction.fetch(_DESCENDANTS, {"id": task_id}) if with_descendants else []
    ids = {"ids": [task_id, *(row["jedi_task_id"] for row in found)]}
    # the jobs are locked before their tasks, as in every ending, so that the two cannot wait for each other
    jobs: dict[int, dict[int, JobStatus]] = {}
    for row in transaction.fetch(_LOCK_JOBS, ids):
        jobs.setdefault(row["jedi_task_id"], {})[row["panda_id"]] = JobStatus(row["job_status"])
    rows = {row["jedi_task_id"]: row for row in transaction.fetch(_LOCK_TASKS, ids)}
    locked = {panda_id for of_task in jobs.values() for panda_id in of_task}
    # whoever makes jobs holds the task: from here on there come no others
    if {row["panda_id"] for row in transaction.fetch(_JOBS_NOW, ids)} - locked:
        raise JobsCameMeanwhile
    if task_id not in rows:
        return None
    family = {key: LockedTask(transaction, row, jobs.get(key, {}), issuer) for key, row in rows.items()}
    family[task_id].children.extend(member for key, member in family.items() if key != task_id)
    return family[task_id]
