"""Alembic's environment: the models' metadata against the database of the given URL."""

from __future__ import annotations

from alembic import context
from sqlalchemy import create_engine, pool
from sqlmodel import SQLModel

import core.models  # noqa: F401  (fills the metadata)


def _is_ours(obj: object, name: str | None, type_: str, reflected: bool, compare_to: object) -> bool:
    """Partitions are made by an agent and by the migrations' own SQL, so the comparison leaves them alone."""
    return not (type_ == "table" and reflected and compare_to is None)


engine = create_engine(context.config.get_main_option("sqlalchemy.url") or "", poolclass=pool.NullPool)
with engine.connect() as connection:
    context.configure(
        connection=connection, target_metadata=SQLModel.metadata, include_object=_is_ours, compare_server_default=False
    )
    with context.begin_transaction():
        context.run_migrations()
