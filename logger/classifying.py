"""What a record tells of, at the price of a flood: of messages that differ in their numbers only, the first are looked at
in full, the others are what those were. Knows the rules' answer, not the rules; no SQL.

The full look costs some 200 us (a fingerprint of two versions, a culprit), this one some 40.
"""

from __future__ import annotations

import logging
import re
import threading
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

from logger.events import Event, short_title
from logger.records import Record
from logger.rules import RuleRow, record_event
from logger.rules.parameters import RecordParameters

LOOKED_AT = 3
"""So many alike are looked at in full; while they agree, the others are taken for the same."""
_MOST_KINDS = 8192
_SHORTEST_NAME = 3
_DIGITS = str.maketrans("123456789", "000000000")

# numbers that name a cause (logger/fingerprints/shapes.py keeps them) make a message another one
_TELLING = re.compile(
    r"(?i)(?:errno|http|status|signal|exit|code|returned|error|curl|ora|tns|pls|sqlstate)(?=[^0-9a-z\n]{0,4}(\w{1,8}))"
)


@dataclass
class _Kind:
    """Messages that are alike. `event`: what those that were looked at told of; None: of nothing, or not looked at yet."""

    looked_at: int = 0
    event: Event | None = None
    differ: bool = False


class Classifier:
    """Remembers what messages told of, as long as the rules are the same. Safe from any thread."""

    def __init__(self) -> None:
        self._kinds: OrderedDict[int, _Kind] = OrderedDict()
        self._rules: Hashable = None
        self._by_queue = False
        self._lock = threading.Lock()

    def event(self, rules: Sequence[RuleRow], record: Record) -> Event | None:
        """The trouble that the record tells of, or None: as `record_event` says."""
        is_talk = record.severity_number < logging.WARNING and not record.fingerprint and not record.kind
        if is_talk or record.traceback:
            return record_event(rules, record)
        kind = self._kind(rules, record)
        if kind.looked_at >= LOOKED_AT and not kind.differ:
            return None if kind.event is None else _like(kind.event, record)
        event = record_event(rules, record)
        if kind.looked_at and not _are_alike(event, kind.event, record):
            kind.differ = True
        kind.event = event
        kind.looked_at += 1
        return event

    def _kind(self, rules: Sequence[RuleRow], record: Record) -> _Kind:
        version = tuple((rule.rule_id, rule.version) for rule in rules)
        with self._lock:
            if version != self._rules:
                self._kinds.clear()
                self._rules = version
                self._by_queue = any(_selects_by_queue(rule) for rule in rules)
            key = hash(_alike(record, self._by_queue))
            kind = self._kinds.pop(key, None) or _Kind()
            self._kinds[key] = kind
            if len(self._kinds) > _MOST_KINDS:
                self._kinds.popitem(last=False)
            return kind


def _selects_by_queue(rule: RuleRow) -> bool:
    return isinstance(rule.limits, RecordParameters) and bool(rule.limits.queues)


def _alike(record: Record, by_queue: bool) -> Hashable:
    """What makes the answer of the rules: all that they select by, and the message with its own names and without the
    values of its numbers. Names count by their places: taken out of a message they leave others behind."""
    message = record.message
    return (
        *(record.component, record.name, record.level, record.code, record.kind, record.fingerprint, record.step),
        *(record.error_class, record.computing_site if by_queue else "", record.panda_id is None),
        *(message.translate(_DIGITS), _places(message, record.computing_site)),
        *(tuple(_TELLING.findall(message)), _places(message, record.host), _places(message, record.user_name)),
        _places(message, record.host.rsplit("@", 1)[-1].split(".", 1)[0]),
        *(_places(message, str(record.panda_id or "")), _places(message, str(record.jedi_task_id or ""))),
    )


def _places(message: str, name: str) -> Hashable:
    return () if len(name) < _SHORTEST_NAME else (message.find(name), message.rfind(name), message.count(name))


def _like(event: Event, record: Record) -> Event:
    """What another record of the kind told of, told of this one."""
    return replace(
        event,
        time=record.time,
        title=_title(record),
        culprit_line=short_title(record.message),
        computing_site=record.computing_site,
        jedi_task_id=record.jedi_task_id,
        user_name=record.user_name,
        host=record.host,
    )


def _title(record: Record) -> str:
    return short_title(f"{record.component}: {record.message}" if record.component else record.message)


def _are_alike(event: Event | None, other: Event | None, record: Record) -> bool:
    """Whether what the rules say of a record is what would have been said of it from another one."""
    return event == (None if other is None else _like(other, record))
