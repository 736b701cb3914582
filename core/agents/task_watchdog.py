"""Looks after tasks that wait, that reached their goal, or that were lost sight of; `patience` and `strays` hold the rules."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial

import psycopg2

from core.agents.base import Agent
from core.database import Database, Transaction
from core.errors import PandaError
from core.taskengine import failing, patience, strays, tails
from core.taskengine.commands.locking import JobsCameMeanwhile
from core.taskengine.status import wake
from core.workload_settings import GuardSettings, TailSettings, TaskTimes

log = logging.getLogger("panda.task_watchdog")

_COMPONENT = "task_watchdog"
_BATCH = 200
_STRANDED_S = 600.0


class TaskWatchdog(Agent):
    """Waits, goals, budgets of failed work, the last jobs of large tasks, and the net below the engine."""

    name = "task_watchdog"

    def __init__(
        self,
        database: Database,
        times: TaskTimes,
        period_s: float,
        *,
        guards: GuardSettings | None = None,
        tails: TailSettings | None = None,
        stranded_s: float = _STRANDED_S,
    ) -> None:
        self._database = database
        self._guards = guards or GuardSettings()
        self._tails = tails or TailSettings()
        self._times = times
        self._stranded_s = stranded_s
        self._goals_at = 0.0
        self.period_s = period_s

    def cycle(self) -> int:
        """One look at all of it; returns how many tasks moved."""
        moved = sum(self._end_waits(wait) for wait in patience.WAITS)
        moved += self._stop_failing() + self._hurry_tails()
        return moved + self._look_now_and_then() + self._wake_sleepers() + self._rescue_stranded()

    def _end_waits(self, wait: patience.Wait) -> int:
        due = self._database.fetch(patience.due_statement(wait), {"batch": _BATCH})
        return sum(self._safely(row["jedi_task_id"], partial(self._end_wait, wait)) for row in due)

    def _end_wait(self, wait: patience.Wait, transaction: Transaction, task_id: int) -> str | None:
        return patience.end_wait(transaction, task_id, wait, self._times)

    def _stop_failing(self) -> int:
        stop = partial(failing.stop_failing, guards=self._guards)
        return sum(
            self._safely(task_id, stop) for task_id in failing.over_budget(self._database, self._guards, batch=_BATCH)
        )

    def _hurry_tails(self) -> int:
        hurry = partial(tails.hurry, settings=self._tails)
        found = tails.tails(self._database, self._tails, batch=_BATCH)
        return sum(self._safely(task_id, hurry, level=logging.INFO) for task_id in found)

    def _look_now_and_then(self) -> int:
        """What is not urgent and takes a look at every task."""
        if time.monotonic() < self._goals_at:
            return 0
        self._goals_at = time.monotonic() + self._times.goal_check_s
        return self._end_reached_goals() + self._exhaust_without_queue()

    def _exhaust_without_queue(self) -> int:
        return sum(
            self._safely(row["jedi_task_id"], self._give_up_queues)
            for row in patience.without_queue(self._database, self._times, batch=_BATCH)
        )

    def _give_up_queues(self, transaction: Transaction, task_id: int) -> str | None:
        return patience.give_up_queues(transaction, task_id, self._times)

    def _end_reached_goals(self) -> int:
        return sum(
            self._safely(
                row["jedi_task_id"],
                partial(
                    _finish,
                    f"{row['n_files_finished']} of {row['n_files']} files are done, its goal is {row['goal'] / 10:g} %",
                ),
            )
            for row in strays.goals_reached(self._database, batch=_BATCH)
        )

    def _wake_sleepers(self) -> int:
        return sum(self._safely(task_id, _wake) for task_id in strays.asleep(self._database, batch=_BATCH))

    def _rescue_stranded(self) -> int:
        found = strays.stranded(self._database, age_s=self._stranded_s, batch=_BATCH)
        return sum(self._safely(task_id, strays.rescue, level=logging.ERROR) for task_id in found)

    def _safely(
        self, task_id: int, work: Callable[[Transaction, int], str | None], *, level: int = logging.WARNING
    ) -> bool:
        """Do something with one task in a transaction of its own, and tell; one task's trouble is not the others'."""
        try:
            with self._database.transaction() as transaction:
                said = work(transaction, task_id)
        except JobsCameMeanwhile:
            return False
        except PandaError as error:
            said, level = f"cannot be looked after: {error}", logging.ERROR
        except (psycopg2.OperationalError, psycopg2.InterfaceError):
            raise
        except Exception as error:  # noqa: BLE001  (rows that somebody damaged: the other tasks go on)
            said, level = f"cannot be looked after: {type(error).__name__}: {error}", logging.ERROR
        if said is None:
            return False
        # what people must know is an incident; the fingerprint gathers a trouble that many tasks have
        trouble = {"fingerprint": f"task {said.split(':')[0]}"} if level >= logging.ERROR else {}
        extra = {"component": _COMPONENT, "jedi_task_id": task_id, **trouble}
        log.log(level, "task %d %s", task_id, said, extra=extra)
        return True


def _finish(because: str, transaction: Transaction, task_id: int) -> str | None:
    return patience.finish_softly(transaction, task_id, because, strays.WORKING)


def _wake(transaction: Transaction, task_id: int) -> str:
    wake(transaction, task_id)
    return "has ready input that nobody looked at: woken"
