"""Lets go what waited for something else: run jobs for their build job, tasks for their parent. Knows no rule itself."""

from __future__ import annotations

import logging
from functools import partial

from core.agents.apart import done_apart
from core.agents.base import Agent
from core.database import Database
from core.taskengine.making.building import jobs_behind_builds, release_jobs_behind_builds
from core.taskengine.parents import follow_parents

log = logging.getLogger("panda.releaser")


class Releaser(Agent):
    """Run jobs after builds, children after parents."""

    name = "releaser"

    def __init__(self, database: Database, period_s: float) -> None:
        self._database = database
        self.period_s = period_s

    def cycle(self) -> int:
        """One look at everything that waits; returns how many jobs and tasks moved."""
        return self._release_waiting_jobs() + follow_parents(self._database)

    def _release_waiting_jobs(self) -> int:
        """A task whose jobs cannot be moved keeps neither others' jobs nor the children of tasks waiting."""
        with self._database.transaction() as transaction:
            waiting = jobs_behind_builds(transaction)
            if not waiting:
                return 0
            moved, failures = done_apart(transaction, waiting, partial(release_jobs_behind_builds, transaction))
        for jobs, error in failures:
            task_id = jobs[0]["jedi_task_id"]
            extra = {"component": "releaser", "jedi_task_id": task_id}
            log.error(
                "task %d: its jobs cannot follow their build job: %s", task_id, error, exc_info=error, extra=extra
            )
        return moved
