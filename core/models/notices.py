"""Letters to the owners of tasks: who is to be told what, and how far that has come."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index
from sqlalchemy import text as sql
from sqlmodel import Field, SQLModel

from core.models.columns import BIGINT, number, time_now, time_or_none, words


class TaskNotice(SQLModel, table=True):
    """One letter about one end (or exhaustion) of a task."""

    __tablename__ = "task_notices"
    __table_args__ = (
        Index("ix_task_notices_task", "jedi_task_id"),
        Index("ix_task_notices_due", "next_try_time", postgresql_where=sql("state IN ('waiting', 'sending')")),
    )

    notice_id: int | None = Field(default=None, primary_key=True, sa_type=BIGINT)
    jedi_task_id: int = Field(sa_type=BIGINT, nullable=False)
    status: str = words()
    """The status of the task that it tells."""
    address: str = words()
    state: str = words()
    """none (nobody is to be written to), waiting, sending, sent, failed, or lost: whether it arrived is not known."""
    time: datetime = time_now()
    attempts: int = number(0)
    next_try_time: datetime | None = time_or_none()
    """Of waiting ones when it is sent; of those being sent when it counts as lost."""
    sent_time: datetime | None = time_or_none()
    last_error: str = words()
