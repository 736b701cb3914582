"""Which incident an event belongs to: the one that lives, one that just ended by itself, or a new one. Knows rows, no counts.

A batch first looks without any lock; whoever has to make incidents then waits for the others who do; then all rows are
locked in the order of fingerprints. So two batches that share incidents wait for each other instead of deadlocking. New
troubles are bounded: whoever makes up a new message for every event gets one incident for what comes beyond some tens
(novelty guard).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
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
from logger.trust import is_ours

OLDEST = timedelta(days=1)
"""Events that arrive later than this count as this old, so that one stale clock does not stretch an incident."""

_NOVEL_FOR = timedelta(minutes=10)
_KEYS_FROM_OUTSIDE = frozenset({"service_errors"})
"""Rules whose keys emitters make up."""

_RETURNED = """
    incidents.incident_id, incidents.fingerprint, incidents.kind, incidents.severity, incidents.state, incidents.held_by,
    incidents.rule_name, incidents.first_seen, incidents.last_seen, incidents.job_count, incidents.record_count,
    incidents.lost_core_s, incidents.queue_count, incidents.task_count, incidents.user_count, incidents.node_count,
    incidents.storage_count
"""
# uq_incidents_unresolved for all of these. What is there is locked in order and touched; only what is missing is inserted,
# because every attempt to insert uses up an incident id, whether or not it meets an incident that is there
_LIVING = "SELECT fingerprint FROM incidents WHERE fingerprint = ANY(%(keys)s::text[]) AND state <> 'resolved'"
_LOCK = """
SELECT fingerprint, state FROM incidents WHERE fingerprint = ANY(%(keys)s::text[]) AND state <> 'resolved'
ORDER BY fingerprint FOR UPDATE
"""
# and the primary key
_LOCK_WITH_ENDED = """
SELECT fingerprint, state FROM incidents
WHERE (fingerprint = ANY(%(keys)s::text[]) AND state <> 'resolved') OR incident_id = ANY(%(incident_ids)s::bigint[])
ORDER BY fingerprint, incident_id FOR UPDATE
"""
# Rows that are not there cannot be locked in an order: who makes some does so alone, and waits before it locks any row
_ALONE = "SELECT pg_advisory_xact_lock(7306)"
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
# ix_incidents_novel: what lives and began in the last ten minutes
_NOVEL = """
SELECT component, coalesce(jedi_task_id::text, '') AS task, job_count > 0 AS is_of_jobs, count(*) AS count
FROM incidents WHERE component = ANY(%(components)s::text[]) AND first_seen > %(since)s AND state <> 'resolved'
GROUP BY 1, 2, 3
"""
_NOVEL_IN_ALL = """
SELECT component, job_count > 0 AS is_of_jobs, count(*) AS count
FROM incidents WHERE first_seen > %(since)s AND state <> 'resolved' GROUP BY 1, 2
"""


def time_of(event: Event, now: datetime) -> datetime:
    """When the event counts: never in the future, never long ago."""
    return min(max(event.time, now - OLDEST), now)


def is_measured(event: Event) -> bool:
    """Whether a rule measured it: its key names rule and subject, and its title is what was measured last."""
    return event.rule not in _KEYS_FROM_OUTSIDE and event.fingerprint.startswith(f"v1:{event.rule}:")


def rule_of(event: Event) -> str:
    """The rule as it stands in an incident's activity."""
    return f"rule {event.rule} v{event.rule_version}" if event.rule_version else f"rule {event.rule}"


@dataclass(frozen=True)
class _Plan:
    """What a batch finds without any lock. `back`: resolved incidents that are to live again, by key."""

    events: list[Event]
    groups: dict[str, list[Event]]
    back: dict[str, int]
    makes_any: bool


class _Gone(Exception):
    """What was there when the batch was planned has ended meanwhile."""


