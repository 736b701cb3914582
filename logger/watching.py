"""Runs the measure rules: opens what is beyond its limit for long enough, and resolves what is within it again.

Knows incidents, and of the rules only that they measure subjects. Each rule has a transaction of its own with a limit of
time: one that fails is reported once, as a trouble of its own, and the others go on. What was measured is kept per five
minutes (`logger/watch_samples.py`), as the past on which a change of a rule is tried.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import psycopg2

from core.clock import Clock
from core.database import Database, Row, Transaction
from core.errors import IllegalTransition, Unavailable
from core.incident_settings import IncidentSettings
from core.states import IncidentState
from logger.events import Event, Severity, short_title
from logger.folding import bin_start, fold
from logger.life import Act, Held, change, touch
from logger.rule_errors import first_line, found_a_lock, is_away, is_cut_off
from logger.rule_rows import active_rules
from logger.rules import MEASURES, MeasureRule, RuleRow
from logger.rules.base import Look, Measurement
from logger.rules.parameters import RecordParameters
from logger.rules.selecting import selects
from logger.severity import SEVERITIES, worst
from logger.uptime import Uptime
from logger.watch_samples import Samples, over_since

log = logging.getLogger("panda.rules")

_LIMITS = "SET LOCAL statement_timeout = '5s'; SET LOCAL lock_timeout = '1s'"
_TOLD_AGAIN = timedelta(minutes=5)
"""A rule that goes on failing keeps its incident alive so often."""
_MOST_TIME = 0.1
"""Of its time a rule may take at most this part between the full looks."""
_SHARED_KEY_REST = timedelta(seconds=60)
"""A trouble that others report too is over when none of them has for so long."""

# uq_incidents_unresolved, of which there are hundreds, whole: names of rules are no range of every collation
_UNRESOLVED = """
SELECT incident_id, fingerprint, state, severity, last_seen, held_by <> '' AS is_held FROM incidents
WHERE state NOT IN ('resolved', 'candidate')
  AND (starts_with(fingerprint, %(prefix)s) OR fingerprint = ANY(%(keys)s::text[]))
ORDER BY fingerprint
"""
# the same; whose rule was turned off, does not fit or is gone, so that nobody measures it any more
_OF_NO_RULE = """
SELECT incident_id, rule_name FROM incidents
WHERE state NOT IN ('resolved', 'candidate') AND held_by = '' AND rule_name <> ''
  AND starts_with(fingerprint, 'v1:' || rule_name || ':') AND rule_name <> ALL(%(names)s::text[])
ORDER BY fingerprint
"""


# ix_incidents_candidates for what was counted lately, incident_bins by primary key; bins are five minutes wide
_MANY_RECORDS = """
SELECT i.incident_id, sum(b.event_count) AS records FROM incidents i
JOIN incident_bins b ON b.incident_id = i.incident_id AND b.bin_time >= %(since)s
WHERE i.state = 'candidate' AND i.last_seen >= %(since)s AND i.rule_name = %(name)s AND i.held_by = ''
GROUP BY 1 HAVING sum(b.event_count) >= %(least)s ORDER BY 1
"""


@dataclass(frozen=True)
class _Over:
    """An incident whose trouble is over, and why."""

    incident_id: int
    rule_name: str
    reason: str


@dataclass
class _Memory:
    """What is known of one rule between two looks."""

    beyond_since: dict[str, datetime] = field(default_factory=dict)
    """Subject -> since when it is beyond its limit."""
    folded: set[str] = field(default_factory=set)
    """Keys whose trouble was counted once and goes on."""
    is_remembered: bool = False
    """Whether the time before this process was looked up."""
    is_failing: bool | None = None
    failure_told: datetime | None = None
    quick_again: float = 0.0
    """When it may be looked at between the full looks again, by the process's own clock."""


