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
from core.database import Database, Row, Transaction
from core.errors import Conflict, InvalidInput, UnknownObject
from core.states import INCIDENT_TRANSITIONS, IncidentState, check_transition
from core.text import clean
from logger.events import Event
from logger.failures import fold_failed_jobs
from logger.folding import fold
from logger.reading import incident_row
from logger.records import MAX_BATCH, Record, read_record
from logger.rules import RECORD_RULES

MAX_COMMENT_CHARACTERS = 2000
_MOST_REASONS = 20

_INSERT_RECORDS = """
INSERT INTO log_records (received_time, time, level, name, component, message, traceback, host, process_id, file, line,
                         panda_id, jedi_task_id, computing_site, code, user_name, fingerprint, incident_id, emitter, fields)
VALUES %s
"""

# primary key
_LOCK = "SELECT state FROM incidents WHERE incident_id = %(incident_id)s FOR UPDATE"
_CHANGE = """
UPDATE incidents SET state = %(state)s, modification_time = clock_timestamp(),
    owner = CASE %(state)s WHEN 'acknowledged' THEN %(who)s WHEN 'open' THEN '' ELSE owner END,
    resolved_time = CASE %(state)s WHEN 'resolved' THEN %(now)s::timestamptz END
WHERE incident_id = %(incident_id)s
"""
_NOTE = """
INSERT INTO incident_activity (incident_id, time, who, action, comment)
VALUES (%(incident_id)s, %(now)s, %(who)s, %(action)s, %(comment)s)
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
        return self._change(incident_id, IncidentState.ACKNOWLEDGED, "acknowledge", who, comment)

    def resolve(self, incident_id: int, who: str, comment: str = "") -> Row:
        """The trouble is over; if it comes back it is a new incident. Returns the row; raises as `acknowledge`."""
        return self._change(incident_id, IncidentState.RESOLVED, "resolve", who, comment)

    def reopen(self, incident_id: int, who: str, comment: str = "") -> Row:
        """It was not over, or nobody has it any more. Returns the row; raises as `acknowledge`, and Conflict when the
        same trouble has opened a newer incident meanwhile."""
        return self._change(incident_id, IncidentState.OPEN, "reopen", who, comment)

    def _change(self, incident_id: int, target: IncidentState, action: str, who: str, comment: str) -> Row:
        try:
            with self._database.transaction() as transaction:
                change_state(transaction, incident_id, target, action, who, comment, self._clock())
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


def change_state(
    transaction: Transaction,
    incident_id: int,
    target: IncidentState,
    action: str,
    who: str,
    comment: str,
    now: datetime,
) -> None:
    """Change the state of an incident with its line in the activity. Raises UnknownObject or IllegalTransition."""
    current = transaction.fetch_one(_LOCK, {"incident_id": incident_id})
    if current is None:
        raise UnknownObject(
            f"there is no incident {incident_id}", field="incident_id", remedy="see `panda incidents state=*`"
        )
    check_transition(INCIDENT_TRANSITIONS, IncidentState(current["state"]), target)
    change = {"incident_id": incident_id, "state": target.value, "who": clean(who, 200), "now": now}
    transaction.execute(_CHANGE, change)
    transaction.execute(_NOTE, {**change, "action": action, "comment": clean(comment, MAX_COMMENT_CHARACTERS)})


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
