"""Chooses where the outputs of production tasks are collected (domain.md 5.1: TaskBroker). Knows which tasks wait for that.

A transaction for each task: it is assigned and has its first jobs, or waits with its reason. How a nucleus is chosen is in
`core.taskbrokerage`.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import psycopg2

from core.agents.base import Agent
from core.brokerage.criteria import criteria_for
from core.brokerage.facts import LoadBook
from core.brokerage.keeping import keep_for_task
from core.database import Database, Row, Transaction
from core.errors import PandaError, Unavailable
from core.states import TaskStatus
from core.taskbrokerage.candidates import KIND, Nucleus
from core.taskbrokerage.choosing import Choice, choose
from core.taskbrokerage.criteria import Criterion, criteria_of_tasks
from core.taskbrokerage.facts import OutputBook, need_of_task, read_nuclei
from core.taskengine.destination import set_nucleus
from core.taskengine.dialects.reading import definition_of
from core.taskengine.following import say
from core.taskengine.making.generation import generate_jobs
from core.taskengine.scouting.gate import DEFAULT_SCOUTS
from core.taskengine.status import break_task, change_status, lock_task, meet_obstacle
from core.text import clean
from core.workload_settings import BrokerageSettings, GenerationSettings, ScoutSettings, TaskBrokerageSettings

log = logging.getLogger("panda.task_broker")

_TASKS_PER_CYCLE = 200

# ix_tasks_status
_WAITING = """
SELECT jedi_task_id FROM tasks WHERE status = 'assigning'
ORDER BY current_priority DESC, modification_time LIMIT %(limit)s
"""
# primary key; a task that somebody holds is looked at again in the next cycle
_TAKE = "SELECT * FROM tasks WHERE jedi_task_id = %(id)s AND status = 'assigning' FOR UPDATE SKIP LOCKED"


@dataclass(frozen=True)
class _Present:
    """The nuclei of one cycle; what is assigned counts there at once."""

    nuclei: list[Nucleus]
    criteria: list[Criterion]


class TaskBroker(Agent):
    """Every task that waits for a destination, in each cycle."""

    name = "task_broker"

    def __init__(
        self,
        database: Database,
        settings: TaskBrokerageSettings,
        period_s: float,
        *,
        brokerage: BrokerageSettings | None = None,
        generation: GenerationSettings | None = None,
        scouts: ScoutSettings = DEFAULT_SCOUTS,
    ) -> None:
        self._database = database
        self._settings = settings
        self._generation = generation or GenerationSettings()
        self._scouts = scouts
        brokerage = brokerage or BrokerageSettings()
        self._load = LoadBook(brokerage.load_s)
        self._job_criteria = {kind: criteria_for(kind, brokerage) for kind in ("production", "analysis")}
        self._book = OutputBook()
        self.period_s = period_s

    def cycle(self) -> int:
        """Look at each task once, the most urgent first; returns how many moved."""
        waiting = self._database.fetch(_WAITING, {"limit": _TASKS_PER_CYCLE})
        if not waiting:
            return 0
        with self._database.transaction() as transaction:
            queues = self._load.read(transaction)
            nuclei = read_nuclei(transaction, queues, self._book)
        present = _Present(nuclei, criteria_of_tasks(self._settings, queues, self._job_criteria))
        return sum(self._turn(row["jedi_task_id"], present) for row in waiting)

    def _turn(self, task_id: int, present: _Present) -> bool:
        try:
            with self._database.transaction() as transaction:
                task = transaction.fetch_one(_TAKE, {"id": task_id})
                return task is not None and self._assign(transaction, task, present)
        except Unavailable:
            raise
        except psycopg2.OperationalError as error:  # the database's trouble: nothing is wrong with the task
            log.warning("task %s is assigned later: %s", task_id, error, extra={"component": self.name})
            return False
        except PandaError as error:
            return self._break(task_id, str(error))
        except Exception as error:  # one task must not keep the others from their destination
            log.exception("no nucleus could be chosen for task %s", task_id, extra={"component": self.name})
            return self._hold(task_id, f"an error of the system: {type(error).__name__}: {error}")

    def _assign(self, transaction: Transaction, task: Row, present: _Present) -> bool:
        task_id = int(task["jedi_task_id"])
        if task["nucleus"] or not present.nuclei:
            why = f"its outputs go to {task['nucleus']}" if task["nucleus"] else "no storage collects outputs any more"
            self._let_go(transaction, task_id, why)
            return True
        need = need_of_task(transaction, task, definition_of(task), self._book)
        choice = choose(need, present.nuclei, present.criteria, self._settings)
        if choice.chosen is None:
            obstacle = choice.explanation()
            if task["error_dialog"] != clean(obstacle, 510):
                _keep(transaction, task_id, choice)
            meet_obstacle(transaction, task_id, obstacle, who=self.name, retry_s=self._settings.retry_s)
            log.warning("task %s has no nucleus: %s", task_id, obstacle, extra={"component": self.name})
            return True
        _keep(transaction, task_id, choice)
        if task["frozen_time"] is not None:  # what it says is the obstacle that is gone now
            say(transaction, task_id, "")
        set_nucleus(transaction, task_id, choice.chosen.name)
        self._let_go(transaction, task_id, f"its outputs are collected at {choice.chosen.name}")
        choice.chosen.remaining_jobs += need.jobs
        choice.chosen.projected_mb += need.output_mb
        return True

    def _let_go(self, transaction: Transaction, task_id: int, why: str) -> None:
        change_status(transaction, task_id, TaskStatus.READY, who=self.name, reason=why)
        generate_jobs(transaction, task_id, limit=self._generation.jobs_per_cycle, scouts=self._scouts)

    def _hold(self, task_id: int, reason: str) -> bool:
        """What went wrong with one task is said there; it is tried again with the others that wait."""
        with self._database.transaction() as transaction:
            if lock_task(transaction, task_id)["status"] == TaskStatus.ASSIGNING:
                meet_obstacle(transaction, task_id, reason, who=self.name, retry_s=self._settings.retry_s)
        return True

    def _break(self, task_id: int, reason: str) -> bool:
        log.warning("task %s is broken: %s", task_id, reason, extra={"component": self.name})
        with self._database.transaction() as transaction:
            break_task(transaction, task_id, reason, who=self.name)
        return True


def _keep(transaction: Transaction, task_id: int, choice: Choice) -> None:
    keep_for_task(
        transaction,
        task_id,
        KIND,
        chosen=choice.chosen.name if choice.chosen is not None else "",
        steps=choice.steps,
        candidate_count=choice.candidate_count,
        weights=choice.weights,
    )
