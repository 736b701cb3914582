"""Real clients and real pilots of PanDA against a server of ours; each is installed once per machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.missing import skip_or_fail
from tests.support.real_world import RealClient, client_environment, pid_namespaces_work, pilot_environment
from tests.support.system import RunningSystem

MakeClient = Callable[..., RealClient]


@pytest.fixture(scope="session")
def client_program() -> Path:
    """The environment with prun and pbook."""
    return client_environment()


@pytest.fixture(scope="session")
def pilot_program() -> Path:
    """The environment with the production pilot; skips where it could not be shut in."""
    if not pid_namespaces_work():
        skip_or_fail("the real pilot needs a PID namespace of its own (unshare --pid), which this account cannot make")
    return pilot_environment()


@pytest.fixture(scope="module")
def real_client(
    client_program: Path, shared_system: RunningSystem, tmp_path_factory: pytest.TempPathFactory
) -> MakeClient:
    """Makes the real client as a user sees it: `real_client()`, `real_client("otheruser", "Other User")`."""

    def make(user: str = "testuser", name: str = "test user", *roles: str) -> RealClient:
        token = shared_system.token(user, *roles, name=name)
        return RealClient(client_program, shared_system.url, token, tmp_path_factory.mktemp(user))

    return make
