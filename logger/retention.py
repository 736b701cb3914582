"""Keeps the days of `log_records`: partitions made ahead, old ones dropped whole. Knows that table alone.

A partition cannot be made for a day of which the default partition holds rows; such rows (records that came before
this agent first ran) are moved into the new partition in the same transaction.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from itertools import takewhile

import psycopg2.errors

from core.clock import Clock
from core.database import Database, Transaction
from core.errors import Unavailable

log = logging.getLogger("panda.logger")

DAYS_AHEAD = 3
KEEP_DAYS = 30
"""Age at which records are dropped, in days (domain.md 11: 30-90)."""

BIN_KEEP_DAYS = 90
"""Age at which the five-minute bins of incidents are dropped, in days."""

_NAME = re.compile(r"log_records_(\d{4})(\d\d)(\d\d)")

_PARTITIONS = "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'log_records'::regclass"

# a lock that is not free soon would hold up everybody who logs: better to try again in the next round
_PATIENCE = "SELECT set_config('lock_timeout', '2s', true)"

# ix_log_records_time of the default partition
_MOVE = """
WITH moved AS (
    DELETE FROM log_records_default WHERE received_time >= %(start)s AND received_time < %(end)s RETURNING *
) INSERT INTO {name} SELECT * FROM moved
"""

# ix_log_records_time of the default partition
_DROP_STRAYS = "DELETE FROM log_records_default WHERE received_time < %(limit)s"

# a scan of the table: it is small, and this happens once an hour
_DROP_BINS = "DELETE FROM incident_bins WHERE bin_time < %(limit)s"


def keep_days(database: Database, clock: Clock, keep: int = KEEP_DAYS) -> int:
    """Make the partitions of today and the coming days, drop those older than `keep` days; returns how many."""
    today = clock().astimezone(UTC).date()
    there = {day for row in database.fetch(_PARTITIONS) if (day := _day_of(row["name"])) is not None}
    wanted = {today + timedelta(days=ahead) for ahead in range(DAYS_AHEAD + 1)}
    oldest = today - timedelta(days=keep)
    steps = [partial(_create, day=day) for day in sorted(wanted - there)]
    steps += [partial(_drop, day=day) for day in sorted(there) if day < oldest]
    done = len(list(takewhile(lambda step: _in_patience(database, step), steps)))
    if done == len(steps):
        _in_patience(database, partial(_drop_rows, now=clock(), oldest=datetime.combine(oldest, time(), UTC)))
    return done


def _day_of(name: str) -> date | None:
    found = _NAME.fullmatch(name)
    return date(int(found[1]), int(found[2]), int(found[3])) if found else None


def partition_name(day: date) -> str:
    """The partition of a day."""
    return f"log_records_{day:%Y%m%d}"


def _create(transaction: Transaction, day: date) -> None:
    # names and bounds come from the calendar, never from input. ATTACH holds up no reader or writer of other days
    name = partition_name(day)
    start = datetime.combine(day, time(), UTC)
    end = start + timedelta(days=1)
    transaction.execute(f"CREATE TABLE {name} (LIKE log_records INCLUDING DEFAULTS INCLUDING INDEXES)")
    transaction.execute("LOCK TABLE log_records_default IN ACCESS EXCLUSIVE MODE")
    transaction.execute(_MOVE.format(name=name), {"start": start, "end": end})
    transaction.execute(
        f"ALTER TABLE log_records ATTACH PARTITION {name} FOR VALUES FROM ('{start.isoformat()}') TO ('{end.isoformat()}')"
    )


def _drop(transaction: Transaction, day: date) -> None:
    transaction.execute(f"DROP TABLE {partition_name(day)}")


def _drop_rows(transaction: Transaction, now: datetime, oldest: datetime) -> None:
    transaction.execute(_DROP_STRAYS, {"limit": oldest})
    transaction.execute(_DROP_BINS, {"limit": now - timedelta(days=BIN_KEEP_DAYS)})


def _in_patience(database: Database, step: Callable[[Transaction], None]) -> bool:
    """Do a step unless somebody holds the table for long; returns whether it was done."""
    try:
        with database.transaction() as transaction:
            transaction.execute(_PATIENCE)
            step(transaction)
    except Unavailable as error:
        if not isinstance(error.__cause__, psycopg2.errors.LockNotAvailable):
            raise
        log.info("log_records is busy; its days wait for the next round")
        return False
    return True
