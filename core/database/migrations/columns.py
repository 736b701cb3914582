"""Columns as this project's migrations make them: text and counts that are never null, times with zone, documents;
checks and indexes.

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


def is_one_of(column: str, values: tuple[str, ...]) -> str:
    """The condition that a column holds one of these words."""
    return f"{column} IN ({', '.join(map(repr, values))})"


def one_of(table: str, column: str, values: tuple[str, ...]) -> sa.CheckConstraint:
    """A check of a new table: a column holds one of these words."""
    return sa.CheckConstraint(is_one_of(column, values), name=f"ck_{table}_{column}")


def index(table: str, name: str, *columns: str, where: str = "", is_unique: bool = False) -> None:
    """Create an index, of the rows that `where` names if it says any."""
    condition = {"postgresql_where": sa.text(where)} if where else {}
    op.create_index(name, table, list(columns), unique=is_unique, **condition)  # type: ignore[arg-type]
