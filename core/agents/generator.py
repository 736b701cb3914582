"""Makes jobs of tasks that have input for them, bunch by bunch, the most urgent first (domain.md 3.1, 3.8: JobGenerator).

Knows which tasks are due and what holds them back; how jobs are made is in `core.taskengine.making.generation`.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import psycopg2

from core.agents.base import Agent
from core.brokerage.throttle import Throttle, flooded, task_throttle
from core.database import Database, Row, Transaction
from core.errors import PandaError, Unavailable
from core.states import TaskStatus
from core.taskengine.lanes import FullLane, LaneKey, full_lane, lane_of
from core.taskengine.making.closing import settle
from core.taskengine.making.generation import MAKING_TASK_STATUSES, generate_jobs
from core.taskengine.making.ready_input import ready_files
from core.taskengine.patience import pending_retry_s
from core.taskengine.scouting.gate import DEFAULT_SCOUTS
from core.taskengine.status import exhaust_task, meet_obstacle
from core.workload_settings import GenerationSettings, GuardSettings, ScoutSettings, TaskTimes

log = logging.getLogger("panda.generator")

_TASKS_PER_CYCLE = 50

# ix_tasks_generate; whoever had a bunch stands behind those of the same priority who wait longer
_DUE = """
SELECT jedi_task_id FROM tasks WHERE generate_at <= clock_timestamp()
ORDER BY current_priority DESC, generate_at LIMIT %(limit)s
"""
# primary key; a task that somebody holds is looked at again in the next cycle
_TAKE = """
SELECT * FROM tasks WHERE jedi_task_id = %(id)s AND generate_at <= clock_timestamp() FOR UPDATE SKIP LOCKED
"""
_LATER = """
UPDATE tasks SET generate_at = clock_timestamp() + make_interval(secs => %(after_s)s) WHERE jedi_task_id = %(id)s
"""
_REST = "UPDATE tasks SET generate_at = NULL WHERE jedi_task_id = %(id)s"


@dataclass(frozen=True)
class _Turn:
    """What came of one task: jobs made, or why none were."""

    made: int = 0
    is_moved: bool = False


class Generator(Agent):
    """One bunch of every task that is due, in each cycle."""

    name = "generator"

    def __init__(
        self,
        database: Database,
        settings: GenerationSettings,
        times: TaskTimes,
        period_s: float,
        scouts: ScoutSettings = DEFAULT_SCOUTS,
        guards: GuardSettings | None = None,
    ) -> None:
        self._database = database
        self._settings = settings
        self._times = times
        self._scouts = scouts
        self._guards = guards or GuardSettings()
        self._full_lanes: dict[LaneKey, FullLane | None] = {}
        """Of the present cycle; None for a lane that is not full."""
        self.period_s = period_s

    def cycle(self) -> int:
        """Give each task that is due its turn; returns how many jobs were made and tasks moved on."""
        self._full_lanes.clear()
        due = self._database.fetch(_DUE, {"limit": _TASKS_PER_CYCLE})
        turns = [self._turn(row["jedi_task_id"]) for row in due]
        return sum(turn.made + turn.is_moved for turn in turns)

    def _turn(self, task_id: int) -> _Turn:
        try:
            with self._database.transaction() as transaction:
                task = transaction.fetch_one(_TAKE, {"id": task_id})
                return _Turn() if task is None else self._serve(transaction, task)
        except Unavailable:
            raise
        except psycopg2.OperationalError as error:  # the database's trouble: nothing is wrong with the task
            log.warning("task %s gets jobs later: %s", task_id, error, extra={"component": self.name})
            self._database.execute(_LATER, {"id": task_id, "after_s": self._settings.throttled_retry_s})
            return _Turn()
        except PandaError as error:
            self._hold(task_id, str(error))
        except Exception as error:  # one task must not keep the others from their jobs
            log.exception("no jobs could be made of task %s", task_id, extra={"component": self.name})
            self._hold(task_id, f"an error of the system: {type(error).__name__}: {error}")
        return _Turn(is_moved=True)

    def _serve(self, transaction: Transaction, task: Row) -> _Turn:
        task_id, status = task["jedi_task_id"], TaskStatus(task["status"])
        if status in (TaskStatus.ABORTING, TaskStatus.FINISHING):
            transaction.execute(_REST, {"id": task_id})
            settle(transaction, task_id)
            return _Turn(is_moved=True)
        if status not in MAKING_TASK_STATUSES:
            transaction.execute(_REST, {"id": task_id})
            return _Turn()
        # a task without ready input is only to be ended, which nothing holds back
        if ready_files(transaction, task_id, 1):
            if self._is_lane_full(transaction, task):
                transaction.execute(_LATER, {"id": task_id, "after_s": self._settings.throttled_retry_s})
                return _Turn()
            throttle = task_throttle(transaction, task)
            if throttle is not None:
                self._hold_back(transaction, task, throttle)
                return _Turn(is_moved=True)
        made = generate_jobs(
            transaction, task_id, limit=self._settings.jobs_per_cycle, builds_again=False, scouts=self._scouts
        )
        return _Turn(made=len(made))

    def _is_lane_full(self, transaction: Transaction, task: Row) -> bool:
        """Whether enough jobs of the share and resource type wait already; what is more urgent than all of them passes."""
        key = lane_of(task)
        if key not in self._full_lanes:
            self._full_lanes[key] = full_lane(transaction, key, self._settings)
        full = self._full_lanes[key]
        return full is not None and full.holds(task)

    def _hold_back(self, transaction: Transaction, task: Row, throttle: Throttle) -> None:
        """Caps of the account or the share: the task says so while it waits; far beyond them it does not even wait."""
        flood = flooded(transaction, task, self._guards.max_over_queue_cap)
        if flood is not None:
            exhaust_task(transaction, task["jedi_task_id"], flood, who=self.name)
            return
        reason = f"{throttle.reason}; {throttle.next_step}"
        status = TaskStatus.THROTTLED if task["status"] == TaskStatus.RUNNING else TaskStatus.PENDING
        retry_s = self._times.pending_retry_urgent_s
        meet_obstacle(transaction, task["jedi_task_id"], reason, who=self.name, retry_s=retry_s, status=status)

    def _hold(self, task_id: int, reason: str) -> None:
        """Jobs cannot be made now: the task waits, and says why."""
        log.warning("task %s is held: %s", task_id, reason, extra={"component": self.name})
        with self._database.transaction() as transaction:
            task = transaction.fetch_one("SELECT * FROM tasks WHERE jedi_task_id = %(id)s FOR UPDATE", {"id": task_id})
            if task is None or TaskStatus(task["status"]) not in MAKING_TASK_STATUSES:
                transaction.execute(_REST, {"id": task_id})
                return
            retry_s = pending_retry_s(task, self._times)
            meet_obstacle(transaction, task_id, reason, who=self.name, retry_s=retry_s)
