"""The rule for throughput: far fewer jobs finish than in the same hour of last week, although there is work."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from math import sqrt

from core.monitor.throughput import PROGRESS
from logger.events import Kind
from logger.rules.base import Facts, Look, Measurement, MeasureRule
from logger.rules.parameters import ThroughputParameters

_WEEK = timedelta(days=7)
_HOUR = timedelta(hours=1)
_OLDEST_COUNT = timedelta(minutes=10)
"""When the minutes are not counted up to here, few jobs seem to finish: nothing is said then."""
_MANY = 3
_UP_S = 4500.0

# throughput_minutes and throughput_hours by primary key, which begin with the time: an hour and two hours of counts
_COUNTS = f"""
WITH {PROGRESS}, bounds AS (
    SELECT date_trunc('minute', least(%(now)s, counted_until)) AS until FROM progress
)
SELECT 'now' AS what, computing_site, sum(job_count)::float AS jobs, min(until) AS until
FROM throughput_minutes, bounds
WHERE bin_time >= %(now)s - interval '71 minutes' AND bin_time >= until - interval '1 hour' AND bin_time < until
  AND job_status = 'finished'
GROUP BY 2
UNION ALL
SELECT 'then', computing_site,
       sum(job_count * CASE WHEN bin_time = date_trunc('hour', until - interval '169 hours')
                            THEN 1 - extract(minute FROM until) / 60 ELSE extract(minute FROM until) / 60 END)::float,
       min(until)
FROM throughput_hours, bounds
WHERE bin_time >= date_trunc('hour', %(now)s - interval '170 hours') AND bin_time < %(now)s - interval '167 hours'
  AND bin_time IN (date_trunc('hour', until - interval '169 hours'), date_trunc('hour', until - interval '168 hours'))
  AND job_status = 'finished'
GROUP BY 2
UNION ALL
SELECT 'until', '', 0, until FROM bounds
"""
# of a few queues: ix_jobs_live_status, no more than are asked for; queues by primary key
_WAITING = """
SELECT p.name, (SELECT count(*) FROM (
    SELECT 1 FROM jobs_live WHERE job_status = 'activated' AND computing_site = p.name LIMIT %(most)s) ready) AS waiting
FROM unnest(%(names)s::text[]) AS p (name) LEFT JOIN queues q ON q.queue_name = p.name
WHERE coalesce(q.status, 'online') = 'online'
"""
# the same; ix_jobs_archive_site
_SLOTS = """
SELECT p.name, r.cores, r.least_ends, (
    SELECT sum(core_count * greatest(extract(epoch FROM end_time - start_time), 0))::float / 3600 FROM jobs_archive
    WHERE computing_site = p.name AND state_change_time >= %(from)s AND state_change_time < %(to)s
      AND job_status = 'finished') AS cores_then
FROM unnest(%(names)s::text[]) AS p (name)
CROSS JOIN LATERAL (
    SELECT coalesce(sum(core_count), 0)::float AS cores,
           coalesce(sum(3600.0 / max_walltime_s) FILTER (WHERE max_walltime_s > 0), 0)::float AS least_ends
    FROM jobs_live WHERE job_status = 'running' AND computing_site = p.name
) r
"""


class ThroughputLow(MeasureRule[ThroughputParameters]):
    """Compares with the same hour of the same day of the week, so that nights and weekends compare with their like.

    No trouble: a queue without work or one that somebody took out, and one whose cores are as busy as then with jobs
    that asked for so much time that few can end. When many queues are low it is one trouble of all.
    """

    name = "throughput_low"
    kind: Kind = "absence"
    sentence = "Far fewer jobs finished in the last hour than in the same hour of last week, although work waits."
    model = ThroughputParameters
    unit = "of last week's"
    is_low = True

    def measure(self, look: Look, parameters: ThroughputParameters) -> list[Measurement]:
        """What finished in the last hour as a part of what finished then, of queues where both can be compared."""
        now_counts, then_counts, until = _read(look)
        if until is None or look.now - until > _OLDEST_COUNT:
            return []
        comparable = {site for site, then in then_counts.items() if site and then >= parameters.min_jobs}
        low = {site for site in comparable if _is_low(now_counts[site], then_counts[site], parameters)}
        with_work = _with_work(look, sorted(low), parameters)
        low = with_work - _busy_otherwise(look, sorted(with_work), now_counts, until)
        may_open = look.up_s >= _UP_S
        is_all = len(low) >= _MANY and _is_low(now_counts.total(), then_counts.total(), parameters)
        found = [
            _measurement(site, now_counts[site], then_counts[site], until, parameters, may_open and not is_all)
            for site in sorted(low)
        ]
        if is_all:
            found.append(_measurement("", now_counts.total(), then_counts.total(), until, parameters, may_open))
        return found

    def limit(self, parameters: ThroughputParameters, subject: str, usual: float) -> float:
        """The part; only what was low, had work and was comparable then is kept as the past."""
        return parameters.limit_part


def _read(look: Look) -> tuple[Counter[str], Counter[str], datetime | None]:
    counts: dict[str, Counter[str]] = {"now": Counter(), "then": Counter()}
    until = None
    for row in look.transaction.fetch(_COUNTS, {"now": look.now}):
        if row["what"] == "until":
            until = row["until"]
        else:
            counts[row["what"]][row["computing_site"]] += row["jobs"]
    return counts["now"], counts["then"], until


def _is_low(now: float, then: float, parameters: ThroughputParameters) -> bool:
    """A difference of two counts is chance within some times the root of their sum."""
    if then < parameters.min_jobs or now >= parameters.limit_part * then:
        return False
    return (then - now) / sqrt(then + now) >= parameters.z


def _with_work(look: Look, sites: list[str], parameters: ThroughputParameters) -> set[str]:
    if not sites:
        return set()
    rows = look.transaction.fetch(_WAITING, {"names": sites, "most": max(1, parameters.min_waiting)})
    return {row["name"] for row in rows if row["waiting"] >= parameters.min_waiting}


def _busy_otherwise(look: Look, sites: list[str], now_counts: Counter[str], until: datetime) -> set[str]:
    """Queues that run as many cores as then, with jobs of which no more can be expected to end in an hour."""
    if not sites:
        return set()
    values = {"names": sites, "from": until - _WEEK - _HOUR, "to": until - _WEEK}
    return {
        row["name"]
        for row in look.transaction.fetch(_SLOTS, values)
        if row["cores_then"]
        and row["cores"] >= 0.8 * row["cores_then"]
        and now_counts[row["name"]] >= row["least_ends"] > 0
    }


def _measurement(
    site: str, now: float, then: float, until: datetime, parameters: ThroughputParameters, may_open: bool
) -> Measurement:
    place = f"at {site}" if site else "at all queues together"
    counts = f"{now:.0f} jobs finished in the hour before {until:%H:%M} UTC, {then:.0f} in the same hour a week ago"
    return Measurement(
        subject=site,
        value=now / then,
        limit=parameters.limit_part,
        title=f"Few jobs finish {place}: {now:.0f} in the last hour, {then:.0f} in the same hour of last week",
        grouping=f"It is how many jobs finish {place}.",
        note=counts,
        facts=Facts(computing_site=site, component="throughput", error_class="" if site else "central"),
        may_open=may_open,
    )
