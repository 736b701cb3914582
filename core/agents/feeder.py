"""Lists the input of large tasks, page after page, until jobs can be made of it (domain.md 3.1: ContentsFeeder).

Knows which tasks wait for it; how input is read is in `core.taskengine.making.contents`.
"""

from __future__ import annotations

import logging

import psycopg2

from core.agents.base import Agent
from core.database import Database
from core.errors import PandaError, Unavailable
from core.taskengine.destination import listed
from core.taskengine.making.contents import feed_contents
from core.taskengine.making.generation import generate_jobs
from core.taskengine.scouting.gate import DEFAULT_SCOUTS
from core.taskengine.status import break_task, meet_obstacle
from core.workload_settings import GenerationSettings, ScoutSettings

log = logging.getLogger("panda.feeder")

_TASKS_PER_CYCLE = 200
_RETRY_S = 60.0
"""When a task is listed again after a statement of it was cancelled, for taking too long perhaps."""

# ix_tasks_status
_WAITING = """
SELECT jedi_task_id FROM tasks WHERE status = 'defined' ORDER BY current_priority DESC, modification_time LIMIT %(limit)s
"""
# primary key; somebody who holds the task has it changed already when the next cycle looks
_TAKE = """
SELECT jedi_task_id FROM tasks WHERE jedi_task_id = %(id)s AND status = 'defined' FOR UPDATE SKIP LOCKED
"""
_TURN = "UPDATE tasks SET modification_time = clock_timestamp() WHERE jedi_task_id = %(id)s"


class Feeder(Agent):
    """One page of every task that waits, in each cycle."""

    name = "feeder"

    def __init__(
        self, database: Database, settings: GenerationSettings, period_s: float, scouts: ScoutSettings = DEFAULT_SCOUTS
    ) -> None:
        self._database = database
        self._settings = settings
        self._scouts = scouts
        self.period_s = period_s

    def cycle(self) -> int:
        """Give each waiting task one page; returns how many tasks got one."""
        waiting = self._database.fetch(_WAITING, {"limit": _TASKS_PER_CYCLE})
        return sum(self._feed(row["jedi_task_id"]) for row in waiting)

    def _feed(self, task_id: int) -> bool:
        try:
            with self._database.transaction() as transaction:
                if transaction.fetch_one(_TAKE, {"id": task_id}) is None:
                    return False
                fed = feed_contents(transaction, task_id, limit=self._settings.files_per_cycle)
                transaction.execute(_TURN, {"id": task_id})
                if fed.is_complete:
                    listed(transaction, task_id, who=self.name, reason="its input is listed")
                    # a task whose input is through already ends here
                    generate_jobs(transaction, task_id, limit=self._settings.jobs_per_cycle, scouts=self._scouts)
        except Unavailable:
            raise
        except psycopg2.OperationalError as error:  # the database's trouble: nothing is wrong with the task
            return self._wait(task_id, f"its input could not be read: {str(error).strip()}")
        except PandaError as error:
            return self._break(task_id, str(error))
        except Exception as error:  # one task must not keep the others from being listed
            log.exception("task %s cannot be listed", task_id, extra={"component": self.name})
            return self._break(task_id, f"an error of the system: {type(error).__name__}: {error}")
        return True

    def _wait(self, task_id: int, reason: str) -> bool:
        log.warning("task %s is listed later: %s", task_id, reason, extra={"component": self.name})
        with self._database.transaction() as transaction:
            if transaction.fetch_one(_TAKE, {"id": task_id}) is not None:
                meet_obstacle(transaction, task_id, reason, who=self.name, retry_s=_RETRY_S)
        return False

    def _break(self, task_id: int, reason: str) -> bool:
        log.warning("task %s is broken: %s", task_id, reason, extra={"component": self.name})
        with self._database.transaction() as transaction:
            break_task(transaction, task_id, reason, who=self.name)
        return True
