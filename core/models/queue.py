"""PanDA queues (schedconfig): the targets of brokerage, each with its limits and status."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field, SQLModel

from core.models.columns import TIMESTAMP, document, number, time_now, time_or_none, words


class Queue(SQLModel, table=True):
    """A PanDA queue. A limit of 0 means that there is none."""

    __tablename__ = "queues"

    queue_name: str = Field(primary_key=True)
    site: str = words()
    status: str = words("online")
    """online, offline, test, brokeroff or paused."""
    comment: str = words()
    max_ram_mb: int = number(0)
    max_disk_mb: int = number(0)
    max_core_count: int = number(0)
    max_walltime_s: int = number(0)
    storage_endpoint: str = words()
    parameters: dict[str, object] = document()
    status_set_by: str = words()
    """Who set the status: `person`, `automaton`, or empty when nobody has. An automaton never overrides a person."""
    creation_time: datetime = time_now()
    modification_time: datetime = time_now()


class QueueContact(SQLModel, table=True):
    """When a pilot of a queue last asked for work; apart from `queues` because it changes all the time."""

    __tablename__ = "queue_contacts"

    queue_name: str = Field(primary_key=True)
    last_request_time: datetime | None = time_or_none()
    last_job_time: datetime | None = time_or_none()
    request_count: int = number(0)
    job_count: int = number(0)


class QueueContactHour(SQLModel, table=True):
    """How often pilots of a queue called in an hour: the "pilots seen" of brokerage and of the pages (domain.md 5.4)."""

    __tablename__ = "queue_contact_hours"

    queue_name: str = Field(primary_key=True)
    hour: datetime = Field(primary_key=True, sa_type=TIMESTAMP)
    request_count: int = number(0)
    job_count: int = number(0)
    """Jobs that were given out."""
    empty_count: int = number(0)
    """Requests for which there was nothing."""
    update_count: int = number(0)
    most_memory_mb: int = number(0)
    """The largest slot that was offered, in each respect; 0 = nobody offered any, 2**62 = a pilot that set no bound."""
    most_disk_mb: int = number(0)
    most_cores: int = number(0)
    most_remaining_s: int = number(0)
