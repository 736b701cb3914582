"""The command answers at once because it loads nothing it does not need."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("dash", "textual", "sqlmodel", "sqlalchemy", "plotly", "fastapi", "starlette", "psycopg2")


def loaded_after(program: str) -> set[str]:
    text = subprocess.run(
        [sys.executable, "-c", f"import sys\n{program}\nprint('MODULES', *sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return set(text.split("MODULES")[1].split())


def test_help_loads_neither_monitors_nor_database_nor_http() -> None:
    program = "from pandascope.cli.main import _run\nassert _run(['--help']) == 0"
    assert not loaded_after(program) & {*HEAVY, "httpx", "core"}


@pytest.mark.parametrize("name", ["run", "jobs", "job", "logs", "kill", "tasks", "task", "incidents", "queues", "demo"])
def test_a_users_commands_load_neither_monitors_nor_database(name: str) -> None:
    program = f"from pandascope.cli.main import _run\nassert _run(['{name}', '--help']) == 0"
    assert not loaded_after(program) & {*HEAVY, "core"}


@pytest.mark.parametrize("name", ["up", "down", "status", "token", "config"])
def test_the_help_of_an_operators_commands_loads_neither_monitors_nor_database(name: str) -> None:
    program = f"from pandascope.cli.main import _run\nassert _run(['{name}', '--help']) == 0"
    assert not loaded_after(program) & {*HEAVY, "alembic", "joserfc", "httpx"}


def test_only_who_migrates_loads_alembic() -> None:
    assert "alembic" not in loaded_after("import core.database, core.database.embedded")


def test_the_client_loads_neither_monitors_nor_database() -> None:
    assert not loaded_after("import pandascope\npandascope.Client, pandascope.AsyncClient") & {*HEAVY, "core", "typer"}


def test_the_package_alone_loads_nothing() -> None:
    assert not loaded_after("import pandascope") & {*HEAVY, "core", "httpx", "rich", "typer"}
