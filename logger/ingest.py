"""Batches of records into the store: group commit, COPY, exactly once per source. Knows the tables of records.

A batch is read, judged and classified in its caller's thread; what meets there goes to the database in one transaction:
the sources first, so that a batch that is sent again while its first copy is being stored waits and is then known; then
the incidents; then the rows. Nothing of a batch is stored unless all of it is.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import psycopg2.errors

from core.clock import Clock, utc_now
from core.database import Database, Transaction
from core.dispatch.coalescing import Coalescer
from core.errors import InvalidInput, TooMany, Unavailable
from core.incident_settings import IncidentSettings, IngestSettings
from core.text import clean
from logger.admission import Admission, Sender
from logger.batches import Batch, read_body
from logger.classifying import Classifier
from logger.collapsing import Classified, Collapser, Kept
from logger.contexts import ContextKeeper
from logger.events import Event
from logger.folding import fold
from logger.over import OVER, end_what_is_told_over
from logger.own_troubles import OwnTroubles
from logger.records import MAX_BATCH, Record, read_record, seq_of
from logger.rule_rows import active_rules
from logger.rules import RuleRow
from logger.telling import Losses, calm, flood, loss
from logger.trust import Trust

log = logging.getLogger("panda.logger")

_MOST_REASONS = 20
_BATCHES_TOGETHER = 64
_RECORDS_TOGETHER = MAX_BATCH
_MOST_SOURCES = 10_000
_UNDONE_IN_A_ROW = 3
_UNDONE = (psycopg2.errors.DeadlockDetected, psycopg2.errors.CheckViolation)

OURSELVES = Sender("logger", roles=frozenset({"admin"}))
"""Who sends the records that the store itself writes."""

_COLUMNS = (
    *("received_time", "time", "level", "severity_number", "name", "component", "message", "traceback", "host"),
    *("process_id", "file", "line", "panda_id", "jedi_task_id", "computing_site", "code", "user_name", "fingerprint"),
    *(
        "incident_id",
        "emitter",
        "fields",
        "repeat_count",
        "step",
        "error_class",
        "culprit_line",
        "source",
        "is_trusted",
    ),
)

# whoever holds an incident for long (people who merge two) must not hold up everybody who logs: they send it again
_PATIENCE = "SELECT set_config('lock_timeout', '10s', true)"
# primary key of log_sources, in its order, so that batches of the same sources wait for each other
_HAVE_SOURCES = "INSERT INTO log_sources (source, emitter) VALUES %s ON CONFLICT (source) DO NOTHING"
_LOCK_SOURCES = """
SELECT source, last_seq FROM log_sources WHERE source = ANY(%(sources)s) ORDER BY source FOR UPDATE
"""
# the way of a batch only adds to the skew of its sender's clock, so the smallest counts; with time it may grow again
_NOTE_SOURCES = """
UPDATE log_sources s SET
    last_seq = greatest(s.last_seq, v.last_seq), component = coalesce(nullif(v.component, ''), s.component),
    host = coalesce(nullif(v.host, ''), s.host), last_seen = v.last_seen::timestamptz,
    skew_ms = CASE
        WHEN v.skew_ms IS NULL THEN s.skew_ms
        WHEN s.record_count = 0 THEN v.skew_ms::bigint
        ELSE least(v.skew_ms::bigint, s.skew_ms + (extract(epoch FROM v.last_seen::timestamptz - s.last_seen) * 1000)::bigint)
    END, token_expiry = v.token_expiry::timestamptz,
    record_count = s.record_count + v.records, dropped_count = s.dropped_count + v.dropped,
    refused_count = s.refused_count + v.refused
