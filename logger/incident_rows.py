"""Which incident an event belongs to: the one that lives, one that just ended by itself, or a new one. Knows rows, no counts.

Rows are locked in the order of fingerprints, so that two batches that share incidents wait for each other instead of
deadlocking. New troubles are bounded: whoever makes up a new message for every event gets one incident for what comes
beyond some tens (novelty guard).
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import orjson

from core.database import Row, Transaction
from core.errors import Conflict, IllegalTransition
from core.incident_settings import IncidentSettings
from core.states import IncidentState
from logger import life
from logger.events import Event, short_title
from logger.links import Links, resolve
from logger.severity import worst

OLDEST = timedelta(days=1)
"""Events that arrive later than this count as this old, so that one stale clock does not stretch an incident."""

_NOVEL_FOR = timedelta(minutes=10)
_GUARD_LOCK = 7_306
_KEYS_FROM_OUTSIDE = frozenset({"service_errors"})
"""Rules whose keys emitters make up."""

_RETURNED = """
    incidents.incident_id, incidents.fingerprint, incidents.kind, incidents.severity, incidents.state, incidents.held_by,
    incidents.rule_name, incidents.first_seen, incidents.last_seen, incidents.job_count, incidents.record_count,
    incidents.lost_core_s, incidents.queue_count, incidents.task_count, incidents.user_count, incidents.node_count,
    incidents.storage_count
"""
# uq_incidents_unresolved for all three. What is there is locked in order and touched; only what is missing is inserted,
# because every attempt to insert uses up an incident id, whether or not it meets an incident that is there
_LOCK = """
SELECT fingerprint FROM incidents WHERE fingerprint = ANY(%(keys)s::text[]) AND state <> 'resolved'
ORDER BY fingerprint FOR UPDATE
"""
_SEEN_AGAIN = f"""
UPDATE incidents SET
    first_seen = least(incidents.first_seen, seen.first_seen), last_seen = greatest(incidents.last_seen, seen.last_seen),
    culprit_line = coalesce(nullif(incidents.culprit_line, ''), seen.culprit_line),
    step = coalesce(nullif(incidents.step, ''), seen.step),
    error_class = CASE WHEN incidents.error_class IN ('', 'unknown') AND seen.error_class <> '' THEN seen.error_class
                       ELSE incidents.error_class END,
    title = CASE WHEN seen.is_measured THEN seen.title ELSE incidents.title END,
    modification_time = clock_timestamp()
FROM (VALUES %s) AS seen (fingerprint, first_seen, last_seen, culprit_line, step, error_class, is_measured, title)
WHERE incidents.fingerprint = seen.fingerprint AND incidents.state <> 'resolved'
RETURNING {_RETURNED}, false AS is_new
"""
# ix_incidents_fingerprint for the occurrence before
_OPEN = f"""
INSERT INTO incidents (fingerprint, kind, title, severity, component, code, computing_site, jedi_task_id, first_seen,
                       last_seen, culprit_line, grouping, state, opened_time, opened_by, change_seq, rule_name,
                       rule_version, algorithm, fingerprint_words, step, error_class, previous_id)
SELECT v.fingerprint, v.kind, v.title, v.severity, v.component, v.code::bigint, v.computing_site, v.task::bigint,
       v.first_seen, v.last_seen, v.culprit_line, v.grouping, v.state, v.opened_time::timestamptz, v.opened_by, v.change_seq,
       v.rule_name, v.rule_version, v.algorithm, v.words::jsonb, v.step, v.error_class,
       (SELECT max(p.incident_id) FROM incidents p WHERE p.fingerprint = v.fingerprint AND p.opened_time IS NOT NULL)
FROM (VALUES %s) AS v (fingerprint, kind, title, severity, component, code, computing_site, task, first_seen, last_seen,
                       culprit_line, grouping, state, opened_time, opened_by, change_seq, rule_name, rule_version, algorithm,
                       words, step, error_class)
ON CONFLICT (fingerprint) WHERE state <> 'resolved' DO UPDATE SET
    first_seen = least(incidents.first_seen, excluded.first_seen),
    last_seen = greatest(incidents.last_seen, excluded.last_seen),
    modification_time = clock_timestamp()
