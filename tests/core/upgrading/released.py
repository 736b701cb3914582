"""The databases of earlier releases, as their tables stood: loaded at their revision and migrated to this one."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from alembic import command
from sqlalchemy import make_url

from core.agents.partitions import PartitionKeeper
from core.database import Database, migrate
from core.database.migrate import alembic_config
from tests.core.test_migrate import administer

_IN_RELEASE = datetime(2026, 11, 26, tzinfo=UTC)
_LOAD = "INSERT INTO {table} ({columns}) SELECT {columns} FROM jsonb_populate_recordset(NULL::{table}, %(rows)s::jsonb)"


def released(revision: str) -> dict[str, Any]:
    """What a release had in its tables and sequences."""
    document: dict[str, Any] = json.loads((Path(__file__).parent / f"released_{revision}.json").read_text())
    return document


@contextmanager
def upgraded_from(postgres_url: str, revision: str) -> Iterator[Database]:
    """The database of that release, migrated to this one; dropped at the end."""
    name, content = f"upgraded_{uuid.uuid4().hex[:12]}", released(revision)
    administer(postgres_url, f"CREATE DATABASE {name}")
    url = make_url(postgres_url).set(database=name).render_as_string(hide_password=False)
    command.upgrade(alembic_config(url), revision)
    database = Database(url)
    PartitionKeeper(database, lambda: _IN_RELEASE, 3600).make_partitions()
    for table, rows in content["tables"].items():
        for row in rows:  # each says only what is not at its default
            statement = _LOAD.format(table=table, columns=", ".join(row))
            database.execute(statement, {"rows": json.dumps([row])})
    for sequence, last in content["sequences"].items():
        database.fetch("SELECT setval(%(name)s, %(last)s)", {"name": sequence, "last": last})
    migrate(database)
    yield database
    database.close()
    administer(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")
