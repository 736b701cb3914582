"""Folds events into incidents: one per fingerprint that is not resolved, whoever races. Knows tables, not rules.

Every step is one statement for the whole batch. Rows are locked in the order of fingerprints, so that two batches
that share incidents wait for each other instead of deadlocking; whoever holds an incident's row owns its counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from core.database import Row, Transaction
from logger.events import Event
from logger.severity import severity_of_impact, worst

BIN_S = 300
"""Width of the bins of an incident's trend, in seconds."""

_OLDEST = timedelta(days=1)
"""Events that arrive later than this count as this old, so that one stale clock does not stretch an incident."""

# uq_incidents_unresolved for all three. What is there is locked in order and touched; only what is missing is inserted,
# because every attempt to insert uses up an incident id, whether or not it meets an incident that is there
_LOCK = """
SELECT fingerprint FROM incidents WHERE fingerprint = ANY(%(keys)s::text[]) AND state <> 'resolved'
ORDER BY fingerprint FOR UPDATE
"""
_RETURNED = """
    incidents.incident_id, incidents.fingerprint, severity, lost_core_s, incidents.first_seen, incidents.last_seen,
    queue_count, task_count, user_count
"""
_SEEN_AGAIN = f"""
UPDATE incidents SET
    first_seen = least(incidents.first_seen, seen.first_seen), last_seen = greatest(incidents.last_seen, seen.last_seen),
    culprit_line = coalesce(nullif(incidents.culprit_line, ''), seen.culprit_line),
    title = CASE WHEN incidents.kind IN ('absence', 'backlog') THEN seen.title ELSE incidents.title END,
    modification_time = clock_timestamp()
FROM (VALUES %s) AS seen (fingerprint, first_seen, last_seen, culprit_line, title)
WHERE incidents.fingerprint = seen.fingerprint AND incidents.state <> 'resolved'
RETURNING {_RETURNED}, false AS is_new
"""
_OPEN = f"""
INSERT INTO incidents (fingerprint, kind, title, severity, component, code, computing_site, jedi_task_id, first_seen,
                       last_seen, culprit_line, grouping)
VALUES %s
ON CONFLICT (fingerprint) WHERE state <> 'resolved' DO UPDATE SET
    first_seen = least(incidents.first_seen, excluded.first_seen),
    last_seen = greatest(incidents.last_seen, excluded.last_seen),
    modification_time = clock_timestamp()
RETURNING {_RETURNED}, (xmax = 0) AS is_new
"""

# primary key: a job is covered once, and whoever comes second counts nothing
_COVER = """
INSERT INTO incident_jobs (panda_id, incident_id, time, computing_site, jedi_task_id, user_name, host, lost_core_s,
                           culprit_log, culprit_line_number, culprit_line)
VALUES %s
ON CONFLICT (panda_id) DO NOTHING
RETURNING panda_id
"""

# primary key; a value is new when its row was inserted and not updated
_BREAK_DOWN = """
INSERT INTO incident_breakdown (incident_id, dimension, value, event_count) VALUES %s
ON CONFLICT (incident_id, dimension, value)
    DO UPDATE SET event_count = incident_breakdown.event_count + excluded.event_count
RETURNING incident_id, dimension, (xmax = 0) AS is_new
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
    queue_count = c.queues, task_count = c.tasks, user_count = c.users, severity = c.severity,
    sample_panda_id = coalesce(i.sample_panda_id, c.sample::bigint),
    computing_site = coalesce((
        SELECT value FROM incident_breakdown b WHERE b.incident_id = i.incident_id AND b.dimension = 'computing_site'
        ORDER BY event_count DESC, value LIMIT 1), i.computing_site),
    jedi_task_id = CASE WHEN c.tasks > 1 THEN NULL ELSE i.jedi_task_id END
FROM (VALUES %s) AS c (incident_id, jobs, records, lost, queues, tasks, users, severity, sample)
WHERE i.incident_id = c.incident_id
"""

_NOTE = "INSERT INTO incident_activity (incident_id, who, action, comment) VALUES %s"

_DISTINCT = {"computing_site": "queue_count", "jedi_task_id": "task_count", "prod_user_name": "user_count"}


@dataclass
class _Account:
    """What a batch adds to one incident."""

    incident: Row
    events: list[Event] = field(default_factory=list)
    new_values: Counter[str] = field(default_factory=Counter)


