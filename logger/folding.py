"""Folds events into incidents: one per fingerprint that is not resolved, whoever races. Knows tables, not rules.

Every step is one statement for the whole batch. Rows are locked in the order of fingerprints (logger/incident_rows.py);
whoever holds an incident's row owns its counts. What people merged or split is followed first.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from core.database import Row, Transaction
from core.incident_settings import IncidentSettings
from core.states import IncidentState
from logger import life
from logger.events import Event
from logger.incident_rows import rows_of, rule_of, time_of
from logger.links import live_links, resolve
from logger.moving import BIN_S, OTHERS, bin_start
from logger.opening import promote
from logger.severity import loss_rate, severity_of_impact, worst

__all__ = ["BIN_S", "MOST_VALUES", "OTHERS", "bin_start", "fold", "time_of"]

MOST_VALUES = 2000
"""Values of one dimension that an incident tells apart."""
CONTEXTS_OF_FIRST, CONTEXT_OF_EVERY = 200, 100
"""The lines around the culprit are kept of so many jobs of an incident, then of every hundredth: a page needs one."""

_DEFAULTS = IncidentSettings()

# primary key: a job is covered once, and whoever comes second counts nothing
_COVER = """
INSERT INTO incident_jobs (panda_id, incident_id, time, computing_site, jedi_task_id, user_name, host, lost_core_s,
                           culprit_log, culprit_line_number, culprit_line, attempt_nr, is_residue, endpoint, dataset, step,
                           error_class, pattern, own_fingerprint)
VALUES %s
ON CONFLICT (panda_id) DO NOTHING
RETURNING panda_id
"""
_KEEP_CONTEXT = """
INSERT INTO culprit_contexts (panda_id, log_name, first_line_number, culprit_line_number, lines) VALUES %s
ON CONFLICT (panda_id) DO NOTHING
"""

# primary key; a value is new when its row was inserted and not updated
_BREAK_DOWN = """
INSERT INTO incident_breakdown (incident_id, dimension, value, event_count) VALUES %s
ON CONFLICT (incident_id, dimension, value)
    DO UPDATE SET event_count = incident_breakdown.event_count + excluded.event_count
RETURNING incident_id, dimension, (xmax = 0) AS is_new
"""
# primary key
_KNOWN_VALUES = """
SELECT incident_id, dimension, value FROM incident_breakdown b
JOIN unnest(%(incident_ids)s::bigint[], %(dimensions)s::text[], %(values)s::text[]) AS w (incident_id, dimension, value)
    USING (incident_id, dimension, value)
"""
_COUNT_VALUES = """
SELECT count(*) AS count FROM incident_breakdown WHERE incident_id = %(incident_id)s AND dimension = %(dimension)s
"""

# primary key
_BIN = """
INSERT INTO incident_bins (incident_id, bin_time, event_count) VALUES %s
ON CONFLICT (incident_id, bin_time) DO UPDATE SET event_count = incident_bins.event_count + excluded.event_count
"""

# primary keys of incidents and incident_breakdown
_ACCOUNT = """
UPDATE incidents i SET
    job_count = i.job_count + c.jobs, record_count = i.record_count + c.records, lost_core_s = i.lost_core_s + c.lost,
    residue_count = i.residue_count + c.residue, residue_lost_core_s = i.residue_lost_core_s + c.residue_lost,
    queue_count = c.queues, task_count = c.tasks, user_count = c.users, node_count = c.nodes, storage_count = c.storages,
    severity = c.severity, sample_panda_id = coalesce(i.sample_panda_id, c.sample::bigint),
    computing_site = coalesce((
        SELECT value FROM incident_breakdown b WHERE b.incident_id = i.incident_id AND b.dimension = 'computing_site'
        ORDER BY event_count DESC, value LIMIT 1), i.computing_site),
    jedi_task_id = CASE WHEN c.tasks > 1 THEN NULL ELSE i.jedi_task_id END
FROM (VALUES %s) AS c (incident_id, jobs, records, lost, residue, residue_lost, queues, tasks, users, nodes, storages,
                       severity, sample)
