"""The rule for the database: quick statements that take long, and locks that keep others waiting."""

from __future__ import annotations

import time
from collections.abc import Callable

from core.database import Database, Row, Transaction
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
SELECT extract(epoch FROM clock_timestamp() - w.query_start)::float AS waited_s, b.pid AS blocker_pid,
       regexp_replace(left(b.query, 300), '\\s+', ' ', 'g') AS blocker, b.state AS blocker_state,
       extract(epoch FROM clock_timestamp() - b.xact_start)::float AS held_s, b.application_name AS blocker_name,
       count(*) OVER () AS waiting
FROM (
    SELECT pid, query_start FROM pg_stat_activity
    WHERE wait_event_type = 'Lock' AND datname = current_database() AND backend_type = 'client backend'
      AND wait_event <> 'advisory'
) w
JOIN LATERAL (
    SELECT * FROM pg_stat_activity WHERE pid = ANY(pg_blocking_pids(w.pid)) ORDER BY xact_start NULLS LAST LIMIT 1
) b ON true
ORDER BY b.wait_event_type IS NOT DISTINCT FROM 'Lock', 1 DESC LIMIT 1
"""


class DatabaseSlow(MeasureRule[DatabaseSlowParameters]):
    """One trouble for the whole database, under the key that those use whom it does not answer."""

    name = "database_slow"
    kind: Kind = "service"
    sentence = "The database answers slowly, or a lock keeps others waiting."
    model = DatabaseSlowParameters
    is_quick = True

    def __init__(
        self, timer: Callable[[], float] = time.monotonic, pause: Callable[[float], None] = time.sleep
    ) -> None:
        self._timer = timer
        self._pause = pause

    def measure(self, look: Look, parameters: DatabaseSlowParameters) -> list[Measurement]:
        """The larger of the median time of three probes and the age of the oldest wait for a lock, in seconds."""
        waiting = look.transaction.fetch_one(_WAITING)
        waited_s = waiting["waited_s"] if waiting else 0.0
        probed_s = sorted(self._probe(look.database, number) for number in range(len(_PROBES)))[1]
        return [
            Measurement(
                subject="",
                value=max(waited_s, probed_s),
                limit=parameters.limit_s,
                title=_title(waited_s, probed_s),
                grouping="It is one database, which does not answer in time.",
                note=_holder(waiting)
                if waiting and waited_s >= probed_s
                else f"a quick statement took {probed_s:.1f} s",
                facts=Facts(component="database", error_class="database"),
                key=KEY,
            )
        ]

    def limit(self, parameters: DatabaseSlowParameters, subject: str, usual: float) -> float:
        """As it is set."""
        return parameters.limit_s

    def _probe(self, database: Database, number: int) -> float:
        """How long one statement takes, its way through the pool included; one that is cut off took that long."""
        if number:
            self._pause(_PAUSE_S)
        begun = self._timer()
        try:
            with database.transaction() as transaction:
                transaction.execute(_LIMITED)
                _run(transaction, _PROBES[number])
        except Unavailable as error:
            if "lock" not in str(error.__cause__).lower():
                raise
        return self._timer() - begun


def _run(transaction: Transaction, statement: str) -> None:
    transaction.fetch(statement)


def _title(waited_s: float, probed_s: float) -> str:
    if waited_s >= probed_s:
        return "Statements wait for a lock in the database"
    return "The database answers slowly"


def _holder(row: Row) -> str:
    """The statement that keeps the others waiting, or that the session ran last before it fell asleep over its lock."""
    held_s = row["held_s"] or row["waited_s"]
    asleep = ", idle in its transaction" if str(row["blocker_state"]).startswith("idle in transaction") else ""
    return f"{row['blocker'].strip()} held {held_s:.0f} s by pid {row['blocker_pid']}{asleep}, {row['waiting']} wait"
