"""The secrets of a job's user: a file for the payload while it runs, and nothing of them in the log archive after it."""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pilot.directory import JobDirectory, setup_failure

NAME = "panda_secrets.json"
"""What the production pilot calls the file, in the directory where the transformation runs (`pilot.util.default.cfg`)."""
_OF_FILE = "___file___:"
"""What the client puts before the name of a secret that is a file, encoded in base 64 (client-wire.md 5.4)."""


def write_secrets(secrets: str, directory: JobDirectory) -> None:
    """Write them as they came from the server, for the owner of the job's directory alone. Raises JobFailure."""
    if not secrets:
        return
    path = directory.work / NAME
    try:
        path.touch(0o600)
        path.write_text(secrets, encoding="utf-8")
    except OSError as error:
        raise setup_failure(f"{NAME} could not be written", error) from error


def remove_secrets(secrets: str, directory: JobDirectory) -> None:
    """Remove the file, and what a killed transformation made of it: files of these names and contents."""
    if not secrets:
        return
    with suppress(OSError):
        (directory.work / NAME).unlink()
    contents = dict(_files(secrets))
    for parent, _, names in os.walk(directory.work) if contents else ():
        for name in contents.keys() & names:
            path = Path(parent, name)
            with suppress(OSError):
                if not path.is_symlink() and path.read_bytes() == contents[name]:
                    path.unlink()


def _files(secrets: str) -> Iterator[tuple[str, bytes]]:
    with suppress(ValueError, AttributeError, RecursionError):
        for key, value in json.loads(secrets).items():
            if key.startswith(_OF_FILE):
                with suppress(binascii.Error, ValueError, TypeError):
                    yield key.removeprefix(_OF_FILE), base64.b64decode(value)
