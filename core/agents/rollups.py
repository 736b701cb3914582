"""Counts state changes per minute and hour for the plots, and forgets old counts and change signals. Knows history only.

A minute is counted for good when no transaction is left that began before its end: every row of the history carries a
time after the beginning of its transaction, so nothing can be added to that minute any more. The monitor counts later
minutes from the history itself (core/monitor/throughput.py). An hour is made of its minutes when the last is counted.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from core.agents.base import Agent
from core.clock import utc_now
from core.database import Database, Transaction
from core.monitor.throughput import MINUTES_KEPT_DAYS, ROLLUP_AGENT

_MINUTES_AT_ONCE = 60
_MARGIN_S = 2
"""Between taking a time and its transaction being seen by others nothing takes so long."""

SIGNALS_KEPT_S = 3600

# the oldest open transaction; idle connections have none
_COUNTABLE_UNTIL = f"""
SELECT date_trunc('minute', least(clock_timestamp(), min(xact_start)) - interval '{_MARGIN_S} s') AS until
FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""
_COUNTED_UNTIL = "SELECT to_timestamp(cursor) AS until FROM agent_runs WHERE name = %(name)s AND cursor > 0"
# ix_job_history_time
_FIRST = "SELECT date_trunc('minute', min(modification_time)) AS first FROM job_history"
_NEXT = """
SELECT date_trunc('minute', min(modification_time)) AS next FROM job_history WHERE modification_time >= %(from)s
"""
_COUNT = """
WITH minutes AS (
    INSERT INTO throughput_minutes (bin_time, computing_site, job_status, prod_source_label, job_count)
    SELECT date_trunc('minute', modification_time), computing_site, job_status, prod_source_label, count(*)
    FROM job_history WHERE modification_time >= %(from)s AND modification_time < %(to)s
    GROUP BY 1, 2, 3, 4
    ON CONFLICT (bin_time, computing_site, job_status, prod_source_label) DO UPDATE SET job_count = excluded.job_count
    RETURNING bin_time, job_status, prod_source_label, job_count
)
INSERT INTO throughput_totals (bin_time, job_status, prod_source_label, job_count)
SELECT bin_time, job_status, prod_source_label, sum(job_count) FROM minutes GROUP BY 1, 2, 3
ON CONFLICT (bin_time, job_status, prod_source_label) DO UPDATE SET job_count = excluded.job_count
"""
# throughput_minutes by its primary key, which begins with bin_time
_COUNT_HOURS = """
INSERT INTO throughput_hours (bin_time, computing_site, job_status, prod_source_label, job_count)
SELECT date_trunc('hour', bin_time), computing_site, job_status, prod_source_label, sum(job_count)
FROM throughput_minutes
WHERE bin_time >= date_trunc('hour', %(from)s::timestamptz) AND bin_time < date_trunc('hour', %(to)s::timestamptz)
GROUP BY 1, 2, 3, 4
ON CONFLICT (bin_time, computing_site, job_status, prod_source_label) DO UPDATE SET job_count = excluded.job_count
"""
_SAVE_CURSOR = """
INSERT INTO agent_runs (name, cursor) VALUES (%(name)s, extract(epoch FROM %(until)s::timestamptz)::bigint)
ON CONFLICT (name) DO UPDATE SET cursor = excluded.cursor
"""
# throughput_minutes by its primary key; the hours of what goes have been counted
_FORGET_MINUTES = """
DELETE FROM throughput_minutes
WHERE bin_time < least(date_trunc('hour', %(counted)s::timestamptz), date_trunc('hour', %(limit)s::timestamptz))
"""
# ix_change_signals_time
_FORGET = "DELETE FROM change_signals WHERE time < clock_timestamp() - make_interval(secs => %(age_s)s)"


class RollUps(Agent):
    """Brings the counts up to date, an hour of history at a time."""

    name = ROLLUP_AGENT

    def __init__(self, database: Database, period_s: float) -> None:
        self._database = database
        self.period_s = period_s

    def cycle(self) -> int:
        """Count the next finished minutes; 1 while there are more."""
        self._database.execute(_FORGET, {"age_s": SIGNALS_KEPT_S})
        with self._database.transaction() as transaction:
            counted = (transaction.fetch_one(_COUNTED_UNTIL, {"name": ROLLUP_AGENT}) or {"until": None})["until"]
            start, until = _span(transaction, counted)
            if start is None or start >= until:
                return 0
            end = min(until, start + timedelta(minutes=_MINUTES_AT_ONCE))
            transaction.execute(_COUNT, {"from": start, "to": end})
            # from the last count on, not from where history goes on: its hour may have been left unfinished
            transaction.execute(_COUNT_HOURS, {"from": counted or start, "to": end})
            limit = utc_now() - timedelta(days=MINUTES_KEPT_DAYS)
            transaction.execute(_FORGET_MINUTES, {"counted": end, "limit": limit})
            transaction.execute(_SAVE_CURSOR, {"name": self.name, "until": end})
        return 1 if end < until else 0


def _span(transaction: Transaction, counted: datetime | None) -> tuple[datetime | None, datetime]:
    """What is to be counted: from the end of the last count (skipping time without history) until now, in full minutes."""
    until = (transaction.fetch_one(_COUNTABLE_UNTIL) or {})["until"]
    if counted is None:
        return (transaction.fetch_one(_FIRST) or {})["first"], until
    following = (transaction.fetch_one(_NEXT, {"from": counted}) or {})["next"]
    if following is None:
        return counted if counted < until else until, until
    return max(counted, min(following, until)), until