FROM (VALUES %s) AS v (source, last_seq, component, host, last_seen, skew_ms, token_expiry, records, dropped, refused)
WHERE s.source = v.source
"""


@dataclass(frozen=True)
class Ingested:
    """What became of a batch. `reasons`: why records were rejected, as "record 3: field: sentence", at most 20.
    `duplicate`: records that had come before and were not stored again."""

    accepted: int
    rejected: int
    reasons: Sequence[str] = field(default_factory=tuple)
    duplicate: int = 0


@dataclass(frozen=True)
class _Prepared:
    """A batch that is ready to be stored. `key`: batches with the same one are stored one after the other."""

    sender: Sender
    batch: Batch
    received: datetime
    entries: Sequence[Classified]
    reasons: Sequence[str]
    source: str
    key: Hashable
    last_seq: int
    loss: Classified | None
    """The record that tells what the sender lost before it, or that it is well again, if there is anything to tell."""


@dataclass(frozen=True)
class _Fresh:
    """What of a batch is stored: all of it, or what had not come before."""

    of: _Prepared
    entries: Sequence[Classified]
    duplicate: int
    dropped: int


class RecordIngest:
    """Takes batches from all requests of a process and stores those that meet in one transaction. Safe from any thread."""

    def __init__(
        self,
        database: Database,
        clock: Clock = utc_now,
        limits: IngestSettings | None = None,
        *,
        share: float = 1.0,
        incidents: IncidentSettings | None = None,
    ) -> None:
        """`share`: this process's part of what a token may send, one over the number of API processes."""
        self._database = database
        self._incident_settings = incidents or IncidentSettings()
        self._clock = clock
        self._admission = Admission(limits or IngestSettings(), share)
        self._trust = Trust(database)
        self._classifier = Classifier()
        self._own_troubles = OwnTroubles()
        self._collapser = Collapser()
        self._contexts = ContextKeeper()
        self._losses = Losses()
        self._refused: dict[str, int] = {}
        self._coalescer: Coalescer[_Prepared, Ingested | Exception] = Coalescer(
            self._store_group, lambda prepared: prepared.key, most=_BATCHES_TOGETHER, lanes=1
        )

    def take(self, content: bytes, content_type: str, defaults: Mapping[str, str], sender: Sender) -> Ingested:
        """Store the batch in a body (`logger.batches`). Raises as `submit`; of who sends too much nothing is read, and what
        is no batch has cost its sender the bytes."""
        self._tell_of_floods_after(lambda: self._admission.admit_body(sender, len(content)))
        batch = read_body(content, content_type, defaults, self._clock())
        return self._submit(batch, sender, lambda: self._admission.admit_records(sender, len(batch.entries)))

    def submit(self, batch: Batch, sender: Sender) -> Ingested:
        """Store one batch; raises InvalidInput for no batch, TooMany (429) when the sender is over its rate, Unavailable."""
        size_bytes = batch.size_bytes
        return self._submit(batch, sender, lambda: self._admission.admit(sender, len(batch.entries), size_bytes))

    def _submit(self, batch: Batch, sender: Sender, admit: Callable[[], None]) -> Ingested:
        try:
            self._tell_of_floods_after(admit)
        except TooMany:
            source = _source_key(batch, sender)
            if source and len(self._refused) < _MOST_SOURCES:
                self._refused[source] = self._refused.get(source, 0) + len(batch.entries)
            raise
        return self.store(batch, sender)

    def store(self, batch: Batch, sender: Sender) -> Ingested:
        """Store one batch, whatever its sender's rate. Raises Unavailable."""
        answer = self._coalescer.submit(self._prepared(batch, sender))
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _tell_of_floods_after(self, admit: Callable[[], None]) -> None:
        """Ask for admission; what was refused meanwhile becomes a record of its own, once every ten seconds, and so does
        that nothing was for ten minutes."""
        try:
            admit()
        finally:
            told = [flood(refused) for refused in self._admission.refused_since()]
            told += [calm(sender, self._clock()) for sender in self._admission.calm_since()]
            for record in told:
                self.store(Batch([record]), OURSELVES)

    def _prepared(self, batch: Batch, sender: Sender) -> _Prepared:
        received = self._clock()
        records: list[Record] = []
        reasons: list[str] = []
        last_seq = 0
        for position, entry in enumerate(batch.entries):
            last_seq = max(last_seq, seq_of(entry) or 0)
            try:
                records.append(read_record(entry, received))
            except InvalidInput as error:
                reasons.append(f"record {position}: {error}")
        source, emitter = _source_key(batch, sender), _emitter(sender)
        judged = self._trust.judged(records, sender)
        told: Record | None
        if batch.dropped:
            told = loss(batch.dropped, emitter, judged, received, is_trusted=sender.is_trusted)
            if source:
                self._losses.told(source, told)
        else:
            told = self._losses.over(source, received)
        rules = active_rules(self._database)
        entries = [
            Classified(record, self._event(rules, record, OURSELVES if record is told else sender), emitter, source)
            for record in (*judged, *([told] if told else []))
        ]
        of_loss = entries.pop() if told else None
        return _Prepared(sender, batch, received, entries, reasons, source, source or object(), last_seq, of_loss)

    def _event(self, rules: Sequence[RuleRow], record: Record, sender: Sender) -> Event | None:
        """A record that the rules stumble over is kept all the same: it has no incident, and their error is told."""
        try:
            event = self._classifier.event(rules, record)
            return event and self._own_troubles.judged(event, sender, rules)
        except Exception:  # the edge of the loop over records: none may cost the others their place
            if record.name != log.name:  # else our own complaint about a record would be complained about, for ever
                log.exception("a record of %s cannot be classified", record.component, extra={"component": "logger"})
            return None

    def _store_group(self, group: list[_Prepared]) -> list[Ingested | Exception]:
        """Every batch gets an answer or an error of its own: what is stored must not be tried again with the others."""
        answers: list[Ingested | Exception] = []
        for part in _parts(group):
            try:
                answers += self._store_at_last(part)
            except Exception as error:  # noqa: BLE001  (handed to the callers, in their own threads)
                is_of_one = len(part) > 1 and not isinstance(error, Unavailable)
                answers += [self._store_alone(prepared) for prepared in part] if is_of_one else [error] * len(part)
        return answers

    def _store_alone(self, prepared: _Prepared) -> Ingested | Exception:
        try:
            return self._store_at_last([prepared])[0]
        except Exception as error:  # noqa: BLE001  (as above)
            return error

    def _store_at_last(self, group: Sequence[_Prepared]) -> list[Ingested]:
        """PostgreSQL ends one of two transactions that wait for each other, and one that waited while the partition of its day
        was made; what it undid is done again, from the start."""
        for _ in range(_UNDONE_IN_A_ROW):
            try:
                return self._store_together(group)
            except Unavailable as error:
                if not isinstance(error.__cause__, _UNDONE):
                    raise
                log.info(
                    "PostgreSQL undid what others were in the way of; the records are stored again: %s", error.detail
                )
        return self._store_together(group)

    def _store_together(self, group: Sequence[_Prepared]) -> list[Ingested]:
        now = self._clock()
        refused = {prepared.source: self._refused.get(prepared.source, 0) for prepared in group if prepared.source}
        with self._database.transaction() as transaction:
            transaction.execute(_PATIENCE)
            known = _known_sources(transaction, group)
            fresh = [_fresh(prepared, known) for prepared in group]
            entries = [entry for one in fresh for entry in one.entries]
            incidents = self._fold(transaction, entries, now)
            rows = [_row(kept, incidents, now) for kept in self._collapser.plan(entries, now)]
            transaction.copy_rows("log_records", _COLUMNS, rows)
            end_what_is_told_over(transaction, _told_over(fresh), now)
            self._contexts.keep(transaction, [(entry, incidents[id(entry)]) for entry in entries if entry.event])
            notes = [_note(one, refused) for one in fresh if one.of.source]
            transaction.insert_many(_NOTE_SOURCES, sorted(notes))
        for source, count in refused.items():
            if count:
                self._refused[source] = self._refused.get(source, 0) - count
                if self._refused[source] <= 0:
                    del self._refused[source]
        return [
            Ingested(
                *(len(one.of.entries) - one.duplicate, len(one.of.reasons), tuple(one.of.reasons[:_MOST_REASONS])),
                duplicate=one.duplicate,
            )
            for one in fresh
        ]

    def _fold(self, transaction: Transaction, entries: Sequence[Classified], now: datetime) -> dict[int, int]:
        """Fold what tells of troubles; the incident of each such entry, by the entry's identity."""
        telling = [entry for entry in entries if entry.event is not None]
        events = [entry.event for entry in telling if entry.event is not None]
        incident_ids = fold(transaction, events, now, self._incident_settings)
        return {id(entry): incident_id for entry, incident_id in zip(telling, incident_ids, strict=True)}