def fold(transaction: Transaction, events: Sequence[Event], now: datetime) -> list[int]:
    """Fold the events and return the incident of each. An event whose job is covered already counts nothing.

    Incidents are opened where there is none that is not resolved.
    """
    if not events:
        return []
    incidents = _open(transaction, events, now)
    covered = _cover(transaction, events, incidents, now)
    accounts = {row["incident_id"]: _Account(row) for row in incidents.values()}
    for event in events:
        if event.is_occurrence and (event.job is None or event.job.panda_id in covered):
            covered.discard(event.job.panda_id if event.job else 0)
            accounts[incidents[event.fingerprint]["incident_id"]].events.append(event)
    _break_down(transaction, accounts)
    _bin(transaction, accounts, now)
    _account(transaction, accounts)
    return [incidents[event.fingerprint]["incident_id"] for event in events]


def time_of(event: Event, now: datetime) -> datetime:
    """When the event counts: never in the future, never long ago."""
    return min(max(event.time, now - _OLDEST), now)


def _open(transaction: Transaction, events: Sequence[Event], now: datetime) -> dict[str, Row]:
    groups: dict[str, list[Event]] = {}
    for event in events:
        groups.setdefault(event.fingerprint, []).append(event)
    there = {row["fingerprint"] for row in transaction.fetch(_LOCK, {"keys": list(groups)})}
    seen, missing = [], []
    for key in sorted(groups):
        first = min(groups[key], key=lambda event: event.time)
        times = [time_of(event, now) for event in groups[key]]
        if key in there:
            seen.append((key, min(times), max(times), first.culprit_line, first.title))
            continue
        severity = worst(*(event.severity for event in groups[key]))
        missing.append(
            (
                *(key, first.kind, first.title, severity, first.component, first.code, first.computing_site),
                *(first.jedi_task_id, min(times), max(times), first.culprit_line, first.grouping),
            )
        )
    touched = [*transaction.insert_returning(_SEEN_AGAIN, seen), *transaction.insert_returning(_OPEN, missing)]
    incidents = {row["fingerprint"]: row for row in touched}
    opened = [row for row in incidents.values() if row["is_new"]]
    notes = [(row["incident_id"], f"rule {groups[row['fingerprint']][0].rule}", "open", "") for row in opened]
    transaction.insert_many(_NOTE, notes)
    return incidents


def _cover(transaction: Transaction, events: Sequence[Event], incidents: dict[str, Row], now: datetime) -> set[int]:
    """Note the jobs and return those that no incident covered before."""
    rows = {
        event.job.panda_id: (
            *(event.job.panda_id, incidents[event.fingerprint]["incident_id"], time_of(event, now)),
            *(event.computing_site, event.jedi_task_id, event.user_name, event.host, event.job.lost_core_s),
            *(event.job.culprit_log, event.job.culprit_line_number, event.culprit_line),
        )
        for event in events
        if event.job is not None
    }
    ordered = [rows[panda_id] for panda_id in sorted(rows)]
    return {row["panda_id"] for row in transaction.insert_returning(_COVER, ordered)}


def _break_down(transaction: Transaction, accounts: dict[int, _Account]) -> None:
    counts: Counter[tuple[int, str, str]] = Counter()
    for incident_id, account in accounts.items():
        for event in account.events:
            counts.update((incident_id, dimension, value) for dimension, value in event.breakdown())
    rows = [(*key, count) for key, count in sorted(counts.items())]
    for row in transaction.insert_returning(_BREAK_DOWN, rows):
        if row["is_new"]:
            accounts[row["incident_id"]].new_values[row["dimension"]] += 1


def _bin(transaction: Transaction, accounts: dict[int, _Account], now: datetime) -> None:
    counts = Counter(
        (incident_id, bin_start(time_of(event, now)))
        for incident_id, account in accounts.items()
        for event in account.events
    )
    transaction.insert_many(_BIN, [(*key, count) for key, count in sorted(counts.items())])


def bin_start(time: datetime) -> datetime:
    """The beginning of the five minutes that `time` lies in."""
    return time - timedelta(seconds=time.timestamp() % BIN_S)


def _account(transaction: Transaction, accounts: dict[int, _Account]) -> None:
    rows = []
    for incident_id, account in sorted(accounts.items()):
        before = account.incident
        jobs = [event.job for event in account.events if event.job is not None]
        lost = sum(job.lost_core_s for job in jobs)
        distinct = {name: before[name] + account.new_values[dimension] for dimension, name in _DISTINCT.items()}
        span_s = (before["last_seen"] - before["first_seen"]).total_seconds()
        impact = severity_of_impact(
            before["lost_core_s"] + lost, span_s, distinct["queue_count"], distinct["user_count"]
        )
        severity = worst(before["severity"], impact, *(event.severity for event in account.events))
        rows.append(
            (
                *(incident_id, len(jobs), len(account.events) - len(jobs), lost),
                *(distinct["queue_count"], distinct["task_count"], distinct["user_count"], severity),
                max((job.panda_id for job in jobs), default=None),
            )
        )
    transaction.insert_many(_ACCOUNT, rows)
