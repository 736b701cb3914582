"""The rule for waiting: jobs stay in a state before running for longer than anybody should wait unnoticed."""

from __future__ import annotations

from datetime import datetime, timedelta

from core.database import Row
from logger.events import Kind
from logger.rules.base import Facts, Look, Measurement, MeasureRule
from logger.rules.parameters import LongWaitParameters

_GRACE_S = 1800.0
"""After a start of the system what had to stand still has so long to go on."""

_WAITS_FOR = {
    "defined": "a queue (see the brokerage of such a job for the reasons)",
    "waiting": "an input that is not registered anywhere",
    "assigned": "input files that are not at the queue's storage",
    "activated": "a pilot with room for them",
}

# ix_jobs_live_status; queue_contacts and queues by primary key
_WAITING = """
SELECT w.job_status, w.computing_site, w.job_count, w.oldest, w.over_count,
       coalesce(c.last_job_time >= t.before OR q.status IN ('offline', 'paused'), false) AS is_patient
FROM (
    SELECT l.job_status, l.computing_site, count(*) AS job_count, min(l.state_change_time) AS oldest,
           count(*) FILTER (WHERE l.state_change_time < t.before) AS over_count
    FROM jobs_live l
    JOIN unnest(%(states)s::text[], %(halves)s::timestamptz[], %(limits)s::timestamptz[]) AS t (state, half, before)
      ON l.job_status = t.state
    WHERE l.state_change_time < t.half
    GROUP BY 1, 2
) w
JOIN unnest(%(states)s::text[], %(limits)s::timestamptz[]) AS t (state, before) ON t.state = w.job_status
LEFT JOIN queue_contacts c ON c.queue_name = w.computing_site AND w.job_status = 'activated'
LEFT JOIN queues q ON q.queue_name = w.computing_site AND w.job_status = 'activated'
"""


class LongWait(MeasureRule[LongWaitParameters]):
    """One trouble per queue and state.

    At a queue that gives out jobs, later work may rightly go first, and at one that a person set offline or paused,
    jobs wait as that person meant: both have `moving_times` the limit of activated jobs.
    """

    name = "long_wait"
    kind: Kind = "backlog"
    sentence = "Jobs have waited in one state for longer than its limit."
    model = LongWaitParameters

    def measure(self, look: Look, parameters: LongWaitParameters) -> list[Measurement]:
        """The age of the oldest job per state and queue, in seconds, from half of the limit on."""
        limits = _limits(parameters)
        rows = look.transaction.fetch(
            _WAITING,
            {
                "states": list(limits),
                "halves": [look.now - timedelta(seconds=limit_s / 2) for limit_s in limits.values()],
                "limits": [look.now - timedelta(seconds=limit_s) for limit_s in limits.values()],
            },
        )
        return [_measurement(row, look, limits[row["job_status"]], parameters.moving_times) for row in rows]

    def limit(self, parameters: LongWaitParameters, subject: str, usual: float) -> float:
        """The limit of the state; `usual` is how many times that the queue had."""
        return _limits(parameters)[subject.partition(":")[0]] * (parameters.moving_times if usual > 1 else 1)


def _limits(parameters: LongWaitParameters) -> dict[str, float]:
    return {
        "defined": parameters.defined_s,
        "waiting": parameters.waiting_s,
        "assigned": parameters.assigned_s,
        "activated": parameters.activated_s,
    }


def _measurement(row: Row, look: Look, limit_s: float, moving_times: float) -> Measurement:
    state, site, oldest = row["job_status"], row["computing_site"], row["oldest"]
    place = f" at {site}" if site else ""
    times = moving_times if row["is_patient"] else 1.0
    jobs = row["over_count"] or row["job_count"]
    return Measurement(
        subject=f"{state}:{site}",
        value=(look.now - oldest).total_seconds(),
        limit=limit_s * times,
        title=f"{jobs} {'job waits' if jobs == 1 else 'jobs wait'}{place} for {_WAITS_FOR[state]}",
        grouping=f"They are the jobs that wait in {state}{place} for longer than {_hours(limit_s * times)}.",
        note=f"the oldest has been {state} since {oldest:%Y-%m-%d %H:%M} UTC",
        since=_reached(oldest, limit_s * times),
        facts=Facts(computing_site=site, component="task_buffer"),
        usual=times if times > 1 else 0,
        may_open=look.up_s >= min(limit_s, _GRACE_S),
    )


def _reached(oldest: datetime, limit_s: float) -> datetime:
    """When the wait became a trouble."""
    return oldest + timedelta(seconds=limit_s)


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:g} h" if seconds >= 3600 else f"{seconds:g} s"
