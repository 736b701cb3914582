"""What a rule is: a small class with a name and a sentence that makes events. Knows no incident."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core.database import Transaction
from logger.culprit import Culprit
from logger.events import Event, Kind
from logger.records import Record


class Rule(ABC):
    """`name` marks what the rule did in an incident's activity; `sentence` tells people when it speaks."""

    name: str
    kind: Kind
    sentence: str


class RecordRule(Rule):
    """Looks at every log record."""

    @abstractmethod
    def event(self, record: Record) -> Event | None:
        """The trouble that the record tells of, or None."""


@dataclass(frozen=True)
class FailedJob:
    """A job that has just failed: its archived row, the state it failed from, and its culprit."""

    row: Mapping[str, Any]
    previous_status: str
    time: datetime
    culprit: Culprit | None = None
    culprit_log: str = ""


class JobRule(Rule):
    """Looks at every failed job."""

    @abstractmethod
    def event(self, job: FailedJob) -> Event | None:
        """The trouble that the failure tells of, or None."""


class WatchRule(Rule):
    """Looks at the state of the system every half minute; its incidents resolve themselves when it sees no more."""

    @abstractmethod
    def find(self, transaction: Transaction, now: datetime) -> list[Event]:
        """What is wrong now; the same trouble always with the same fingerprint, which begins with `prefix`."""

    @property
    def prefix(self) -> str:
        """How the fingerprints of this rule begin."""
        return f"v1:{self.name}:"