RETURNING {_RETURNED}, (xmax = 0) AS is_new
"""
# ix_incidents_fingerprint
_ENDED = """
SELECT DISTINCT ON (fingerprint) incident_id, fingerprint, state, held_by, merged_into, resolved_time
FROM incidents WHERE fingerprint = ANY(%(keys)s::text[]) AND opened_time IS NOT NULL
ORDER BY fingerprint, incident_id DESC
"""
_GUARD = "SELECT pg_advisory_xact_lock(%(namespace)s, %(key)s)"
# ix_incidents_novel: what lives and began in the last ten minutes
_NOVEL = """
SELECT component, coalesce(jedi_task_id::text, '') AS task, job_count > 0 AS is_of_jobs, count(*) AS count
FROM incidents WHERE component = ANY(%(components)s::text[]) AND first_seen > %(since)s AND state <> 'resolved'
GROUP BY 1, 2, 3
"""
_NOVEL_IN_ALL = "SELECT count(*) AS count FROM incidents WHERE first_seen > %(since)s AND state <> 'resolved'"


def time_of(event: Event, now: datetime) -> datetime:
    """When the event counts: never in the future, never long ago."""
    return min(max(event.time, now - OLDEST), now)


def is_measured(event: Event) -> bool:
    """Whether a rule measured it: its key names rule and subject, and its title is what was measured last."""
    return event.rule not in _KEYS_FROM_OUTSIDE and event.fingerprint.startswith(f"v1:{event.rule}:")


def rule_of(event: Event) -> str:
    """The rule as it stands in an incident's activity."""
    return f"rule {event.rule} v{event.rule_version}" if event.rule_version else f"rule {event.rule}"


def rows_of(
    transaction: Transaction, events: Sequence[Event], links: Links, now: datetime, settings: IncidentSettings
) -> tuple[list[Event], dict[str, Row]]:
    """The events under the keys that they are counted by, and the locked row of each key, with `is_new`.

    `links`: what people merged and split, which the events follow already; a common key follows them here.

    New rows are candidates, or open when one of their events says so; that is not noted yet (`life.note_openings`).
    """
    keys = {key for event in events for key in (event.fingerprint, event.legacy_fingerprint) if key}
    there = _locked(transaction, keys)
    events = [_bridged(event, there) for event in events]
    groups = _grouped(events)
    missing = groups.keys() - there
    if missing:
        there |= _reopened(transaction, {key: groups[key] for key in missing}, now, settings)
        missing = groups.keys() - there
    if missing:
        guarded = _guarded(transaction, {key: groups[key] for key in missing}, now, settings)
        if guarded:
            events = [_in_common(event, guarded.get(event.fingerprint), links) for event in events]
            groups = _grouped(events)
            there |= _locked(transaction, groups.keys() - there)
            missing = groups.keys() - there
    seen = [_seen(groups[key], now) for key in sorted(groups.keys() & there)]
    fresh = [_fresh(groups[key], now) for key in sorted(missing)]
    touched = [*transaction.insert_returning(_SEEN_AGAIN, seen), *transaction.insert_returning(_OPEN, fresh)]
    return events, {row["fingerprint"]: row for row in touched}


def _grouped(events: Sequence[Event]) -> dict[str, list[Event]]:
    groups: defaultdict[str, list[Event]] = defaultdict(list)
    for event in events:
        groups[event.fingerprint].append(event)
    return dict(groups)


def _locked(transaction: Transaction, keys: set[str]) -> set[str]:
    if not keys:
        return set()
    return {row["fingerprint"] for row in transaction.fetch(_LOCK, {"keys": sorted(keys)})}


def _bridged(event: Event, there: set[str]) -> Event:
    """While an incident of the algorithm before lives, its events go on under its key; nothing stored is keyed anew."""
    legacy = event.legacy_fingerprint
    if not legacy or event.fingerprint in there or legacy not in there:
        return event
    return replace(event, fingerprint=legacy, legacy_fingerprint="")


def _seen(group: list[Event], now: datetime) -> tuple[object, ...]:
    first = _first(group)
    times = [time_of(event, now) for event in group]
    return (
        *(first.fingerprint, min(times), max(times), _any(group, "culprit_line"), _any(group, "step")),
        *(_any(group, "error_class"), is_measured(first), first.title),
    )


