"""Runs the watch rules: opens what they find, and resolves what they find no more. Knows incidents, not the rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from core.clock import Clock
from core.database import Database, Transaction
from core.states import IncidentState
from logger.events import Event
from logger.folding import fold
from logger.life import Act, change
from logger.rules import WATCH_RULES, WatchRule

# uq_incidents_unresolved, of which a rule's own are few. Who reopened an incident by hand decides when it ends: a
# person's change beats the machine (monitor.md 6.1).
_UNRESOLVED = """
SELECT i.incident_id, i.fingerprint, i.held_by <> '' AS is_held FROM incidents i
WHERE i.state <> 'resolved' AND starts_with(i.fingerprint, %(prefix)s)
ORDER BY i.fingerprint
"""


def watch(database: Database, clock: Clock, rules: Sequence[WatchRule] = WATCH_RULES) -> int:
    """Apply each rule once and return how many incidents were opened or resolved."""
    changed = 0
    for rule in rules:
        with database.transaction() as transaction:
            changed += _apply(transaction, rule, clock())
    return changed


def _apply(transaction: Transaction, rule: WatchRule, now: datetime) -> int:
    found = {event.fingerprint: event for event in rule.find(transaction, now)}
    known = {row["fingerprint"]: row for row in transaction.fetch(_UNRESOLVED, {"prefix": rule.prefix})}
    fold(transaction, [_as_seen_now(event, event.fingerprint in known, now) for event in found.values()], now)
    over = [row for key, row in known.items() if key not in found and not row["is_held"]]
    for row in over:
        act = Act(f"rule {rule.name}", "resolve", "it is over", is_automatic=True)
        change(transaction, row["incident_id"], IncidentState.RESOLVED, act, now)
    return len(found.keys() - known.keys()) + len(over)


def _as_seen_now(event: Event, is_known: bool, now: datetime) -> Event:
    """The same state seen again keeps its incident alive without counting as one more occurrence."""
    return replace(event, is_occurrence=False, time=now) if is_known else event
