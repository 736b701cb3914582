"""The loop of silences: ends those whose reason has come, and silences what the filters of matchers find.

Knows silences, not why one ends; one transaction for those that end for one reason and for each matcher, so that
none waits for another.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from functools import partial

from core.clock import Clock
from core.database import Database, Row, Transaction
from core.errors import Conflict, InvalidInput, Unavailable
from logger.life import Act
from logger.selecting import IS_SHOWN, select
from logger.silences import AT_ONCE, MATCHERS, Until, due, end
from logger.silences_many import end_all, silence_all

log = logging.getLogger("panda.logger")

_ENDS_AT_ONCE = 500
"""Silences that one look ends; the next one follows at once."""
_ENDING = Act("server", "unsilence", is_automatic=True)

# a short range of ix_incidents_shown, then the matcher's own condition; in the order in which the fold locks them
_FOUND = """
SELECT incident_id, state FROM incidents
WHERE {shown} AND state IN ('open', 'reopened'{acknowledged}) AND held_by = '' AND {where}
ORDER BY fingerprint, incident_id LIMIT %(limit)s FOR UPDATE
"""


def catch(transaction: Transaction, matcher: Row, now: datetime, *, is_new: bool = False) -> list[int]:
    """Silence the incidents that a matcher finds, at most 200, and return them. `matcher`: its silence.

    What a person holds is left alone, and what is acknowledged too, but when the matcher was just made (`is_new`): its
    author saw what it means. Raises InvalidInput for filters that no release knows any more.
    """
    question = select(matcher["matcher"], now)
    acknowledged = ", 'acknowledged'" if is_new else ""
    statement = _FOUND.format(shown=IS_SHOWN, where=question.where(), acknowledged=acknowledged)
    until = Until(matcher["until_kind"], matcher["until_time"], matcher["shift_id"])
    act = Act(matcher["who"], "silence", matcher["reason"], is_automatic=True, deed_id=matcher["deed_id"])
    mark = {**matcher["matcher"], "silence_id": matcher["silence_id"]}
    found = transaction.fetch(statement, {**question.parameters, "limit": AT_ONCE})
    silence_all(transaction, found, until, act, now, mark)
    return [row["incident_id"] for row in found]


class SilenceKeeper:
    """Ends silences whose reason has come, and silences what matchers find."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def look(self) -> int:
        """Do what is due; returns how many silences began or ended."""
        now = self._clock()
        with self._database.transaction() as transaction:
            ended = due(transaction, now)[:_ENDS_AT_ONCE]
        # matchers first: they end some of the others themselves
        done = sum(
            self._try(row, partial(self._end, row, reason, now)) for row, reason in ended if not row["incident_id"]
        )
        by_reason: dict[str, list[Row]] = {}
        for row, reason in ended:
            if row["incident_id"]:
                by_reason.setdefault(reason, []).append(row)
        done += sum(self._end_all(rows, reason, now) for reason, rows in by_reason.items())
        matchers = self._database.fetch(MATCHERS)
        return done + sum(self._try(row, partial(self._catch, row, now)) for row in matchers)

    def _end_all(self, rows: list[Row], reason: str, now: datetime) -> int:
        """End silences of incidents together, or, when that fails, each by itself."""
        try:
            with self._database.transaction() as transaction:
                return end_all(transaction, [row["silence_id"] for row in rows], reason, _ENDING, now)
        except Unavailable:
            raise
        except Exception:
            log.warning("%s silences could not be ended together, so each is by itself", len(rows), exc_info=True)
            return sum(self._try(row, partial(self._end, row, reason, now)) for row in rows)

    def _try(self, row: Row, step: Callable[[], int]) -> int:
        try:
            return step()
        except Unavailable:
            raise
        except Exception:  # one that cannot be ended keeps no other silent
            log.exception("silence %s could not be kept", row["silence_id"], extra={"component": "silence_keeper"})
            return 0

    def _end(self, row: Row, reason: str, now: datetime) -> int:
        try:
            with self._database.transaction() as transaction:
                end(transaction, row["silence_id"], reason, _ENDING, now)
        except Conflict:
            log.info("silence %s was ended by somebody meanwhile", row["silence_id"])
            return 0
        return 1

    def _catch(self, row: Row, now: datetime) -> int:
        try:
            with self._database.transaction() as transaction:
                return len(catch(transaction, row, now))
        except InvalidInput:
            return 0  # the next look ends it, and says why