def _told_over(fresh: Sequence[_Fresh]) -> list[tuple[Record, str]]:
    """The records that say that a trouble is over, each with who must have told of it: the store itself and programs of the
    installation speak for every part, pilots and others that are trusted only for what they told themselves."""
    said = ((one.of, entry) for one in fresh for entry in one.entries if OVER in entry.record.fields)
    return [
        (entry.record, "" if batch.sender.is_system or entry is batch.loss else _emitter(batch.sender))
        for batch, entry in said
        if batch.sender.is_trusted or entry is batch.loss
    ]


def _parts(group: Sequence[_Prepared]) -> Iterator[list[_Prepared]]:
    """The group in transactions of at most 5000 records, or of one batch."""
    part: list[_Prepared] = []
    size = 0
    for prepared in group:
        if part and size + len(prepared.entries) > _RECORDS_TOGETHER:
            yield part
            part, size = [], 0
        part.append(prepared)
        size += len(prepared.entries)
    if part:
        yield part


def _known_sources(transaction: Transaction, group: Sequence[_Prepared]) -> dict[str, int]:
    """The last number that is stored of each source; nobody else stores anything of them until this transaction ends."""
    sources = {prepared.source: _emitter(prepared.sender) for prepared in group if prepared.source}
    if not sources:
        return {}
    transaction.insert_many(_HAVE_SOURCES, sorted(sources.items()))
    return {row["source"]: row["last_seq"] for row in transaction.fetch(_LOCK_SOURCES, {"sources": list(sources)})}


