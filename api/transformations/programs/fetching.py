"""Brings an archive from the server's cache into the job's directory. Knows HTTP; does not look into the archive."""

from __future__ import annotations

import http.client
import os
import shutil
import ssl
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import quote

from .failing import BAD_DATA, CANNOT_CREATE, FETCH_FAILED, USAGE, Failure, say

TRIES = 4
FIRST_PAUSE_S = 2.0
"""Before the second try; each later pause is twice as long. The environment may say otherwise: FETCH_PAUSE_S."""
TIMEOUT_S = 60.0
_GZIP_MAGIC = b"\x1f\x8b"
_WORTH_ANOTHER_TRY = (408, 425, 429)


def archive_at(job_directory: Path, name: str, source_url: str, may_fetch: bool = True) -> Path:
    """The archive in the job's directory: brought there by the pilot, else fetched now. Raises Failure."""
    if not name or Path(name).name != name:
        raise Failure(USAGE, f"{name!r} is not the name of an archive")
    path = job_directory / name
    if not path.is_file():
        if not may_fetch:
            raise Failure(FETCH_FAILED, f"{name} should have come with the input files, but it is not here")
        if not source_url.startswith(("http://", "https://")):
            raise Failure(USAGE, f"{name} is not here, and --sourceURL {source_url!r} is no http(s) address to ask")
        _fetch(f"{source_url.rstrip('/')}/cache/{quote(name)}", path)
    with path.open("rb") as archive:
        start = archive.read(60)
    if not start.startswith(_GZIP_MAGIC):
        raise Failure(BAD_DATA, f"{name} is not a gzip archive; it begins with {start!r}")
    return path


def _fetch(url: str, destination: Path) -> None:
    """Raises Failure when no try succeeds; a refusal of the server is final at once."""
    pause_s = float(os.environ.get("FETCH_PAUSE_S", FIRST_PAUSE_S))
    for left in reversed(range(TRIES)):
        try:
            size = _download(url, destination)
        except (OSError, http.client.HTTPException) as error:
            if left == 0 or not _is_temporary(error):
                raise Failure(FETCH_FAILED, f"{url} could not be fetched: {_sentence(error)}") from error
            say(f"{url}: {_sentence(error)}; trying again in {pause_s:.0f} s")
            time.sleep(pause_s)
            pause_s *= 2
        else:
            say(f"fetched {url}: {size} bytes")
            return


def _download(url: str, destination: Path) -> int:
    """One try; leaves the whole file or none. Raises OSError, HTTPException, or Failure when it cannot be written."""
    part = destination.with_name(destination.name + ".part")
    request = urllib.request.Request(url, headers={"User-Agent": "pandascope-transformation"})
    with urllib.request.urlopen(request, timeout=TIMEOUT_S, context=_certificates()) as answer:
        try:
            file = part.open("wb")
        except OSError as error:
            raise Failure(CANNOT_CREATE, f"{part.name} could not be written: {error.strerror}") from error
        with file:
            shutil.copyfileobj(answer, file, 1 << 20)
        size = part.stat().st_size
        announced = answer.headers.get("Content-Length")
        if announced is not None and int(announced) != size:
            raise http.client.IncompleteRead(b"", int(announced) - size)
    part.replace(destination)
    return size


def _certificates() -> ssl.SSLContext:
    """The authorities of the node and, where there are some, of the grid."""
    context = ssl.create_default_context()
    grid = os.environ.get("X509_CERT_DIR", "/etc/grid-security/certificates")
    if Path(grid).is_dir():
        context.load_verify_locations(capath=grid)
    return context


def _is_temporary(error: Exception) -> bool:
    if isinstance(error, urllib.error.HTTPError):
        return error.code >= 500 or error.code in _WORTH_ANOTHER_TRY
    reason = getattr(error, "reason", None)
    return not isinstance(reason, ssl.SSLCertVerificationError)


def _sentence(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code} {error.reason}"
    if isinstance(error, http.client.IncompleteRead):
        return f"the connection broke off, {error.expected} bytes are missing"
    return str(getattr(error, "reason", "") or error) or type(error).__name__
