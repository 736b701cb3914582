"""Column helpers shared by the models: times with zone, text with a server default, JSON documents."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Boolean, DateTime, Float, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

TIMESTAMP = DateTime(timezone=True)
BIGINT = BigInteger()


def time_now() -> Any:
    """A required time that the database sets on insert."""
    return Field(sa_type=TIMESTAMP, nullable=False, sa_column_kwargs={"server_default": text("clock_timestamp()")})


def time_or_none() -> Any:
    """A time that may be absent."""
    return Field(default=None, sa_type=TIMESTAMP, nullable=True)


def words(default: str = "") -> Any:
    """Text that is never null; empty means there is none."""
    return Field(default=default, sa_type=Text, nullable=False, sa_column_kwargs={"server_default": default})


def number(default: int = 0) -> Any:
    """A big integer that is never null."""
    return Field(
        default=default,
        sa_type=BigInteger,
        nullable=False,
        sa_column_kwargs={"server_default": text(str(default))},
    )


def number_or_none() -> Any:
    """A big integer that may be absent."""
    return Field(default=None, sa_type=BigInteger, nullable=True)


def document(default: str = "{}") -> Any:
    """A JSON document that is never null."""
    return Field(
        sa_type=JSONB,
        nullable=False,
        sa_column_kwargs={"server_default": text(f"'{default}'::jsonb")},
        default_factory=dict if default == "{}" else list,
    )


def fraction(default: float = 0.0) -> Any:
    """A floating-point number that is never null."""
    return Field(
        default=default, sa_type=Float, nullable=False, sa_column_kwargs={"server_default": text(str(default or 0))}
    )


def flag(default: bool = False) -> Any:
    """A yes or no."""
    return Field(
        default=default,
        sa_type=Boolean,
        nullable=False,
        sa_column_kwargs={"server_default": text(str(default).lower())},
    )


def serial() -> Any:
    """A primary key that counts."""
    return Field(default=None, primary_key=True, sa_type=BIGINT)


def outer_key() -> Any:
    """A part of the primary key that is an id made elsewhere."""
    return Field(primary_key=True, sa_type=BIGINT, sa_column_kwargs={"autoincrement": False})
