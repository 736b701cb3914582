"""Tasks in their first form: one scientific goal, cut into jobs at submission."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, Sequence
from sqlmodel import Field, SQLModel

from core.models.columns import BIGINT, document, number, time_now, time_or_none, words

TASK_ID_SEQUENCE = Sequence("jedi_task_id_seq", start=10_000_000, metadata=SQLModel.metadata)
"""The real client takes smaller numbers for request ids (design.md, Names)."""


class Task(SQLModel, table=True):
    """A task and its counters; the counters change in the transaction that ends a job."""

    __tablename__ = "tasks"
    __table_args__ = (Index("ix_tasks_user", "user_name", "jedi_task_id"), Index("ix_tasks_status", "status"))

    jedi_task_id: int = Field(primary_key=True, sa_type=BIGINT, sa_column_kwargs={"autoincrement": False})
    task_name: str = words()
    status: str = words("registered")
    user_name: str = words()
    vo: str = words()
    working_group: str = words()
    prod_source_label: str = words("user")
    processing_type: str = words()
    task_priority: int = number(1000)
    parameters: dict[str, object] = document()
    """The dictionary as submitted, for the round trip."""
    n_input_files: int = number(0)
    n_jobs: int = number(0)
    n_finished: int = number(0)
    n_failed: int = number(0)
    n_cancelled: int = number(0)
    """cancelled and closed"""
    error_dialog: str = words()
    creation_time: datetime = time_now()
    modification_time: datetime = time_now()
    end_time: datetime | None = time_or_none()
