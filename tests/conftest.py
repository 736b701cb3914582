"""Fixtures every package shares: one real PostgreSQL per test session, and a fresh migrated database per test."""

from __future__ import annotations

import gc
import inspect
import os
import signal
import threading
import uuid
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg2
import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from psycopg2 import sql
from sqlalchemy import make_url

from core.database import Database, migrate
from core.database.embedded import EmbeddedPostgres
from tests.support.authorities import read_authorities_once
from tests.support.scratch import remove_leftovers, scratch_directory
from tests.support.system import RunningSystem, running_system

# Settings of one installation must not leak into the tests from the shell that runs them.
for _name in [name for name in os.environ if name.startswith("PANDA_")]:
    del os.environ[_name]

# A shell that runs the tests in the background lets them ignore Ctrl+C, and every program that they start would inherit
# that: programs that are to be interrupted would run on.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN and threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)

# What is asked of a server here shares two processors with hundreds of processes: the five seconds after which httpx gives
# up when nobody says how long to wait are a pause of the machine, and nothing that a test is about.
_patience = inspect.signature(httpx.get).parameters["timeout"].default
_patience.connect = _patience.read = _patience.write = _patience.pool = 60.0

read_authorities_once()

# how long an example takes says more about the machine and its neighbours than about the code; where nothing may be
# skipped the examples are the same every time, so that a change is judged by itself, and chance finds the rest here
hypothesis_settings.register_profile(
    "house",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=os.environ.get("PANDASCOPE_NO_SKIP") == "1",
)
hypothesis_settings.load_profile("house")

_TEMPLATE = "panda_template"


def pytest_collection_finish() -> None:
    """Modules and thousands of tests stay until the end: the collector of garbage need not look at them each time."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What a test wrote may hold half characters; between test processes only whole ones can travel."""
    report = yield
    report.sections = [
        (name, text.encode("utf-8", "backslashreplace").decode("utf-8")) for name, text in report.sections
    ]
    return report


@pytest.fixture
def short_directory() -> Iterator[Path]:
    """A temporary directory that a database's system user can reach (pytest's own is closed to others)."""
    with scratch_directory("panda-test-") as path:
        yield path


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """URL of the embedded server of this test session (its database `panda` is empty)."""
    remove_leftovers()
    with scratch_directory("panda-tests-") as directory:
        # A test's server has no power cut to fear, and little room; everything else is as in production.
        settings = {"fsync": "off", "shared_buffers": "128MB", "max_wal_size": "512MB"}
        server = EmbeddedPostgres(directory, settings=settings)
        try:
            yield server.start()
        finally:
            server.stop()


@pytest.fixture(scope="session")
def template_url(postgres_url: str) -> str:
    """URL of a migrated database that the fresh ones are copied from; nobody may stay connected to it."""
    _statement(postgres_url, "CREATE DATABASE {}", _TEMPLATE)
    url = _with_name(postgres_url, _TEMPLATE)
    database = Database(url)
    migrate(database)
    database.close()
    return url


@contextmanager
def fresh_database(postgres_url: str) -> Iterator[str]:
    """URL of a new copy of the template, dropped afterwards."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    _statement(postgres_url, "CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY", name, _TEMPLATE)
    try:
        yield _with_name(postgres_url, name)
    finally:
        _statement(postgres_url, "DROP DATABASE {} WITH (FORCE)", name)


@pytest.fixture
def database_url(postgres_url: str, template_url: str) -> Iterator[str]:
    """URL of a fresh migrated database for one test."""
    with fresh_database(postgres_url) as url:
        yield url


@pytest.fixture(scope="module")
def module_database_url(postgres_url: str, template_url: str) -> Iterator[str]:
    """URL of a fresh migrated database for all tests of a module."""
    with fresh_database(postgres_url) as url:
        yield url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A door to a fresh migrated database for one test."""
    door = Database(database_url)
    yield door
    door.close()


@pytest.fixture(scope="module")
def shared_database(module_database_url: str) -> Iterator[Database]:
    """A door to a fresh migrated database for all tests of a module, which use names of their own."""
    door = Database(module_database_url)
    yield door
    door.close()


def _with_name(url: str, name: str) -> str:
    return make_url(url).set(database=name).render_as_string(hide_password=False)


def _statement(url: str, statement: str, *names: str) -> None:
    address = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    connection = psycopg2.connect(address)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(sql.SQL(statement).format(*(sql.Identifier(name) for name in names)))
    finally:
        connection.close()


@pytest.fixture
def system(database_url: str, tmp_path: Path) -> Iterator[RunningSystem]:
    """A server with API and core agents over a fresh database, for one test."""
    with running_system(database_url, tmp_path) as running:
        yield running


@pytest.fixture(scope="module")
def shared_system(module_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSystem]:
    """A server with API and core agents shared by the tests of a module."""
    with running_system(module_database_url, tmp_path_factory.mktemp("system")) as running:
        yield running
