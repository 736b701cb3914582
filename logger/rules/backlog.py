"""The rule for waiting: jobs stay in a state before running for longer than anybody should wait unnoticed."""

from __future__ import annotations

from datetime import datetime, timedelta

from core.database import Transaction
from logger.events import Event, short_title
from logger.rules.base import WatchRule

WAITING_LIMITS_S = {"defined": 3600, "waiting": 6 * 3600, "assigned": 6 * 3600, "activated": 2 * 3600}
"""How long the oldest job may wait in each state before people are told, in seconds. Far below the timeouts of
domain.md 2.3, at which the watchdog acts."""

_WAITS_FOR = {
    "defined": "a queue (see the brokerage of such a job for the reasons)",
    "waiting": "an input that is not registered anywhere",
    "assigned": "input files that are not at the queue's storage",
    "activated": "a pilot with room for them",
}

# ix_jobs_live_status
_WAITING = """
SELECT job_status, computing_site, count(*) AS job_count, min(state_change_time) AS oldest, min(panda_id) AS sample
FROM jobs_live l
JOIN unnest(%(states)s::text[], %(limits)s::timestamptz[]) AS t (state, before) ON l.job_status = t.state
WHERE l.state_change_time < t.before
GROUP BY 1, 2
"""


class LongWait(WatchRule):
    """One trouble per queue and state."""

    name = "long_wait"
    kind = "backlog"
    sentence = "Jobs have waited in one state for longer than its limit (WAITING_LIMITS_S)."

    def find(self, transaction: Transaction, now: datetime) -> list[Event]:
        """One event per queue and state whose oldest job waits too long."""
        limits = [now - timedelta(seconds=limit) for limit in WAITING_LIMITS_S.values()]
        rows = transaction.fetch(_WAITING, {"states": list(WAITING_LIMITS_S), "limits": limits})
        return [self._event(row["job_status"], row["computing_site"], row["job_count"], row["oldest"]) for row in rows]

    def _event(self, state: str, site: str, job_count: int, oldest: datetime) -> Event:
        place = f" at {site}" if site else ""
        return Event(
            rule=self.name,
            kind=self.kind,
            fingerprint=f"{self.prefix}{state}:{site}",
            grouping=f"They are the jobs that wait in {state}{place} for longer than {WAITING_LIMITS_S[state] // 3600} h.",
            title=short_title(f"{job_count} jobs wait{place} for {_WAITS_FOR[state]}"),
            time=oldest,
            severity="warning",
            component="task_buffer",
            computing_site=site,
            culprit_line=f"the oldest has been {state} since {oldest:%Y-%m-%d %H:%M} UTC",
        )
