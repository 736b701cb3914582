"""Waits for scouts and has the verdict carried out; measures tasks once more later. Knows no rule itself."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import psycopg2

from core.agents.base import Agent
from core.database import Database
from core.errors import PandaError, Unavailable
from core.states import TaskStatus
from core.taskengine.scouting.verdicts import judge_scouts, measure_again
from core.taskengine.status import lock_task, wake
from core.workload_settings import ScoutSettings

log = logging.getLogger("panda.scouts")

_COMPONENT = {"component": "scouts"}
_AGAIN_S = 60.0
"""How long a task rests whose scouts cannot be judged: whoever mends its parameters ends no job of it."""

# ix_tasks_status; the counts change whenever a job ends
_SCOUTING = """
SELECT jedi_task_id, n_jobs, n_finished, n_failed, n_cancelled FROM tasks WHERE status = 'scouting' ORDER BY jedi_task_id
"""
# ix_tasks_status; once for each task
_TO_MEASURE_AGAIN = """
SELECT jedi_task_id FROM tasks
WHERE status = 'running' AND measured ? 'scouts' AND NOT measured ? 'again'
  AND n_finished >= %(count)s + CASE WHEN jsonb_typeof(measured -> 'scouts' -> 'finished') = 'number'
                                     THEN (measured -> 'scouts' ->> 'finished')::numeric ELSE 0 END
ORDER BY jedi_task_id LIMIT 100
"""


class Scouts(Agent):
    """From scouts to the verdict, and the second look after the first hundred jobs."""

    name = "scouts"

    def __init__(self, database: Database, settings: ScoutSettings, period_s: float) -> None:
        self._database = database
        self._settings = settings
        self._seen: dict[int, tuple[int, ...]] = {}
        """Counts of jobs of the tasks in scouting when they were judged last: until one ends nothing is to be read again."""
        self._again: dict[int, float] = {}
        """Tasks that could not be judged, and when they are tried again."""
        self.period_s = period_s

    def cycle(self) -> int:
        """Look at every task in scouting and every one due for the second measuring; returns how many changed."""
        counts = {row["jedi_task_id"]: tuple(row.values()) for row in self._database.fetch(_SCOUTING)}
        now = time.monotonic()
        again = {task_id for task_id, at in self._again.items() if at <= now}
        scouting = [task_id for task_id, seen in counts.items() if self._seen.get(task_id) != seen or task_id in again]
        self._again = {task_id: at for task_id, at in self._again.items() if task_id in counts and at > now}
        late = self._database.fetch(_TO_MEASURE_AGAIN, {"count": self._settings.recompute_after_jobs})
        judged = sum(self._safely(self._judge, task_id) for task_id in scouting)
        self._seen = counts
        return judged + sum(self._safely(self._measure_again, row["jedi_task_id"]) for row in late)

    def _safely(self, work: Callable[[int], bool], task_id: int) -> bool:
        """What is wrong with one task must not keep the others waiting."""
        try:
            return work(task_id)
        except (Unavailable, psycopg2.OperationalError, psycopg2.InterfaceError):
            raise
        except PandaError as error:
            log.warning("task %d: its scouts cannot be judged: %s", task_id, error, extra=_COMPONENT)
        except Exception:
            log.exception("task %d: its scouts cannot be judged", task_id, extra=_COMPONENT)
        self._again[task_id] = time.monotonic() + _AGAIN_S
        return False

    def _judge(self, task_id: int) -> bool:
        with self._database.transaction() as transaction:
            task = lock_task(transaction, task_id)
            if task["status"] != TaskStatus.SCOUTING:
                return False
            verdict = judge_scouts(transaction, task, self._settings)
            if verdict.outcome == "scouted":
                wake(transaction, task_id)
        if verdict.outcome == "wait":
            return False
        level = logging.INFO if verdict.outcome == "scouted" else logging.WARNING
        log.log(level, "task %d is %s: %s", task_id, verdict.outcome, verdict.reason, extra=_COMPONENT)
        return True

    def _measure_again(self, task_id: int) -> bool:
        with self._database.transaction() as transaction:
            task = lock_task(transaction, task_id)
            if task["status"] != TaskStatus.RUNNING:
                return False
            changes = measure_again(transaction, task, self._settings)
        said = ", ".join(f"{name} {value}" for name, value in changes.items()) or "as before"
        log.info("task %d was measured once more: %s", task_id, said, extra=_COMPONENT)
        return True
