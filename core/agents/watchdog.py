"""Ends jobs that stayed too long in a state, rule by rule, and counts what each rule did. Knows no rule by itself."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from functools import partial

import psycopg2

from core.agents.apart import done_apart
from core.agents.base import Agent
from core.configuration import Timeouts
from core.database import Database, Row, Transaction
from core.errors import Unavailable
from core.states import JobStatus
from core.taskbuffer.endings import Ending, JobError, end_jobs
from core.taskbuffer.killing import KILL_CODES, ending_of_killed
from core.taskbuffer.timeouts import RULES, TimeoutRule, older_than_limit, rule_parameters

log = logging.getLogger("panda.watchdog")

_BATCH = 500
_AGAIN_S = 60
"""How long a job rests whose end meets an error."""


def statement_of(rule: TimeoutRule) -> str:
    """Finds and locks the jobs of a rule; besides `rule_parameters` it is bound to `batch`.

    Those that are late longest come first: in the order of the primary key the whole table would be read to find none.
    """
    return f"""
SELECT j.panda_id, j.job_status, j.command_to_pilot, j.kill_code {older_than_limit(rule)}
ORDER BY j.{rule.age_of} LIMIT %(batch)s FOR UPDATE OF j SKIP LOCKED"""


_STATEMENTS = {rule.name: statement_of(rule) for rule in RULES}
# primary key
_COUNT = """
INSERT INTO timeout_counts AS t (name, ended_total, last_ended, last_ended_time, last_panda_id)
VALUES (%(name)s, %(ended)s, %(ended)s, clock_timestamp(), %(panda_id)s)
ON CONFLICT (name) DO UPDATE SET
    ended_total = t.ended_total + excluded.ended_total, last_ended = excluded.last_ended,
    last_ended_time = excluded.last_ended_time, last_panda_id = excluded.last_panda_id
"""


class Watchdog(Agent):
    """Applies every timeout."""

    name = "watchdog"

    def __init__(self, database: Database, timeouts: Timeouts, period_s: float) -> None:
        self._database = database
        self._timeouts = timeouts
        self._aside: dict[int, float] = {}
        """Jobs that could not be ended, and when they are tried again: those behind them are late too."""
        self.period_s = period_s

    def cycle(self) -> int:
        """One pass over all rules; returns how many jobs were ended."""
        now = time.monotonic()
        self._aside = {panda_id: until for panda_id, until in self._aside.items() if until > now}
        return sum(self._safely(rule) for rule in RULES)

    def _safely(self, rule: TimeoutRule) -> int:
        """Jobs of one rule that cannot be ended keep no others waiting."""
        try:
            return self._apply(rule)
        except (Unavailable, psycopg2.OperationalError, psycopg2.InterfaceError):
            raise
        except Exception:
            log.exception("no job could be ended: %s", rule.name, extra={"component": "watchdog"})
            return 0

    def _apply(self, rule: TimeoutRule) -> int:
        values = rule_parameters(rule, self._timeouts)
        with self._database.transaction() as transaction:
            found = transaction.fetch(_STATEMENTS[rule.name], {**values, "batch": _BATCH + len(self._aside)})
            late = [row for row in found if row["panda_id"] not in self._aside]
            ended: list[int] = []
            work = partial(_end, transaction, rule, values["limit_s"], ended)
            failures = done_apart(transaction, late, work)[1] if late else []
            _note(transaction, rule, ended)
        for row, error in failures:
            self._set_aside(rule, row["panda_id"], error)
        if ended:
            log.warning(
                "%d jobs ended: %s (limit %g s), for example PandaID %d",
                len(ended),
                rule.name,
                values["limit_s"],
                ended[0],
                extra={"component": "watchdog"},
            )
        return len(ended)

    def _set_aside(self, rule: TimeoutRule, panda_id: int, error: Exception) -> None:
        self._aside[panda_id] = time.monotonic() + _AGAIN_S
        log.error(
            "job %d cannot be ended (%s); tried again in %d s: %s",
            panda_id,
            rule.name,
            _AGAIN_S,
            error,
            exc_info=error,
            extra={"component": "watchdog", "panda_id": panda_id},
        )


def _end(transaction: Transaction, rule: TimeoutRule, limit_s: float, ended: list[int], late: Sequence[Row]) -> int:
    """End these jobs and add them to `ended`."""
    gone = end_jobs(transaction, [_ending(rule, row, limit_s) for row in late])
    ended += gone
    return len(gone)


def _note(transaction: Transaction, rule: TimeoutRule, ended: list[int]) -> None:
    if ended:
        transaction.execute(_COUNT, {"name": rule.name, "ended": len(ended), "panda_id": ended[0]})


def _ending(rule: TimeoutRule, row: Row, limit_s: float) -> Ending:
    reason = f"{rule.name}: more than {limit_s:g} s in {row['job_status']}"
    if rule.error is not None:
        killed = ending_of_killed(row, reason)
        if killed is not None:
            return killed
        code, sentence = rule.error
        diag = f"{sentence} ({reason})"
        return Ending(row["panda_id"], JobStatus.FAILED, reason, error=JobError("job_dispatcher", code, diag))
    kill = KILL_CODES[rule.kill_code or 2]
    error = JobError("task_buffer", kill.task_buffer_code, f"{kill.meaning}: {reason}")
    return Ending(row["panda_id"], kill.status, reason, kill.sub_status, error)
