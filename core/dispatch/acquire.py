"""Take-one-job for pilots. Knows matching and order; does not know HTTP or PanDA's wire names.

One statement finds, marks, logs and reads the job (design.md: one round trip). The row lock with SKIP LOCKED lets any
number of pilots ask at the same time; a row taken by one is invisible to the others, so no job is ever given twice.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from core.database import Database, Row
from core.database.prepared import PreparedStatement
from core.errors import Unavailable, UnknownObject
from core.states import JobStatus, job_statuses_before

LABEL_FAMILIES: dict[str, tuple[str, ...]] = {
    "user": ("user", "panda", "install"),
    "managed": ("managed", "test", "prod_test", "install"),
    "": ("managed", "test", "prod_test", "install"),
    "unified": ("managed", "test", "prod_test", "install", "user", "panda"),
    "test": ("prod_test", "install", "test"),
}
"""What a pilot of a label may be given (server-api.md 5.3); any other label matches itself."""

QUEUES_WITH_DISPATCH = ("online", "test", "brokeroff")
"""Queue statuses in which pilots get jobs: brokeroff drains what is there."""


@dataclass(frozen=True)
class SlotOffer:
    """What a pilot has to offer. None or 0 = not stated, matches everything."""

    site_name: str
    prod_source_label: str = ""
    memory_mb: int | None = None
    disk_mb: int | None = None
    cores: int | None = None
    remaining_s: int | None = None
    resource_type: str = ""
    jedi_task_id: int | None = None
    user_name: str = ""
    node: str = ""
    worker_id: str = ""
    batch_id: str = ""
    job_count: int = 1


@dataclass(frozen=True)
class AcquiredJob:
    """A job on its way to a pilot: its row, its parameters, its files with their movers."""

    job: Row
    job_parameters: str
    files: list[Row]


# Bounds instead of "not stated or small enough", and the rare wishes apart: the kept plan of the common statement must
# see that walking ix_jobs_live_activated in order finds a job at once, so that the depth of a queue does not matter.
_FITS = """
    j.job_status = 'activated' AND j.computing_site = %(site)s AND j.prod_source_label = ANY(%(labels)s)
    AND j.min_ram_mb <= %(memory)s AND j.max_disk_mb <= %(disk)s AND j.core_count <= %(cores)s
    AND j.max_walltime_s <= %(remaining)s
"""
_WISHES = """
    AND (%(resource_type)s = '' OR j.resource_type = %(resource_type)s)
    AND (%(task)s = 0 OR j.jedi_task_id = %(task)s)
    AND (%(user)s = '' OR j.prod_user_name = %(user)s)
"""
_NO_LIMIT = 2**62


def _statement(*, wishes: str, limit: str) -> str:
    return f"""
