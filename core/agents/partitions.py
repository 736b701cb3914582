"""Makes the monthly partitions of archive and history ahead of time, and forgets old records of decisions.

What is forgotten is in core.retention. The incident store keeps its own days.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise

from core.agents.base import Agent
from core.clock import Clock
from core.database import Database, Transaction
from core.database.patience import in_patience
from core.retention import forget_old_records
from core.workload_settings import RetentionSettings

log = logging.getLogger("panda.partitions")

_TABLES = ("jobs_archive", "job_history")
_MONTHS_AHEAD = 3

# a partition cannot be made for rows that lie in the default one, so such a month stays there
_IS_OCCUPIED = {
    "jobs_archive": """SELECT 1 FROM jobs_archive_default
                       WHERE state_change_time >= %(start)s AND state_change_time < %(end)s LIMIT 1""",
    "job_history": """SELECT 1 FROM job_history_default
                      WHERE modification_time >= %(start)s AND modification_time < %(end)s LIMIT 1""",
}


class PartitionKeeper(Agent):
    """Keeps this month's and the coming months' partitions in existence, and other tables short."""

    name = "partitions"

    def __init__(
        self, database: Database, clock: Clock, period_s: float, retention: RetentionSettings | None = None
    ) -> None:
        self._database = database
        self._clock = clock
        self._retention = retention or RetentionSettings()
        self.period_s = period_s

    def cycle(self) -> int:
        """Create what is missing and forget one batch; returns how many rows went."""
        self.make_partitions()
        return forget_old_records(self._database, self._retention)

    def make_partitions(self) -> None:
        """Create what is missing; of a table that is busy later."""
        for table in _TABLES:
            for start, end in _months(self._clock(), _MONTHS_AHEAD):
                if not _is_wanted(self._database, table, start, end):
                    continue
                # one table in a transaction: who ends jobs writes into both, and neither waits for the other
                if not in_patience(self._database, partial(_make, table=table, start=start, end=end)):
                    log.info("%s is busy; the partition of its month waits for the next round", table)


def _is_wanted(database: Database | Transaction, table: str, start: datetime, end: datetime) -> bool:
    there = database.fetch("SELECT to_regclass(%(name)s) IS NOT NULL AS there", {"name": _name(table, start)})
    return not there[0]["there"] and not database.fetch(_IS_OCCUPIED[table], {"start": start, "end": end})


def _make(transaction: Transaction, table: str, start: datetime, end: datetime) -> None:
    """Rows that are on their way into the default partition are waited for, and looked for again."""
    # names and bounds come from the calendar, never from input
    transaction.execute(f"LOCK TABLE ONLY {table} IN ACCESS EXCLUSIVE MODE")
    if _is_wanted(transaction, table, start, end):
        bounds = f"FROM ('{start.isoformat()}') TO ('{end.isoformat()}')"
        transaction.execute(f"CREATE TABLE {_name(table, start)} PARTITION OF {table} FOR VALUES {bounds}")


def _name(table: str, start: datetime) -> str:
    return f"{table}_{start:%Y_%m}"


def _months(now: datetime, ahead: int) -> list[tuple[datetime, datetime]]:
    firsts = []
    year, month = now.year, now.month
    for _ in range(ahead + 2):
        firsts.append(datetime(year, month, 1, tzinfo=UTC))
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    return list(pairwise(firsts))
