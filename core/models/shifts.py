"""Tables of the shift log: who had the watch, what they noted, and the handover that both signed."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, text
from sqlmodel import Field, SQLModel

from core.models.columns import (
    BIGINT,
    TIMESTAMP,
    document,
    flag,
    number_or_none,
    serial,
    time_now,
    time_or_none,
    words,
)


class Shift(SQLModel, table=True):
    """A watch of some people."""

    __tablename__ = "shifts"
    __table_args__ = (
        Index("uq_shifts_running", "name", unique=True, postgresql_where=text("state = 'running'")),
        Index("ix_shifts_time", "start_time"),
        CheckConstraint("state IN ('running', 'handed_over')", name="ck_shifts_state"),
    )

    shift_id: int | None = serial()
    name: str = words()
    start_time: datetime = Field(sa_type=TIMESTAMP, nullable=False)
    end_time: datetime | None = time_or_none()
    people: list[str] = document("[]")
    state: str = words("running")
    draft: str = words()
    draft_time: datetime | None = time_or_none()
    is_edited: bool = flag()
    outgoing_by: str = words()
    outgoing_time: datetime | None = time_or_none()
    incoming_by: str = words()
    incoming_time: datetime | None = time_or_none()
    digest: str = words()
    """SHA-256 of the draft as it was signed."""
    previous_id: int | None = number_or_none()


class ShiftNote(SQLModel, table=True):
    """What somebody wrote down during a shift."""

    __tablename__ = "shift_notes"
    __table_args__ = (Index("ix_shift_notes_shift", "shift_id", "note_id"),)

    note_id: int | None = serial()
    shift_id: int = Field(sa_type=BIGINT, nullable=False)
    time: datetime = time_now()
    who: str = words()
    text: str = words()
    incident_id: int | None = number_or_none()
