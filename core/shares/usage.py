"""Counts what every share uses at every queue, and keeps samples of it. Reads jobs once and locks none of them."""

from __future__ import annotations

from core.core_power import CORE_POWER
from core.database import Database
from core.shares.reading import read_loads, read_tree
from core.states import AWAITING_PILOT, ON_WORKER_NODE, JobStatus

SAMPLES_KEPT_DAYS = 30

_STATUSES = {
    "executing": sorted(ON_WORKER_NODE),
    "queued": [str(JobStatus.ACTIVATED)],
    "waiting": sorted(AWAITING_PILOT - {JobStatus.ACTIVATED}),
}
"""Which jobs count as what; those whose pilot is through count as nothing."""

# jobs_live whole, once; 24 000 rows in share_usage (30 shares, 100 queues, 8 kinds) are the most to expect
_REFRESH = f"""
WITH counted AS MATERIALIZED (
    SELECT gshare, computing_site, resource_type, job_status, count(*) AS jobs, sum(core_count) AS cores,
           sum(min_ram_mb) AS ram_mb
    FROM jobs_live WHERE job_status = ANY(%(executing)s || %(queued)s || %(waiting)s) GROUP BY 1, 2, 3, 4
), folded AS MATERIALIZED (
    SELECT c.gshare, c.computing_site, c.resource_type,
           coalesce(sum(jobs) FILTER (WHERE job_status = ANY(%(executing)s)), 0) AS executing_jobs,
           coalesce(sum(jobs) FILTER (WHERE job_status = ANY(%(queued)s)), 0) AS queued_jobs,
           coalesce(sum(jobs) FILTER (WHERE job_status = ANY(%(waiting)s)), 0) AS waiting_jobs,
           coalesce(sum(cores) FILTER (WHERE job_status = ANY(%(executing)s)), 0) AS executing_cores,
           coalesce(sum(ram_mb) FILTER (WHERE job_status = ANY(%(executing)s)), 0) AS executing_ram_mb,
           coalesce(sum(cores) FILTER (WHERE job_status = ANY(%(queued)s)), 0) AS queued_cores
    FROM counted c GROUP BY 1, 2, 3
), powered AS MATERIALIZED (
    SELECT f.*, executing_cores * p.power AS executing_power, queued_cores * p.power AS queued_power
    FROM folded f LEFT JOIN queues q ON q.queue_name = f.computing_site
    CROSS JOIN LATERAL (SELECT {CORE_POWER} AS power) p
), gone AS (
    DELETE FROM share_usage u
    WHERE NOT EXISTS (SELECT 1 FROM powered p WHERE (p.gshare, p.computing_site, p.resource_type)
                                                  = (u.gshare, u.computing_site, u.resource_type))
)
INSERT INTO share_usage AS u (gshare, computing_site, resource_type, executing_jobs, queued_jobs, waiting_jobs,
                              executing_cores, executing_ram_mb, executing_power, queued_power, time)
SELECT gshare, computing_site, resource_type, executing_jobs, queued_jobs, waiting_jobs, executing_cores,
       executing_ram_mb, executing_power, queued_power, clock_timestamp()
FROM powered
ON CONFLICT (gshare, computing_site, resource_type) DO UPDATE SET
    executing_jobs = excluded.executing_jobs, queued_jobs = excluded.queued_jobs, waiting_jobs = excluded.waiting_jobs,
    executing_cores = excluded.executing_cores, executing_ram_mb = excluded.executing_ram_mb,
    executing_power = excluded.executing_power, queued_power = excluded.queued_power, time = excluded.time
WHERE (u.executing_jobs, u.queued_jobs, u.waiting_jobs, u.executing_cores, u.executing_ram_mb, u.executing_power,
       u.queued_power)
   IS DISTINCT FROM (excluded.executing_jobs, excluded.queued_jobs, excluded.waiting_jobs, excluded.executing_cores,
                     excluded.executing_ram_mb, excluded.executing_power, excluded.queued_power)
"""

_SAMPLE = """
INSERT INTO share_samples (time, gshare, executing_power, target_power, queued_jobs) VALUES %s
ON CONFLICT (time, gshare) DO NOTHING
"""
# primary key of share_samples, which begins with the time
_NEWEST_SAMPLE = """
SELECT clock_timestamp() AS now, max(time) < clock_timestamp() - make_interval(secs => %(sample_s)s) AS is_due
FROM share_samples
"""
_QUEUED_JOBS = "SELECT gshare, sum(queued_jobs) AS jobs FROM share_usage GROUP BY gshare"
_FORGET = "DELETE FROM share_samples WHERE time < clock_timestamp() - make_interval(days => %(days)s)"


def refresh(database: Database) -> int:
    """Count the jobs of every share, queue and resource type anew; returns how many counts changed."""
    return database.execute(_REFRESH, _STATUSES)


def keep_sample(database: Database, sample_s: float) -> int:
    """Keep power and target of each leaf if the last sample is older than `sample_s`; returns how many were kept."""
    with database.transaction() as transaction:
        newest = transaction.fetch_one(_NEWEST_SAMPLE, {"sample_s": sample_s})
        assert newest is not None  # an aggregate always answers
        if newest["is_due"] is False:
            return 0
        standings = read_tree(transaction).standings(read_loads(transaction))
        queued = {row["gshare"]: row["jobs"] for row in transaction.fetch(_QUEUED_JOBS)}
        leaves = [standing for standing in standings.values() if standing.is_leaf]
        rows = [
            (newest["now"], leaf.node.name, leaf.executing, leaf.target, queued.get(leaf.node.name, 0))
            for leaf in leaves
        ]
        transaction.insert_many(_SAMPLE, rows)
        transaction.execute(_FORGET, {"days": SAMPLES_KEPT_DAYS})
    return len(rows)
