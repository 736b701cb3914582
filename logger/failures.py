"""Follows the job history and folds every failed job into an incident, exactly once. Knows the tables of jobs.

Exactly once rests on two things, not on the order of ids (an id is drawn before its transaction commits, so a later
id can become visible first):

- the cursor is a *time*: history rows are stamped when they are written (clock_timestamp()), so every row older than
  the oldest transaction that has written anything is either visible or rolled back. The cursor never passes that
  horizon; what lies beyond it is looked at again in the next round;
- `incident_jobs` has the PandaID as its key, and the cursor moves in the transaction that writes there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from core.clock import Clock
from core.database import Database, Row, Transaction
from core.models.errors import ERROR_COMPONENTS, primary_error
from logger.culprit import Culprit, find_culprit
from logger.events import Event
from logger.folding import fold
from logger.rules import JOB_RULES, FailedJob
from logger.rules.failure_burst import is_of_payload

CURSOR_OWNER = "incident_builder"
"""The row of agent_runs that holds the cursor, in microseconds since 1970."""

_PAGE = 500
_LOGS_AT_ONCE = 50
"""Jobs whose logs (64 kB each, three per job) are held in memory at the same time."""
_MARGIN = timedelta(seconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_NOW = "SELECT clock_timestamp() AS time"
# transactions that have written something; those of other database roles are hidden, and do not write here
_OLDEST_WRITER = """
SELECT min(xact_start) AS time FROM pg_stat_activity
WHERE backend_xid IS NOT NULL AND datname = current_database() AND pid <> pg_backend_pid()
"""

_HAVE_CURSOR = "INSERT INTO agent_runs (name) VALUES (%(name)s) ON CONFLICT (name) DO NOTHING"
_READ_CURSOR = "SELECT cursor FROM agent_runs WHERE name = %(name)s"
_LOCK_CURSOR = f"{_READ_CURSOR} FOR UPDATE"
_MOVE_CURSOR = "UPDATE agent_runs SET cursor = greatest(cursor, %(cursor)s) WHERE name = %(name)s"

# ix_job_history_time; incident_jobs by primary key
_FAILED = f"""
SELECT h.panda_id, h.history_id, h.modification_time AS time, h.previous_status
FROM job_history h
WHERE h.modification_time >= %(time)s AND (h.modification_time, h.history_id) > (%(time)s, %(history_id)s)
  AND h.job_status = 'failed'
  AND NOT EXISTS (SELECT 1 FROM incident_jobs c WHERE c.panda_id = h.panda_id)
