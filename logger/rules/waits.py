"""The rule for waits: jobs at a queue wait for a pilot much longer than jobs there usually did."""

from __future__ import annotations

from datetime import timedelta

from core.database import Row
from logger.events import Kind
from logger.rules.base import Facts, Look, Measurement, MeasureRule
from logger.rules.parameters import WaitPercentileParameters
from logger.rules.ready_queues import READY_QUEUES
from logger.rules.words import span

_SLOWER = 0.7
"""A queue that starts more than this part of its usual jobs per hour is as quick as ever: it only has more to do."""

# ix_wait_hours_queue for the usual; ix_jobs_live_oldest for the present, exact up to 20 000 jobs at one queue;
# throughput_minutes by primary key, an hour of it; queues by primary key
_WAITS = f"""
WITH {READY_QUEUES}, started AS (
    SELECT computing_site, sum(job_count)::float AS jobs FROM throughput_minutes
    WHERE bin_time >= %(hour_ago)s AND bin_time < %(now)s AND job_status = 'sent' GROUP BY 1
)
SELECT p.name, w.waiting, w.waited_s, u.usual_s, u.starts, u.usual_starts, coalesce(s.jobs, 0) AS started
FROM places p
CROSS JOIN LATERAL (
    SELECT sum(starts) AS starts, sum(p95_s * starts) / nullif(sum(starts), 0) AS usual_s,
           percentile_cont(0.5) WITHIN GROUP (ORDER BY starts) FILTER (WHERE starts > 0) AS usual_starts
    FROM wait_hours WHERE computing_site = p.name AND hour >= %(first)s AND hour < %(now)s
) u
CROSS JOIN LATERAL (
    SELECT count(*) AS waiting,
           percentile_cont(0.9) WITHIN GROUP (ORDER BY extract(epoch FROM %(now)s - state_change_time))::float AS waited_s
    FROM (SELECT state_change_time FROM jobs_live WHERE job_status = 'activated' AND computing_site = p.name
          ORDER BY panda_id LIMIT 20000) ready
) w
LEFT JOIN started s ON s.computing_site = p.name
LEFT JOIN queues q ON q.queue_name = p.name
WHERE p.name IS NOT NULL AND u.starts >= %(min_jobs)s AND w.waiting >= %(min_jobs)s
  AND coalesce(q.status, 'online') NOT IN ('offline', 'paused', 'test')
"""


class WaitPercentile(MeasureRule[WaitPercentileParameters]):
    """Compares what nine of ten waiting jobs have waited with what nineteen of twenty waited before they started.

    A queue that starts about as many jobs per hour as usual is not slow, however much there is to do. Without a history of
    starts nothing is usual, so nothing is said.
    """

    name = "wait_percentile"
    kind: Kind = "backlog"
    sentence = "Nine of ten waiting jobs of a queue wait longer than several times what jobs there usually waited."
    model = WaitPercentileParameters

    def measure(self, look: Look, parameters: WaitPercentileParameters) -> list[Measurement]:
        """Seconds that nine of ten waiting jobs have waited at most, by queue."""
        rows = look.transaction.fetch(
            _WAITS,
            {
                "now": look.now,
                "hour_ago": look.now - timedelta(hours=1),
                "first": look.now - timedelta(days=parameters.days),
                "min_jobs": parameters.min_jobs,
            },
        )
        slow = [row for row in rows if row["started"] < _SLOWER * (row["usual_starts"] or 0)]
        return [self._measurement(row, look, parameters) for row in slow]

    def limit(self, parameters: WaitPercentileParameters, subject: str, usual: float) -> float:
        """`usual`: what nineteen of twenty jobs there waited at most."""
        return max(parameters.floor_s, parameters.times_usual * usual)

    def _measurement(self, row: Row, look: Look, parameters: WaitPercentileParameters) -> Measurement:
        name, waited_s, usual_s = row["name"], row["waited_s"], row["usual_s"]
        return Measurement(
            subject=name,
            value=waited_s,
            limit=self.limit(parameters, name, usual_s),
            title=f"{row['waiting']} jobs wait at {name} much longer than usual: {span(waited_s)} instead of {span(usual_s)}",
            grouping=f"It is how long jobs wait for a pilot at one queue, {name}.",
            note=f"nine of ten have waited up to {span(waited_s)}; in the last {parameters.days:g} days "
            f"nineteen of twenty had started within {span(usual_s)}",
            facts=Facts(computing_site=name, component="pilot"),
            usual=usual_s,
            may_open=look.up_s >= parameters.floor_s,
        )
