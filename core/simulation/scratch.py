"""The database of one simulation: made for it, without durability, and gone afterwards. Knows no table.

Without a server of one's own an embedded PostgreSQL runs in a temporary directory. A run that was killed with -9 leaves
that directory behind; the next one removes it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import psycopg2
from psycopg2 import sql
from sqlalchemy import make_url

from core.database import Database, migrate, server_of
from core.database.embedded import EmbeddedPostgres
from core.errors import ConfigurationError
from core.simulation.clock import VirtualClock

_PREFIX = "panda-simulation-"
_OWNER = "owner.lock"

_NO_DURABILITY = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "wal_compression": "off",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "1h",
    "shared_buffers": "512MB",
}
"""A scratch database that loses its power is thrown away; everything that decides about plans is as in production."""

# the tables that every job passes through; their order and their indexes stay as they are
_UNLOGGED = """
DO $$ DECLARE name regclass; BEGIN
    FOR name IN SELECT c.oid FROM pg_class c WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace
                AND (c.relname IN ('jobs_live', 'job_parameters', 'job_files', 'job_brokerage', 'brokerage_decisions')
                     OR c.relname LIKE 'jobs\\_archive\\_%' OR c.relname LIKE 'job\\_history\\_%')
    LOOP EXECUTE format('ALTER TABLE %s SET UNLOGGED', name); END LOOP;
END $$
"""


@contextmanager
def scratch_database(server_url: str, start: datetime) -> Iterator[tuple[Database, VirtualClock]]:
    """A migrated database whose time stands at `start`, and its clock; dropped at the end, whatever happens.

    `server_url`: any database of the server to use; empty starts an embedded one. Raises ConfigurationError when no
    database may be made there.
    """
    with _own_server() if not server_url else _database_on(server_url) as url:
        database = Database(url, statement_timeout_ms=600_000)
        try:
            clock = VirtualClock(database, start)
            migrate(database)
            database.execute(_UNLOGGED)
            yield database, clock
        finally:
            database.close()


@contextmanager
def _own_server() -> Iterator[str]:
    _remove_leftovers()
    directory = Path(tempfile.mkdtemp(prefix=_PREFIX))
    directory.chmod(0o711)  # the database of root runs as another user
    with (directory / _OWNER).open("w") as owner:
        fcntl.flock(owner, fcntl.LOCK_EX)
        try:
            yield EmbeddedPostgres(directory, settings=_NO_DURABILITY).start()
        finally:
            _remove(directory)


def _remove_leftovers() -> None:
    for directory in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        owner = directory / _OWNER
        if not owner.is_file() or owner.stat().st_uid != os.geteuid():
            continue
        with owner.open("r+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            _remove(directory)


def _remove(directory: Path) -> None:
    EmbeddedPostgres(directory).stop()
    shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def _database_on(server_url: str) -> Iterator[str]:
    name = f"panda_simulation_{uuid.uuid4().hex[:12]}"
    try:
        _administer(server_url, "CREATE DATABASE {} TEMPLATE template0", name)
    except (psycopg2.errors.InsufficientPrivilege, psycopg2.OperationalError) as error:
        raise ConfigurationError(
            f"no scratch database can be made at {server_of(server_url)}: {str(error).strip()}",
            field="database_url",
            remedy="give the role CREATEDB, or unset PANDA_DATABASE_URL: an embedded PostgreSQL is started then",
        ) from error
    try:
        _administer(server_url, "ALTER DATABASE {} SET synchronous_commit = off", name)
        yield make_url(server_url).set(database=name).render_as_string(hide_password=False)
    finally:
        _administer(server_url, "DROP DATABASE IF EXISTS {} WITH (FORCE)", name)


def _administer(server_url: str, statement: str, name: str) -> None:
    address = make_url(server_url).set(drivername="postgresql").render_as_string(hide_password=False)
    connection = psycopg2.connect(address)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(sql.SQL(statement).format(sql.Identifier(name)))
    finally:
        connection.close()
