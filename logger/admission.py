"""How much each token may send. Knows senders, time and counts; knows no record and no table.

A bucket per token holds so many records and so many bytes and fills at a steady rate. A batch is taken when there is
enough for it, or when the bucket is full: a batch larger than a bucket must not be refused for ever.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from core.errors import TooMany
from core.incident_settings import IngestSettings

SYSTEM_FACTOR = 10
"""Tokens of the system itself may send so many times as much: all its programs use one."""
TOLD_EVERY_S = 10.0
CALM_AFTER_S = 600.0
LEAST_RECORDS = 10
"""What a batch costs at least, in records: a transaction's worth."""

_MOST_BUCKETS = 10_000
_TRUSTED_ROLES = frozenset({"pilot", "production", "operator", "admin"})


@dataclass(frozen=True)
class Sender:
    """Who sends a batch: the facts of the token it came with."""

    subject: str
    token_id: str = ""
    roles: frozenset[str] = frozenset()
    expiry_time: float = 0.0
    """When the token ends, in seconds since 1970; 0: never."""

    @property
    def key(self) -> str:
        """What its rate is counted under."""
        return self.token_id or f"user {self.subject}"

    @property
    def is_trusted(self) -> bool:
        """Whether its token speaks for the system: what it says of any job is taken as said."""
        return bool(self.roles & _TRUSTED_ROLES)

    @property
    def is_system(self) -> bool:
        """Whether it is a program of the installation itself."""
        return "admin" in self.roles


@dataclass(frozen=True)
class Refused:
    """What was refused of a sender since this was last told."""

    sender: Sender
    batches: int
    records: int


@dataclass(frozen=True)
class Calm:
    """A sender that is within its limits again, for so many seconds."""

    sender: Sender
    since_s: float


@dataclass
class _Bucket:
    records: float
    size_bytes: float
    filled_at: float


@dataclass
class _Refusals:
    sender: Sender
    told_at: float
    batches: int = 0
    records: int = 0


@dataclass
class Admission:
    """The buckets of one process. Safe from any thread."""

    limits: IngestSettings
    share: float = 1.0
    """This process's part of what a token may send to all of them."""
    monotonic: Callable[[], float] = time.monotonic
    _buckets: OrderedDict[str, _Bucket] = field(default_factory=OrderedDict)
    _refusals: OrderedDict[str, _Refusals] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def admit_body(self, sender: Sender, size_bytes: int) -> None:
        """Take the bytes of a body that nobody has read yet, whatever is in it. Raises as `admit`."""
        self._take(sender, LEAST_RECORDS, size_bytes, 0)

    def admit_records(self, sender: Sender, records: int) -> None:
        """Take the records of a body whose bytes are taken. Raises as `admit`."""
        self._take(sender, max(records - LEAST_RECORDS, 0), 0, records)

    def admit(self, sender: Sender, records: int, size_bytes: int) -> None:
        """Take from the sender's bucket. Raises TooMany with the seconds to wait; nothing is taken then."""
        self._take(sender, max(records, LEAST_RECORDS), size_bytes, records)

    def _take(self, sender: Sender, counted: int, size_bytes: int, records: int) -> None:
        with self._lock:
            bucket = self._filled(sender)
            per_s, bytes_per_s = self._rates(sender)
            records_wait_s = (min(counted, per_s * self.limits.burst_s) - bucket.records) / per_s
            bytes_wait_s = (min(size_bytes, bytes_per_s * self.limits.burst_s) - bucket.size_bytes) / bytes_per_s
            if max(records_wait_s, bytes_wait_s) > 0:
                self._note_refusal(sender, records)
                raise self._too_many(sender, records_wait_s, bytes_wait_s)
            bucket.records -= counted
            bucket.size_bytes -= size_bytes

    def refused_since(self) -> list[Refused]:
        """Senders of whom something was refused that is not told yet: the first at once, then every ten seconds."""
        if not self._refusals:
            return []
        with self._lock:
            now = self.monotonic()
            told = []
            for key, entry in list(self._refusals.items()):
                if entry.batches and now - entry.told_at >= TOLD_EVERY_S:
                    told.append(Refused(entry.sender, entry.batches, entry.records))
                    self._refusals[key] = _Refusals(entry.sender, now)
            return told

    def calm_since(self) -> list[Calm]:
        """Senders of whom refusals were told and nothing has been refused since, for ten minutes; each once."""
        if not self._refusals:
            return []
        with self._lock:
            now = self.monotonic()
            calm = []
            for key, entry in list(self._refusals.items()):
                if not entry.batches and now - entry.told_at >= CALM_AFTER_S:
                    del self._refusals[key]
                    calm.append(Calm(entry.sender, now - entry.told_at - TOLD_EVERY_S))
            return calm

    def _rates(self, sender: Sender) -> tuple[float, float]:
        factor = self.share * (SYSTEM_FACTOR if sender.is_system else 1)
        return self.limits.records_per_s * factor, self.limits.bytes_per_s * factor

    def _filled(self, sender: Sender) -> _Bucket:
        now = self.monotonic()
        most_records, most_bytes = (rate * self.limits.burst_s for rate in self._rates(sender))
        bucket = self._buckets.pop(sender.key, None) or _Bucket(most_records, most_bytes, now)
        passed_s = max(0.0, now - bucket.filled_at)
        bucket.records = min(most_records, bucket.records + passed_s * most_records / self.limits.burst_s)
        bucket.size_bytes = min(most_bytes, bucket.size_bytes + passed_s * most_bytes / self.limits.burst_s)
        bucket.filled_at = now
        self._buckets[sender.key] = bucket
        if len(self._buckets) > _MOST_BUCKETS:
            self._buckets.popitem(last=False)
        return bucket

    def _note_refusal(self, sender: Sender, records: int) -> None:
        entry = self._refusals.setdefault(sender.key, _Refusals(sender, float("-inf")))
        entry.batches += 1
        entry.records += records
        if len(self._refusals) > _MOST_BUCKETS:
            self._refusals.popitem(last=False)

    def _too_many(self, sender: Sender, records_wait_s: float, bytes_wait_s: float) -> TooMany:
        factor = SYSTEM_FACTOR if sender.is_system else 1
        if bytes_wait_s > records_wait_s:
            what, setting = f"{self.limits.bytes_per_s * factor:,.0f} bytes", "bytes_per_s"
        else:
            what, setting = f"{self.limits.records_per_s * factor:g} records", "records_per_s"
        return TooMany(
            f"{sender.subject} sends more log records than one token may ({what} in a second over all API processes)",
            retry_after_s=max(records_wait_s, bytes_wait_s),
            field="Authorization",
            remedy=f"send again after the time in Retry-After; log less, or raise [ingest] {setting}",
        )
