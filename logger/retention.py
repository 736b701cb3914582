"""Keeps the days of `log_records`: partitions made ahead, counted by the hour, thinned out as they age, dropped whole.

Knows the tables of records alone. A partition cannot be made for a day of which the default partition holds rows; such
rows (records that came before this agent first ran) are moved into the new partition in the same transaction. What is
thinned is written anew, in the order in which incidents are read, and takes the old one's place in one transaction: a
row that is deleted would leave its space behind. Nothing is thinned or dropped before it is counted.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from itertools import takewhile

from core.clock import Clock
from core.database import Database, Transaction
from core.database.patience import in_patience
from core.incident_settings import IngestSettings

log = logging.getLogger("panda.logger")

Step = Callable[[Transaction], None]

DAYS_AHEAD = 3
BIN_KEEP_DAYS = 90
"""Age at which the five-minute bins of incidents are dropped, in days."""
CONTEXT_KEEP_DAYS = 400
"""Age at which the lines around the culprits of records are dropped, in days."""
SOURCE_KEEP_DAYS = 7
"""A sender that was silent for so many days is forgotten; a process that still has its number begins anew."""

_THINNED_AT_ONCE = 3
"""Days that one round writes anew."""
_HOUR = timedelta(hours=1)
_LATE = timedelta(minutes=5)
"""A record is stamped when its transaction begins; until then an hour that is over may still get some."""

_NAME = re.compile(r"log_records_(\d{4})(\d\d)(\d\d)")

_PARTITIONS = "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'log_records'::regclass"

# a day is counted and written in one statement, which takes longer than anything that somebody waits for
_LONG = "SELECT set_config('statement_timeout', '30min', true)"

# by name: the columns of a table that grew stand in another order than those of one that was made later
_COLUMN_NAMES = """
SELECT quote_ident(attname) AS name FROM pg_attribute
WHERE attrelid = 'log_records'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""

# ix_log_records_time of the default partition
_MOVE = """
WITH moved AS (
    DELETE FROM log_records_default WHERE received_time >= %(start)s AND received_time < %(end)s RETURNING {columns}
) INSERT INTO {name} ({columns}) SELECT {columns} FROM moved
"""

# rows of an older release have no number
_SEVERITY = """
(CASE WHEN severity_number > 0 THEN severity_number
      ELSE CASE level WHEN 'CRITICAL' THEN 50 WHEN 'ERROR' THEN 40 WHEN 'WARNING' THEN 30 WHEN 'DEBUG' THEN 10 ELSE 20 END
 END)
"""

# ix_log_records_time of the default partition
_DROP_STRAYS = "DELETE FROM log_records_default WHERE received_time < %(limit)s"
_THIN_STRAYS = f"DELETE FROM log_records_default WHERE received_time < %(limit)s AND {_SEVERITY} < %(kept_from)s"

# scans of small tables, once an hour; log_sources by ix_log_sources_seen, log_hours by its primary key
_FORGET = (
    ("DELETE FROM incident_bins WHERE bin_time < %(limit)s", timedelta(days=BIN_KEEP_DAYS)),
    ("DELETE FROM record_contexts WHERE time < %(limit)s", timedelta(days=CONTEXT_KEEP_DAYS)),
    ("DELETE FROM log_sources WHERE last_seen < %(limit)s", timedelta(days=SOURCE_KEEP_DAYS)),
)
_FORGET_HOURS = "DELETE FROM log_hours WHERE hour < %(limit)s"
_FORGET_DAYS = "DELETE FROM record_days WHERE day < %(limit)s"

# primary key of log_hours; ix_log_records_time, of which an empty table has nothing
_COUNTED_UNTIL = """
SELECT coalesce((SELECT max(hour) + interval '1 hour' FROM log_hours),
                (SELECT date_trunc('hour', min(received_time)) FROM log_records)) AS time
"""
# ix_log_records_time. The 2000 components of an hour that say most have names of their own, and levels are those that
# logging has: whoever invents names does not make the table grow without bound
_COUNT_HOURS = """
INSERT INTO log_hours (hour, component, level, record_count)
SELECT hour, CASE WHEN place <= 2000 THEN component ELSE '' END, level, sum(n) FROM (
    SELECT hour, component, level, n, dense_rank() OVER (PARTITION BY hour ORDER BY total DESC, component) AS place FROM (
        SELECT hour, component, level, n, sum(n) OVER (PARTITION BY hour, component) AS total FROM (
            SELECT date_trunc('hour', received_time) AS hour, component, sum(repeat_count) AS n,
                   CASE WHEN level IN ('DEBUG', 'WARNING', 'ERROR', 'CRITICAL') THEN level ELSE 'INFO' END AS level
            FROM log_records WHERE received_time >= %(start)s AND received_time < %(end)s
            GROUP BY 1, 2, 4) said) totals) ranked
GROUP BY 1, 2, 3
ON CONFLICT (hour, component, level) DO UPDATE SET record_count = excluded.record_count
"""

