"""Global shares (domain.md 6.1): the tree that operators edit, and how much each leaf uses now."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Float
from sqlmodel import Field, SQLModel

from core.models.columns import TIMESTAMP, number, time_now, words


class GlobalShare(SQLModel, table=True):
    """A node of the tree. Work is tagged with the first leaf, in order of `position`, whose expressions all match."""

    __tablename__ = "global_shares"

    name: str = Field(primary_key=True)
    parent: str = words()
    """Empty at the top."""
    value: float = Field(default=0.0, sa_type=Float, nullable=False, sa_column_kwargs={"server_default": "0"})
    """Weight among its siblings; the sum need not be 100."""
    position: int = number(0)
    vo: str = words()
    prod_source_label: str = words()
    """This and the following: regular expressions of the whole value; empty matches everything."""
    working_group: str = words()
    campaign: str = words()
    processing_type: str = words()
    trans_path: str = words()
    rtype: str = words()
    """Only at queues whose kind of resource (parameters.resource_type) matches."""
    max_queued_jobs: int = number(0)
    """Beyond it no further jobs are generated; 0 = the installation's own limit."""
    description: str = words()
    modified_by: str = words()
    modification_time: datetime = time_now()


class ShareUsage(SQLModel, table=True):
    """What a share has at a queue, counted by an agent: dispatch, throttles and pages read this instead of the jobs."""

    __tablename__ = "share_usage"

    gshare: str = Field(primary_key=True)
    computing_site: str = Field(primary_key=True)
    resource_type: str = Field(primary_key=True)
    executing_jobs: int = number(0)
    """sent to stage-out: with a pilot."""
    queued_jobs: int = number(0)
    """activated"""
    waiting_jobs: int = number(0)
    """pending, defined, waiting, assigned, throttled"""
    executing_cores: int = number(0)
    executing_ram_mb: int = number(0)
    """Memory that the executing jobs asked for."""
    executing_power: float = Field(default=0.0, sa_type=Float, nullable=False, sa_column_kwargs={"server_default": "0"})
    """Cores times the queue's power of a core (parameters.corepower, 10 if not stated)."""
    queued_power: float = Field(default=0.0, sa_type=Float, nullable=False, sa_column_kwargs={"server_default": "0"})
    time: datetime = time_now()
    """When one of the counts last changed."""


class ShareSample(SQLModel, table=True):
    """Executing power and target of a leaf every few minutes: the quality of the shares over a day (domain.md 6.1)."""

    __tablename__ = "share_samples"

    time: datetime = Field(primary_key=True, sa_type=TIMESTAMP)
    gshare: str = Field(primary_key=True)
    executing_power: float = Field(default=0.0, sa_type=Float, nullable=False, sa_column_kwargs={"server_default": "0"})
    target_power: float = Field(default=0.0, sa_type=Float, nullable=False, sa_column_kwargs={"server_default": "0"})
    queued_jobs: int = number(0)
