"""Reads all queues with everything the criteria look at, in a few statements. Knows tables, no rule.

The counts of jobs are the dear part (an index-only scan of all live jobs); a LoadBook keeps them for some seconds, and
what brokerage itself adds in between stays counted.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from typing import Any

from core.brokerage.candidates import Candidate
from core.brokerage.site_classes import classify
from core.brokerage.stated import read_stated
from core.database import Row, Transaction
from core.shares.ranking import barred_shares

log = logging.getLogger("panda.brokerage")

# short tables whole; per queue one step into ix_jobs_live_oldest (9 ms for 300 queues and a million jobs)
_QUEUES = """
SELECT q.queue_name, q.site, q.status, q.storage_endpoint, q.max_ram_mb, q.max_disk_mb, q.max_core_count, q.max_walltime_s,
       q.parameters, q.modification_time, coalesce(e.state = 'online' AND e.kind = 'disk', false) AS storage_is_online,
       extract(epoch FROM clock_timestamp() - c.last_request_time)::float AS pilot_age_s,
       extract(epoch FROM clock_timestamp() - coalesce(c.last_job_time, q.creation_time))::float AS job_age_s,
       extract(epoch FROM clock_timestamp() - o.state_change_time)::float AS oldest_activated_s,
       coalesce(w.workers, 0)::bigint AS workers, s.slots::bigint AS slots
FROM queues q
LEFT JOIN storage_endpoints e ON e.name = q.storage_endpoint
LEFT JOIN queue_contacts c ON c.queue_name = q.queue_name
LEFT JOIN LATERAL (
    SELECT j.state_change_time FROM jobs_live j
    WHERE j.computing_site = q.queue_name AND j.job_status = 'activated' ORDER BY j.panda_id LIMIT 1
) o ON true
LEFT JOIN (
    SELECT computing_site, sum(worker_count) AS workers FROM harvester_worker_counts
    WHERE status IN ('running', 'ready', 'submitted') GROUP BY computing_site
) w ON w.computing_site = q.queue_name
LEFT JOIN (
    SELECT computing_site, sum(slots) AS slots FROM harvester_slots
    WHERE expiration_time IS NULL OR expiration_time > clock_timestamp() GROUP BY computing_site
) s ON s.computing_site = q.queue_name
ORDER BY q.queue_name
"""

# ix_jobs_live_status, index only (0.2 s for a million jobs)
_LOAD = """
SELECT computing_site, job_status, count(*) AS n FROM jobs_live WHERE computing_site <> '' GROUP BY 1, 2
"""

# primary keys: six full hours of throughput_hours, the whole of share_usage (a row per share, queue and resource type)
_FLOW = """
SELECT computing_site, '' AS resource_type, sum(job_count)::bigint AS running, 0::bigint AS queued, 0::bigint AS cores
FROM throughput_hours
WHERE bin_time >= date_trunc('hour', clock_timestamp()) - interval '6 hours' AND job_status = 'running'
GROUP BY computing_site
UNION ALL
SELECT computing_site, resource_type, sum(executing_jobs)::bigint, sum(queued_jobs + waiting_jobs)::bigint,
       sum(executing_cores)::bigint