# primary key
_DAYS = "SELECT day, kept_from FROM record_days"
_NOTE_DAY = """
INSERT INTO record_days (day, kept_from, row_count, size_bytes, thinned_time)
SELECT %(day)s, %(kept_from)s::bigint, (SELECT count(*) FROM {name}), pg_total_relation_size('{name}'),
    %(thinned_time)s::timestamptz
ON CONFLICT (day) DO UPDATE SET kept_from = excluded.kept_from, row_count = excluded.row_count,
    size_bytes = excluded.size_bytes, thinned_time = excluded.thinned_time
"""
_HAS_LESS = "SELECT EXISTS (SELECT 1 FROM {name} WHERE {severity} < %(kept_from)s) AS has_less"


def keep_days(database: Database, clock: Clock, limits: IngestSettings | None = None) -> int:
    """Make the partitions of today and the coming days, thin out and drop what is old; returns how many were touched."""
    limits = limits or IngestSettings()
    now = clock().astimezone(UTC)
    today = now.date()
    there = {day for row in database.fetch(_PARTITIONS) if (day := _day_of(row["name"])) is not None}
    wanted = {today + timedelta(days=ahead) for ahead in range(DAYS_AHEAD + 1)}
    # a record that finds no partition costs a move: what is needed is made first, whatever there is to count
    create: list[Step] = [partial(_create, day=day) for day in sorted(wanted - there)]
    done = _as_far_as_patience_goes(database, create)
    if done < len(create):
        return done
    count_hours(database, now)
    oldest = today - timedelta(days=limits.keep_error_d)
    old = sorted(day for day in there if oldest <= day < today)
    noted = {row["day"]: row["kept_from"] for row in database.fetch(_DAYS)}
    due = [(day, least) for day in old if (least := kept_from(day, today, limits)) > noted.get(day, 0)]
    steps: list[Step] = [partial(_drop, day=day) for day in sorted(there) if day < oldest]
    steps += [partial(_thin, day=day, least=least, now=now) for day, least in due[:_THINNED_AT_ONCE]]
    done += _as_far_as_patience_goes(database, steps)
    if done == len(create) + len(steps):
        _in_patience(database, partial(_drop_rows, now=now, limits=limits))
        thinned = {day for day, _ in due}
        for day in old:
            if day not in noted and day not in thinned:
                _in_patience(database, partial(_note, day=day, name=partition_name(day), least=0, thinned=None))
    return done


def count_hours(database: Database, now: datetime) -> None:
    """Count the records of the hours that are over and not counted yet into `log_hours`, a day at a time."""
    end = (now - _LATE).replace(minute=0, second=0, microsecond=0)
    start: datetime | None = database.fetch(_COUNTED_UNTIL)[0]["time"]
    while start is not None and start < end:
        stop = min(start + timedelta(days=1), end)
        with database.transaction() as transaction:
            transaction.execute(_LONG)
            transaction.execute(_COUNT_HOURS, {"start": start, "end": stop})
        start = stop


def kept_from(day: date, today: date, limits: IngestSettings) -> int:
    """The lowest severity number of which a day's records are still kept."""
    if day < today - timedelta(days=limits.keep_warning_d):
        return logging.ERROR
    return logging.WARNING if day < today - timedelta(days=limits.keep_info_d) else 0


def _day_of(name: str) -> date | None:
    found = _NAME.fullmatch(name)
    return date(int(found[1]), int(found[2]), int(found[3])) if found else None


def partition_name(day: date) -> str:
    """The partition of a day."""
    return f"log_records_{day:%Y%m%d}"


