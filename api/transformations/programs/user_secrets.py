"""Shows the user's secrets to the command, and takes them away after it. Knows how pilots bring them; says none of them.

A pilot leaves them as `panda_secrets.json` in the job's directory when the task asks for them (prun --useSecrets). The user finds
that file where the command runs, secrets that are files under their names beside it, and the others as variables too.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from .failing import CANNOT_CREATE, Failure, say

NAME = "panda_secrets.json"
_OF_FILE = "___file___:"
"""What the client puts before the name of a secret that is a file, encoded in base 64 (client-wire.md 5.4)."""
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MOST_BYTES_OF_VARIABLES = 100_000
"""Of all together: Linux takes only so much; what is longer is in the file."""
_ENDED_BY_TERM = 128 + signal.SIGTERM


@contextmanager
def shown(job: Path, run_directory: Path) -> Iterator[dict[str, str]]:
    """Secrets are there within the block; gives the variables to set. Raises Failure when a file cannot be written."""
    found = _read(job)
    if not found:
        yield {}
        return
    before = signal.signal(signal.SIGTERM, _end)  # a job that is killed leaves none of them behind either
    try:
        show(job, run_directory)
        yield _variables(found)
    finally:
        hide(job, run_directory)
        signal.signal(signal.SIGTERM, before)


def show(job: Path, run_directory: Path) -> None:
    """Put the files where the command runs. Raises Failure."""
    found = _read(job)
    try:
        for name, content in _files(found):
            path = run_directory / name
            if path.is_symlink() or path.exists():
                say(f"the secret {name} takes the place of another file")
                path.unlink()
            path.touch(0o600)
            path.write_bytes(content)
        link = run_directory / NAME
        if found and not link.exists():
            link.symlink_to(os.path.relpath(str(job / NAME), str(run_directory)))
    except OSError as error:
        raise Failure(CANNOT_CREATE, f"a secret could not be written: {error.strerror or error}") from error


def hide(job: Path, run_directory: Path) -> None:
    """Take away what `show` put there, and the pilot's file: logs are archived after this."""
    paths = [run_directory / name for name, _ in _files(_read(job))]
    for path in (*paths, run_directory / NAME, job / NAME):
        try:
            path.unlink()
        except FileNotFoundError:
            continue
        except OSError as error:
            say(f"the secret {path.name} could not be removed: {error.strerror or error}")


def _read(job: Path) -> dict[str, str]:
    try:
        found = json.loads((job / NAME).read_bytes().decode("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return {key: value for key, value in found.items() if isinstance(value, str)} if isinstance(found, dict) else {}


def _files(found: Mapping[str, str]) -> Iterator[tuple[str, bytes]]:
    for key, value in found.items():
        name = key[len(_OF_FILE) :]
        if not key.startswith(_OF_FILE) or Path(name).name != name or name in ("", "..", NAME) or "\0" in name:
            continue
        try:
            yield name, base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            say(f"the secret {name} is no file in base 64")


def _variables(found: Mapping[str, str]) -> dict[str, str]:
    """Those with names of variables that are not taken."""
    variables, left = {}, _MOST_BYTES_OF_VARIABLES
    for name, value in found.items():
        left -= len(os.fsencode(value))
        if left >= 0 and _VARIABLE.fullmatch(name) and name not in os.environ and "\0" not in value:
            variables[name] = value
    return variables


def _end(_signal: int, _frame: object) -> None:
    sys.exit(_ENDED_BY_TERM)