FROM share_usage WHERE resource_type <> '' GROUP BY computing_site, resource_type
"""

# wait_hours_pkey, 96 hours of each queue (0.1 s for a thousand queues). An hour of six hours ago counts half (domain.md
# 5.3); a wait that cannot be one is left out
_WAITS = """
WITH present AS MATERIALIZED (SELECT clock_timestamp() AS time)
SELECT q.queue_name, w.usual_wait_s, w.starts_of_day FROM queues q CROSS JOIN present CROSS JOIN LATERAL (
    SELECT sum(h.p95_s * h.starts * h.weight) / sum(h.starts * h.weight) AS usual_wait_s,
           coalesce(sum(h.starts) FILTER (WHERE h.hour > present.time - interval '25 hours'), 0)::bigint AS starts_of_day
    FROM (
        SELECT hour, p95_s, starts::float AS starts,
               power(0.5, extract(epoch FROM present.time - hour)::float / (6 * 3600)) AS weight
        FROM wait_hours
        WHERE computing_site = q.queue_name AND hour > present.time - interval '4 days' AND hour <= present.time
          AND starts > 0 AND p95_s >= 0 AND p95_s < 1e9
    ) h
) w WHERE w.usual_wait_s IS NOT NULL
"""

_COUNTED_AS = {
    **dict.fromkeys(("stagein", "running", "stageout"), "running"),
    **dict.fromkeys(("pending", "defined", "waiting", "throttled"), "defined"),
    **dict.fromkeys(("sent", "starting"), "starting"),
    **dict.fromkeys(("holding", "transferring", "merging"), "transferring"),
    "assigned": "assigned",
    "activated": "activated",
}
_LOAD_FIELDS = (
    *("running", "defined", "assigned", "activated", "starting", "transferring", "running_cores"),
    *("by_resource_type", "started_lately"),
)
_WAIT_FIELDS = ("usual_wait_s", "starts_of_day")
_WAITS_KEPT = 12
"""Waits are counted once an hour: so many times longer than the counts of jobs they are kept."""
_MB_OF_GB = 1000


def read_candidates(transaction: Transaction) -> list[Candidate]:
    """All queues as they are now, by name."""
    candidates = read_queues(transaction)
    _count(transaction, candidates)
    _add_waits(transaction, candidates)
    classify(candidates)
    return candidates


class LoadBook:
    """Candidates for an agent that asks again and again: queues always fresh, counts of jobs for `load_s` seconds.

    The clock is the database's, so that a simulation in virtual time counts when it should.
    """

    def __init__(self, load_s: float) -> None:
        self._load_s = load_s
        self._candidates: dict[str, Candidate] = {}
        self._counted_at = float("-inf")
        self._waits_at = float("-inf")

    def read(self, transaction: Transaction) -> list[Candidate]:
        """The candidates; changes made to their counts stay until these are counted anew."""
        candidates = read_queues(transaction)
        now = database_time(transaction)
        if not self._counted_at <= now < self._counted_at + self._load_s:
            _count(transaction, candidates)
            self._counted_at = now
        else:
            self._take_over(candidates, _LOAD_FIELDS)
        if not self._waits_at <= now < self._waits_at + _WAITS_KEPT * self._load_s:
            _add_waits(transaction, candidates)
            self._waits_at = now
        else:
            self._take_over(candidates, _WAIT_FIELDS)
        self._candidates = {queue.queue_name: queue for queue in candidates}
        classify(candidates)
        return candidates

    def _take_over(self, candidates: list[Candidate], names: tuple[str, ...]) -> None:
        for queue in candidates:
            before = self._candidates.get(queue.queue_name)
            for name in names if before is not None else ():
                setattr(queue, name, getattr(before, name))


def database_time(transaction: Transaction) -> float:
    """Seconds since 1970 by the clock of the database."""
    [row] = transaction.fetch("SELECT extract(epoch FROM clock_timestamp())::float AS now")
    return float(row["now"])


def read_queues(transaction: Transaction) -> list[Candidate]:
    """All queues with what they state, by name; their jobs are not counted."""
    candidates = [_candidate(row) for row in transaction.fetch(_QUEUES)]
    _add_endpoints_of_sites(candidates)
    barred = barred_shares(transaction)
    for queue in candidates if barred else ():
        queue.barred_shares = frozenset(barred.get(queue.queue_name, ()))
    return candidates


def _add_endpoints_of_sites(candidates: list[Candidate]) -> None:
    by_site: dict[str, set[str]] = defaultdict(set)
    for queue in candidates:
        by_site[queue.site or queue.queue_name] |= {queue.storage_endpoint, *queue.stated.endpoints} - {""}
    for queue in candidates:
        queue.site_endpoints = frozenset(by_site[queue.site or queue.queue_name])


def _candidate(row: Row) -> Candidate:
    values: dict[str, Any] = {name: value for name, value in row.items() if name in Candidate.__dataclass_fields__}
    stated = read_stated(row["parameters"])
    _warn_once(row, stated.unreadable)
    free_mb = None if stated.space_gb is None else int(stated.space_gb * _MB_OF_GB)
    return Candidate(**values, stated=stated, free_storage_mb=free_mb)


_warned: dict[str, object] = {}
"""The change of a queue about which somebody was told, by its name."""


def _warn_once(row: Row, unreadable: tuple[str, ...]) -> None:
    if unreadable and _warned.get(row["queue_name"]) != row["modification_time"]:
        _warned[row["queue_name"]] = row["modification_time"]
        log.warning(
            "queue %s: brokerage cannot read its parameters %s and takes them as not stated",
            row["queue_name"],
            ", ".join(unreadable)[:200],
            extra={"component": "brokerage"},
        )


def _count(transaction: Transaction, candidates: list[Candidate]) -> None:
    by_name = {queue.queue_name: queue for queue in candidates}
    for row in transaction.fetch(_LOAD):
        queue, field = by_name.get(row["computing_site"]), _COUNTED_AS.get(row["job_status"])
        if queue is not None and field is not None:
            setattr(queue, field, getattr(queue, field) + row["n"])
    for row in transaction.fetch(_FLOW):
        queue = by_name.get(row["computing_site"])
        if queue is not None and row["resource_type"]:
            counts = {row["resource_type"]: (row["queued"], row["running"])}
            queue.by_resource_type = {**queue.by_resource_type, **counts}
            queue.running_cores += row["cores"]
        elif queue is not None:
            queue.started_lately = row["running"]


def _add_waits(transaction: Transaction, candidates: list[Candidate]) -> None:
    by_name = {queue.queue_name: queue for queue in candidates}
    for row in transaction.fetch(_WAITS):
        queue = by_name.get(row["queue_name"])
        if queue is not None:
            queue.usual_wait_s, queue.starts_of_day = row["usual_wait_s"], row["starts_of_day"]
