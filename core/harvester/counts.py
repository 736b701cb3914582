"""How many workers factories say they have. Knows the table of counts; a factory's report on a queue replaces its last."""

from __future__ import annotations

from dataclasses import dataclass

from core.database import Database, Row

SHOWN_FOR_S = 4 * 3600
"""Older counts are not told (server-api.md 1.4)."""


@dataclass(frozen=True)
class WorkerCount:
    """So many workers of a label and resource type are in a status."""

    job_type: str
    resource_type: str
    status: str
    worker_count: int


_LOCK = "SELECT pg_advisory_xact_lock(hashtext('harvester_worker_counts'), hashtext(%(key)s))"

# primary key
_FORGET = "DELETE FROM harvester_worker_counts WHERE computing_site = %(site)s AND harvester_id = %(harvester_id)s"
_INSERT = """
INSERT INTO harvester_worker_counts (computing_site, harvester_id, job_type, resource_type, status, worker_count) VALUES %s
"""


def replace_counts(database: Database, harvester_id: str, computing_site: str, counts: list[WorkerCount]) -> None:
    """Take a factory's whole count of its workers at a queue; a kind named twice counts once, the last."""
    distinct = {(count.job_type, count.resource_type, count.status): count.worker_count for count in counts}
    with database.transaction() as transaction:
        # two reports on one queue at the same time: the later one stands, never a mixture
        transaction.execute(_LOCK, {"key": f"{harvester_id}\n{computing_site}"})
        transaction.execute(_FORGET, {"site": computing_site, "harvester_id": harvester_id})
        transaction.insert_many(
            _INSERT, [(computing_site, harvester_id, *kind, worker_count) for kind, worker_count in distinct.items()]
        )


# the table whole: a row per kind of worker and queue
_RECENT = """
SELECT computing_site, harvester_id, job_type, resource_type, status, worker_count FROM harvester_worker_counts
WHERE last_update > clock_timestamp() - make_interval(secs => %(shown_for_s)s)
ORDER BY computing_site, harvester_id, job_type, resource_type, status
"""


def recent_counts(database: Database) -> list[Row]:
    """All counts of the last four hours: computing_site, harvester_id, job_type, resource_type, status, worker_count."""
    return database.fetch(_RECENT, {"shown_for_s": SHOWN_FOR_S})


# ix_harvester_workers_live, index only
_LIVE = """
SELECT computing_site, status, count(*) AS worker_count FROM harvester_workers
WHERE status IN ('pending', 'submitted', 'ready', 'running', 'idle') GROUP BY computing_site, status
"""


def live_workers_by_queue(database: Database) -> dict[str, dict[str, int]]:
    """Workers that have not ended, one by one as their factories reported them: {queue: {status: count}}."""
    counts: dict[str, dict[str, int]] = {}
    for row in database.fetch(_LIVE):
        counts.setdefault(row["computing_site"], {})[row["status"]] = row["worker_count"]
    return counts
