"""Who may do what: users with their secrets, and what the embedded issuer gave out."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from core.models.columns import TIMESTAMP, document, number, time_now, time_or_none, words


class User(SQLModel, table=True):
    """A person or robot seen by the system."""

    __tablename__ = "users"

    user_name: str = Field(primary_key=True)
    vo: str = words()
    status: str = words("active")
    """active or disabled (banned: every call is refused)."""
    permissions: str = words()
    """Letters: p (tokens and proxies), k (key pairs), t (token keys), server-api.md 0."""
    subject: str = words()
    """Whose name it is: issuer and subject of the first token that came with it; empty until then."""
    first_seen: datetime = time_now()
    last_seen: datetime | None = time_or_none()


class Token(SQLModel, table=True):
    """A token of the embedded issuer; the token itself is not stored."""

    __tablename__ = "tokens"
    # those that expired long ago are removed
    __table_args__ = (Index("ix_tokens_expiry", "expiry_time"),)

    token_id: str = Field(primary_key=True)
    user_name: str = words()
    vo: str = words()
    roles: list[str] = document("[]")
    issued_time: datetime = time_now()
    expiry_time: datetime | None = time_or_none()
    revoked_time: datetime | None = time_or_none()


class DeviceCode(SQLModel, table=True):
    """A program that waits for a person to confirm its code in a browser (RFC 8628). Codes are stored as hashes."""

    __tablename__ = "device_codes"
    __table_args__ = (
        Index("ix_device_codes_user_code", "user_code_hash", unique=True),
        # those of one address that are still open are counted, those that are over are removed
        Index("ix_device_codes_address", "address"),
        Index("ix_device_codes_expiry", "expiry_time"),
    )

    device_code_hash: str = Field(primary_key=True)
    user_code_hash: str = words()
    client_id: str = words()
    vo: str = words()
    role: str = words()
    """The role it asks for; empty for a plain user."""
    address: str = words()
    """Where the program runs, as its request showed."""
    status: str = words("pending")
    """pending, approved, denied or used."""
    identity: dict[str, object] = document()
    """Who confirmed it: the claims of the token to be."""
    interval_s: int = number(2)
    last_poll: datetime | None = time_or_none()
    creation_time: datetime = time_now()
    expiry_time: datetime = Field(sa_type=TIMESTAMP, nullable=False)


class DeviceGuess(SQLModel, table=True):
    """Wrong user codes of one address, so that nobody can try them all."""

    __tablename__ = "device_guesses"

    address: str = Field(primary_key=True)
    misses: int = number(0)
    since: datetime = time_now()


class RefreshToken(SQLModel, table=True):
    """A refresh token, stored as a hash. Each use makes the next of its family; an old one used again ends the family."""

    __tablename__ = "refresh_tokens"
    __table_args__ = (
        Index("ix_refresh_tokens_family", "family_id"),
        Index("ix_refresh_tokens_expiry", "expiry_time"),
    )

    token_hash: str = Field(primary_key=True)
    family_id: str = words()
    client_id: str = words()
    identity: dict[str, object] = document()
    """The claims of the tokens it is good for."""
    access_token_id: str = words()
    """The token that was given out together with it."""
    creation_time: datetime = time_now()
    expiry_time: datetime = Field(sa_type=TIMESTAMP, nullable=False)
    used_time: datetime | None = time_or_none()
    revoked_time: datetime | None = time_or_none()


class UserSecret(SQLModel, table=True):
    """A secret a user keeps here for jobs (creds/set_user_secrets)."""

    __tablename__ = "user_secrets"

    user_name: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    value: str = words()
    modification_time: datetime = time_now()


class TokenKey(SQLModel, table=True):
    """A key that must come with requests for tokens of a service; stored as a hash."""

    __tablename__ = "token_keys"
    __table_args__ = (Index("ix_token_keys_expiry", "expiry_time"),)

    key_hash: str = Field(primary_key=True)
    client_name: str = words()
    user_name: str = words()
    creation_time: datetime = time_now()
    expiry_time: datetime = Field(sa_type=TIMESTAMP, nullable=False)
