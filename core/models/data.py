"""The built-in data catalogue: datasets, files, replicas and the storage endpoints that hold them (domain.md 4.1)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, UniqueConstraint
from sqlalchemy import text as sql
from sqlmodel import Field, SQLModel

from core.models.columns import BIGINT, number, number_or_none, time_now, words


class StorageEndpoint(SQLModel, table=True):
    """A storage area that can hold replicas, and the mover that reads and writes it."""

    __tablename__ = "storage_endpoints"

    name: str = Field(primary_key=True)
    mover: str = words("cp")
    path: str = words()
    state: str = words("online")
    kind: str = words("disk")
    """disk, or tape: what lies on tape must be brought to a disk before a job can read it."""
    is_nucleus: bool = Field(default=False, sa_column_kwargs={"server_default": sql("false")})
    """Whether the outputs of whole tasks may be collected here (domain.md 5.1)."""
    free_mb: int | None = number_or_none()
    total_mb: int | None = number_or_none()
    """Room as its operator reports it; none when nobody does."""
    is_deterministic: bool = Field(default=False, sa_column_kwargs={"server_default": sql("false")})
    """Whether scope and name of a file alone say where it lies (core.dataservice.places), as the real pilot needs it."""


class Dataset(SQLModel, table=True):
    """A named set of files."""

    __tablename__ = "datasets"

    dataset_id: int | None = Field(default=None, primary_key=True, sa_type=BIGINT)
    name: str = Field(unique=True)
    scope: str = words()
    kind: str = words("input")
    """input, sandbox, output, log or lib (what a build job makes)."""
    status: str = words("open")
    owner: str = words()
    vo: str = words()
    jedi_task_id: int | None = number_or_none()
    creation_time: datetime = time_now()


class CatalogueFile(SQLModel, table=True):
    """A logical file: its name, size and checksum are facts that every replica must match."""

    __tablename__ = "files"
    __table_args__ = (
        UniqueConstraint("dataset_id", "lfn", name="uq_files_dataset_lfn"),
        # reading a dataset page by page, in order of registration
        Index("ix_files_dataset", "dataset_id", "file_id"),
    )

    file_id: int | None = Field(default=None, primary_key=True, sa_type=BIGINT)
    dataset_id: int = Field(sa_type=BIGINT, nullable=False, foreign_key="datasets.dataset_id")
    lfn: str = words()
    guid: str = words()
    size_bytes: int = number(0)
    checksum: str = words()
    n_events: int | None = number_or_none()
    """Events in it; none when nobody has said."""
    boundary_id: str = words()
    """What it belongs to and must not be mixed across, as a luminosity block; empty = nothing."""
    panda_id: int | None = number_or_none()
    """The job that made it; none for registered input."""
    creation_time: datetime = time_now()


class Replica(SQLModel, table=True):
    """A physical copy of a file at a storage endpoint."""

    __tablename__ = "replicas"
    __table_args__ = (Index("ix_replicas_endpoint", "endpoint"),)

    file_id: int = Field(primary_key=True, sa_type=BIGINT, foreign_key="files.file_id")
    endpoint: str = Field(primary_key=True)
    pfn: str = words()
    creation_time: datetime = time_now()
