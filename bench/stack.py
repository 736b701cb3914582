"""The system under test: an embedded PostgreSQL as shipped, and API workers on one socket. Knows no benchmark."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from api.identity.issuer import Issuer
from core.configuration import Settings
from core.database import Database, migrate
from core.database.embedded import EmbeddedPostgres
from core.database.server_tree import installed_programs


@dataclass(frozen=True)
class Stack:
    """What a benchmark needs to reach the system."""

    database_url: str
    database: Database
    host: str
    port: int
    token: str
    programs: Path
    """Directory of pgbench and psql of the embedded server."""


@contextmanager
def running_stack(workers: int) -> Iterator[Stack]:
    """PostgreSQL with its shipped settings (fsync on) and `workers` API processes, stopped at the end."""
    with tempfile.TemporaryDirectory(prefix="panda-bench-") as name:
        directory = Path(name)
        directory.chmod(0o711)
        server = EmbeddedPostgres(directory)
        url = server.start()
        database = Database(url)
        listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        port = listener.getsockname()[1]
        processes = []
        try:
            migrate(database)
            issuer = Issuer(Settings(data=directory).data)
            token = issuer.issue(user="bench", vo="bench", roles=["pilot", "production"], lifetime_s=86400).text
            environment = {**os.environ, "PANDA_DATA": name, "PANDA_DATABASE_URL": url, "PANDA_PORT": str(port)}
            processes = [_serve(listener, environment, directory) for _ in range(workers)]
            _wait_until_alive(port, processes, directory / "api.log")
            yield Stack(url, database, "127.0.0.1", port, token, installed_programs())
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait(timeout=20)
            listener.close()
            database.close()
            server.stop()


def _serve(listener: socket.socket, environment: dict[str, str], directory: Path) -> subprocess.Popen[bytes]:
    """One worker as the supervisor starts it; nobody listens for its pulse."""
    number = listener.fileno()
    with (directory / "api.log").open("ab") as log, Path(os.devnull).open("wb") as pulse:
        return subprocess.Popen(
            [
                *(sys.executable, "-P", "-m", "pandascope.cli.main", "serve"),
                *("--fd", str(number), "--pulse-fd", str(pulse.fileno())),
            ],
            env=environment,
            pass_fds=(number, pulse.fileno()),
            stdout=log,
            stderr=log,
        )


def _wait_until_alive(port: int, processes: list[subprocess.Popen[bytes]], log: Path) -> None:
    deadline = time.monotonic() + 180
    while True:
        if any(process.poll() is not None for process in processes):
            raise RuntimeError(f"an API worker ended: {log.read_text(errors='replace')[-2000:]}")
        try:
            if httpx.get(f"http://127.0.0.1:{port}/api/v1/system/is_alive", timeout=2).json()["success"]:
                return
        except (httpx.HTTPError, ValueError):
            if time.monotonic() > deadline:
                raise
        time.sleep(0.1)
