"""Tables of the rules that open incidents, and of what they measured, so that every rule has a past to be tried on."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from core.models.columns import TIMESTAMP, document, flag, fraction, number, outer_key, serial, time_now, words


class IncidentRule(SQLModel, table=True):
    """A rule as operators edit it; its evaluator in logger/rules knows what the parameters mean."""

    __tablename__ = "incident_rules"
    __table_args__ = (
        UniqueConstraint("name", name="uq_incident_rules_name"),
        CheckConstraint("name <> '' AND jsonb_typeof(parameters) = 'object'", name="ck_incident_rules_values"),
    )

    rule_id: int | None = serial()
    name: str = words()
    evaluator: str = words()
    kind: str = words("failure_burst")
    """Kind of the incidents that it opens."""
    title: str = words()
    parameters: dict[str, object] = document()
    severity_floor: str = words("warning")
    is_active: bool = flag(True)
    version: int = number(1)
    is_builtin: bool = flag()
    disabled_reason: str = words()
    """Why the row is not applied although it is active: its parameters do not fit its evaluator."""
    created_time: datetime = time_now()
    modified_by: str = words()
    modification_time: datetime = time_now()


class IncidentRuleVersion(SQLModel, table=True):
    """A rule as it was: every version that was ever in force."""

    __tablename__ = "incident_rule_versions"

    rule_id: int = outer_key()
    version: int = outer_key()
    time: datetime = time_now()
    who: str = words()
    what: str = words()
    """added, changed, activated, deactivated, restored."""
    document: dict[str, object] = document()


class WatchSample(SQLModel, table=True):
    """The worst value that a rule measured of a subject in five minutes."""

    __tablename__ = "watch_samples"
    __table_args__ = (Index("ix_watch_samples_time", "bin_time"),)

    rule_name: str = Field(primary_key=True)
    bin_time: datetime = Field(primary_key=True, sa_type=TIMESTAMP)
    subject: str = Field(primary_key=True)
    value: float = fraction()
    note: str = words()


class WaitHour(SQLModel, table=True):
    """How long jobs that started in an hour had waited for a pilot, in seconds."""

    __tablename__ = "wait_hours"

    computing_site: str = Field(primary_key=True)
    hour: datetime = Field(primary_key=True, sa_type=TIMESTAMP)
    starts: int = number(0)
    p50_s: float = fraction()
    p90_s: float = fraction()
    p95_s: float = fraction()