def rows_of(
    transaction: Transaction, events: Sequence[Event], links: Links, now: datetime, settings: IncidentSettings
) -> tuple[list[Event], dict[str, Row]]:
    """The events under the keys that they are counted by, and the locked row of each key, with `is_new`.

    `links`: what people merged and split, which the events follow already; a common key follows them here.

    New rows are candidates, or open when one of their events says so; that is not noted yet (`life.note_openings`).
    """
    plan = _planned(transaction, events, links, now, settings)
    if not plan.makes_any:
        try:
            with transaction.savepoint():
                there = _locked(transaction, plan)
                if plan.groups.keys() - there:
                    raise _Gone
            return plan.events, _touched(transaction, plan, there, now)
        except _Gone:  # rare, and the rows are locked no more: whoever makes some waits for the others first
            pass
    transaction.execute(_ALONE)
    plan = _planned(transaction, events, links, now, settings)
    there = _locked(transaction, plan)
    there |= _reopened(transaction, {key: id_ for key, id_ in plan.back.items() if key not in there}, plan.groups, now)
    return plan.events, _touched(transaction, plan, there, now)


def _planned(
    transaction: Transaction, events: Sequence[Event], links: Links, now: datetime, settings: IncidentSettings
) -> _Plan:
    """Under which keys the events go as things are now; locks nothing."""
    there = _living(transaction, {event.fingerprint for event in events})
    bridged, older = _bridged(transaction, events, there)
    there |= older
    groups = _grouped(bridged)
    missing = groups.keys() - there
    back = _just_ended(transaction, missing, now, settings)
    missing -= back.keys()
    guarded = _guarded(transaction, {key: groups[key] for key in missing}, links, now, settings)
    if guarded:
        bridged = [
            guarded[event.fingerprint].taking(event, links) if event.fingerprint in guarded else event
            for event in bridged
        ]
        groups = _grouped(bridged)
        missing = groups.keys() - there - back.keys()
        missing -= _living(transaction, missing)
    return _Plan(bridged, groups, back, bool(missing or back))


def _touched(transaction: Transaction, plan: _Plan, there: set[str], now: datetime) -> dict[str, Row]:
    seen = [_seen(plan.groups[key], now) for key in sorted(plan.groups.keys() & there)]
    fresh = [_fresh(plan.groups[key], now) for key in sorted(plan.groups.keys() - there)]
    rows = [*transaction.insert_returning(_SEEN_AGAIN, seen), *transaction.insert_returning(_OPEN, fresh)]
    return {row["fingerprint"]: row for row in rows}


def _grouped(events: Sequence[Event]) -> dict[str, list[Event]]:
    groups: defaultdict[str, list[Event]] = defaultdict(list)
    for event in events:
        groups[event.fingerprint].append(event)
    return dict(groups)


def _living(transaction: Transaction, keys: Set[str]) -> set[str]:
    if not keys:
        return set()
    return {row["fingerprint"] for row in transaction.fetch(_LIVING, {"keys": sorted(keys)})}


def _locked(transaction: Transaction, plan: _Plan) -> set[str]:
    """Lock what lives and what is to live again, in order; returns the keys of what lives."""
    statement = _LOCK_WITH_ENDED if plan.back else _LOCK
    values = {"keys": sorted(plan.groups), "incident_ids": sorted(plan.back.values())}
    rows = transaction.fetch(statement, values)
    return {row["fingerprint"] for row in rows if row["state"] != IncidentState.RESOLVED}


def _bridged(transaction: Transaction, events: Sequence[Event], there: Set[str]) -> tuple[list[Event], set[str]]:
    """While an incident of an algorithm before lives, its events go on under its key; nothing stored is keyed anew.

    Returns the events, and the older keys that live.
    """
    keys = [() if event.fingerprint in there else event.older_keys() for event in events]
    older = _living(transaction, {key for of_event in keys for key in of_event})
    bridged = []
    for event, of_event in zip(events, keys, strict=True):
        key = next((key for key in of_event if key in older), "")
        bridged.append(replace(event, fingerprint=key, older_keys=tuple) if key else event)
    return bridged, older


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


def _just_ended(transaction: Transaction, keys: Set[str], now: datetime, settings: IncidentSettings) -> dict[str, int]:
    """Incidents that ended by themselves a moment ago, by key: a trouble that flaps is one incident.

    What a person ended stays ended: the next event is a new incident.
    """
    since = now - timedelta(seconds=settings.reopen_within_s)
    return {
        row["fingerprint"]: row["incident_id"]
        for row in (transaction.fetch(_ENDED, {"keys": sorted(keys)}) if keys else ())
        if row["state"] == IncidentState.RESOLVED
        and (row["resolved_time"] and row["resolved_time"] >= since)
        and not row["held_by"]
        and row["merged_into"] is None
    }


