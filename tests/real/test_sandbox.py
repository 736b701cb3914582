"""The sandbox of the unmodified prun reaches the cache, is found again by the next prun, and can be fetched by a worker."""

from __future__ import annotations

import io
import tarfile
from typing import Any

import httpx
import pytest

from tests.real.conftest import MakeClient
from tests.support.real_world import RealClient
from tests.support.system import RunningSystem

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def client(real_client: MakeClient) -> RealClient:
    """A user with a directory of code."""
    client = real_client()
    code = client.directory / "code"
    code.mkdir()
    (code / "run.sh").write_text("#!/bin/sh\necho hello\n")
    return client


def prun(client: RealClient, name: str, *words: str) -> str:
    """Whatever becomes of the task: the sandbox is sent before it (client-wire.md 4.1)."""
    words = ("--exec", "sh run.sh", "--outDS", f"user.testuser.{name}", "--vo", "testvo", *words)
    return client.run("prun", *words, cwd=client.directory / "code", check=False)


def cached(system: RunningSystem, beginning: str) -> list[dict[str, Any]]:
    statement = "SELECT * FROM cache_files WHERE starts_with(file_name, %(beginning)s) ORDER BY creation_time"
    return system.database.fetch(statement, {"beginning": beginning})


@pytest.mark.parametrize(("words", "beginning"), [(("--noBuild",), "jobO."), ((), "sources.")])
def test_the_sandbox_reaches_the_cache_once(shared_system, client, words, beginning):
    before = len(cached(shared_system, beginning))
    printed = prun(client, f"first{beginning}", *words)
    rows = cached(shared_system, beginning)[before:]
    assert len(rows) == 1, printed
    assert rows[0]["user_name"]
    archive = httpx.get(f"{shared_system.url}/cache/{rows[0]['file_name']}")
    assert archive.status_code == 200
    assert len(archive.content) == rows[0]["size_bytes"]
    with tarfile.open(fileobj=io.BytesIO(archive.content)) as members:
        assert any(name.endswith("run.sh") for name in members.getnames())


def test_the_same_sandbox_is_not_sent_twice(shared_system, client):
    before = len(cached(shared_system, "jobO."))
    reply = ""
    # the directory of code is the same, yet what prun adds to it may be a second younger
    for attempt in range(6):
        reply = prun(client, f"again{attempt}", "--noBuild", "-v")
        if "FOUND:127.0.0.1:jobO." in reply:
            break
    assert "FOUND:127.0.0.1:jobO." in reply, attempt
    assert len(cached(shared_system, "jobO.")) - before <= attempt
