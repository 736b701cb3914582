"""How the system watches its own running: agents, change signals, roll-ups, brokerage decisions."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index
from sqlalchemy import text as sql
from sqlmodel import Field, SQLModel

from core.models.columns import BIGINT, TIMESTAMP, document, number, number_or_none, time_now, time_or_none, words


class AgentRun(SQLModel, table=True):
    """The last and the next run of an agent, wherever it runs."""

    __tablename__ = "agent_runs"

    name: str = Field(primary_key=True)
    host: str = words()
    process_id: int = number(0)
    last_run: datetime | None = time_or_none()
    next_run: datetime | None = time_or_none()
    duration_ms: int = number(0)
    cycle_count: int = number(0)
    last_error: str = words()
    last_error_time: datetime | None = time_or_none()
    cursor: int = number(0)
    """How far an agent that follows a table has come; moved in the transaction that does the work."""


class ChangeSignal(SQLModel, table=True):
    """One batch of changed topics; kept for an hour so that a stream can resume."""

    __tablename__ = "change_signals"
    __table_args__ = (Index("ix_change_signals_time", "time"),)

    seq: int | None = Field(default=None, primary_key=True, sa_type=BIGINT)
    time: datetime = time_now()
    topics: list[str] = document("[]")


class ThroughputBin(SQLModel, table=True):
    """State changes per minute, queue, status and label, counted from the history; kept for thirty days."""

    __tablename__ = "throughput_minutes"

    bin_time: datetime = Field(primary_key=True, sa_type=TIMESTAMP)
    computing_site: str = Field(primary_key=True)
    job_status: str = Field(primary_key=True)
    prod_source_label: str = Field(primary_key=True)
    job_count: int = number(0)


class ThroughputHour(SQLModel, table=True):
    """The same per hour, for long windows; of every full hour that is counted, and kept."""

    __tablename__ = "throughput_hours"

    bin_time: datetime = Field(primary_key=True, sa_type=TIMESTAMP)
    computing_site: str = Field(primary_key=True)
    job_status: str = Field(primary_key=True)
    prod_source_label: str = Field(primary_key=True)
    job_count: int = number(0)


class ThroughputTotal(SQLModel, table=True):
    """State changes per minute over all queues: a day of it is some ten thousand rows, however many queues there are."""

    __tablename__ = "throughput_totals"

    bin_time: datetime = Field(primary_key=True, sa_type=TIMESTAMP)
    job_status: str = Field(primary_key=True)
    prod_source_label: str = Field(primary_key=True)
    job_count: int = number(0)


class BrokerageDecision(SQLModel, table=True):
    """The last brokerage of a kind of jobs: every criterion with the candidates before and after (domain.md 5)."""

    __tablename__ = "brokerage_decisions"
    __table_args__ = (Index("ix_brokerage_decisions_task", "jedi_task_id"),)

    decision_id: int | None = Field(default=None, primary_key=True, sa_type=BIGINT)
    time: datetime = time_now()
    jedi_task_id: int | None = number_or_none()
    chosen: str = words()
    job_count: int = number(1)
    funnel: list[dict[str, object]] = document("[]")
    kind: str = words("job")
    """The list of criteria that ran: production, analysis, pinned; nucleus: of a task, where its outputs are collected."""
    candidate_count: int = number(0)
    binding_step: str = words()
    """The criterion that left nobody; empty when somebody is left."""
    is_temporary: bool = Field(default=False, sa_column_kwargs={"server_default": sql("false")})
    """Whether the binding reason goes by itself."""
    weights: list[dict[str, object]] = document("[]")
    """The best accepted queues: name, weight and the numbers it was made of."""


class JobBrokerage(SQLModel, table=True):
    """Which decision a job went through last."""

    __tablename__ = "job_brokerage"
    # those whose decision is forgotten go too
    __table_args__ = (Index("ix_job_brokerage_decision", "decision_id"),)

    panda_id: int = Field(primary_key=True, sa_type=BIGINT, sa_column_kwargs={"autoincrement": False})
    decision_id: int = Field(sa_type=BIGINT, nullable=False)
