"""What the troubles of people's own programs may be: never critical by their word alone, and not without bound.

Knows senders, events and rules; knows no incident. Whoever speaks for the system (a pilot, production, an operator, an
admin) is believed: this is for the tokens that everybody has.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace

from logger.admission import Sender
from logger.events import Event, Severity, short_title
from logger.rules import RuleRow
from logger.severity import worst

MOST_OWN = 50
"""Different troubles of one person's programs that are kept apart in ten minutes, in each process; what comes beyond is one
incident that says so. Without it a hundred invented components made five hundred."""
_WITHIN_S = 600.0
_MOST_PEOPLE = 10_000
_WORST_BY_WORD: Severity = "error"
"""What an emitter's word makes of a trouble at most; impact, rules and people may say more."""


class OwnTroubles:
    """Remembers which troubles each person's programs told of lately, with bounds. Safe from any thread."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lately: OrderedDict[str, OrderedDict[str, float]] = OrderedDict()
        self._lock = threading.Lock()

    def judged(self, event: Event, sender: Sender, rules: Sequence[RuleRow]) -> Event:
        """The event as its sender may tell it."""
        if sender.is_trusted:
            return event
        if event.severity == "critical":
            event = replace(event, severity=worst(_floor(event, rules), _WORST_BY_WORD))
        return event if self._has_room(sender.subject, event.fingerprint) else _common(event, sender.subject)

    def _has_room(self, person: str, key: str) -> bool:
        """Whether the trouble is one of those that are kept apart: told of lately, or one of the first."""
        with self._lock:
            now = self._monotonic()
            known = self._lately.pop(person, None) or OrderedDict()
            self._lately[person] = known
            while len(self._lately) > _MOST_PEOPLE:
                self._lately.popitem(last=False)
            while known and now - next(iter(known.values())) > _WITHIN_S:
                known.popitem(last=False)
            if key not in known and len(known) >= MOST_OWN:
                return False
            known.pop(key, None)
            known[key] = now
            return True


def _floor(event: Event, rules: Sequence[RuleRow]) -> Severity:
    """What the rule says of all its incidents; that is an operator's word."""
    return next((rule.severity_floor for rule in rules if rule.name == event.rule), "warning")


def _common(event: Event, person: str) -> Event:
    return replace(
        event,
        fingerprint=f"v2:{person[:60]}/…",
        older_keys=tuple,
        title=short_title(f"Many different troubles of programs of {person}: {event.title}"),
        grouping=f"Programs of {person} told of more than {MOST_OWN} different troubles within ten minutes; these came after"
        " the first of them.",
        words=(),
        component=f"{person}/…"[:200],
        code=None,
    )