WITH candidate AS (
    SELECT j.panda_id FROM jobs_live j
    WHERE {_FITS} {wishes}
      AND EXISTS (SELECT 1 FROM queues q WHERE q.queue_name = %(site)s AND q.status = ANY(%(open_statuses)s))
    ORDER BY j.current_priority DESC, j.panda_id LIMIT {limit}
    FOR UPDATE OF j SKIP LOCKED
), taken AS (
    UPDATE jobs_live j SET
        job_status = 'sent', state_change_time = clock_timestamp(), modification_time = clock_timestamp(),
        modification_host = %(node)s, worker_id = %(worker_id)s, batch_id = %(batch_id)s
    FROM candidate c WHERE j.panda_id = c.panda_id AND j.job_status = ANY(%(sources)s)
    RETURNING j.*
), logged AS (
    INSERT INTO job_history (panda_id, jedi_task_id, attempt_nr, previous_status, job_status, computing_site,
                             prod_source_label, host, reason)
    SELECT panda_id, jedi_task_id, attempt_nr, 'activated', 'sent', computing_site, prod_source_label, %(node)s,
           'taken by a pilot'
    FROM taken
)
SELECT to_jsonb(t) AS job, p.job_parameters, (
    SELECT coalesce(jsonb_agg(to_jsonb(f) || jsonb_build_object('mover', e.mover) ORDER BY f.row_id), '[]')
    FROM job_files f LEFT JOIN storage_endpoints e ON e.name = f.endpoint WHERE f.panda_id = t.panda_id
) AS files
FROM taken t LEFT JOIN job_parameters p USING (panda_id)
ORDER BY t.current_priority DESC, t.panda_id
"""


ACQUIRE = PreparedStatement(
    "acquire_job",
    _statement(wishes="", limit="1"),
    {
        **dict.fromkeys(("site", "node", "worker_id", "batch_id"), "text"),
        **dict.fromkeys(("memory", "disk", "cores", "remaining"), "bigint"),
        **dict.fromkeys(("labels", "open_statuses", "sources"), "text[]"),
    },
)
"""One job for a pilot without wishes: nearly every request."""

_ACQUIRE_AS_WISHED = _statement(wishes=_WISHES, limit="%(job_count)s")


def acquire_jobs(database: Database, offer: SlotOffer) -> list[AcquiredJob]:
    """Give the best matching jobs to a pilot; an empty list when there is nothing for it.

    Raises UnknownObject when the queue does not exist.
    """
    has_wishes = offer.job_count > 1 or offer.resource_type or offer.jedi_task_id or offer.user_name
    values = acquire_parameters(offer)
    rows = database.fetch(_ACQUIRE_AS_WISHED, values) if has_wishes else database.fetch_prepared(ACQUIRE, values)
    if not rows:
        _check_queue(database, offer.site_name)
    return [AcquiredJob(row["job"], row["job_parameters"] or "", row["files"]) for row in rows]


def acquire_parameters(offer: SlotOffer) -> dict[str, Any]:
    """The bound parameters of `ACQUIRE` for an offer."""
    label = offer.prod_source_label
    return {
        "site": offer.site_name,
        "labels": list(LABEL_FAMILIES.get(label, (label,))),
        "memory": offer.memory_mb or _NO_LIMIT,
        "disk": offer.disk_mb or _NO_LIMIT,
        "cores": offer.cores or _NO_LIMIT,
        "remaining": offer.remaining_s or _NO_LIMIT,
        "resource_type": offer.resource_type,
        "task": offer.jedi_task_id or 0,
        "user": offer.user_name,
        "node": offer.node,
        "worker_id": offer.worker_id,
        "batch_id": offer.batch_id,
        "job_count": offer.job_count,
        "open_statuses": list(QUEUES_WITH_DISPATCH),
        "sources": list(job_statuses_before(JobStatus.SENT)),
    }


def _check_queue(database: Database, name: str) -> None:
    if database.fetch_one("SELECT 1 FROM queues WHERE queue_name = %(name)s", {"name": name}) is None:
        raise UnknownObject(
            f"there is no queue {name[:100]!r}", field="site_name", remedy="see `panda queues` for the names"
        )


_CONTACT = """
INSERT INTO queue_contacts (queue_name, last_request_time, last_job_time, request_count, job_count)
VALUES (%(queue)s, clock_timestamp(), CASE WHEN %(jobs)s > 0 THEN clock_timestamp() END, %(requests)s, %(jobs)s)
ON CONFLICT (queue_name) DO UPDATE SET
    last_request_time = excluded.last_request_time,
    last_job_time = coalesce(excluded.last_job_time, queue_contacts.last_job_time),
    request_count = queue_contacts.request_count + excluded.request_count,
    job_count = queue_contacts.job_count + excluded.job_count
"""


class ContactBook:
    """Remembers in memory that pilots called and writes it every few seconds: one hot row per request would not scale."""

    def __init__(self, period_s: float = 2.0) -> None:
        self._period_s = period_s
        self._lock = threading.Lock()
        self._counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        self._next_write = 0.0
        self._is_due = False

    def note(self, database: Database, queue: str, job_count: int) -> None:
        """A pilot of `queue` asked and got `job_count` jobs."""
        with self._lock:
            counts = self._counts[queue]
            counts[0] += 1
            counts[1] += job_count
            rest_s = self._next_write - time.monotonic()
            if rest_s > 0:
                # nobody may call for an hour after this one, and people would read that no pilot ever came
                if not self._is_due:
                    self._is_due = True
                    _later(rest_s, self._write_later, database)
                return
        self._write(database)

    def _write(self, database: Database) -> None:
        with self._lock:
            self._next_write = time.monotonic() + self._period_s
            written, self._counts = self._counts, defaultdict(lambda: [0, 0])
        for name in sorted(written):
            parameters: dict[str, Any] = {"queue": name, "requests": written[name][0], "jobs": written[name][1]}
            database.execute(_CONTACT, parameters)

    def _write_later(self, database: Database) -> None:
        self._is_due = False
        with suppress(Unavailable):  # there will be further calls to count
            self._write(database)


def _later(seconds: float, call: Callable[[Database], None], database: Database) -> None:
    timer = threading.Timer(seconds, call, (database,))
    timer.daemon = True
    timer.start()
