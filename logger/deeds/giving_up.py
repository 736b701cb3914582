"""What becomes of a deed that fails again and again: what cannot be done is refused by name. Knows no action."""

from __future__ import annotations

from collections import Counter

from core.clock import Clock
from core.database import Database
from core.text import clean
from logger.deeds.base import REFUSED, Outcome
from logger.deeds.carrying_out import NEXT_ALONE, as_deed, deed_row, finish_if_nothing_waits, mark

_TRIES = 3
"""Failures of one page after which its targets are done one by one, so that one that cannot be done keeps no other waiting."""
_ALONE = 10
"""Targets that failed alone after which the rest of the deed is refused with them."""

_FREE = "UPDATE deeds SET lease_until = NULL WHERE deed_id = %(deed_id)s AND state = 'executing'"


class Failures:
    """How often the deeds of this process failed. Another process begins to count anew."""

    def __init__(self) -> None:
        self._failed: Counter[int] = Counter()

    def page(self, deed_id: int, usual: int | None) -> int | None:
        """How many targets of a deed to do at a time."""
        return 1 if self._failed[deed_id] >= _TRIES else usual

    def note(self, database: Database, deed_id: int, clock: Clock, error: Exception) -> None:
        """A page failed. It is tried again when its lease is over; a target that fails alone is refused with the reason."""
        self._failed[deed_id] += 1
        failed = self._failed[deed_id]
        if failed <= _TRIES:
            return
        most = 1 if failed < _TRIES + _ALONE else None
        words = clean(f"failed: {error}".splitlines()[0], 500)
        with database.transaction() as transaction:
            waiting = transaction.fetch(NEXT_ALONE, {"deed_id": deed_id, "most": most})
            outcomes = [Outcome(row["target"], REFUSED, words) for row in waiting]
            deed = as_deed(deed_row(transaction, deed_id), clock())
            mark(transaction, deed_id, outcomes, deed.now)
            transaction.execute(_FREE, {"deed_id": deed_id})
            finish_if_nothing_waits(transaction, deed)
