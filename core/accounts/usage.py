"""Adds up what ended jobs have used, per day, user, group, queue and label: each job once, whatever is killed meanwhile.

Follows the archive by the time a job ended. That time is taken inside the transaction that ends the job, so nothing can
turn up any more before the beginning of the oldest open transaction; the cursor stops there, and moves in the transaction
that counts.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from core.core_power import CORE_POWER
from core.database import Database, Transaction

USAGE_CURSOR = "account_keeper"
"""The row of agent_runs that holds the cursor, in microseconds since 1970."""
_ROWS_AT_ONCE = 20_000
_MARGIN = timedelta(seconds=1)
"""Between beginning to write and being seen to by others nothing takes so long."""

# the row lock makes a second keeper, which should not be, wait and then see what was counted
_CURSOR = """
SELECT cursor FROM agent_runs WHERE name = %(name)s FOR UPDATE
"""
_MAKE_CURSOR = "INSERT INTO agent_runs (name) VALUES (%(name)s) ON CONFLICT (name) DO NOTHING"
_MOVE_CURSOR = "UPDATE agent_runs SET cursor = %(cursor)s WHERE name = %(name)s"

_NOW = "SELECT clock_timestamp() AS time"
# transactions that have written something; those of other database roles are hidden, and do not write here
_OLDEST_WRITER = """
SELECT min(xact_start) AS time FROM pg_stat_activity
WHERE backend_xid IS NOT NULL AND datname = current_database() AND pid <> pg_backend_pid()
"""
# ix_jobs_archive_time: where a page of so many ends; jobs that ended at the same microsecond stay together
_PAGE_END = f"""
SELECT state_change_time AS time FROM jobs_archive
WHERE state_change_time > %(after)s AND state_change_time <= %(horizon)s
ORDER BY state_change_time OFFSET {_ROWS_AT_ONCE} LIMIT 1
"""
# ix_jobs_archive_time
_COUNT = f"""
WITH ended AS (
    SELECT (j.state_change_time AT TIME ZONE 'UTC')::date AS day, j.prod_user_name, j.working_group, j.computing_site,
           j.prod_source_label, j.job_status, j.cpu_consumption_time_s AS cpu_s,
           greatest(0, coalesce(extract(epoch FROM j.end_time - j.start_time), 0))::float * j.core_count AS core_s,
           {CORE_POWER} AS power
    FROM jobs_archive j LEFT JOIN queues q ON q.queue_name = j.computing_site
    WHERE j.state_change_time > %(after)s AND j.state_change_time <= %(until)s
)
INSERT INTO usage_days AS u (day, user_name, working_group, computing_site, prod_source_label, jobs_finished, jobs_failed,
                             jobs_cancelled, wall_core_s, cpu_s, power_s, failed_wall_core_s, failed_power_s)
SELECT day, prod_user_name, working_group, computing_site, prod_source_label,
       count(*) FILTER (WHERE job_status = 'finished'), count(*) FILTER (WHERE job_status = 'failed'),
       count(*) FILTER (WHERE job_status IN ('cancelled', 'closed')),
       sum(core_s), sum(cpu_s), sum(core_s * power),
       coalesce(sum(core_s) FILTER (WHERE job_status = 'failed'), 0),
       coalesce(sum(core_s * power) FILTER (WHERE job_status = 'failed'), 0)
FROM ended GROUP BY 1, 2, 3, 4, 5
ON CONFLICT (day, user_name, working_group, computing_site, prod_source_label) DO UPDATE SET
    jobs_finished = u.jobs_finished + excluded.jobs_finished, jobs_failed = u.jobs_failed + excluded.jobs_failed,
    jobs_cancelled = u.jobs_cancelled + excluded.jobs_cancelled, wall_core_s = u.wall_core_s + excluded.wall_core_s,
    cpu_s = u.cpu_s + excluded.cpu_s, power_s = u.power_s + excluded.power_s,
    failed_wall_core_s = u.failed_wall_core_s + excluded.failed_wall_core_s,
    failed_power_s = u.failed_power_s + excluded.failed_power_s
"""

# ix_jobs_archive_time, primary key; a table of its own, for endings wait for the rows of tasks
_COUNT_TASKS = f"""
WITH ended AS (
    SELECT j.jedi_task_id, j.job_status,
           greatest(0, coalesce(extract(epoch FROM j.end_time - j.start_time), 0))::float * j.core_count AS core_s,
           {CORE_POWER} AS power
    FROM jobs_archive j LEFT JOIN queues q ON q.queue_name = j.computing_site
    WHERE j.state_change_time > %(after)s AND j.state_change_time <= %(until)s AND j.jedi_task_id IS NOT NULL
)
INSERT INTO task_costs AS c (jedi_task_id, wall_core_s, power_s, failed_wall_core_s, failed_power_s)
SELECT jedi_task_id, sum(core_s), sum(core_s * power),
       coalesce(sum(core_s) FILTER (WHERE job_status = 'failed'), 0),
       coalesce(sum(core_s * power) FILTER (WHERE job_status = 'failed'), 0)
FROM ended GROUP BY jedi_task_id ORDER BY jedi_task_id
ON CONFLICT (jedi_task_id) DO UPDATE SET
    wall_core_s = c.wall_core_s + excluded.wall_core_s, power_s = c.power_s + excluded.power_s,
    failed_wall_core_s = c.failed_wall_core_s + excluded.failed_wall_core_s,
    failed_power_s = c.failed_power_s + excluded.failed_power_s
"""


def account_usage(database: Database) -> bool:
    """Count the next page of ended jobs; whether there is more to count at once."""
    horizon = _horizon(database)
    database.execute(_MAKE_CURSOR, {"name": USAGE_CURSOR})
    with database.transaction() as transaction:
        after = _read_cursor(transaction)
        if horizon <= after:
            return False
        page_end = transaction.fetch_one(_PAGE_END, {"after": after, "horizon": horizon})
        until = page_end["time"] if page_end else horizon
        transaction.execute(_COUNT, {"after": after, "until": until})
        transaction.execute(_COUNT_TASKS, {"after": after, "until": until})
        transaction.execute(_MOVE_CURSOR, {"name": USAGE_CURSOR, "cursor": _microseconds(until)})
    return page_end is not None


def _horizon(database: Database) -> datetime:
    """No job that ended before can still appear. The clock is read first: a transaction that the second look misses
    began to write after it, and stamps its jobs later."""
    now: datetime = database.fetch(_NOW)[0]["time"]
    oldest: datetime | None = database.fetch(_OLDEST_WRITER)[0]["time"]
    return min(now, oldest or now) - _MARGIN


def _read_cursor(transaction: Transaction) -> datetime:
    row = transaction.fetch_one(_CURSOR, {"name": USAGE_CURSOR})
    cursor = int(row["cursor"]) if row else 0
    answer = transaction.fetch_one("SELECT to_timestamp(0) + %(us)s * interval '1 microsecond' AS time", {"us": cursor})
    assert answer is not None
    time: datetime = answer["time"]
    return time


def _microseconds(time: datetime) -> int:
    return int(time.timestamp()) * 1_000_000 + time.microsecond