class Watcher:
    """Measures by the rows in force, again and again. One object lives as long as its process.

    `up_since`: since when the system is known to run without a break; None: as the database remembers it.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        settings: IncidentSettings | None = None,
        *,
        measures: Sequence[MeasureRule[Any]] | None = None,
        up_since: datetime | None = None,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._timer = timer
        self._database = database
        self._clock = clock
        self._settings = settings or IncidentSettings()
        self._measures = {one.name: one for one in ([rule() for rule in MEASURES] if measures is None else measures)}
        self._places = {name: place for place, name in enumerate(self._measures)}
        self._uptime = Uptime(database, up_since)
        self._memories: dict[str, _Memory] = {}
        self._samples = Samples(database)
        self._is_database_slow = False
        self._slow_time: datetime | None = None
        """When it was last seen to be slow."""
        self._is_blocked = False
        """Whether a rule met a lock in this look: the others would wait for it too, and measure what cannot be so."""

    def look(self, *, only_quick: bool = False) -> int:
        """Apply every rule once, or the quick ones; returns how many incidents were opened or resolved.

        Raises Unavailable when the database is away.
        """
        self._uptime.tick(self._clock())
        self._is_blocked = False
        rules = active_rules(self._database)
        rows = [row for row in rules if row.evaluator in self._measures]
        changed = self._open_where_records_are_many(rules)
        for row in sorted(rows, key=lambda row: self._places[row.evaluator]):
            rule = self._measures[row.evaluator]
            if not self._is_blocked and (not only_quick or (rule.is_quick and self._may_be_quick(row))):
                changed += self._timed(rule, row)
        if not only_quick:
            changed += self._end_what_no_rule_measures([row.name for row in rules])
            self._samples.flush(self._clock())
        return changed

    def _may_be_quick(self, row: RuleRow) -> bool:
        memory = self._memories.get(row.name)
        return memory is None or self._timer() >= memory.quick_again

    def _timed(self, rule: MeasureRule[Any], row: RuleRow) -> int:
        """Apply one rule; one that costs much is looked at more seldom between the full looks."""
        begun = self._timer()
        changed = self._tried(rule, row)
        if not rule.is_waiting:
            ended = self._timer()
            self._memories[row.name].quick_again = ended + (ended - begun) * (1 / _MOST_TIME - 1)
        return changed

    def _tried(self, rule: MeasureRule[Any], row: RuleRow) -> int:
        """Apply one rule; what goes wrong in it is told once and stops no other."""
        memory = self._memories.setdefault(row.name, _Memory())
        try:
            changed = self._apply(rule, row, memory)
        except Exception as error:
            if is_away(error):
                raise
            self._is_blocked = found_a_lock(error)
            if self._is_blocked or (is_cut_off(error) and self._is_database_slow):
                log.info("rule %s found no answer in the database: %s", row.name, error)
                return 0
            return self._note_failure(row, memory, error)
        if memory.is_failing is not False:
            memory.is_failing = False
            changed += self._resolve_failure(row)
        return changed

    def _apply(self, rule: MeasureRule[Any], row: RuleRow, memory: _Memory) -> int:
        now = self._clock()
        parameters: Any = row.limits
        with self._database.transaction() as transaction:
            transaction.execute(_LIMITS)
            uptime = self._uptime
            look = Look(
                *(transaction, now, self._database, self._settings, uptime.since, uptime.watching_since, self._clock)
            )
            measured = [one for one in rule.measure(look, parameters) if _is_meant(parameters, one)]
            if not memory.is_remembered:
                memory.beyond_since = over_since(transaction, rule, row, measured, now)
                memory.is_remembered = True
        beyond = [one for one in measured if rule.is_beyond(one.value, one.limit)]
        if rule.name == "database_slow":
            self._is_database_slow = bool(beyond)
            self._slow_time = now if beyond else self._slow_time
        elif self._is_of_database(rule, now):
            measured = [replace(one, may_open=False) for one in measured]
        memory.beyond_since = {one.subject: memory.beyond_since.get(one.subject, now) for one in beyond}
        self._samples.add(rule, row.name, measured, now)
        with self._database.transaction() as transaction:
            opened, over = self._settle(transaction, rule, row, memory, measured, now)
        return opened + self._resolve_each(over, now)

    def _is_of_database(self, rule: MeasureRule[Any], now: datetime) -> bool:
        """Whether what stands still does so because the database does, or did until just now."""
        if self._slow_time is None:
            return False
        return self._is_database_slow or (now - self._slow_time).total_seconds() < rule.recovers_s

    def _settle(
        self,
        transaction: Transaction,
        rule: MeasureRule[Any],
        row: RuleRow,
        memory: _Memory,
        measured: list[Measurement],
        now: datetime,
    ) -> tuple[int, list[_Over]]:
        """Open what has been beyond its limit for long enough and keep what is not yet clear: how many are new, and what is
        over."""
        parameters: Any = row.limits
        shared = [one.key for one in measured if one.key]
        known = {
            one["fingerprint"]: one
            for one in transaction.fetch(_UNRESOLVED, {"prefix": row.prefix, "keys": shared})
            if not one["fingerprint"].startswith(_failure_key(""))
        }
        events: dict[str, Event] = {}
        for one in measured:
            key = one.key or f"{row.prefix}{one.subject}"
            since = memory.beyond_since.get(one.subject)
            is_due = since is not None and (now - since).total_seconds() >= parameters.for_s
            if key in known and rule.is_beyond(one.value, _clear_limit(rule, one.limit, parameters.clear_part)):
                is_due = True
            if is_due and (key in known or one.may_open):
                is_new = key not in known and key not in memory.folded
                events[key] = _event(row, one, key, since or now, is_new, now)
        fold(transaction, list(events.values()), now, self._settings)
        opened = [key for key in events if key not in known and key not in memory.folded]
        memory.folded = set(events)
        _raise_severities(transaction, row, known, events, now)
        values = {one.key or f"{row.prefix}{one.subject}": one for one in measured}
        over = [
            _Over(incident["incident_id"], row.name, _ending(rule, values.get(key)))
            for key, incident in known.items()
            if key not in events and _may_end(incident, key, row, now)
        ]
        return len(opened), over

    def _resolve_each(self, over: Sequence[_Over], now: datetime) -> int:
        """In transactions of their own, because whoever holds one incident waits for no other out of turn."""
        return sum(self._resolved(one, now) for one in over)

    def _resolved(self, one: _Over, now: datetime) -> bool:
        act = Act(f"rule {one.rule_name}", "resolve", one.reason, is_automatic=True)
        try:
            with self._database.transaction() as transaction:
                change(transaction, one.incident_id, IncidentState.RESOLVED, act, now)
        except (Held, IllegalTransition):
            log.info("incident %s was taken or ended by somebody meanwhile", one.incident_id)
            return False
        return True

    def _note_failure(self, row: RuleRow, memory: _Memory, error: Exception) -> int:
        """One incident per rule that cannot be applied; it ends when the rule works again."""
        now, is_known = self._clock(), bool(memory.is_failing)
        if is_known and memory.failure_told is not None and now - memory.failure_told < _TOLD_AGAIN:
            return 0
        if not is_known:
            log.warning("rule %s cannot be applied: %s", row.name, error, exc_info=error)
        event = Event(
            rule=row.name,
            kind="service",
            fingerprint=_failure_key(row.name),
            grouping=f"It is one rule, {row.name}, that cannot be applied.",
            title=short_title(f"The rule {row.name} cannot be applied: {first_line(error)}"),
            time=now,
            severity="error",
            component="incidents",
            culprit_line=short_title(f"{type(error).__name__}: {first_line(error)}"),
            step="service",
            error_class="database" if isinstance(error, psycopg2.Error | Unavailable) else "central",
            rule_version=row.version,
            is_occurrence=not is_known,
        )
        with self._database.transaction() as transaction:
            fold(transaction, [event], now, self._settings)
        memory.is_failing, memory.failure_told = True, now
        return 0 if is_known else 1

    def _resolve_failure(self, row: RuleRow) -> int:
        key = _failure_key(row.name)
        with self._database.transaction() as transaction:
            found = transaction.fetch(_UNRESOLVED, {"prefix": f"{key}:", "keys": [key]})
        mine = [one["incident_id"] for one in found if one["fingerprint"] == key and not one["is_held"]]
        return self._resolve_each(
            [_Over(incident_id, row.name, "the rule can be applied again") for incident_id in mine], self._clock()
        )

    def _open_where_records_are_many(self, rules: Sequence[RuleRow]) -> int:
        """Records of rules that want several alike make candidates, which are opened here."""
        changed = 0
        for row in rules:
            limits = row.limits
            if not isinstance(limits, RecordParameters) or limits.min_records == 1:
                continue
            now = self._clock()
            values = {"since": bin_start(now - timedelta(seconds=limits.window_s)), "name": row.name}
            for found in self._database.fetch(_MANY_RECORDS, {**values, "least": limits.min_records}):
                reason = f"{found['records']} records within {limits.window_s:g} s"
                act = Act(f"rule {row.name} v{row.version}", "open", reason, is_automatic=True)
                try:
                    with self._database.transaction() as transaction:
                        change(transaction, found["incident_id"], IncidentState.OPEN, act, now)
                except (Held, IllegalTransition):
                    continue  # a person was faster
                changed += 1
        return changed

    def _end_what_no_rule_measures(self, names: list[str]) -> int:
        with self._database.transaction() as transaction:
            found = transaction.fetch(_OF_NO_RULE, {"names": names})
        reason = "the rule is not in force any more"
        return self._resolve_each([_Over(one["incident_id"], one["rule_name"], reason) for one in found], self._clock())


def watch(database: Database, clock: Clock) -> int:
    """Apply every rule once and return how many incidents were opened or resolved."""
    return Watcher(database, clock).look()


def _is_meant(parameters: Any, one: Measurement) -> bool:
    return not parameters.queues or selects(parameters.queues, one.facts.computing_site)


def _clear_limit(rule: MeasureRule[Any], limit: float, clear_part: float) -> float:
    return limit / clear_part if rule.is_low else limit * clear_part


def _event(row: RuleRow, one: Measurement, key: str, since: datetime, is_new: bool, now: datetime) -> Event:
    facts = one.facts
    return Event(
        rule=row.name,
        kind=row.kind,
        fingerprint=key,
        grouping=one.grouping,
        title=short_title(one.title),
        # the same state seen again keeps its incident alive without counting as one more occurrence
        time=(one.since or since) if is_new else now,
        severity=_severity(row, one),
        component=facts.component,
        computing_site=facts.computing_site,
        jedi_task_id=facts.jedi_task_id,
        user_name=facts.user_name,
        host=facts.host,
        storage=facts.storage,
        culprit_line=short_title(one.note),
        step=facts.step,
        error_class=facts.error_class,
        rule_version=row.version,
        is_occurrence=is_new,
    )


def _severity(row: RuleRow, one: Measurement) -> Severity:
    return worst(row.severity_floor, one.severity) if one.severity else row.severity_floor


def _raise_severities(
    transaction: Transaction, row: RuleRow, known: dict[str, Row], events: dict[str, Event], now: datetime
) -> None:
    """What is worse now than when it was opened is told again, unless a person decided how bad it is."""
    for key, event in events.items():
        incident = known.get(key)
        if incident is None or incident["is_held"] or event.is_occurrence:
            continue
        if SEVERITIES.index(event.severity) < SEVERITIES.index(incident["severity"]):
            act = Act(f"rule {row.name}", "severity", event.title, is_automatic=True)
            touch(transaction, incident["incident_id"], act, now, "worse", severity=event.severity)


def _may_end(incident: Row, key: str, row: RuleRow, now: datetime) -> bool:
    """A person's decision stands (monitor.md 6.1); what others report too must have been quiet for a while."""
    if incident["is_held"]:
        return False
    return key.startswith(row.prefix) or incident["last_seen"] < now - _SHARED_KEY_REST


def _ending(rule: MeasureRule[Any], one: Measurement | None) -> str:
    return "it is over" if one is None else f"it is over: {one.value:.3g} {rule.unit}, the limit is {one.limit:.3g}"


def _failure_key(name: str) -> str:
    return f"v1:rule fails:{name}"
