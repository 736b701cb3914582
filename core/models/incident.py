"""Tables of the incident store: records as they came, incidents, and the jobs each incident covers.

Only `logger` writes them; they stand in core so that one migration history
and one transaction serve all (design.md).
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, text
from sqlmodel import Field, SQLModel

from core.models.columns import BIGINT, TIMESTAMP, document, number, number_or_none, time_now, time_or_none, words


class LogRecord(SQLModel, table=True):
    """A record that a component sent through PandaLogger. Partitioned by day of reception."""

    __tablename__ = "log_records"
    __table_args__ = (
        Index("ix_log_records_incident", "incident_id", "received_time"),
        Index("ix_log_records_job", "panda_id", postgresql_where=text("panda_id IS NOT NULL")),
        Index("ix_log_records_time", "received_time"),
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


class Incident(SQLModel, table=True):
    """A trouble with one cause: what, where, since when, how bad, and who has it (monitor.md 6.1)."""

    __tablename__ = "incidents"
    __table_args__ = (
        # at most one incident that is not resolved per fingerprint, whoever races
        Index(
            "uq_incidents_unresolved",
            "fingerprint",
            unique=True,
            postgresql_where=text("state <> 'resolved'"),
        ),
        Index("ix_incidents_state", "state", "severity", "last_seen"),
        Index("ix_incidents_fingerprint", "fingerprint"),
        # what changed since: the emitter of live signals
        Index("ix_incidents_modified", "modification_time"),
    )

    incident_id: int | None = Field(default=None, primary_key=True, sa_type=BIGINT)
    fingerprint: str = words()
    kind: str = words("failure_burst")
    title: str = words()
    severity: str = words("error")
    state: str = words("open")
    owner: str = words()
    component: str = words()
    code: int | None = number_or_none()
    computing_site: str = words()
    jedi_task_id: int | None = number_or_none()
    job_count: int = number(0)
    record_count: int = number(0)
    queue_count: int = number(0)
    task_count: int = number(0)
    user_count: int = number(0)
    lost_core_s: int = number(0)
    first_seen: datetime = time_now()
    last_seen: datetime = time_now()
    modification_time: datetime = time_now()
    """Last change of any kind, by events or by people."""
    resolved_time: datetime | None = time_or_none()
    sample_panda_id: int | None = number_or_none()
    culprit_line: str = words()
    grouping: str = words()


class IncidentJob(SQLModel, table=True):
    """A job that an incident covers, with its culprit line."""

    __tablename__ = "incident_jobs"
    __table_args__ = (
        Index("ix_incident_jobs_incident", "incident_id", "panda_id"),
        Index("ix_incident_jobs_task", "jedi_task_id", "incident_id"),
    )

    panda_id: int = Field(primary_key=True, sa_type=BIGINT, sa_column_kwargs={"autoincrement": False})
    incident_id: int = Field(sa_type=BIGINT, nullable=False)
    time: datetime = time_now()
    computing_site: str = words()
    jedi_task_id: int | None = number_or_none()
    user_name: str = words()
    host: str = words()
    lost_core_s: int = number(0)
    culprit_log: str = words()
    culprit_line_number: int = number(0)
    culprit_line: str = words()


class IncidentBreakdown(SQLModel, table=True):
    """Events of an incident per value of a dimension (computing_site, jedi_task_id, prod_user_name,
    modification_host): its distinct counts and its tables, at a cost that does not grow with its jobs."""

    __tablename__ = "incident_breakdown"

    incident_id: int = Field(primary_key=True, sa_type=BIGINT, sa_column_kwargs={"autoincrement": False})
    dimension: str = Field(primary_key=True)
    value: str = Field(primary_key=True)
    event_count: int = number(0)


class IncidentActivity(SQLModel, table=True):
    """What was done to an incident, by whom."""

    __tablename__ = "incident_activity"
    __table_args__ = (Index("ix_incident_activity_incident", "incident_id"),)

    activity_id: int | None = Field(default=None, primary_key=True, sa_type=BIGINT)
    incident_id: int = Field(sa_type=BIGINT, nullable=False)
    time: datetime = time_now()
    who: str = words()
    action: str = words()
    comment: str = words()


class IncidentBin(SQLModel, table=True):
    """Events of an incident per five minutes, for its trend."""

    __tablename__ = "incident_bins"

    incident_id: int = Field(primary_key=True, sa_type=BIGINT, sa_column_kwargs={"autoincrement": False})
    bin_time: datetime = Field(primary_key=True, sa_type=TIMESTAMP)
    event_count: int = number(0)
