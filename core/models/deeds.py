"""Tables of what people do: previews with their tokens, deeds with their targets, silences, and the audit of it all."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from core.models.columns import (
    BIGINT,
    TIMESTAMP,
    document,
    flag,
    number,
    number_or_none,
    outer_key,
    serial,
    time_now,
    time_or_none,
    words,
)


class Preview(SQLModel, table=True):
    """What an action would do, to a set of targets frozen by its digest; its token confirms it once."""

    __tablename__ = "previews"
    __table_args__ = (
        UniqueConstraint("preview_id", name="uq_previews_id"),
        Index("ix_previews_expiry", "expiry_time"),
        Index("ix_previews_who", "who", postgresql_where=text("used_time IS NULL")),
    )

    token_hash: str = Field(primary_key=True)
    """SHA-256 of the token, which itself is nowhere."""
    preview_id: str = words()
    action: str = words()
    who: str = words()
    token_id: str = words()
    """Of the person's own token: another session cannot confirm."""
    via: str = words()
    created_time: datetime = time_now()
    expiry_time: datetime = Field(sa_type=TIMESTAMP, nullable=False)
    target_kind: str = words()
    selector: dict[str, object] = document()
    targets: list[str] = document("[]")
    digest: str = words()
    parameters: dict[str, object] = document()
    consequences: list[object] = document("[]")
    accept_ended: bool = flag()
    reason: str = words()
    used_time: datetime | None = time_or_none()
    deed_id: int | None = number_or_none()


class Deed(SQLModel, table=True):
    """An action that was carried out, or is being carried out, and how it is taken back."""

    __tablename__ = "deeds"
    __table_args__ = (
        Index("ix_deeds_incident", "incident_id", "deed_id", postgresql_where=text("incident_id IS NOT NULL")),
        Index("ix_deeds_open", "lease_until", postgresql_where=text("state = 'executing'")),
        Index("ix_deeds_revert", "revert_time", postgresql_where=text("revert_state = 'waiting'")),
        Index("ix_deeds_time", "time"),
        CheckConstraint("state IN ('executing', 'done', 'partly', 'failed')", name="ck_deeds_state"),
        CheckConstraint("revert_kind IN ('', 'time', 'tests')", name="ck_deeds_revert_kind"),
        CheckConstraint(
            "revert_state IN ('', 'waiting', 'done', 'cancelled', 'superseded')", name="ck_deeds_revert_state"
        ),
    )

    deed_id: int | None = serial()
    time: datetime = time_now()
    who: str = words()
    roles: list[str] = document("[]")
    via: str = words()
    action: str = words()
    incident_id: int | None = number_or_none()
    parameters: dict[str, object] = document()
    reason: str = words()
    target_kind: str = words()
    target_count: int = number(0)
    state: str = words("executing")
    result: dict[str, object] = document()
    inverse: str = words()
    """The action that takes it back; empty: nothing does."""
    inverse_data: dict[str, object] = document()
    undone_time: datetime | None = time_or_none()
    undone_by: str = words()
    undo_deed_id: int | None = number_or_none()
    revert_kind: str = words()
    revert_time: datetime | None = time_or_none()
    revert_count: int = number(0)
    revert_state: str = words()
    lease_until: datetime | None = time_or_none()


class DeedTarget(SQLModel, table=True):
    """One object of a deed, and what became of it."""

    __tablename__ = "deed_targets"
    __table_args__ = (
        Index("ix_deed_targets_waiting", "deed_id", postgresql_where=text("state = 'waiting'")),
        CheckConstraint("state IN ('waiting', 'done', 'refused', 'gone')", name="ck_deed_targets_state"),
    )

    deed_id: int = outer_key()
    target: str = Field(primary_key=True)
    state: str = words("waiting")
    note: str = words()
    done_time: datetime | None = time_or_none()


class Silence(SQLModel, table=True):
    """Nobody is told of an incident, or of what a matcher finds, until a reason ends it."""

    __tablename__ = "silences"
    __table_args__ = (
        Index(
            "uq_silences_incident",
            "incident_id",
            unique=True,
            postgresql_where=text("end_time IS NULL AND incident_id IS NOT NULL"),
        ),
        Index("ix_silences_live", "silence_id", postgresql_where=text("end_time IS NULL")),
        Index("ix_silences_time", "start_time"),
        CheckConstraint(
            "until_kind IN ('time', 'shift', 'doubles', 'second_queue', 'fixed')", name="ck_silences_until_kind"
        ),
        CheckConstraint("(until_kind IN ('time', 'shift')) = (until_time IS NOT NULL)", name="ck_silences_until_time"),
        CheckConstraint("incident_id IS NOT NULL OR matcher <> '{}'", name="ck_silences_of_something"),
    )

    silence_id: int | None = serial()
    incident_id: int | None = number_or_none()
    matcher: dict[str, object] = document()
    until_kind: str = words("time")
    until_time: datetime | None = time_or_none()
    shift_id: int | None = number_or_none()
    base_count: int = number(0)
    """Jobs and records of the incident when it was silenced."""
    base_queues: list[str] = document("[]")
    who: str = words()
    reason: str = words()
    start_time: datetime = time_now()
    end_time: datetime | None = time_or_none()
    ended_by: str = words()
    end_reason: str = words()
    deed_id: int | None = number_or_none()


class AuditEntry(SQLModel, table=True):
    """Who did what to which object, with before and after. A trigger refuses every change and removal of a row."""

    __tablename__ = "audit"
    __table_args__ = (
        Index("ix_audit_object", "object_kind", "object_id", "audit_id"),
        Index("ix_audit_who", "who", "audit_id"),
        Index("ix_audit_time", "time"),
        Index("ix_audit_deed", "deed_id", postgresql_where=text("deed_id IS NOT NULL")),
    )

    audit_id: int | None = serial()
    time: datetime = time_now()
    who: str = words()
    roles: list[str] = document("[]")
    via: str = words()
    action: str = words()
    object_kind: str = words()
    object_id: str = words()
    before: dict[str, object] = document()
    after: dict[str, object] = document()
    reason: str = words()
    deed_id: int | None = Field(default=None, sa_type=BIGINT, nullable=True)
    is_automatic: bool = flag()
