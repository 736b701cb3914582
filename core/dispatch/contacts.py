"""How often pilots of a queue call and what they get: the "pilots seen" of brokerage and pages (domain.md 5.4)."""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from core.database import Database
from core.dispatch.acquire import SlotOffer
from core.errors import Unavailable

log = logging.getLogger("panda.dispatch")

UNBOUNDED = 2**62
"""Stands for what a pilot does not bound."""
_SIZES = ("memory_mb", "disk_mb", "cores", "remaining_s")

# primary keys; what a pilot calls its queue in a report may be none
_CONTACT = """
WITH counted AS (
    INSERT INTO queue_contact_hours AS h (queue_name, hour, request_count, job_count, empty_count, update_count,
                                          most_memory_mb, most_disk_mb, most_cores, most_remaining_s)
    SELECT q.queue_name, date_trunc('hour', clock_timestamp()), %(requests)s, %(jobs)s, %(empty)s, %(updates)s,
           %(memory_mb)s, %(disk_mb)s, %(cores)s, %(remaining_s)s
    FROM queues q WHERE q.queue_name = %(queue)s
    ON CONFLICT (queue_name, hour) DO UPDATE SET
        request_count = h.request_count + excluded.request_count, job_count = h.job_count + excluded.job_count,
        empty_count = h.empty_count + excluded.empty_count, update_count = h.update_count + excluded.update_count,
        most_memory_mb = greatest(h.most_memory_mb, excluded.most_memory_mb),
        most_disk_mb = greatest(h.most_disk_mb, excluded.most_disk_mb),
        most_cores = greatest(h.most_cores, excluded.most_cores),
        most_remaining_s = greatest(h.most_remaining_s, excluded.most_remaining_s)
)
INSERT INTO queue_contacts (queue_name, last_request_time, last_job_time, request_count, job_count)
SELECT %(queue)s, clock_timestamp(), CASE WHEN %(jobs)s > 0 THEN clock_timestamp() END, %(requests)s, %(jobs)s
WHERE %(requests)s > 0
ON CONFLICT (queue_name) DO UPDATE SET
    last_request_time = excluded.last_request_time,
    last_job_time = coalesce(excluded.last_job_time, queue_contacts.last_job_time),
    request_count = queue_contacts.request_count + excluded.request_count,
    job_count = queue_contacts.job_count + excluded.job_count
"""


@dataclass
class _Counts:
    requests: int = 0
    jobs: int = 0
    empty: int = 0
    updates: int = 0
    memory_mb: int = 0
    """This and the following: the largest slot that was offered, in each respect."""
    disk_mb: int = 0
    cores: int = 0
    remaining_s: int = 0

    def add(self, other: _Counts) -> None:
        """Count what was noted in `other` as well."""
        self.requests += other.requests
        self.jobs += other.jobs
        self.empty += other.empty
        self.updates += other.updates
        for name in _SIZES:
            setattr(self, name, max(getattr(self, name), getattr(other, name)))


class ContactBook:
    """Remembers in memory that pilots called and writes it every few seconds: one hot row per request would not scale."""

    def __init__(self, period_s: float = 2.0) -> None:
        self._period_s = period_s
        self._lock = threading.Lock()
        self._counts: dict[str, _Counts] = defaultdict(_Counts)
        self._next_write = 0.0
        self._is_due = False

    def note(self, database: Database, offer: SlotOffer, job_count: int) -> None:
        """A pilot made this offer and got `job_count` jobs."""
        slot = (offer.memory_mb, offer.disk_mb, offer.cores, offer.remaining_s)
        asked = _Counts(1, job_count, int(job_count == 0), 0, *(size or UNBOUNDED for size in slot))
        self._note(database, offer.site_name, asked)

    def note_update(self, database: Database, queue: str) -> None:
        """A pilot of `queue` reported on a job."""
        self._note(database, queue, _Counts(updates=1))

    def _note(self, database: Database, queue: str, added: _Counts) -> None:
        with self._lock:
            self._counts[queue].add(added)
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
            written, self._counts = self._counts, defaultdict(_Counts)
        for name in sorted(written):  # so that two processes cannot deadlock
            try:
                database.execute(_CONTACT, {"queue": name, **vars(written[name])})
            except Unavailable:
                with self._lock:
                    for kept, counts in written.items():
                        self._counts[kept].add(counts)
                raise
            except Exception:  # a name that no database takes, say: the others' calls are written all the same
                log.exception("calls of pilots of %r could not be written down", name[:100])
            del written[name]

    def _write_later(self, database: Database) -> None:
        self._is_due = False
        try:
            self._write(database)
        except Unavailable as error:
            log.info("calls of pilots are written down later: %s", error.detail)


def _later(seconds: float, call: Callable[[Database], None], database: Database) -> None:
    timer = threading.Timer(seconds, call, (database,))
    timer.daemon = True
    timer.start()
