"""Who may do what: users, and the tokens that the embedded issuer gave out."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field, SQLModel

from core.models.columns import document, time_now, time_or_none, words


class User(SQLModel, table=True):
    """A person or robot seen by the system."""

    __tablename__ = "users"

    user_name: str = Field(primary_key=True)
    vo: str = words()
    status: str = words("active")
    """active or disabled (banned: every call is refused)."""
    first_seen: datetime = time_now()
    last_seen: datetime | None = time_or_none()


class Token(SQLModel, table=True):
    """A token of the embedded issuer; the token itself is not stored."""

    __tablename__ = "tokens"

    token_id: str = Field(primary_key=True)
    user_name: str = words()
    vo: str = words()
    roles: list[str] = document("[]")
    issued_time: datetime = time_now()
    expiry_time: datetime | None = time_or_none()
    revoked_time: datetime | None = time_or_none()
