"""Users and groups as consumers: what each may use, what operators decided about it, what it used (domain.md 6.2)."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import Date, Float, Index
from sqlalchemy import text as sql
from sqlmodel import Field, SQLModel

from core.models.columns import BIGINT, TIMESTAMP, number, number_or_none, time_now, time_or_none, words


def _sum() -> float:
    value: float = Field(default=0.0, sa_type=Float, nullable=False, sa_column_kwargs={"server_default": "0"})
    return value


class AccountLimit(SQLModel, table=True):
    """What one user or group may use; what is None follows the settings (`[accounts]`)."""

    __tablename__ = "account_limits"

    kind: str = Field(primary_key=True)
    """user or group; default (with no name) is what holds for all others, written by the agents from the settings."""
    name: str = Field(primary_key=True)
    max_running_jobs: int | None = number_or_none()
    max_running_cores: int | None = number_or_none()
    max_active_tasks: int | None = number_or_none()
    cpu_hours_1d: int | None = number_or_none()
    cpu_hours_7d: int | None = number_or_none()
    cpu_hours_30d: int | None = number_or_none()
    quota_mode: str = words()
    """What happens beyond a quota: lower, hold or reject; empty follows the settings."""
    jobs_per_priority_point: int | None = number_or_none()
    """Live jobs that lower the priority of the next one by one; 0: it never falls."""
    boost_priority: int | None = number_or_none()
    """Fixed priority of its jobs until `boost_until`."""
    boost_until: datetime | None = time_or_none()
    is_privileged: bool = Field(default=False, sa_column_kwargs={"server_default": "false"})
    """Of a group: the users' work that its production role submits comes before that of all users (domain.md 2.6)."""
    banned_until: datetime | None = time_or_none()
    """Nothing is taken from it and nothing of it starts before; the end of the year 9999 is for good."""
    reason: str = words()
    """Why it is banned, boosted or capped, for people."""
    modified_by: str = words()
    modification_time: datetime = time_now()


class AccountHold(SQLModel, table=True):
    """A user or group whose waiting jobs are held at this moment; what is activated is held at once."""

    __tablename__ = "account_holds"

    kind: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    reason: str = words()
    covers_all_work: bool = Field(default=False, sa_column_kwargs={"server_default": "false"})
    """Not only the users' own."""


class TaskCost(SQLModel, table=True):
    """What the jobs of a task that have ended had used; beside `tasks`, whose rows every ending needs."""

    __tablename__ = "task_costs"

    jedi_task_id: int = Field(primary_key=True, sa_type=BIGINT, sa_column_kwargs={"autoincrement": False})
    wall_core_s: float = _sum()
    """Wall time times cores, in seconds."""
    power_s: float = _sum()
    """The same times the power of a core: normalised (HS06 or HS23) seconds."""
    failed_wall_core_s: float = _sum()
    failed_power_s: float = _sum()


class UsageDay(SQLModel, table=True):
    """What jobs that ended on a day (UTC) had used, by user, group, queue and label."""

    __tablename__ = "usage_days"
    __table_args__ = (
        Index("ix_usage_days_user", "user_name", "day"),
        Index("ix_usage_days_group", "working_group", "day", postgresql_where=sql("working_group <> ''")),
    )

    day: date = Field(primary_key=True, sa_type=Date)
    user_name: str = Field(primary_key=True)
    working_group: str = Field(primary_key=True)
    computing_site: str = Field(primary_key=True)
    prod_source_label: str = Field(primary_key=True)
    jobs_finished: int = number(0)
    jobs_failed: int = number(0)
    jobs_cancelled: int = number(0)
    """cancelled and closed"""
    wall_core_s: float = _sum()
    """Seconds between start and end times cores."""
    cpu_s: float = _sum()
    power_s: float = _sum()
    """wall_core_s times the queue's power of a core: normalised."""
    failed_wall_core_s: float = _sum()
    failed_power_s: float = _sum()


class TimeoutCount(SQLModel, table=True):
    """What one rule of the watchdog did so far; its last and next run are those of the watchdog."""

    __tablename__ = "timeout_counts"

    name: str = Field(primary_key=True)
    ended_total: int = number(0)
    last_ended: int = number(0)
    """Jobs it ended when it last ended any."""
    last_ended_time: datetime | None = time_or_none()
    last_panda_id: int | None = number_or_none()


class QueueStatusChange(SQLModel, table=True):
    """One change of the status of a queue: when, by whom (a person's name, or the automaton's) and why."""

    __tablename__ = "queue_status_history"

    queue_name: str = Field(primary_key=True)
    time: datetime = Field(primary_key=True, sa_type=TIMESTAMP)
    previous_status: str = words()
    status: str = words()
    who: str = words()
    is_automatic: bool = Field(default=False, sa_column_kwargs={"server_default": "false"})
    reason: str = words()
