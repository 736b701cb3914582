"""Counts, hour by hour, how long jobs had waited for a pilot when they started: what is usual at each queue.

Knows the history and its own table. An hour is counted once, when it is over.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from core.agents.base import Agent
from core.clock import Clock
from core.database import Database, Transaction

AGENT = "wait_hours"

KEPT = timedelta(days=400)
_HOUR = timedelta(hours=1)
_BACK = timedelta(days=7)
"""How far back the first count goes."""
_MARGIN = timedelta(minutes=5)
"""After the end of an hour its last rows may still be on their way into the table."""

# primary key
_CURSOR = "SELECT cursor FROM agent_runs WHERE name = %(name)s"
_SAVE_CURSOR = """
INSERT INTO agent_runs (name, cursor) VALUES (%(name)s, %(cursor)s)
ON CONFLICT (name) DO UPDATE SET cursor = excluded.cursor
"""
# ix_job_history_time
_FIRST = "SELECT min(modification_time) AS time FROM job_history WHERE modification_time >= %(from)s"
# ix_job_history_time for the starts of the hour, of each queue some five hundred evenly; ix_job_history_job for when each
# became ready, in the partitions of the three days before
_COUNT = """
INSERT INTO wait_hours (hour, computing_site, starts, p50_s, p90_s, p95_s)
SELECT %(hour)s, computing_site, starts, quantiles[1], quantiles[2], quantiles[3]
FROM (
    SELECT s.computing_site, max(s.total) AS starts,
           percentile_cont(ARRAY[0.5, 0.9, 0.95]) WITHIN GROUP (
               ORDER BY extract(epoch FROM s.modification_time - a.ready_time)::float) AS quantiles
    FROM (
        SELECT panda_id, computing_site, modification_time,
               row_number() OVER (PARTITION BY computing_site ORDER BY modification_time) AS place,
               count(*) OVER (PARTITION BY computing_site) AS total
        FROM job_history
        WHERE modification_time >= %(hour)s AND modification_time < %(end)s AND job_status = 'sent'
    ) s
    CROSS JOIN LATERAL (
        SELECT max(modification_time) AS ready_time FROM job_history
        WHERE panda_id = s.panda_id AND job_status = 'activated'
          AND modification_time >= %(ready_from)s AND modification_time <= s.modification_time
    ) a
    WHERE s.place %% greatest(1, s.total / 500) = 0 AND a.ready_time IS NOT NULL
    GROUP BY 1
) counted
ON CONFLICT (computing_site, hour) DO UPDATE SET
    starts = excluded.starts, p50_s = excluded.p50_s, p90_s = excluded.p90_s, p95_s = excluded.p95_s
"""
# primary key is by queue first: some ten thousand rows are looked through, once an hour
_FORGET = "DELETE FROM wait_hours WHERE hour < %(before)s"


class WaitHours(Agent):
    """Brings the counts up to date, an hour at a time."""

    name = AGENT

    def __init__(self, database: Database, clock: Clock, period_s: float) -> None:
        self._database = database
        self._clock = clock
        self.period_s = period_s

    def cycle(self) -> int:
        """Count the next full hour; 1 while there are more."""
        now = self._clock()
        with self._database.transaction() as transaction:
            hour = _next_hour(transaction, now)
            if hour is None or hour + _HOUR + _MARGIN > now:
                return 0
            transaction.execute(_COUNT, {"hour": hour, "end": hour + _HOUR, "ready_from": hour - timedelta(days=3)})
            transaction.execute(_FORGET, {"before": now - KEPT})
            transaction.execute(_SAVE_CURSOR, {"name": AGENT, "cursor": int((hour + _HOUR).timestamp())})
        return 1


def _next_hour(transaction: Transaction, now: datetime) -> datetime | None:
    """The hour that is counted next; hours without history are leapt over."""
    row = transaction.fetch_one(_CURSOR, {"name": AGENT})
    reached = datetime.fromtimestamp(row["cursor"], UTC) if row and row["cursor"] else now - _BACK
    found = transaction.fetch_one(_FIRST, {"from": max(reached, now - _BACK)})
    first: datetime | None = found["time"] if found else None
    return None if first is None else first.replace(minute=0, second=0, microsecond=0)
