"""The incident store's door: takes records and failed jobs in, and changes the state of incidents on request.

Knows the tables of incidents and the order of the steps; the rules are in `logger/rules`, reading in `logger/reading`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg2.errors

from core.clock import Clock, utc_now
from core.database import Database, Row
from core.errors import Conflict, InvalidInput
from core.states import IncidentState
from core.text import clean
from logger import life
from logger.events import Event
from logger.failures import fold_failed_jobs
from logger.folding import fold
from logger.life import MAX_COMMENT_CHARACTERS, Act
from logger.reading import incident_row
from logger.records import MAX_BATCH, Record, read_record
from logger.rules import RECORD_RULES

__all__ = ["MAX_COMMENT_CHARACTERS", "IncidentStore", "Ingested"]

_MOST_REASONS = 20

_INSERT_RECORDS = """
INSERT INTO log_records (received_time, time, level, name, component, message, traceback, host, process_id, file, line,
                         panda_id, jedi_task_id, computing_site, code, user_name, fingerprint, incident_id, emitter, fields)
VALUES %s
"""


@dataclass(frozen=True)
class Ingested:
    """What became of a batch. `reasons`: why records were rejected, as "record 3: field: sentence", at most 20."""

    accepted: int
    rejected: int
    reasons: Sequence[str] = field(default_factory=tuple)


class IncidentStore:
    """Records in, incidents out. Safe to use from several threads, processes and hosts at once."""

    def __init__(self, database: Database, clock: Clock = utc_now) -> None:
        self._database = database
        self._clock = clock

    def ingest_records(self, batch: Any, emitter: str) -> Ingested:
        """Store a batch of records and fold its troubles into incidents, all in one transaction.

        `batch`: the body of POST /api/logger/records (docs/api.md). `emitter`: subject of the token that sent it.
        A bad record is rejected with its reason and the others are kept. Raises InvalidInput for a batch that is none.
        """
        entries, dropped = _read_batch(batch)
        now = self._clock()
        records: list[Record] = []
        reasons: list[str] = []
        for position, entry in enumerate(entries):
            try:
                records.append(read_record(entry, now))
            except InvalidInput as error:
                reasons.append(f"record {position}: {error}")
        if dropped:
            records.append(_note_of_loss(dropped, records, emitter, now))
        if records:
            self._store(records, emitter, now)
        return Ingested(len(entries) - len(reasons), len(reasons), tuple(reasons[:_MOST_REASONS]))

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

    def _store(self, records: list[Record], emitter: str, now: datetime) -> None:
        events = [_event(record) for record in records]
        with self._database.transaction() as transaction:
            incident_ids = iter(fold(transaction, [event for event in events if event is not None], now))
            rows = [
                _row(record, event, next(incident_ids) if event else None, emitter, now)
                for record, event in zip(records, events, strict=True)
            ]
            transaction.insert_many(_INSERT_RECORDS, rows, page_size=len(rows))


def _read_batch(batch: Any) -> tuple[list[Any], int]:
    remedy = 'send {"records": [...], "dropped": 0}, see docs/api.md'
    if not isinstance(batch, Mapping) or not isinstance(batch.get("records"), list):
        raise InvalidInput("the body has to be an object with a list of records", field="records", remedy=remedy)
    if len(batch["records"]) > MAX_BATCH:
        raise InvalidInput(
            f"{len(batch['records'])} records in one batch", field="records", remedy=f"send {MAX_BATCH} at most"
        )
    dropped = batch.get("dropped", 0)
    if isinstance(dropped, bool) or not isinstance(dropped, int) or not 0 <= dropped < 2**53:
        raise InvalidInput("has to be a count", field="dropped", remedy=remedy)
    return batch["records"], dropped


def _note_of_loss(dropped: int, records: list[Record], emitter: str, now: datetime) -> Record:
    """The loss as a record of its own, so that nobody takes silence for peace."""
    component = records[0].component if records else emitter
    host = records[0].host if records else ""
    message = f"{dropped} log records of {component or 'an emitter'} were lost: its buffer was full"
    return Record(now, "WARNING", "panda.logger", component, message, host=host, fields={"dropped": dropped})


def _event(record: Record) -> Event | None:
    return next((event for rule in RECORD_RULES if (event := rule.event(record)) is not None), None)


def _row(record: Record, event: Event | None, incident_id: int | None, emitter: str, now: datetime) -> tuple[Any, ...]:
    return (
        *(now, record.time, record.level, record.name, record.component, record.message, record.traceback, record.host),
        *(record.process_id, record.file, record.line, record.panda_id, record.jedi_task_id, record.computing_site),
        *(record.code, record.user_name, event.fingerprint if event else "", incident_id, clean(emitter, 200)),
        dict(record.fields),
    )
