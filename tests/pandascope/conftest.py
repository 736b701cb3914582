"""A server with two pilots for the tests of the client and its commands."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from logger.agents import build_agents
from pandascope import Client
from tests.support.commands import PandaCommand, panda_command
from tests.support.pilots import running_pilots
from tests.support.system import RunningSystem, running_system


@pytest.fixture(scope="module")
def working_system(module_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSystem]:
    """A server with all agents, and two pilots that run what is submitted."""
    directory, nodes = tmp_path_factory.mktemp("system"), tmp_path_factory.mktemp("pilots")
    started = running_system(module_database_url, directory, further_agents=build_agents)
    with started as system, running_pilots(system, nodes):
        yield system


@pytest.fixture
def client(working_system: RunningSystem) -> Iterator[Client]:
    """A client with the identity of an operator."""
    with Client(working_system.url, working_system.token("alice", "operator")) as made:
        yield made


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def command() -> Iterator[PandaCommand]:
    """What runs `panda` commands."""
    with panda_command() as made:
        yield made


@pytest.fixture
def panda(working_system: RunningSystem, command: PandaCommand) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The `panda` command as a user types it, in the current directory."""
    token = working_system.token("alice", "operator")

    def run(*words: str, check: int | None = 0, **environment: str) -> subprocess.CompletedProcess[str]:
        variables = {**os.environ, "PANDA_URL": working_system.url, "PANDA_TOKEN": token, **environment}
        ended = command.run(words, variables)
        assert check is None or ended.returncode == check, f"{ended.returncode}\n{ended.stdout}\n{ended.stderr}"
        return ended

    return run


@pytest.fixture
def panda_json(panda: Callable[..., subprocess.CompletedProcess[str]]) -> Callable[..., Any]:
    """The answer of a `panda` command with --json."""
    return lambda *words, **options: json.loads(panda(*words, "--json", **options).stdout)
