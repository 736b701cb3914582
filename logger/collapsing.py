"""Which of many equal records are kept as rows: a flood is told by its count, not by its repetition. Knows no SQL."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from datetime import datetime

from logger.events import Event
from logger.records import Record

KEPT_EACH_MINUTE = 50
"""So many equal records of a minute are rows of their own."""
_MOST_KINDS = 10_000
_MINUTE_S = 60
_DIGITS = str.maketrans("", "", "0123456789")


@dataclass(frozen=True)
class Classified:
    """A record, the trouble it tells of, if any, and where it came from."""

    record: Record
    event: Event | None
    emitter: str = ""
    """Subject of the token that sent it."""
    source: str = ""
    """The stream it came in (`log_sources`)."""


@dataclass(frozen=True)
class Kept:
    """A record that becomes a row; `count`: how many equal ones it stands for."""

    entry: Classified
    count: int


@dataclass
class _Kind:
    minute: int
    kept: int = 0


class Collapser:
    """Counts equal records of one process by the minute. Safe from any thread.

    Equal are records of one component, level and job with the same fingerprint or, when they tell of no trouble, the same
    message without its digits. Jobs keep their own: what a job said is looked for at the job.
    """

    def __init__(self) -> None:
        self._kinds: OrderedDict[int, _Kind] = OrderedDict()
        self._lock = threading.Lock()

    def plan(self, entries: Sequence[Classified], now: datetime) -> list[Kept]:
        """Rows to store: the first of each kind and minute as they are, the rest as one with a count."""
        minute = int(now.timestamp()) // _MINUTE_S
        kept: list[Kept] = []
        merged: dict[int, int] = {}  # kind -> place in `kept`
        with self._lock:
            for entry in entries:
                key = hash(_kind_of(entry))
                kind = self._kind(key, minute)
                if kind.kept < KEPT_EACH_MINUTE:
                    kind.kept += 1
                    kept.append(Kept(entry, 1))
                elif key in merged:
                    place = merged[key]
                    kept[place] = Kept(kept[place].entry, kept[place].count + 1)
                else:
                    merged[key] = len(kept)
                    kept.append(Kept(entry, 1))
        return kept

    def _kind(self, key: int, minute: int) -> _Kind:
        kind = self._kinds.pop(key, None)
        if kind is None or kind.minute != minute:
            kind = _Kind(minute)
        self._kinds[key] = kind
        if len(self._kinds) > _MOST_KINDS:
            self._kinds.popitem(last=False)
        return kind


def _kind_of(entry: Classified) -> Hashable:
    record = entry.record
    said = entry.event.fingerprint if entry.event else record.message.translate(_DIGITS)
    return said, record.level, record.component, record.panda_id if record.is_trusted else None
