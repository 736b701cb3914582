"""The log files of supervised processes: appended to by the processes themselves, rotated by the supervisor.

A process writes to its file directly, so that its last words are there even when the supervisor is not.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
import time
from pathlib import Path
from typing import IO

ROTATE_AT_BYTES = 20_000_000
KEPT_FILES = 3

SPOOL = "spool"
"""Where below the data directory log records wait for an incident store that is away."""


def open_log(path: Path) -> IO[bytes]:
    """Open a log for appending (so that it may be cut below the writer), readable by its owner only."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600), "ab", buffering=0)


def rotate(directory: Path, limit_bytes: int = ROTATE_AT_BYTES) -> None:
    """Copy every log beyond the limit to NAME.log.1 (older ones to .2, .3) and empty it in place."""
    for path in directory.glob("*.log"):
        if path.stat().st_size <= limit_bytes:
            continue
        for number in range(KEPT_FILES, 1, -1):
            older = path.with_name(f"{path.name}.{number - 1}")
            if older.exists():
                older.replace(path.with_name(f"{path.name}.{number}"))
        shutil.copy2(path, path.with_name(f"{path.name}.1"))
        os.truncate(path, 0)


def log_to_stderr() -> None:
    """Python's logging of a service process, one line a record with UTC times, to stderr (its log file)."""
    formatter = logging.Formatter("%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.getLogger("alembic").setLevel(logging.WARNING)
