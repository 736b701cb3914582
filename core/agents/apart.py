"""Works through a batch so that what goes wrong with one part of it keeps nothing else from being done. Knows no table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

import psycopg2

from core.database import Transaction

T = TypeVar("T")


def done_apart(
    transaction: Transaction,
    items: Sequence[T],
    work: Callable[[Sequence[T]], int],
    undoing: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> tuple[int, list[tuple[T, Exception]]]:
    """Do `work` of as many items at once as it can be done of: the sum of its answers, and what failed with its error.

    A batch that fails is halved until the items that it fails with are alone; all others are done. `undoing`: around each
    attempt, for what a failed one leaves in memory. An unreachable database is nobody's fault, and raises as always.
    """
    try:
        with transaction.savepoint(), undoing():
            return work(items), []
    except (psycopg2.OperationalError, psycopg2.InterfaceError):
        raise
    except Exception as error:  # noqa: BLE001  (the caller tells whose it is)
        if len(items) == 1:
            return 0, [(items[0], error)]
    middle = len(items) // 2
    parts = [done_apart(transaction, half, work, undoing) for half in (items[:middle], items[middle:])]
    return sum(done for done, _ in parts), [failure for _, failures in parts for failure in failures]
