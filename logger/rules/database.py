"""The rule for the database: quick statements that take long, and locks that keep others waiting."""

from __future__ import annotations

import time
from collections.abc import Callable

from psycopg2.errors import LockNotAvailable, QueryCanceled

from core.database import Database, Row
from core.errors import Unavailable
from logger.events import Kind
from logger.fingerprints.v1 import fingerprint
from logger.rules.base import Facts, Look, Measurement, MeasureRule
from logger.rules.parameters import DatabaseSlowParameters

KEY = fingerprint("database", None, "", explicit="database does not answer").key
"""The one key of everybody who notices (core/agents/base.py, api): one stall is one incident."""

# primary keys; the three kinds of work that everything else is made of: nothing, a read, a write
_PROBES = (
    "SELECT 1 AS one",
    "SELECT panda_id FROM jobs_live ORDER BY panda_id LIMIT 1",
    "UPDATE agent_runs SET cycle_count = cycle_count WHERE name = 'rule_watcher' RETURNING name",
)
_LIMITED = "SET LOCAL lock_timeout = '1s'; SET LOCAL statement_timeout = '4s'"
_PAUSE_S = 0.2

# the activity of this server: as many rows as there are connections. Of those who wait for a lock the one that waits
# longest and who holds it; a person's own session may wait for another one's as long as it likes, but not ours
_WAITING = """
SELECT coalesce(extract(epoch FROM clock_timestamp() - w.query_start), 0)::float AS waited_s, b.pid AS blocker_pid,
       regexp_replace(left(b.query, 300), '\\s+', ' ', 'g') AS blocker, b.state AS blocker_state,
       extract(epoch FROM clock_timestamp() - b.xact_start)::float AS held_s,
       count(*) OVER () AS waiting
FROM (
    SELECT pid, query_start FROM pg_stat_activity
    WHERE wait_event_type = 'Lock' AND datname = current_database() AND backend_type = 'client backend'
      AND wait_event <> 'advisory' AND application_name = 'pandascope'
) w
JOIN LATERAL (
    SELECT * FROM pg_stat_activity WHERE pid = ANY(pg_blocking_pids(w.pid)) ORDER BY xact_start NULLS LAST LIMIT 1
) b ON true
ORDER BY b.wait_event_type IS NOT DISTINCT FROM 'Lock', 1 DESC LIMIT 1
"""
# the same when nobody waits but the probes: who has a table of theirs to itself
_HOLDING = """
SELECT 0.0 AS waited_s, a.pid AS blocker_pid, regexp_replace(left(a.query, 300), '\\s+', ' ', 'g') AS blocker,
       a.state AS blocker_state, extract(epoch FROM clock_timestamp() - a.xact_start)::float AS held_s, 0 AS waiting
FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.relation IN ('jobs_live'::regclass, 'agent_runs'::regclass) AND l.granted
  AND l.mode IN ('AccessExclusiveLock', 'ExclusiveLock', 'ShareRowExclusiveLock', 'ShareLock')
ORDER BY a.xact_start LIMIT 1
"""


class DatabaseSlow(MeasureRule[DatabaseSlowParameters]):
    """One trouble for the whole database, under the key that those use whom it does not answer."""

    name = "database_slow"
    kind: Kind = "service"
    sentence = "The database answers slowly, or a lock keeps others waiting."
    model = DatabaseSlowParameters
    is_quick = True
    is_waiting = True

    def __init__(
        self, timer: Callable[[], float] = time.monotonic, pause: Callable[[float], None] = time.sleep
    ) -> None:
        self._timer = timer
        self._pause = pause
        self._blocked_since: float | None = None
        """Since when its own statements wait for a lock, one after the other: each gives up after a second."""

    def measure(self, look: Look, parameters: DatabaseSlowParameters) -> list[Measurement]:
        """The largest of the median time of three probes, the age of the oldest wait for a lock, and how long its own
        probes have been held up, in seconds."""
        waiting = look.transaction.fetch_one(_WAITING)
        probed_s = self._probe_all(look.database)
        blocked_s = 0.0 if self._blocked_since is None else self._timer() - self._blocked_since
        if waiting is None and blocked_s:
            waiting = look.transaction.fetch_one(_HOLDING)
        waited_s = max(blocked_s, waiting["waited_s"] if waiting else 0.0)
        is_lock = waited_s >= probed_s
        return [
            Measurement(
                subject="",
                value=max(waited_s, probed_s),
                limit=parameters.limit_s,
                title="Statements wait for a lock in the database" if is_lock else "The database answers slowly",
                grouping="It is one database, which does not answer in time.",
                note=_holder(waiting) if waiting and is_lock else f"a quick statement took {probed_s:.1f} s",
                facts=Facts(component="database", error_class="database"),
                key=KEY,
            )
        ]

    def limit(self, parameters: DatabaseSlowParameters, subject: str, usual: float) -> float:
        """As it is set."""
        return parameters.limit_s

    def _probe_all(self, database: Database) -> float:
        """The median time of the probes, their way through the pool included."""
        times, blocked_since = [], None
        for number, statement in enumerate(_PROBES):
            if number:
                self._pause(_PAUSE_S)
            begun = self._timer()
            try:
                with database.transaction() as transaction:
                    transaction.execute(_LIMITED)
                    transaction.fetch(statement)
            except Unavailable as error:
                if not isinstance(error.__cause__, LockNotAvailable):
                    raise
                blocked_since = begun
            except QueryCanceled:
                blocked_since = begun
            times.append(self._timer() - begun)
        self._blocked_since = (self._blocked_since or blocked_since) if blocked_since else None
        return sorted(times)[1]


def _holder(row: Row) -> str:
    """The statement that keeps the others waiting, or that the session ran last before it fell asleep over its lock."""
    held_s = row["held_s"] or row["waited_s"]
    asleep = ", idle in its transaction" if str(row["blocker_state"]).startswith("idle in transaction") else ""
    wait = f", {row['waiting']} wait" if row["waiting"] else ""
    return f"{row['blocker'].strip()} held {held_s:.0f} s by pid {row['blocker_pid']}{asleep}{wait}"
