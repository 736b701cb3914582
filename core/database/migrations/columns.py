"""Columns as this project's migrations make them: text and counts that are never null, times with zone, documents.

For revisions 0010 and later; released revisions rest on it, so what a function makes never changes.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB


def key(name: str) -> sa.Column[str]:
    """A part of the primary key that is text."""
    return sa.Column(name, sa.Text(), nullable=False, primary_key=True)


def number_key(name: str) -> sa.Column[int]:
    """A part of the primary key that is an id made elsewhere."""
    return sa.Column(name, sa.BigInteger(), autoincrement=False, nullable=False, primary_key=True)


def serial(name: str) -> sa.Column[int]:
    """A primary key that counts."""
    return sa.Column(name, sa.BigInteger(), autoincrement=True, nullable=False, primary_key=True)


def time_key(name: str) -> sa.Column[object]:
    """A part of the primary key that is a time."""
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False, primary_key=True)


def texts(*names: str, default: str = "") -> list[sa.Column[str]]:
    """Texts that are never null."""
    return [sa.Column(name, sa.Text(), server_default=default, nullable=False) for name in names]


def counts(*names: str, default: int = 0) -> list[sa.Column[int]]:
    """Big integers that are never null."""
    return [sa.Column(name, sa.BigInteger(), server_default=sa.text(str(default)), nullable=False) for name in names]


def optional(*names: str) -> list[sa.Column[int]]:
    """Big integers that may be absent."""
    return [sa.Column(name, sa.BigInteger(), nullable=True) for name in names]


def sums(*names: str) -> list[sa.Column[float]]:
    """Floating-point numbers that are never null."""
    return [sa.Column(name, sa.Float(), server_default="0", nullable=False) for name in names]


def flag(name: str, default: str = "false") -> sa.Column[bool]:
    """A yes or no."""
    return sa.Column(name, sa.Boolean(), server_default=sa.text(default), nullable=False)


def now(name: str) -> sa.Column[object]:
    """A time that the database sets on insert."""
    return sa.Column(name, sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False)


def times(*names: str) -> list[sa.Column[object]]:
    """Times that may be absent."""
    return [sa.Column(name, sa.DateTime(timezone=True), nullable=True) for name in names]


def document(name: str, default: str = "{}") -> sa.Column[object]:
    """A JSON document that is never null."""
    return sa.Column(name, JSONB(), server_default=sa.text(f"'{default}'::jsonb"), nullable=False)


def add(table: str, *columns: sa.Column[Any]) -> None:
    """Add columns to a table that is there."""
    for column in columns:
        op.add_column(table, column)