def _fresh(group: list[Event], now: datetime) -> tuple[object, ...]:
    first = _first(group)
    times = [time_of(event, now) for event in group]
    opener = next((event for event in group if event.opens), None)
    opened = ("candidate", None, "", 0) if opener is None else ("open", now, rule_of(opener), 1)
    return (
        *(first.fingerprint, first.kind, first.title, worst(*(event.severity for event in group)), first.component),
        *(first.code, first.computing_site, first.jedi_task_id, min(times), max(times), _any(group, "culprit_line")),
        *(first.grouping, *opened, first.rule, first.rule_version, first.algorithm),
        *(orjson.dumps(first.words).decode(), _any(group, "step"), _any(group, "error_class")),
    )


def _first(group: list[Event]) -> Event:
    return min(group, key=lambda event: event.time)


def _any(group: list[Event], name: str) -> str:
    """The first event that says it."""
    return next((value for event in group if (value := getattr(event, name))), "")


# --- what just ended by itself


def _reopened(
    transaction: Transaction, groups: Mapping[str, list[Event]], now: datetime, settings: IncidentSettings
) -> set[str]:
    """Keys whose incident ended by itself a moment ago and lives again: a trouble that flaps is one incident.

    What a person ended stays ended: the next event is a new incident.
    """
    since = now - timedelta(seconds=settings.reopen_within_s)
    back = set()
    for row in transaction.fetch(_ENDED, {"keys": sorted(groups)}):
        is_recent = row["state"] == IncidentState.RESOLVED and row["resolved_time"] and row["resolved_time"] >= since
        if not is_recent or row["held_by"] or row["merged_into"] is not None:
            continue
        act = life.Act(rule_of(groups[row["fingerprint"]][0]), "reopen", "it is back", is_automatic=True)
        try:
            life.change(transaction, row["incident_id"], IncidentState.REOPENED, act, now)
        except (Conflict, IllegalTransition):
            continue  # somebody else was faster: whatever lives now is found when the row is inserted
        back.add(row["fingerprint"])
    return back


# --- the novelty guard


@dataclass(frozen=True)
class _Place:
    """Where new troubles are counted: a component, of failed jobs in one task."""

    component: str
    task: str

    @property
    def key(self) -> str:
        return f"v2:{self.component[:60]}:…{f':{self.task}' if self.task else ''}"

    @property
    def words(self) -> str:
        return f"{self.component or 'an emitter'}{f' in task {self.task}' if self.task else ''}"


def _guarded(
    transaction: Transaction, groups: Mapping[str, list[Event]], now: datetime, settings: IncidentSettings
) -> dict[str, _Place]:
    """Keys of what goes under a common key, and whose it is, because too many new troubles begin there.

    Counted for each component, of failed jobs for each task of it, over the last ten minutes; keys of measured subjects
    are bounded by their rules.
    """
    new = {key: group for key, group in sorted(groups.items()) if not is_measured(group[0])}
    components = sorted({group[0].component for group in new.values()})
    if not components:
        return {}
    for component in components:
        number = zlib.crc32(component.encode("utf-8", "replace")) & 0x7FFFFFFF
        transaction.execute(_GUARD, {"namespace": _GUARD_LOCK, "key": number})
    since = {"since": now - _NOVEL_FOR}
    counts: defaultdict[_Place, int] = defaultdict(int)
    for row in transaction.fetch(_NOVEL, {**since, "components": components}):
        counts[_Place(row["component"], row["task"] if row["is_of_jobs"] else "")] += row["count"]
    in_all = transaction.fetch(_NOVEL_IN_ALL, since)[0]["count"]
    guarded: dict[str, _Place] = {}
    for key, group in sorted(new.items(), key=lambda item: _first(item[1]).time):
        first = group[0]
        place = _Place(first.component, str(first.jedi_task_id or "") if first.job else "")
        if key == place.key:
            continue
        if counts[place] >= settings.most_new or in_all >= settings.most_new_in_all:
            guarded[key] = place
        else:
            counts[place] += 1
            in_all += 1
    return guarded


def _in_common(event: Event, place: _Place | None, links: Links) -> Event:
    if place is None:
        return event
    common = replace(
        event,
        fingerprint=place.key,
        legacy_fingerprint="",
        title=short_title(f"Many different troubles of {place.words}: {event.title}"),
        grouping=f"Many new troubles of {place.words} began within ten minutes; these came after the first of them.",
        words=(),
    )
    return resolve([common], links)[0]