def _create(transaction: Transaction, day: date) -> None:
    # names and bounds come from the calendar, never from input. ATTACH holds up no reader or writer of other days
    name = partition_name(day)
    start, end = _bounds(day)
    transaction.execute(f"CREATE TABLE {name} (LIKE log_records INCLUDING DEFAULTS INCLUDING INDEXES)")
    transaction.execute("LOCK TABLE log_records_default IN ACCESS EXCLUSIVE MODE")
    columns = ", ".join(row["name"] for row in transaction.fetch(_COLUMN_NAMES))
    transaction.execute(_MOVE.format(name=name, columns=columns), {"start": start, "end": end})
    _attach(transaction, day)


def _attach(transaction: Transaction, day: date) -> None:
    start, end = _bounds(day)
    transaction.execute(
        f"ALTER TABLE log_records ATTACH PARTITION {partition_name(day)} "
        f"FOR VALUES FROM ('{start.isoformat()}') TO ('{end.isoformat()}')"
    )


def _bounds(day: date) -> tuple[datetime, datetime]:
    start = datetime.combine(day, time(), UTC)
    return start, start + timedelta(days=1)


def _drop(transaction: Transaction, day: date) -> None:
    transaction.execute(f"DROP TABLE {partition_name(day)}")


def _thin(transaction: Transaction, day: date, least: int, now: datetime) -> None:
    """Write the day anew without what is below `least`, in the order of incidents, and put it in the old one's place.

    Everybody reads the old one until the exchange, which looks at no row: that they are of this day is checked before.
    """
    name, new = partition_name(day), f"{partition_name(day)}_thinned"
    transaction.execute(_LONG)
    if not transaction.fetch(_HAS_LESS.format(name=name, severity=_SEVERITY), {"kept_from": least})[0]["has_less"]:
        _note(transaction, day, name, least, now)
        return
    start, end = _bounds(day)
    transaction.execute(f"CREATE TABLE {new} (LIKE log_records INCLUDING DEFAULTS INCLUDING INDEXES)")
    columns = ", ".join(row["name"] for row in transaction.fetch(_COLUMN_NAMES))
    transaction.execute(
        f"INSERT INTO {new} ({columns}) SELECT {columns} FROM {name} WHERE {_SEVERITY} >= %(kept_from)s "
        "ORDER BY incident_id NULLS LAST, received_time",
        {"kept_from": least},
    )
    transaction.execute(
        f"ALTER TABLE {new} ADD CONSTRAINT of_its_day "
        f"CHECK (received_time >= '{start.isoformat()}' AND received_time < '{end.isoformat()}')"
    )
    _note(transaction, day, new, least, now)
    transaction.execute(f"ALTER TABLE log_records DETACH PARTITION {name}")
    transaction.execute(f"DROP TABLE {name}")
    transaction.execute(f"ALTER TABLE {new} RENAME TO {name}")
    _attach(transaction, day)
    transaction.execute(f"ALTER TABLE {name} DROP CONSTRAINT of_its_day")


def _note(transaction: Transaction, day: date, name: str, least: int, thinned: datetime | None) -> None:
    """Note how much there is of a day in the table `name`."""
    parameters = {"day": day, "kept_from": least, "thinned_time": thinned}
    transaction.execute(_NOTE_DAY.format(name=name), parameters)


def _drop_rows(transaction: Transaction, now: datetime, limits: IngestSettings) -> None:
    midnight = datetime.combine(now.date(), time(), UTC)
    oldest = midnight - timedelta(days=limits.keep_error_d)
    transaction.execute(_DROP_STRAYS, {"limit": oldest})
    for days, least in ((limits.keep_warning_d, logging.ERROR), (limits.keep_info_d, logging.WARNING)):
        parameters = {"limit": midnight - timedelta(days=days), "kept_from": least}
        transaction.execute(_THIN_STRAYS, parameters)
    for statement, age in _FORGET:
        transaction.execute(statement, {"limit": now - age})
    transaction.execute(_FORGET_HOURS, {"limit": now - timedelta(days=limits.keep_counts_d)})
    transaction.execute(_FORGET_DAYS, {"limit": oldest.date()})


def _as_far_as_patience_goes(database: Database, steps: list[Step]) -> int:
    return len(list(takewhile(lambda step: _in_patience(database, step), steps)))


def _in_patience(database: Database, step: Step) -> bool:
    is_done = in_patience(database, step)
    if not is_done:
        log.info("log_records is busy; its days wait for the next round")
    return is_done