def _fresh(prepared: _Prepared, known: Mapping[str, int]) -> _Fresh:
    """What is new of a batch. The loss that it tells of counts once too: not when all of it had come before."""
    last_seq = known.get(prepared.source, 0)
    entries = [entry for entry in prepared.entries if entry.record.seq is None or entry.record.seq > last_seq]
    if not prepared.source:
        entries = list(prepared.entries)
    duplicate = len(prepared.entries) - len(entries)
    is_known = bool(prepared.source and prepared.last_seq) and prepared.last_seq <= last_seq
    if prepared.loss is None or is_known:
        return _Fresh(prepared, entries, duplicate, 0)
    return _Fresh(prepared, [*entries, prepared.loss], duplicate, prepared.batch.dropped)


def _source_key(batch: Batch, sender: Sender) -> str:
    """A stream is its sender's: nobody can number another's records."""
    return f"{_emitter(sender)}:{batch.source}" if batch.source else ""


def _emitter(sender: Sender) -> str:
    return clean(sender.subject, 200)


def _note(fresh: _Fresh, refused: Mapping[str, int]) -> tuple[Any, ...]:
    prepared = fresh.of
    first = prepared.entries[0].record if prepared.entries else None
    sent = prepared.batch.sent
    skew_ms = None if sent is None else int((prepared.received - sent).total_seconds() * 1000)
    expiry_time = prepared.sender.expiry_time
    return (
        *(prepared.source, prepared.last_seq, first.component if first else "", first.host if first else ""),
        *(prepared.received, skew_ms, datetime.fromtimestamp(expiry_time, UTC) if expiry_time else None),
        *(len(prepared.entries) - fresh.duplicate, fresh.dropped, refused.get(prepared.source, 0)),
    )


def _row(kept: Kept, incidents: Mapping[int, int], now: datetime) -> tuple[Any, ...]:
    """In the order of `_COLUMNS`."""
    entry, record, event = kept.entry, kept.entry.record, kept.entry.event
    return (
        *(now, record.time, record.level, record.severity_number, record.name, record.component, record.message),
        *(record.traceback, record.host, record.process_id, record.file, record.line, record.panda_id),
        *(record.jedi_task_id, record.computing_site, record.code, record.user_name),
        *(event.fingerprint if event else "", incidents.get(id(entry)), entry.emitter, record.fields),
        *(kept.count, (event.step if event else "") or record.step),
        *((event.error_class if event else "") or record.error_class, event.culprit_line if event else ""),
        *(entry.source, record.is_trusted),
    )