ORDER BY h.modification_time, h.history_id LIMIT {_PAGE}
"""

_COLUMNS = ", ".join(
    [
        *("panda_id", "jedi_task_id", "computing_site", "prod_user_name", "modification_host", "transformation"),
        *("core_count", "start_time", "end_time"),
        *(component.code_column for component in ERROR_COMPONENTS),
        *(component.diag_column for component in ERROR_COMPONENTS if component.diag_column),
    ]
)

# primary key, in the partitions of the times around the ends
_JOBS = f"""
SELECT {_COLUMNS} FROM jobs_archive
WHERE panda_id = ANY(%(panda_ids)s) AND state_change_time BETWEEN %(first)s AND %(last)s
"""

# primary key
_LOGS = """
SELECT l.panda_id, l.name, l.text
FROM unnest(%(panda_ids)s::bigint[], %(names)s::text[]) AS wanted (panda_id, name)
JOIN job_logs l ON l.panda_id = wanted.panda_id AND l.name = wanted.name
"""

PAYLOAD_LOGS_FIRST = ("payload.stderr", "payload.stdout", "pilot.log")
PILOT_LOG_FIRST = ("pilot.log", "payload.stderr", "payload.stdout")


@dataclass(frozen=True)
class _Position:
    """A place in the history."""

    time: datetime
    history_id: int = 0


def fold_failed_jobs(database: Database, clock: Clock) -> int:
    """Fold the jobs that failed since the last call into incidents and return how many were new."""
    horizon = _horizon(database)
    database.execute(_HAVE_CURSOR, {"name": CURSOR_OWNER})
    position: _Position | None = _Position(_time(database.fetch(_READ_CURSOR, {"name": CURSOR_OWNER})[0]["cursor"]))
    done = 0
    while position is not None:
        with database.transaction() as transaction:
            # one builder at a time: the next one sees the jobs that this one has covered
            transaction.execute(_LOCK_CURSOR, {"name": CURSOR_OWNER})
            page = transaction.fetch(_FAILED, {"time": position.time, "history_id": position.history_id})
            done += _fold_page(transaction, page, clock())
            is_last = len(page) < _PAGE
            reached = horizon if is_last else min(horizon, page[-1]["time"])
            transaction.execute(_MOVE_CURSOR, {"name": CURSOR_OWNER, "cursor": _microseconds(reached)})
        position = None if is_last else _Position(page[-1]["time"], page[-1]["history_id"])
    return done


def _horizon(database: Database) -> datetime:
    """No row older than this can still appear. The clock is read first: a transaction that the second look misses
    began to write after it, and stamps its rows later."""
    now: datetime = database.fetch(_NOW)[0]["time"]
    oldest: datetime | None = database.fetch(_OLDEST_WRITER)[0]["time"]
    return min(now, oldest or now) - _MARGIN


def _fold_page(transaction: Transaction, page: Sequence[Row], now: datetime) -> int:
    if not page:
        return 0
    events = [event for job in _failed_jobs(transaction, page) for event in _events(job)]
    fold(transaction, events, now)
    return len(events)


def _events(job: FailedJob) -> list[Event]:
    return [event for rule in JOB_RULES if (event := rule.event(job)) is not None]


def _failed_jobs(transaction: Transaction, page: Sequence[Row]) -> Iterator[FailedJob]:
    rows = {
        row["panda_id"]: row
        for row in transaction.fetch(
            _JOBS,
            {
                "panda_ids": [row["panda_id"] for row in page],
                "first": page[0]["time"] - timedelta(days=1),
                "last": page[-1]["time"] + timedelta(days=1),
            },
        )
    }
    found = [end for end in page if end["panda_id"] in rows]
    for start in range(0, len(found), _LOGS_AT_ONCE):
        chunk = found[start : start + _LOGS_AT_ONCE]
        culprits = find_culprits(transaction, [rows[end["panda_id"]] for end in chunk])
        for end in chunk:
            name, culprit = culprits.get(end["panda_id"], ("", None))
            yield FailedJob(rows[end["panda_id"]], end["previous_status"], end["time"], culprit, name)


def find_culprits(transaction: Transaction, rows: Sequence[Row]) -> dict[int, tuple[str, Culprit]]:
    """For each job the name of the log with its culprit, and the culprit; jobs without any logs are left out.

    The payload's own words come first when the payload failed, the pilot's when the trouble was around it; a log is
    read only while no line before it looked like an error, because most logs are long and one is enough. A line that
    looks like an error is better than the last line of an earlier log, but of a payload that failed the last words
    say more than the pilot's note of it.
    """
    of_payload = {row["panda_id"]: is_of_payload(primary_error(row)) for row in rows}
    found: dict[int, tuple[str, Culprit]] = {}
    for names in zip(PAYLOAD_LOGS_FIRST, PILOT_LOG_FIRST, strict=True):
        wanted = {
            panda_id: names[0] if is_payload else names[1]
            for panda_id, is_payload in of_payload.items()
            if panda_id not in found or (found[panda_id][1].is_guess and not (is_payload and names[0] == "pilot.log"))
        }
        parameters = {"panda_ids": list(wanted), "names": list(wanted.values())}
        for log in transaction.fetch(_LOGS, parameters) if wanted else []:
            culprit = find_culprit(log["text"])
            if culprit is not None and not (culprit.is_guess and log["panda_id"] in found):
                found[log["panda_id"]] = (log["name"], culprit)
    return found


def _time(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)


def _microseconds(time: datetime) -> int:
    return (time - _EPOCH) // timedelta(microseconds=1)
