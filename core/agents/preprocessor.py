"""Has a first job work out the definition of tasks that ask for it, and takes over what it found (domain.md 3.3).

Knows which task is next and what becomes of one that cannot go on; each step is in `core.taskengine.preprocessing`.
"""

from __future__ import annotations

import logging

import psycopg2

from core.agents.base import Agent
from core.database import Database
from core.errors import PandaError, Unavailable
from core.taskengine.preprocessing.advancing import advance, due_for_preprocessing, take
from core.taskengine.preprocessing.filling import WHO
from core.taskengine.scouting.gate import DEFAULT_SCOUTS
from core.taskengine.status import break_task, meet_obstacle
from core.workload_settings import ScoutSettings

log = logging.getLogger("panda.preprocessor")

_TASKS_PER_CYCLE = 200
_RETRY_S = 60.0
"""When a task is looked at again after a statement of it was cancelled, for taking too long perhaps."""


class Preprocessor(Agent):
    """One step of every task that is due, in each cycle."""

    name = WHO

    def __init__(self, database: Database, period_s: float, scouts: ScoutSettings = DEFAULT_SCOUTS) -> None:
        self._database = database
        self._scouts = scouts
        self.period_s = period_s

    def cycle(self) -> int:
        """Take the next step of each; returns how many tasks got further."""
        due = due_for_preprocessing(self._database, limit=_TASKS_PER_CYCLE)
        return sum(self._step(task_id) for task_id in due)

    def _step(self, task_id: int) -> bool:
        try:
            with self._database.transaction() as transaction:
                return advance(transaction, task_id, self._scouts)
        except Unavailable:
            raise
        except psycopg2.OperationalError as error:  # the database's trouble: nothing is wrong with the task
            return self._wait(task_id, f"its preprocessing goes on later: {str(error).strip()}")
        except PandaError as error:
            return self._break(task_id, str(error))
        except Exception as error:  # one task must not keep the others from being defined
            log.exception("task %s cannot be preprocessed", task_id, extra={"component": self.name})
            return self._break(task_id, f"an error of the system: {type(error).__name__}: {error}")

    def _wait(self, task_id: int, reason: str) -> bool:
        log.warning("task %s waits: %s", task_id, reason, extra={"component": self.name})
        with self._database.transaction() as transaction:
            if take(transaction, task_id) is not None:
                meet_obstacle(transaction, task_id, reason, who=self.name, retry_s=_RETRY_S)
        return False

    def _break(self, task_id: int, reason: str) -> bool:
        log.warning("task %s is broken: %s", task_id, reason, extra={"component": self.name})
        with self._database.transaction() as transaction:
            if take(transaction, task_id) is not None:
                break_task(transaction, task_id, reason, who=self.name)
        return True
