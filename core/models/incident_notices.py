"""Tables of the notices of incidents: where they go, and how far each has come."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from core.models.columns import (
    BIGINT,
    document,
    flag,
    fraction,
    number,
    serial,
    time_now,
    time_or_none,
    words,
)


class NoticeRoute(SQLModel, table=True):
    """Where which changes of which incidents are told. Secrets are in the settings; the row names one."""

    __tablename__ = "notice_routes"
    __table_args__ = (
        UniqueConstraint("name", name="uq_notice_routes_name"),
        CheckConstraint("channel IN ('webhook', 'slack', 'mail')", name="ck_notice_routes_channel"),
    )

    route_id: int | None = serial()
    name: str = words()
    position: int = number(0)
    matcher: dict[str, object] = document()
    channel: str = words("webhook")
    target: str = words()
    secret_name: str = words()
    options: dict[str, object] = document()
    changes: list[str] = document("[]")
    """Which changes are told; empty: opened, reopened, worse, resolved."""
    group_by: list[str] = document("[]")
    group_wait_s: int = number(10)
    max_per_hour: int = number(60)
    bucket: float = fraction(60.0)
    """Messages that may go out at once (a token bucket), as of `bucket_time`."""
    bucket_time: datetime = time_now()
    is_active: bool = flag(True)
    is_final: bool = flag()
    """Routes after it hear nothing of what it told."""
    modified_by: str = words()
    modification_time: datetime = time_now()
    version: int = number(1)


class IncidentNotice(SQLModel, table=True):
    """One change of one incident for one route."""

    __tablename__ = "incident_notices"
    __table_args__ = (
        UniqueConstraint("route_id", "incident_id", "change_seq", name="uq_incident_notices_change"),
        Index("ix_incident_notices_due", "next_try_time", postgresql_where=text("state IN ('waiting', 'sending')")),
        Index("ix_incident_notices_incident", "incident_id"),
        Index("ix_incident_notices_message", "message_id", postgresql_where=text("message_id <> ''")),
        CheckConstraint(
            "state IN ('waiting', 'sending', 'sent', 'failed', 'lost', 'suppressed')", name="ck_incident_notices_state"
        ),
    )

    notice_id: int | None = serial()
    route_id: int = Field(sa_type=BIGINT, nullable=False)
    incident_id: int = Field(sa_type=BIGINT, nullable=False)
    change_seq: int = Field(sa_type=BIGINT, nullable=False)
    change: str = words()
    state: str = words("waiting")
    reason: str = words()
    message_id: str = words()
    attempts: int = number(0)
    next_try_time: datetime | None = time_or_none()
    lease_until: datetime | None = time_or_none()
    sent_time: datetime | None = time_or_none()
    last_error: str = words()
    created_time: datetime = time_now()


class NoticeMessage(SQLModel, table=True):
    """One message that went out, or may have gone out, with what the receiver answered."""

    __tablename__ = "notice_messages"

    message_id: str = Field(primary_key=True)
    route_id: int = Field(sa_type=BIGINT, nullable=False)
    notice_count: int = number(0)
    time: datetime = time_now()
    sent_time: datetime | None = time_or_none()
    answer: str = words()
