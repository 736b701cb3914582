"""Work that needs a table for itself, and would rather wait for another day than make everybody wait. Knows no table."""

from __future__ import annotations

from collections.abc import Callable

import psycopg2.errors

from core.database.connection import Database, Transaction
from core.errors import Unavailable

# whoever asks for the table meanwhile stands in line behind this
_PATIENCE = "SELECT set_config('lock_timeout', '2s', true)"


def in_patience(database: Database, step: Callable[[Transaction], None]) -> bool:
    """Do a step in a transaction of its own unless somebody holds what it locks for long; returns whether it was done."""
    try:
        with database.transaction() as transaction:
            transaction.execute(_PATIENCE)
            step(transaction)
    except Unavailable as error:
        if not isinstance(error.__cause__, psycopg2.errors.LockNotAvailable):
            raise
        return False
    return True
