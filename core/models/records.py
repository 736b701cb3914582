"""Tables of log records: the records as they came, what is kept of each day, and who sends.

Only `logger` writes them; they stand in core so that one migration history and one transaction serve all (design.md).
"""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import Date, Index, text
from sqlmodel import Field, SQLModel

from core.models.columns import (
    BIGINT,
    TIMESTAMP,
    document,
    flag,
    number,
    number_or_none,
    outer_key,
    time_now,
    time_or_none,
    words,
)


class LogRecord(SQLModel, table=True):
    """A record that a component sent through PandaLogger. Partitioned by day of reception."""

    __tablename__ = "log_records"
    __table_args__ = (
        Index("ix_log_records_incident", "incident_id", "received_time"),
        Index("ix_log_records_job", "panda_id", postgresql_where=text("panda_id IS NOT NULL")),
        Index("ix_log_records_time", "received_time"),
        # what one component said, newest first
        Index(
            "ix_log_records_component",
            "component",
            "received_time",
            postgresql_where=text("severity_number >= 30"),
        ),
        Index("ix_log_records_task", "jedi_task_id", postgresql_where=text("jedi_task_id IS NOT NULL")),
        {"postgresql_partition_by": "RANGE (received_time)"},
    )

    record_id: int | None = Field(
        default=None, primary_key=True, sa_type=BIGINT, sa_column_kwargs={"autoincrement": True}
    )
    received_time: datetime = Field(
        primary_key=True,
        sa_type=TIMESTAMP,
        nullable=False,
        sa_column_kwargs={"server_default": text("clock_timestamp()")},
    )
    time: datetime = time_now()
    """When it happened, as the emitter says; never in the future of its reception."""
    level: str = words("INFO")
    name: str = words()
    component: str = words()
    message: str = words()
    traceback: str = words()
    host: str = words()
    process_id: int = number(0)
    file: str = words()
    line: int = number(0)
    panda_id: int | None = number_or_none()
    jedi_task_id: int | None = number_or_none()
    computing_site: str = words()
    code: int | None = number_or_none()
    user_name: str = words()
    fingerprint: str = words()
    incident_id: int | None = number_or_none()
    emitter: str = words()
    """Subject of the token that sent it."""
    fields: dict[str, object] = document()
    severity_number: int = number(0)
    """The level as a number (logging), for thinning and filters; 0 of rows that an older release wrote."""
    repeat_count: int = number(1)
    """How many equal records the row stands for (logger/collapsing.py)."""
    step: str = words()
    error_class: str = words()
    culprit_line: str = words()
    source: str = words()
    """The stream of the sending process (`log_sources`)."""
    is_trusted: bool = flag(True)
    """False: its PandaID or jediTaskID is claimed by somebody who has nothing to do with it."""


class RecordDay(SQLModel, table=True):
    """How far a day of `log_records` has been thinned out."""

    __tablename__ = "record_days"

    day: date = Field(primary_key=True, sa_type=Date)
    kept_from: int = number(0)
    """The lowest severity number that is still there."""
    row_count: int = number(0)
    size_bytes: int = number(0)
    thinned_time: datetime | None = time_or_none()


class LogHour(SQLModel, table=True):
    """Records per hour of reception, component and level; kept for years (domain.md 11)."""

    __tablename__ = "log_hours"

    hour: datetime = Field(primary_key=True, sa_type=TIMESTAMP)
    component: str = Field(primary_key=True)
    level: str = Field(primary_key=True)
    record_count: int = number(0)


class LogSource(SQLModel, table=True):
    """A process that sends records: what has arrived of its stream, and how its clock goes."""

    __tablename__ = "log_sources"
    __table_args__ = (Index("ix_log_sources_seen", "last_seen"), {"postgresql_with": {"fillfactor": 70}})

    source: str = Field(primary_key=True)
    """`<subject of its token>:<its own number>`, so that nobody can count another's records."""
    last_seq: int = number(0)
    """Number of the last record that was stored; what is sent again is known by it."""
    emitter: str = words()
    component: str = words()
    host: str = words()
    last_seen: datetime = time_now()
    skew_ms: int = number(0)
    """Its clock is behind ours by so much (negative: ahead)."""
    token_expiry: datetime | None = time_or_none()
    record_count: int = number(0)
    dropped_count: int = number(0)
    refused_count: int = number(0)


class RecordContext(SQLModel, table=True):
    """The lines around a culprit in a record's traceback: of the first records of an incident."""

    __tablename__ = "record_contexts"

    incident_id: int = outer_key()
    time: datetime = Field(primary_key=True, sa_type=TIMESTAMP)
    lines: str = words()
