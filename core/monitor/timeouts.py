"""The timeouts: limits in force, what each has ended, whom it will end, and when it is looked at next. Knows no page."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import psycopg2

from core.configuration import Timeouts
from core.database import Database, Transaction
from core.monitor.question import Grammar, Question
from core.monitor.reading import LIST_LIMIT_S, TooSlow, envelope
from core.taskbuffer.timeouts import RULES, TimeoutRule, older_than_limit, rule_parameters

TIMEOUT_GRAMMAR = Grammar(filters={})

# short tables, by primary key
_COUNTS = "SELECT * FROM timeout_counts"
_WATCHDOG = "SELECT last_run, next_run FROM agent_runs WHERE name = 'watchdog'"
_OLD = {rule.name: f"SELECT count(*) AS n {older_than_limit(rule, '0.5')}" for rule in RULES}


class OldJobs:
    """Live jobs past half of each limit: counted for one reader, kept for all of this process. Shared by threads."""

    def __init__(
        self, timeouts: Timeouts, *, kept_s: float = 10.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`kept_s`: how long a count is told; `clock` gives seconds."""
        self.timeouts = timeouts
        self._kept_s = kept_s
        self._clock = clock
        self._lock = threading.Lock()
        self._counts: dict[str, int] = {}
        self._counted_at = float("-inf")

    def counts(self, database: Database) -> Mapping[str, int]:
        """By rule. Raises TooSlow for the reader they were to be counted for."""
        # one thread counts while the others answer with what there is; the first time they wait
        if self._are_old() and self._lock.acquire(blocking=not self._counts):
            try:
                if self._are_old():
                    begun_at = self._clock()
                    self._counts = _count(database, self.timeouts)
                    self._counted_at = begun_at
            finally:
                self._lock.release()
        return self._counts

    def _are_old(self) -> bool:
        return self._clock() >= self._counted_at + self._kept_s


def _count(database: Database, timeouts: Timeouts) -> dict[str, int]:
    try:
        with database.transaction() as transaction:
            milliseconds = str(int(LIST_LIMIT_S * 1000))
            transaction.execute("SELECT set_config('statement_timeout', %(ms)s, true)", {"ms": milliseconds})
            return {rule.name: _count_one(transaction, rule, timeouts) for rule in RULES}
    except psycopg2.errors.QueryCanceled as error:
        raise TooSlow(f"counting takes longer than {LIST_LIMIT_S:g} s", remedy="try again later") from error


def _count_one(transaction: Transaction, rule: TimeoutRule, timeouts: Timeouts) -> int:
    [row] = transaction.fetch(_OLD[rule.name], rule_parameters(rule, timeouts))
    return int(row["n"])


def timeout_list(database: Database, old_jobs: OldJobs, question: Question) -> dict[str, Any]:
    """Every rule of the watchdog in its order; `older_than_half`: live jobs past half of the limit, some seconds ago."""
    done = {row["name"]: row for row in database.fetch(_COUNTS)}
    watchdog = database.fetch_one(_WATCHDOG) or {"last_run": None, "next_run": None}
    old = old_jobs.counts(database)
    rows = [_row(rule, old_jobs.timeouts, old[rule.name], done.get(rule.name, {})) for rule in RULES]
    return envelope(
        question.as_of,
        count=len(rows),
        warnings=question.warnings,
        last_run=watchdog["last_run"],
        next_run=watchdog["next_run"],
        timeouts=rows,
    )


def _row(rule: TimeoutRule, timeouts: Timeouts, older_than_half: int, done: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": rule.name,
        "about": rule.about,
        "states": list(rule.statuses),
        "age_of": rule.age_of,
        "limit_s": rule.limit_s(timeouts),
        "effect": rule.effect,
        "older_than_half": older_than_half,
        "ended_total": done.get("ended_total", 0),
        "last_ended": done.get("last_ended", 0),
        "last_ended_time": done.get("last_ended_time"),
        "last_panda_id": done.get("last_panda_id"),
    }