WHERE i.incident_id = c.incident_id
RETURNING i.incident_id, i.state, i.rule_name, i.severity, i.job_count, i.residue_count, i.residue_lost_core_s
"""

_DISTINCT = {
    "computing_site": "queue_count",
    "jedi_task_id": "task_count",
    "prod_user_name": "user_count",
    "modification_host": "node_count",
    "storage": "storage_count",
}


@dataclass
class _Account:
    """What a batch adds to one incident. `all_events`: also those that count nothing."""

    incident: Row
    all_events: list[Event] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    new_values: Counter[str] = field(default_factory=Counter)

    @property
    def is_shown(self) -> bool:
        """Whether people know of it already."""
        return not self.incident["is_new"] and self.incident["state"] != IncidentState.CANDIDATE


def fold(
    transaction: Transaction, events: Sequence[Event], now: datetime, settings: IncidentSettings = _DEFAULTS
) -> list[int]:
    """Fold the events and return the incident of each. An event whose job is covered already counts nothing.

    Where there is no incident that is not resolved, one that ended by itself a moment ago lives again, or a new one is
    made: open, or a candidate that is opened at once when its rule says so.
    """
    if not events:
        return []
    links = live_links(transaction)
    placed, incidents = rows_of(transaction, resolve(events, links), links, now, settings)
    covered = _cover(transaction, placed, incidents, now)
    accounts = {row["incident_id"]: _Account(row) for row in incidents.values()}
    for event in placed:
        account = accounts[incidents[event.fingerprint]["incident_id"]]
        account.all_events.append(event)
        if event.is_occurrence and (event.job is None or event.job.panda_id in covered):
            covered.discard(event.job.panda_id if event.job else 0)
            account.events.append(event)
    _keep_contexts(transaction, accounts)
    _break_down(transaction, accounts)
    _bin(transaction, accounts, now)
    rows = _account(transaction, accounts, now)
    _open(transaction, accounts, rows, now)
    return [incidents[event.fingerprint]["incident_id"] for event in placed]


def _cover(transaction: Transaction, events: Sequence[Event], incidents: dict[str, Row], now: datetime) -> set[int]:
    """Note the jobs and return those that no incident covered before."""
    rows = {
        event.job.panda_id: (
            *(event.job.panda_id, incidents[event.fingerprint]["incident_id"], time_of(event, now)),
            *(event.computing_site, event.jedi_task_id, event.user_name, event.host, event.job.lost_core_s),
            *(event.job.culprit_log, event.job.culprit_line_number, event.culprit_line, event.job.attempt_nr),
            *(event.job.is_residue, event.job.endpoint, event.job.dataset, event.step, event.error_class),
            *(event.job.pattern, event.own_fingerprint or event.fingerprint),
        )
        for event in events
        if event.job is not None
    }
    ordered = [rows[panda_id] for panda_id in sorted(rows)]
    return {row["panda_id"] for row in transaction.insert_returning(_COVER, ordered)}


def _keep_contexts(transaction: Transaction, accounts: dict[int, _Account]) -> None:
    rows = []
    for account in accounts.values():
        jobs = [event.job for event in account.events if event.job is not None]
        for place, job in enumerate(jobs, start=account.incident["job_count"]):
            if job.context and (place < CONTEXTS_OF_FIRST or place % CONTEXT_OF_EVERY == 0):
                rows.append(
                    (job.panda_id, job.culprit_log, job.context_first_line, job.culprit_line_number, job.context)
                )
    transaction.insert_many(_KEEP_CONTEXT, sorted(rows))


def _break_down(transaction: Transaction, accounts: dict[int, _Account]) -> None:
    counts: Counter[tuple[int, str, str]] = Counter()
    for incident_id, account in accounts.items():
        for event in account.events:
            for dimension, value in event.breakdown():
                counts[incident_id, dimension, value] += event.count
    rows = [(*key, count) for key, count in sorted(_bounded(transaction, accounts, counts).items())]
    for row in transaction.insert_returning(_BREAK_DOWN, rows):
        if row["is_new"]:
            accounts[row["incident_id"]].new_values[row["dimension"]] += 1


def _bounded(
    transaction: Transaction, accounts: dict[int, _Account], counts: Counter[tuple[int, str, str]]
) -> Counter[tuple[int, str, str]]:
    """No more than 2000 values of a dimension: what is beyond them is counted together."""
    values: defaultdict[tuple[int, str], list[str]] = defaultdict(list)
    for incident_id, dimension, value in counts:
        values[incident_id, dimension].append(value)
    crowded = {
        place: _known_count(transaction, accounts[place[0]].incident, *place)
        for place, fresh in values.items()
        if _known_at_most(accounts[place[0]].incident, place[1]) + len(fresh) > MOST_VALUES
    }
    if not crowded:
        return counts
    asked = [(*place, value) for place in crowded for value in values[place]]
    names = dict(zip(("incident_ids", "dimensions", "values"), map(list, zip(*asked, strict=True)), strict=True))
    known = {tuple(row.values()) for row in transaction.fetch(_KNOWN_VALUES, names)}
    bounded: Counter[tuple[int, str, str]] = Counter()
    for key in sorted(counts):
        place = key[:2]
        if place in crowded and key not in known:
            if crowded[place] >= MOST_VALUES:
                bounded[(*place, OTHERS)] += counts[key]
                continue
            crowded[place] += 1
        bounded[key] += counts[key]
    return bounded


def _known_at_most(incident: Row, dimension: str) -> int:
    name = _DISTINCT.get(dimension)
    return int(incident[name]) if name else int(incident["job_count"] + incident["record_count"])


def _known_count(transaction: Transaction, incident: Row, incident_id: int, dimension: str) -> int:
    if dimension in _DISTINCT:
        return _known_at_most(incident, dimension)
    return int(transaction.fetch(_COUNT_VALUES, {"incident_id": incident_id, "dimension": dimension})[0]["count"])


def _bin(transaction: Transaction, accounts: dict[int, _Account], now: datetime) -> None:
    counts: Counter[tuple[int, datetime]] = Counter()
    for incident_id, account in accounts.items():
        for event in account.events:
            counts[incident_id, bin_start(time_of(event, now))] += event.count
    transaction.insert_many(_BIN, [(*key, count) for key, count in sorted(counts.items())])


def _account(transaction: Transaction, accounts: dict[int, _Account], now: datetime) -> dict[int, Row]:
    """Add everything up; what people know of and what became worse is told. Returns the incidents' new counts."""
    rows, worse = [], []
    for incident_id, account in sorted(accounts.items()):
        before = account.incident
        jobs = [event.job for event in account.events if event.job is not None]
        residue = [job for job in jobs if job.is_residue]
        lost = sum(job.lost_core_s for job in jobs)
        distinct = {name: before[name] + account.new_values[dimension] for dimension, name in _DISTINCT.items()}
        severity = _severity(account, before["lost_core_s"] + lost, distinct)
        if account.is_shown and severity != before["severity"]:
            worse.append((incident_id, severity, rule_of(account.all_events[0])))
            severity = before["severity"]
        rows.append(
            (
                *(incident_id, len(jobs), sum(event.count for event in account.events if event.job is None), lost),
                *(len(residue), sum(job.lost_core_s for job in residue), *distinct.values(), severity),
                max((job.panda_id for job in jobs), default=None),
            )
        )
    counted = {row["incident_id"]: row for row in transaction.insert_returning(_ACCOUNT, rows)}
    for incident_id, severity, who in worse:
        act = life.Act(who, "worse", f"now {severity}", is_automatic=True)
        life.touch(transaction, incident_id, act, now, "worse", severity=severity)
    return counted


