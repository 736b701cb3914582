"""The queues: their limits, what is in them, and whether pilots still ask. Knows no page."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from core.database import Database, Row
from core.harvester.counts import live_workers_by_queue
from core.harvester.slots import target_slots
from core.monitor.filters import text_column
from core.monitor.question import Grammar, Question
from core.monitor.reading import envelope, read
from core.monitor.throughput import count_changes_by_queue
from core.queue_status import status_history
from core.queues import check_queue_exists

SILENCE_S = 600
"""A queue with work for pilots and no pilot asking for so long is silent (docs/api.md)."""

QUEUE_GRAMMAR = Grammar(
    filters={
        "queue_name": text_column("queue_name"),
        "computing_site": text_column("computing_site", "queue_name"),
        "site": text_column("site"),
        "queue_status": text_column("queue_status", "status"),
        "status": text_column("status"),
    }
)

# queues and queue_contacts whole: they are short; queue_status_history by primary key
_QUEUES = """
SELECT q.queue_name, q.site, q.status, q.comment, q.max_ram_mb, q.max_disk_mb, q.max_core_count, q.max_walltime_s,
       q.storage_endpoint, c.last_request_time AS last_pilot_contact, q.status_set_by, h.time AS status_time,
       h.who AS status_who, h.reason AS status_reason
FROM queues q LEFT JOIN queue_contacts c USING (queue_name)
LEFT JOIN LATERAL (
    SELECT time, who, reason FROM queue_status_history s WHERE s.queue_name = q.queue_name ORDER BY time DESC LIMIT 1
) h ON true
WHERE {where} ORDER BY q.queue_name
"""

# ix_jobs_live_status, index only
_LIVE_COUNTS = "SELECT computing_site, job_status, count(*) AS count FROM jobs_live GROUP BY 1, 2"


def queue_list(database: Database, question: Question) -> dict[str, Any]:
    """All queues that the question selects, by name; `jobs` and `workers` are the live ones, the rates those of the last hour.

    `target_slots` is what somebody wants filled at the whole queue, null without such a wish.
    """
    rows = read(database, _QUEUES.format(where=question.where()), question.parameters)
    live = live_counts(database)
    ended = _ended_last_hour(database, question.as_of)
    workers = live_workers_by_queue(database)
    targets = {
        row["computing_site"]: row["slots"]
        for row in target_slots(database)
        if not row["gshare"] and not row["resource_type"]
    }
    queues = []
    for row in rows:
        jobs = live.get(row["queue_name"], {})
        queues.append(
            {
                **row,
                "jobs": jobs,
                "workers": workers.get(row["queue_name"], {}),
                "target_slots": targets.get(row["queue_name"]),
                "finished_last_hour": ended.get((row["queue_name"], "finished"), 0),
                "failed_last_hour": ended.get((row["queue_name"], "failed"), 0),
                "silent": _is_silent(jobs, row["last_pilot_contact"], question.as_of),
            }
        )
    return envelope(question.as_of, count=len(queues), warnings=question.warnings, queues=queues)


def queue_history(database: Database, queue_name: str, as_of: datetime) -> dict[str, Any]:
    """The changes of the status of a queue, the newest first. Raises UnknownObject."""
    check_queue_exists(database, queue_name, "queue_name")
    changes = status_history(database, queue_name)
    return envelope(as_of, count=len(changes), queue_name=queue_name, changes=changes)


def live_counts(database: Database) -> dict[str, dict[str, int]]:
    """Live jobs by queue and status; jobs without a queue yet are under the empty name."""
    counts: dict[str, dict[str, int]] = {}
    for row in read(database, _LIVE_COUNTS, {}):
        counts.setdefault(row["computing_site"], {})[row["job_status"]] = row["count"]
    return counts


def silent_queues(database: Database, live: dict[str, dict[str, int]], as_of: datetime) -> list[str]:
    """Names of the queues where work waits and no pilot has asked for it for ten minutes."""
    rows: list[Row] = database.fetch("SELECT queue_name, last_request_time FROM queue_contacts")
    contacts = {row["queue_name"]: row["last_request_time"] for row in rows}
    return sorted(name for name, jobs in live.items() if name and _is_silent(jobs, contacts.get(name), as_of))


def _is_silent(jobs: dict[str, int], last_contact: datetime | None, as_of: datetime) -> bool:
    waits = jobs.get("activated", 0) > 0
    return waits and (last_contact is None or as_of - last_contact > timedelta(seconds=SILENCE_S))


def _ended_last_hour(database: Database, as_of: datetime) -> dict[tuple[str, str], int]:
    rows = count_changes_by_queue(database, as_of - timedelta(hours=1), as_of, ("finished", "failed"))
    return {(row["computing_site"], row["job_status"]): row["count"] for row in rows}
