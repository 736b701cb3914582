"""The incident store's door: takes records and failed jobs in, and changes the state of incidents on request.

Knows the tables of incidents and the order of the steps; the rules are in `logger/rules`, reading in `logger/reading`.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

from logger.admission import Sender
from logger.batches import read_batch
from logger.decisions import Decisions
from logger.failures import fold_failed_jobs
from logger.ingest import OURSELVES, Ingested, RecordIngest
from logger.life import MAX_COMMENT_CHARACTERS

__all__ = ["MAX_COMMENT_CHARACTERS", "IncidentStore", "Ingested"]


class IncidentStore(Decisions):
    """Records in, incidents out, and what people decide of them (`logger.decisions`).

    Safe to use from several threads, processes and hosts at once.
    """

    def ingest_records(self, batch: Any, emitter: str) -> Ingested:
        """Store a batch of records and fold its troubles into incidents, all in one transaction (`logger.ingest`).

        `batch`: the JSON document of POST /api/logger/records (docs/api.md). `emitter`: who sends it; a part of the system,
        which may say anything and as much as it likes. A bad record is rejected with its reason and the others are kept.
        Raises InvalidInput for a batch that is none.
        """
        return self._ingest.store(read_batch(batch), Sender(emitter, roles=OURSELVES.roles))

    @cached_property
    def _ingest(self) -> RecordIngest:
        return RecordIngest(self._database, self._clock)

    def ingest_ended_jobs(self) -> int:
        """Fold the jobs that failed since the last call; returns how many. One caller at a time works, others wait."""
        return fold_failed_jobs(self._database, self._clock)