def _severity(account: _Account, lost_core_s: int, distinct: dict[str, int]) -> str:
    """It only rises, and not at all while a person holds the incident."""
    before = account.incident
    if before["held_by"]:
        return str(before["severity"])
    span_s = (before["last_seen"] - before["first_seen"]).total_seconds()
    impact = severity_of_impact(loss_rate(lost_core_s, span_s), distinct["queue_count"], distinct["user_count"])
    return worst(before["severity"], impact, *(event.severity for event in account.events))


def _open(transaction: Transaction, accounts: dict[int, _Account], rows: dict[int, Row], now: datetime) -> None:
    """Note what was made open, and open the candidates that their rule opens."""
    openings, candidates = [], []
    for incident_id, account in accounts.items():
        row = rows[incident_id]
        if row["state"] == IncidentState.CANDIDATE:
            start = min(time_of(event, now) for event in account.all_events)
            must_open = any(event.opens for event in account.all_events)
            candidates.append({**row, "batch_start": start, "must_open": must_open})
        elif account.incident["is_new"]:
            opener = next(event for event in account.all_events if event.opens)
            openings.append(life.Opening(incident_id, row["state"], row["severity"], rule_of(opener)))
    life.note_openings(transaction, openings, now)
    promote(transaction, candidates, now)
