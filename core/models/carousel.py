"""The data carousel: datasets that are brought from tape to disk, the tasks that want them, and file by file how far it is."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index
from sqlalchemy import text as sql
from sqlmodel import Field, SQLModel

from core.models.columns import BIGINT, flag, number, outer_key, serial, time_now, time_or_none, words


class DataCarouselRequest(SQLModel, table=True):
    """One dataset on its way from a tape to a disk. Tasks of the same dataset share it."""

    __tablename__ = "data_carousel_requests"
    __table_args__ = (
        # one request brings a dataset at a time; and whoever begins to read a dataset looks for it here
        Index(
            "uq_data_carousel_requests_dataset",
            "dataset_id",
            unique=True,
            postgresql_where=sql("status IN ('queued', 'staging', 'done')"),
        ),
        Index("ix_data_carousel_requests_copies", "dataset_id", postgresql_where=sql("holds_copies")),
        Index("ix_data_carousel_requests_status", "status"),
    )

    request_id: int | None = serial()
    dataset_id: int = Field(sa_type=BIGINT, nullable=False)
    """The dataset of the catalogue."""
    dataset: str = words()
    status: str = words("queued")
    """core.states.STAGING_TRANSITIONS"""
    source_endpoint: str = words()
    destination_endpoint: str = words()
    reason: str = words()
    """Why these two, in a sentence."""
    trouble: str = words()
    """What keeps it from going on, in a sentence."""
    takes_any: bool = flag()
    """Files without any copy are waited for too: a task with inputPreStaging asked."""
    is_forced: bool = flag()
    """An operator put it before all others."""
    is_listed: bool = flag()
    """Whether all files that lack a copy on disk stand in `data_carousel_files`."""
    list_cursor: int = number(0)
    check_cursor: int = number(0)
    """The last file of the dataset that was looked at: to be listed, to have arrived."""
    holds_copies: bool = flag()
    """Whether the carousel itself put copies on the disk, which it deletes again."""
    n_files: int = number(0)
    n_staged: int = number(0)
    n_failed: int = number(0)
    n_bytes: int = number(0)
    n_bytes_staged: int = number(0)
    n_asked: int = number(0)
    """How often it was asked for again since the last file arrived."""
    creation_time: datetime = time_now()
    modification_time: datetime = time_now()
    start_time: datetime | None = time_or_none()
    progress_time: datetime | None = time_or_none()
    """When the last file arrived, or when it was asked for again."""
    next_try_time: datetime | None = time_or_none()
    """When a place is looked for again, after there was none."""
    unused_since: datetime | None = time_or_none()
    """When the last of its tasks was seen to have ended."""
    end_time: datetime | None = time_or_none()


class DataCarouselRelation(SQLModel, table=True):
    """A task that wants a request."""

    __tablename__ = "data_carousel_relations"
    __table_args__ = (Index("ix_data_carousel_relations_task", "jedi_task_id"),)

    request_id: int = outer_key()
    jedi_task_id: int = outer_key()
    is_master: bool = flag(True)
    """Whether the dataset drives the splitting of the task; of others it needs every file before it begins."""
    creation_time: datetime = time_now()


class DataCarouselFile(SQLModel, table=True):
    """A file that a request brings."""

    __tablename__ = "data_carousel_files"
    __table_args__ = (Index("ix_data_carousel_files_status", "request_id", "status", "file_id"),)

    request_id: int = outer_key()
    file_id: int = outer_key()
    status: str = words("waiting")
    """waiting, staged, failed, deleting (its copy is), released (its copy was deleted)."""
    n_attempts: int = number(0)
    """Attempts that failed."""
    next_try_time: datetime | None = time_or_none()
    place: str = words()
    """Where the carousel itself puts the copy; empty when somebody else brings it."""
    error: str = words()