def _reopened(
    transaction: Transaction, back: Mapping[str, int], groups: Mapping[str, list[Event]], now: datetime
) -> set[str]:
    """Let them live again; returns the keys of those that do."""
    done = set()
    for key, incident_id in sorted(back.items()):
        act = life.Act(rule_of(groups[key][0]), "reopen", "it is back", is_automatic=True)
        try:
            life.change(transaction, incident_id, IncidentState.REOPENED, act, now)
        except (Conflict, IllegalTransition):
            continue  # a person was faster: whatever lives now is found when the row is inserted
        done.add(key)
    return done


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

    def taking(self, event: Event, links: Links) -> Event:
        """The event under the key that is common to what is new here, or under what people merged that into."""
        common = replace(
            event,
            fingerprint=self.key,
            older_keys=tuple,
            title=short_title(f"Many different troubles of {self.words}: {event.title}"),
            grouping=f"Many new troubles of {self.words} began within ten minutes; these came after the first of them.",
            words=(),
        )
        return resolve([common], links)[0]


@dataclass(frozen=True)
class _Everywhere(_Place):
    """Beyond what may begin in all of a sort: one for everybody, so that invented names make no incident each."""

    sort: str

    @property
    def key(self) -> str:
        return f"v2:…{f':{self.sort}' if self.sort else ''}"

    @property
    def words(self) -> str:
        return {"jobs": "many failed jobs", "system": "many parts of the system"}.get(self.sort, "many components")

    def taking(self, event: Event, links: Links) -> Event:
        return super().taking(replace(event, component="", code=None), links)


def _sort(component: str, is_of_jobs: bool) -> str:
    """Failed jobs, parts of the system, and what anybody's programs say are counted apart: no flood hides the others."""
    return "jobs" if is_of_jobs else "system" if is_ours(component) else ""


def _guarded(
    transaction: Transaction, groups: Mapping[str, list[Event]], links: Links, now: datetime, settings: IncidentSettings
) -> dict[str, _Place]:
    """Keys of what goes under a common key, and whose it is, because too many new troubles begin there.

    Counted for each component, of failed jobs for each task of it, over the last ten minutes; keys of measured subjects
    are bounded by their rules. Beyond the number in all of a sort, what has no common incident of its own yet goes into one
    for all of that sort.
    """
    new = {key: group for key, group in groups.items() if not is_measured(group[0])}
    if not new:
        return {}
    places = {key: _place_of(group[0]) for key, group in new.items()}
    since = {"since": now - _NOVEL_FOR}
    counts: defaultdict[_Place, int] = defaultdict(int)
    for row in transaction.fetch(
        _NOVEL, {**since, "components": sorted({place.component for place in places.values()})}
    ):
        counts[_Place(row["component"], row["task"] if row["is_of_jobs"] else "")] += row["count"]
    in_all: defaultdict[str, int] = defaultdict(int)
    for row in transaction.fetch(_NOVEL_IN_ALL, since):
        in_all[_sort(row["component"], row["is_of_jobs"])] += row["count"]
    commons = {place: place.taking(new[key][0], links).fingerprint for key, place in places.items()}
    living = _living(transaction, set(commons.values()))
    guarded: dict[str, _Place] = {}
    for key, group in sorted(new.items(), key=lambda item: _first(item[1]).time):
        place = places[key]
        sort = _sort(place.component, bool(group[0].job))
        everywhere = _Everywhere("", "", sort)
        if key in (place.key, everywhere.key):
            continue
        is_full = in_all[sort] >= settings.most_new_in_all
        if not is_full and counts[place] < settings.most_new:
            counts[place] += 1
            in_all[sort] += 1
            continue
        guarded[key] = everywhere if is_full and commons[place] not in living else place
        if guarded[key] is place and commons[place] not in living:
            living.add(commons[place])
            in_all[sort] += 1
    return guarded


def _place_of(event: Event) -> _Place:
    return _Place(event.component, str(event.jedi_task_id or "") if event.job else "")
