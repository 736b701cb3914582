"""What is known of one queue that jobs wait at: status and who set it, pilots, workers, the line. Reads by key."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from core.database import Row, Transaction
from core.states import ON_WORKER_NODE

MOST_COUNTED = 100_000
"""Jobs are counted no further; what is beyond is told as that number and a plus."""
_FRESH_S = 600
"""An incident that was last seen before says nothing about now."""
MOST_AHEAD = 10_000
"""Of those that come before a job, by priority and by age each."""

# queues and queue_contacts by primary key
_QUEUE = """
SELECT q.queue_name, q.status, q.comment, q.status_set_by, q.storage_endpoint, q.max_ram_mb, q.max_core_count,
       c.last_request_time, c.last_job_time
FROM queues q LEFT JOIN queue_contacts c USING (queue_name) WHERE q.queue_name = %(queue)s
"""
# primary key, backwards
_LAST_CHANGE = """
SELECT time, status, who, is_automatic, reason FROM queue_status_history WHERE queue_name = %(queue)s
ORDER BY time DESC LIMIT 1
"""
# primary key: the hour that runs and the one before
_CALLS = """
SELECT coalesce(sum(request_count), 0)::bigint AS asked, coalesce(sum(job_count), 0)::bigint AS taken,
       coalesce(sum(empty_count), 0)::bigint AS empty
FROM queue_contact_hours WHERE queue_name = %(queue)s AND hour > %(since)s - interval '1 hour'
"""
# primary key, the same hours
_OFFERS = """
SELECT coalesce(max(most_memory_mb), 0) AS memory_mb, coalesce(max(most_disk_mb), 0) AS disk_mb,
       coalesce(max(most_cores), 0) AS cores, coalesce(max(most_remaining_s), 0) AS remaining_s
FROM queue_contact_hours WHERE queue_name = %(queue)s AND hour > %(since)s - interval '1 hour'
"""
# ix_harvester_workers_live
_WORKERS = """
SELECT status, count(*) AS count FROM harvester_workers
WHERE computing_site = %(queue)s AND status IN ('pending', 'submitted', 'ready', 'running', 'idle') GROUP BY status
"""
# primary key of the counts
_COUNTED_WORKERS = """
SELECT status, sum(worker_count)::bigint AS count FROM harvester_worker_counts
WHERE computing_site = %(queue)s AND last_update > %(since)s GROUP BY status
"""
# ix_incidents_shown: those that are not resolved are few. What pilots say themselves tells more than that they died
_TROUBLE = """
SELECT incident_id, title FROM incidents
WHERE opened_time IS NOT NULL AND state IN ('open', 'reopened', 'acknowledged', 'silenced')
  AND computing_site = %(queue)s AND kind IN ('service', 'absence') AND last_seen >= %(since)s
ORDER BY kind = 'service' DESC, component = 'pilot' DESC, last_seen DESC LIMIT 1
"""
# ix_jobs_live_status, index only
_ON_NODE = """
SELECT count(*) AS count FROM (
    SELECT 1 FROM jobs_live WHERE computing_site = %(queue)s AND job_status = ANY(%(on_node)s) LIMIT %(most)s) jobs
"""
# ix_jobs_live_activated, index only: in its order those ahead are two ranges, and each is read no further than said
_AHEAD = """
SELECT (SELECT count(*) FROM (
            SELECT 1 FROM jobs_live WHERE job_status = 'activated' AND computing_site = %(queue)s AND gshare = %(gshare)s
              AND current_priority > %(priority)s LIMIT %(most)s) higher)
     + (SELECT count(*) FROM (
            SELECT 1 FROM jobs_live WHERE job_status = 'activated' AND computing_site = %(queue)s AND gshare = %(gshare)s
              AND current_priority = %(priority)s AND panda_id < %(panda_id)s LIMIT %(most)s) older) AS ahead
"""


class QueueFacts:
    """One queue as it is now; every fact is read once, when it is asked for."""

    def __init__(self, transaction: Transaction, name: str, as_of: datetime) -> None:
        self._transaction = transaction
        self.name = name
        self._as_of = as_of

    def _one(self, statement: str, **values: Any) -> Row | None:
        return self._transaction.fetch_one(statement, {"queue": self.name, **values})

    @cached_property
    def row(self) -> Row | None:
        """Status, comment, storage, and when its pilots last asked; None when there is no such queue."""
        return self._one(_QUEUE)

    @cached_property
    def last_change(self) -> Row | None:
        """The last change of its status: time, who, whether an automaton, why."""
        return self._one(_LAST_CHANGE)

    @cached_property
    def calls(self) -> Row:
        """Requests of pilots in this hour and the last (`asked`), jobs they got (`taken`), requests without (`empty`)."""
        return self._one(_CALLS, since=self._as_of - timedelta(hours=1)) or {"asked": 0, "taken": 0, "empty": 0}

    @cached_property
    def offers(self) -> Row:
        """The largest slots that pilots offered in this hour and the last, in each respect; 0 = none offered any."""
        none = dict.fromkeys(("memory_mb", "disk_mb", "cores", "remaining_s"), 0)
        return self._one(_OFFERS, since=self._as_of - timedelta(hours=1)) or none

    @cached_property
    def workers(self) -> dict[str, int]:
        """Workers by status, as factories reported them one by one, or else as they counted them in the last 4 hours."""
        rows = self._transaction.fetch(_WORKERS, {"queue": self.name}) or self._transaction.fetch(
            _COUNTED_WORKERS, {"queue": self.name, "since": self._as_of - timedelta(hours=4)}
        )
        return {row["status"]: int(row["count"]) for row in rows if row["count"]}

    @cached_property
    def trouble(self) -> Row | None:
        """The open incident of its pilots or its silence, if it was seen in the last ten minutes."""
        return self._one(_TROUBLE, since=self._as_of - timedelta(seconds=_FRESH_S))

    @cached_property
    def on_node(self) -> int:
        """Jobs that pilots of the queue have in their hands, counted up to `MOST_COUNTED`."""
        row = self._one(_ON_NODE, on_node=[str(status) for status in ON_WORKER_NODE], most=MOST_COUNTED)
        return int(row["count"]) if row else 0

    def ahead_of(self, job: Row) -> int:
        """Activated jobs of its share that come before it here, counted up to `MOST_AHEAD` in either range."""
        row = self._one(
            _AHEAD,
            gshare=job["gshare"],
            priority=job["current_priority"],
            panda_id=job["panda_id"],
            most=MOST_AHEAD,
        )
        return int(row["ahead"]) if row else 0
