"""Fixtures of the transformations' tests: a server with a cache, and a job's directory to run programs in."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, unquote

import pytest

from api.transformations import TRANSFORMATIONS

RUN, BUILD, CONTAINER = "runGen-00-00-02", "buildGen-00-00-01", "runcontainer"


@dataclass
class Cache:
    """What the server has below /cache. `statuses`: what it answers first, one request each, before it behaves."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    statuses: list[int] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    cut_at: int | None = None

    def add(self, name: str, **members: str | bytes) -> None:
        """A gzip-compressed tar; double underscores in names become slashes, a single one before the end a dot."""
        self.files[name] = archive({_path(key): value for key, value in members.items()})


def _path(key: str) -> str:
    return key.replace("__", "/").replace("_", ".")


def archive(members: dict[str, str | bytes], *more: tarfile.TarInfo) -> bytes:
    """Files (shell scripts are executable) and whatever else is to be in it."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as opened:
        for name, value in members.items():
            data = value if isinstance(value, bytes) else value.encode()
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o755 if name.endswith(".sh") else 0o644
            opened.addfile(info, io.BytesIO(data))
        for info in more:
            opened.addfile(info, io.BytesIO(b"x" * info.size))
    return content.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "", size: int = 0) -> tarfile.TarInfo:
    """An entry of an archive that no honest tar would make."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, target, size
    return info


@pytest.fixture
def cache() -> Iterator[Cache]:
    """A server on a free port."""
    state = Cache()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append(self.path)
            name = unquote(self.path.removeprefix("/cache/"))
            status = state.statuses.pop(0) if state.statuses else 200
            content = state.files.get(name)
            if content is None and status == 200:
                status = 404
            body = content if content is not None and status == 200 else b"<html>no</html>"
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: state.cut_at])

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class Job:
    """The directory of a job on a worker node, as a pilot leaves it before it starts the program."""

    directory: Path
    cache: Cache

    def file(self, name: str, content: str | bytes = b"") -> Path:
        """A file there."""
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def text(self, name: str) -> str:
        """What is in a file there."""
        return (self.directory / name).read_text()

    def names(self) -> set[str]:
        """What is there beside the program."""
        return {str(path.relative_to(self.directory)) for path in self.directory.iterdir()} - set(TRANSFORMATIONS)

    def start(self, program: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a program with these arguments."""
        path = self.directory / program
        path.write_bytes(TRANSFORMATIONS[program]())
        path.chmod(0o755)
        return subprocess.run(
            [f"./{program}", *arguments],
            cwd=self.directory,
            env={**os.environ, "FETCH_PAUSE_S": "0.01", **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def run(self, command: str, *options: str, **outputs_or_environment: str) -> subprocess.CompletedProcess[str]:
        """Run runGen for a command, with the options in front that prun always sends."""
        usual = ["-j", "", "--sourceURL", self.cache.url, "-r", "."]
        return self.start(RUN, *usual, *options, "-p", quote(command), **outputs_or_environment)


@pytest.fixture
def job(tmp_path: Path, cache: Cache) -> Job:
    """A job's directory beside a file that no archive may touch."""
    (tmp_path / "outside").write_text("untouched")
    directory = tmp_path / "job"
    directory.mkdir()
    return Job(directory, cache)
