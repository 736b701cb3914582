"""Brings a transformation that is a URL into the job's directory, ready to run. Knows HTTP; sends no credentials.

Like the real pilot: the file gets the last part of the URL as its name, one of that name that is there already is used
(pilot-wire.md 5). Unlike it, an answer that is no program is not run.
"""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from pilot.directory import setup_failure
from pilot.errors import TRANSFORM_DOWNLOAD_FAILED, JobFailure
from pilot.logs import JobLog

TRIES = 3
TIMEOUT_S = 20.0
"""For one try to connect, and for one to read."""
MAX_BYTES = 100_000_000
_CHUNK_BYTES = 1 << 20
_WORTH_ANOTHER_TRY = (408, 425, 429)
_NO_PROGRAM = (b"<", b"{")
"""How pages and JSON documents begin, which some servers send instead of an error."""


def is_url(transformation: str) -> bool:
    """Must it be downloaded?"""
    return transformation.lower().startswith(("http://", "https://"))


def local_name(url: str) -> str:
    """The name of the file. Raises JobFailure when the URL has none that could be a file's."""
    name = PurePosixPath(unquote(urlsplit(url).path)).name
    if name in ("", "..") or "\0" in name:
        raise _failure(url, "it does not end in the name of a file")
    return name


def download(url: str, directory: Path, interrupt: Callable[[], None], pause_s: float, log: JobLog) -> Path:
    """The executable in the directory. Raises JobFailure (1149), or what `interrupt` raises when the job must end.

    `pause_s`: between two tries. A refusal of the server (4xx) is final.
    """
    program = directory / local_name(url)
    if not program.exists():
        _fetch(url, program, interrupt, pause_s, log)
    if not program.is_symlink():  # an input that only leads to a storage keeps its permissions
        try:
            program.chmod(0o755)
        except OSError as error:
            raise setup_failure(f"{program.name} could not be made executable", error) from error
    return program


def start_of(program: Path) -> list[str]:
    """How to start it: by itself, or by sh when it does not say what it is (as a shell would do)."""
    with program.open("rb") as file:
        start = file.read(4)
    return [str(program)] if start.startswith(b"#!") or start == b"\x7fELF" else ["sh", str(program)]


def _fetch(url: str, program: Path, interrupt: Callable[[], None], pause_s: float, log: JobLog) -> None:
    for left in reversed(range(TRIES)):
        interrupt()
        try:
            content = _read(url, interrupt)
        except (OSError, http.client.HTTPException, ValueError) as error:
            if left == 0 or not _is_temporary(error):
                raise _failure(url, _sentence(error)) from error
            log.warning("%s: %s; trying again", url, _sentence(error))
            time.sleep(pause_s)
            continue
        if not content or content.lstrip()[:1] in _NO_PROGRAM:
            raise _failure(url, f"the answer is no program, it begins with {content[:40]!r}")
        try:
            program.write_bytes(content)
        except OSError as error:
            raise setup_failure(f"{program.name} could not be written", error) from error
        log.info("downloaded %s: %d bytes", url, len(content))
        return


def _read(url: str, interrupt: Callable[[], None]) -> bytes:
    """The whole content. Raises OSError, HTTPException, ValueError, or what `interrupt` raises."""
    request = urllib.request.Request(url, headers={"User-Agent": "pandascope-pilot"})
    content = bytearray()
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
        while chunk := answer.read(_CHUNK_BYTES):
            interrupt()
            content += chunk
            if len(content) > MAX_BYTES:
                raise ValueError(f"it is larger than {MAX_BYTES} bytes")
        announced = answer.headers.get("Content-Length")
    if announced is not None and int(announced) != len(content):
        raise http.client.IncompleteRead(b"", int(announced) - len(content))
    return bytes(content)


def _is_temporary(error: Exception) -> bool:
    if isinstance(error, urllib.error.HTTPError):
        return error.code >= 500 or error.code in _WORTH_ANOTHER_TRY
    return not isinstance(error, ValueError)


def _sentence(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code} {error.reason}"
    if isinstance(error, http.client.IncompleteRead):
        return f"the connection broke off, {error.expected} bytes are missing"
    return str(getattr(error, "reason", "") or error) or type(error).__name__


def _failure(url: str, why: str) -> JobFailure:
    return JobFailure(TRANSFORM_DOWNLOAD_FAILED, f"{url}: {why}")
