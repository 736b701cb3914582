"""Patterns that users write. The database matches them, whose regular expressions do not run away; a limit of time holds
all the same. Knows no table."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2.errors

from core.database import Transaction
from core.errors import InvalidInput


@contextmanager
def users_patterns(transaction: Transaction, field: str, limit_s: float) -> Iterator[None]:
    """Inside, statements match patterns of a user. Raises InvalidInput naming `field` for one that is none or takes longer
    than `limit_s`; the transaction is over then."""
    transaction.execute(
        "SELECT set_config('statement_timeout', %(limit_ms)s, true)", {"limit_ms": str(int(limit_s * 1000))}
    )
    try:
        yield
    except psycopg2.errors.InvalidRegularExpression as error:
        reason = str(error).strip().splitlines()[0]
        raise InvalidInput(reason, field=field, remedy="a regular expression, or write the characters out") from error
    except psycopg2.errors.QueryCanceled as error:
        raise InvalidInput(
            f"takes longer than {limit_s:g} s to match", field=field, remedy="a simpler pattern"
        ) from error
    transaction.execute("SET LOCAL statement_timeout = DEFAULT")
