"""The incident store's door: takes records and failed jobs in, and changes the state of incidents on request.

Knows the tables of incidents and the order of the steps; the rules are in `logger/rules`, reading in `logger/reading`.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import psycopg2.errors

from core.clock import Clock, utc_now
from core.database import Database, Row
from core.errors import Conflict
from core.states import IncidentState
from logger import life
from logger.admission import Sender
from logger.batches import read_batch
from logger.failures import fold_failed_jobs
from logger.ingest import OURSELVES, Ingested, RecordIngest
from logger.life import MAX_COMMENT_CHARACTERS, Act
from logger.reading import incident_row

__all__ = ["MAX_COMMENT_CHARACTERS", "IncidentStore", "Ingested"]


class IncidentStore:
    """Records in, incidents out. Safe to use from several threads, processes and hosts at once."""

    def __init__(self, database: Database, clock: Clock = utc_now) -> None:
        self._database = database
        self._clock = clock

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

    def acknowledge(self, incident_id: int, who: str, comment: str = "") -> Row:
        """`who` takes the incident. Returns its row; raises UnknownObject or IllegalTransition."""
        return self._change(incident_id, IncidentState.ACKNOWLEDGED, Act(who, "acknowledge", comment))

    def resolve(self, incident_id: int, who: str, comment: str = "") -> Row:
        """The trouble is over; if it comes back it is a new incident. Returns the row; raises as `acknowledge`."""
        return self._change(incident_id, IncidentState.RESOLVED, Act(who, "resolve", comment))

    def reopen(self, incident_id: int, who: str, comment: str = "") -> Row:
        """It was not over, or nobody has it any more. Returns the row; raises as `acknowledge`, and Conflict when the
        same trouble has opened a newer incident meanwhile."""
        return self._change(incident_id, None, Act(who, "reopen", comment))

    def _change(self, incident_id: int, target: IncidentState | None, act: Act) -> Row:
        """Without a target it is opened again, as it was: given back, or not over."""
        try:
            with self._database.transaction() as transaction:
                state = life.locked(transaction, incident_id)["state"]
                again = IncidentState.REOPENED if state == IncidentState.RESOLVED else IncidentState.OPEN
                life.change(transaction, incident_id, target or again, act, self._clock())
        except psycopg2.errors.UniqueViolation as error:
            raise Conflict(
                f"incident {incident_id} has a newer one of the same fingerprint that is not resolved",
                field="incident_id",
                remedy="work on the newer one: GET /api/monitor/incidents with its fingerprint",
            ) from error
        return incident_row(self._database, incident_id, self._clock())
