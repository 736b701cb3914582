"""What factories (Harvester) tell and are told: instances, their workers, counts, dialogs, metrics, commands, target slots.

The pilot's own view of its worker stands beside the factory's, so that a difference shows (domain.md 8.5).
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index
from sqlalchemy import text as sql
from sqlmodel import Field, SQLModel

from core.models.columns import BIGINT, TIMESTAMP, document, number, number_or_none, time_now, time_or_none, words


class HarvesterInstance(SQLModel, table=True):
    """A Harvester that has spoken to this server."""

    __tablename__ = "harvester_instances"

    harvester_id: str = Field(primary_key=True)
    owner: str = words()
    host_name: str = words()
    description: str = words("automatic")
    details: dict[str, object] = document()
    """What it says of itself with its heartbeats (version, start time, ...)."""
    first_seen: datetime = time_now()
    last_heartbeat: datetime | None = time_or_none()


class HarvesterWorker(SQLModel, table=True):
    """A worker: one entry in a batch queue that a factory made, whatever runs in it."""

    __tablename__ = "harvester_workers"
    __table_args__ = (
        # live workers per queue and status, for the monitor
        Index(
            "ix_harvester_workers_live",
            "computing_site",
            "status",
            postgresql_where=sql("status IN ('pending', 'submitted', 'ready', 'running', 'idle')"),
        ),
        # what may be forgotten
        Index("ix_harvester_workers_update", "last_update"),
    )

    harvester_id: str = Field(primary_key=True)
    worker_id: int = Field(primary_key=True, sa_type=BIGINT, sa_column_kwargs={"autoincrement": False})
    status: str = words("submitted")
    """As the factory sees it; the states are in core/harvester/states.py."""
    pilot_status: str = words()
    """As its pilot said: started or finished."""
    computing_site: str = words()
    batch_id: str = words()
    queue_name: str = words()
    """The batch system's queue."""
    node_id: str = words()
    computing_element: str = words()
    submission_host: str = words()
    harvester_host: str = words()
    job_type: str = words()
    resource_type: str = words()
    n_core: int | None = number_or_none()
    n_jobs: int | None = number_or_none()
    min_ram_mb: int | None = number_or_none()
    submit_time: datetime | None = time_or_none()
    start_time: datetime | None = time_or_none()
    end_time: datetime | None = time_or_none()
    pilot_start_time: datetime | None = time_or_none()
    pilot_end_time: datetime | None = time_or_none()
    last_update: datetime = time_now()
    native_status: str = words()
    native_exit_code: int | None = number_or_none()
    error_code: int | None = number_or_none()
    diag_message: str = words()
    std_out: str = words()
    std_err: str = words()
    batch_log: str = words()
    jdl: str = words()


class HarvesterWorkerJob(SQLModel, table=True):
    """Which jobs a worker runs or ran: many to many (domain.md 8.5)."""

    __tablename__ = "harvester_worker_jobs"
    __table_args__ = (Index("ix_harvester_worker_jobs_job", "panda_id"),)

    harvester_id: str = Field(primary_key=True)
    worker_id: int = Field(primary_key=True, sa_type=BIGINT, sa_column_kwargs={"autoincrement": False})
    panda_id: int = Field(primary_key=True, sa_type=BIGINT, sa_column_kwargs={"autoincrement": False})
    last_update: datetime = time_now()


class HarvesterWorkerCount(SQLModel, table=True):
    """How many workers a factory has at a queue, by label, resource type and status, as it counted them."""

    __tablename__ = "harvester_worker_counts"

    computing_site: str = Field(primary_key=True)
    harvester_id: str = Field(primary_key=True)
    job_type: str = Field(primary_key=True)
    resource_type: str = Field(primary_key=True)
    status: str = Field(primary_key=True)
    worker_count: int = number(0)
    last_update: datetime = time_now()


class HarvesterDialog(SQLModel, table=True):
    """A message that a factory has for people."""

    __tablename__ = "harvester_dialogs"
    __table_args__ = (Index("ix_harvester_dialogs_time", "creation_time"),)

    harvester_id: str = Field(primary_key=True)
    diag_id: int = Field(primary_key=True, sa_type=BIGINT, sa_column_kwargs={"autoincrement": False})
    module_name: str = words()
    identifier: str = words()
    creation_time: datetime = time_now()
    message_level: str = words()
    diag_message: str = words()


class HarvesterServiceMetric(SQLModel, table=True):
    """The health of a factory's host at a moment: CPU, memory, disk, remaining life of its credentials."""

    __tablename__ = "harvester_service_metrics"
    __table_args__ = (Index("ix_harvester_service_metrics_time", "creation_time"),)

    harvester_id: str = Field(primary_key=True)
    host_name: str = Field(primary_key=True)
    creation_time: datetime = Field(primary_key=True, sa_type=TIMESTAMP)
    metrics: dict[str, object] = document()


class HarvesterCommand(SQLModel, table=True):
    """An order to a factory: new until it is taken, retrieved until it is acknowledged."""

    __tablename__ = "harvester_commands"
    __table_args__ = (
        # the next orders of an instance, oldest first
        Index("ix_harvester_commands_new", "harvester_id", "command_id", postgresql_where=sql("status = 'new'")),
    )

    command_id: int | None = Field(default=None, primary_key=True, sa_type=BIGINT)
    harvester_id: str = words()
    command: str = words()
    params: dict[str, object] = document()
    ack_requested: bool = Field(default=False, sa_column_kwargs={"server_default": sql("false")})
    status: str = words("new")
    """new, retrieved or acknowledged."""
    creation_time: datetime = time_now()
    status_time: datetime = time_now()


class HarvesterSlots(SQLModel, table=True):
    """How many slots somebody wants filled at a queue. An empty share or resource type means all of them."""

    __tablename__ = "harvester_slots"

    computing_site: str = Field(primary_key=True)
    gshare: str = Field(primary_key=True)
    resource_type: str = Field(primary_key=True)
    slots: int = number(0)
    modification_time: datetime = time_now()
    expiration_time: datetime | None = time_or_none()
