"""What a rule is: a small class with a name and a sentence that makes events or measures subjects. Knows no incident."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel

from core.clock import Clock, utc_now
from core.database import Database, Transaction
from core.incident_settings import IncidentSettings
from logger.culprit import Culprit
from logger.events import Event, Kind, Severity
from logger.records import Record
from logger.rules.parameters import MeasureParameters, Parameters

Sort = Literal["job", "record", "measure"]
"""What a rule looks at: failed jobs, log records, or the state of the system."""


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


@dataclass(frozen=True)
class Facts:
    """Whom a measured value concerns, as far as it says."""

    computing_site: str = ""
    jedi_task_id: int | None = None
    user_name: str = ""
    host: str = ""
    component: str = ""
    storage: str = ""
    step: str = "service"
    error_class: str = ""


@dataclass(frozen=True)
class Measurement:
    """A value of one subject (a queue, a task, an agent, ...) beside the limit that is its own."""

    subject: str
    value: float
    limit: float
    title: str
    """What people are told when the value is beyond the limit."""
    grouping: str
    """The sentence that says what the incident's events have in common."""
    note: str = ""
    """The line that shows it: a statement, a path, the time of the last contact."""
    since: datetime | None = None
    """When the state began that has lasted so long; None: it is not known, so when it was first seen."""
    facts: Facts = field(default_factory=Facts)
    severity: Severity | None = None
    """Worse than the rule's own."""
    usual: float = 0
    """What the limit was worked out from, kept so that the past can be tried under another factor."""
    key: str = ""
    """A fingerprint that others use for the same trouble; empty: `v1:<rule>:<subject>`."""
    may_open: bool = True
    """False: it keeps an incident that is there and opens none, because another one tells of the same."""


@dataclass(frozen=True)
class Look:
    """What a measure may use. `up_since`: since when the system is known to run without a break, because what nobody
    could do while it was down is no trouble of those who did not."""

    transaction: Transaction
    now: datetime
    database: Database
    settings: IncidentSettings
    up_since: datetime
    watching_since: datetime
    """Since when this process looks: others that began with it have had no longer."""
    clock: Clock = utc_now

    @property
    def up_s(self) -> float:
        """How long the system has been running."""
        return (self.now - self.up_since).total_seconds()

    @property
    def watching_s(self) -> float:
        """How long this process has been looking."""
        return (self.now - self.watching_since).total_seconds()


P = TypeVar("P", bound=MeasureParameters)


class MeasureRule(Rule, Generic[P]):
    """Measures subjects; the row's limits decide. Its incidents end by themselves when the value is within the limit.

    It returns every subject that it measured, also those far from their limit: what was measured is the past on which a
    changed limit is tried (logger/backtest.py). One object lives as long as its process and may remember.
    """

    model: type[P]
    unit: str = "s"
    is_quick: bool = False
    """Looked at every two seconds; its statements must be cheap."""
    recovers_s: float = 0.0
    """After the database was slow, what it measures may take so long to be as usual again."""
    is_waiting: bool = False
    """It spends its time waiting, which costs nobody anything."""
    is_low: bool = False
    """The smaller the value, the worse."""

    @abstractmethod
    def measure(self, look: Look, parameters: P) -> list[Measurement]:
        """The values now. Raises what the database raises; the others are measured all the same."""

    @abstractmethod
    def limit(self, parameters: P, subject: str, usual: float) -> float:
        """The limit of a subject under these parameters; `usual`: the measurement's, 0 when there is none."""

    def is_beyond(self, value: float, limit: float) -> bool:
        """Whether the value is a trouble."""
        return value <= limit if self.is_low else value >= limit


@dataclass(frozen=True)
class Evaluator:
    """What rows of rules can name: code that knows what their parameters mean."""

    name: str
    sort: Sort
    kinds: tuple[Kind, ...]
    """Kinds of incident that its rows may open; the first is its own."""
    parameters: type[BaseModel]
    sentence: str


@dataclass(frozen=True)
class RuleRow:
    """An active rule as operators wrote it. `limits`: its parameters, checked and complete (with the defaults)."""

    rule_id: int
    name: str
    evaluator: str
    kind: Kind
    severity_floor: Severity
    parameters: Mapping[str, Any]
    version: int
    limits: BaseModel = field(default_factory=Parameters, compare=False)

    @property
    def prefix(self) -> str:
        """How the fingerprints of its measured subjects begin."""
        return f"v1:{self.name}:"
