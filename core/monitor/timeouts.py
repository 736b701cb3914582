"""The timeouts: limits in force, what each has ended, whom it will end, and when it is looked at next. Knows no page."""

from __future__ import annotations

from typing import Any

import psycopg2

from core.configuration import Timeouts
from core.database import Database, Transaction
from core.errors import Unavailable
from core.monitor.question import Grammar, Question
from core.monitor.reading import LIST_LIMIT_S, TooSlow, envelope
from core.taskbuffer.timeouts import RULES, TimeoutRule, older_than_limit, rule_parameters

TIMEOUT_GRAMMAR = Grammar(filters={})

# short tables, by primary key
_COUNTS = "SELECT * FROM timeout_counts"
_WATCHDOG = "SELECT last_run, next_run FROM agent_runs WHERE name = 'watchdog'"
_OLD = {rule.name: f"SELECT count(*) AS n {older_than_limit(rule, '0.5')}" for rule in RULES}


def timeout_list(database: Database, timeouts: Timeouts, question: Question) -> dict[str, Any]:
    """Every rule of the watchdog in its order; `older_than_half` counts live jobs past half of the limit."""
    counts = {row["name"]: row for row in database.fetch(_COUNTS)}
    watchdog = database.fetch_one(_WATCHDOG) or {"last_run": None, "next_run": None}
    try:
        with database.transaction() as transaction:
            milliseconds = str(int(LIST_LIMIT_S * 1000))
            transaction.execute("SELECT set_config('statement_timeout', %(ms)s, true)", {"ms": milliseconds})
            rows = [_row(transaction, rule, timeouts, counts.get(rule.name, {})) for rule in RULES]
    except psycopg2.errors.QueryCanceled as error:
        raise TooSlow(f"counting takes longer than {LIST_LIMIT_S:g} s", remedy="try again later") from error
    return envelope(
        question.as_of,
        count=len(rows),
        warnings=question.warnings,
        last_run=watchdog["last_run"],
        next_run=watchdog["next_run"],
        timeouts=rows,
    )


def _row(transaction: Transaction, rule: TimeoutRule, timeouts: Timeouts, counted: dict[str, Any]) -> dict[str, Any]:
    old = transaction.fetch_one(_OLD[rule.name], rule_parameters(rule, timeouts))
    if old is None:  # a count always answers
        raise Unavailable("the database gave no answer", remedy="try again")
    return {
        "name": rule.name,
        "about": rule.about,
        "states": list(rule.statuses),
        "age_of": rule.age_of,
        "limit_s": rule.limit_s(timeouts),
        "effect": rule.effect,
        "older_than_half": old["n"],
        "ended_total": counted.get("ended_total", 0),
        "last_ended": counted.get("last_ended", 0),
        "last_ended_time": counted.get("last_ended_time"),
        "last_panda_id": counted.get("last_panda_id"),
    }
