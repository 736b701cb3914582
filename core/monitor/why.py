"""Why a job or a task does not run, read at one moment. Knows no page; the statements are in core/why."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import psycopg2

from core.database import Database, Transaction
from core.monitor.reading import LIST_LIMIT_S, TooSlow, envelope
from core.why.explaining import Explainer


def why_job(database: Database, explainer: Explainer, panda_id: int, as_of: datetime) -> dict[str, Any]:
    """The answer for a job. Raises UnknownObject, and TooSlow when it takes longer than any page may."""
    return _answer(database, as_of, lambda transaction: explainer.job(transaction, panda_id, as_of))


def why_task(database: Database, explainer: Explainer, jedi_task_id: int, as_of: datetime) -> dict[str, Any]:
    """The answer for a task. Raises as `why_job`."""
    return _answer(database, as_of, lambda transaction: explainer.task(transaction, jedi_task_id, as_of))


def _answer(database: Database, as_of: datetime, explain: Callable[[Transaction], dict[str, Any]]) -> dict[str, Any]:
    """One snapshot for all questions, so that what ends meanwhile is told as it was."""
    try:
        with database.transaction() as transaction:
            transaction.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            limit = {"ms": str(int(LIST_LIMIT_S * 1000))}
            transaction.execute("SELECT set_config('statement_timeout', %(ms)s, true)", limit)
            return envelope(as_of, count=1, **explain(transaction))
    except psycopg2.errors.QueryCanceled as error:
        raise TooSlow(
            f"this takes longer than {LIST_LIMIT_S:g} s", remedy="try again when the database is less busy"
        ) from error
