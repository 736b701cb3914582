"""Counts of jobs for factories and accounting: live ones, and those that ended within a window. Knows jobs and queues."""

from __future__ import annotations

from datetime import datetime, timedelta

from core.clock import Clock, utc_now
from core.database import Database, Row

DEFAULT_WINDOW_MINUTES = 12 * 60
MAX_WINDOW_MINUTES = 7 * 24 * 60
"""Of the final jobs that are counted (server-api.md 1.5)."""

ANALYSIS_LABELS = ("user", "panda")
PRODUCTION_LABELS = ("managed", "ptest", "rc_test2", "rc_alrb")
"""prodSourceLabels by family (server-api.md 1.5); test jobs of these labels are made of production tasks."""

NO_CLOUD = "WORLD"
"""The cloud of queues that name none."""

# live jobs: ix_jobs_live_status feeds the scan of a table that holds live jobs only
# ended ones: ix_jobs_archive_time, one index range in the partitions that the window touches
_BY_SITE = """
SELECT computing_site, gshare, resource_type, job_status, count(*) AS job_count FROM (
    SELECT computing_site, gshare, resource_type, job_status FROM jobs_live
    UNION ALL
    SELECT computing_site, gshare, resource_type, job_status FROM jobs_archive
    WHERE state_change_time > %(since)s
) AS counted
GROUP BY computing_site, gshare, resource_type, job_status
"""


def job_counts_by_site(database: Database, window_minutes: int, clock: Clock = utc_now) -> list[Row]:
    """Live jobs and those that ended within the window, by computing_site, gshare, resource_type and job_status."""
    return database.fetch(_BY_SITE, {"since": _since(window_minutes, clock)})


# as above; queues whole: they are short
_BY_CLOUD = """
SELECT coalesce(nullif(q.parameters ->> 'cloud', ''), %(no_cloud)s) AS cloud, c.processing_type, c.job_status,
       sum(c.job_count)::bigint AS job_count
FROM (
    SELECT computing_site, processing_type, job_status, count(*) AS job_count FROM (
        SELECT computing_site, processing_type, job_status FROM jobs_live
        WHERE prod_source_label = ANY(%(labels)s)
        UNION ALL
        SELECT computing_site, processing_type, job_status FROM jobs_archive
        WHERE state_change_time > %(since)s AND prod_source_label = ANY(%(labels)s)
    ) AS counted
    GROUP BY computing_site, processing_type, job_status
) c LEFT JOIN queues q ON q.queue_name = c.computing_site
GROUP BY 1, 2, 3
"""


def job_counts_by_cloud(database: Database, labels: tuple[str, ...], clock: Clock = utc_now) -> list[Row]:
    """Live jobs of these labels and those that ended in the last 12 h, by cloud, processing_type and job_status."""
    since = _since(DEFAULT_WINDOW_MINUTES, clock)
    return database.fetch(_BY_CLOUD, {"since": since, "labels": list(labels), "no_cloud": NO_CLOUD})


def _since(window_minutes: int, clock: Clock) -> datetime:
    return clock() - timedelta(minutes=window_minutes)
