"""What the parts that run at a site (pilot, factory) share: where their token is, and logging to the incident store."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated

import typer

from logger.handler import attach
from pandascope.environment import Credentials, default_data_directory, find_credentials
from pandascope.errors import Usage
from pandascope.supervisor.logs import log_to_stderr
from pilot.line import Line

SPOOL_BYTES = 16_000_000
"""What records may take of a node's disk while the collector is away: those of all pilots of one work directory."""

TokenFile = Annotated[
    Path | None,
    typer.Option("--token-file", metavar="FILE", help="File with the token; read anew when the server refuses it."),
]


def credentials_finder(url: str | None, token_file: Path | None, data: Path | None) -> Callable[[], Credentials]:
    """How to find address and token, now and again when the token was renewed."""

    def find() -> Credentials:
        return find_credentials(url, _read(token_file) if token_file else None, data)

    return find


def site_directory(data: Path | None) -> Path:
    """Where the parts of a local site keep their files."""
    return (data or default_data_directory()).expanduser().absolute()


@contextmanager
def reporting_as(component: str, line: Line, spool: Path) -> Iterator[None]:
    """Log to stderr, and to the incident store from WARNING on: what a job does is told by its own reports.

    `spool`: where records wait while the server does not take them, also for the next process with this directory; it is
    made when it is needed and removed when nothing waits there any more.
    """
    log_to_stderr()
    logging.getLogger("httpx").setLevel(logging.WARNING)
    handler = attach(
        line.credentials.url,
        lambda: line.credentials.token,
        component,
        level=logging.WARNING,
        spool=spool,
        spool_bytes=SPOOL_BYTES,
    )
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()
        with suppress(OSError):  # not there, or another process waits in it
            spool.rmdir()


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise Usage(
            f"{path} cannot be read: {os.strerror(error.errno or 0)}",
            field="token-file",
            remedy="`panda token create` makes a token; write it into a file that only you can read",
        ) from error
