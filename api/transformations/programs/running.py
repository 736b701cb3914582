"""Writes the user's command as a script beside the job's files and runs it, here or in a container. Knows no archives."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

from .containers import Container, inside
from .failing import CANNOT_CREATE, INTERNAL, Failure, say

SCRIPT = "__run_main_exec.sh"
"""The name that container jobs of prun expect (multiStepExec: containerExec runs it with /bin/sh)."""
WORK_DIRECTORY = "workDir"
"""Where the sandbox is unpacked, below the job's directory."""


def write_script(job_directory: Path, run_directory: Path, command: str, goes_to: str = "") -> Path:
    """Make the script. It finds its way by its own place, so it works wherever the job's directory is mounted.

    `goes_to`: another directory to start in, an absolute path where the script will run. Raises Failure.
    """
    target = goes_to or os.path.relpath(str(run_directory), str(job_directory))
    way = f'case "$0" in */*) cd "${{0%/*}}" || exit {INTERNAL};; esac\ncd {shlex.quote(target)} || exit {INTERNAL}\n'
    text = f'#!/bin/bash\n{way}PATH="$PATH:$PWD"\nexport PATH\n{command}\n'
    script = job_directory / SCRIPT
    try:
        script.write_bytes(text.encode("utf-8", "surrogateescape"))
        script.chmod(0o755)
    except OSError as error:
        raise Failure(CANNOT_CREATE, f"{SCRIPT} could not be written: {error.strerror}") from error
    return script


def run_script(
    job_directory: Path, container: Container | None, hide_certificates: bool, more: Mapping[str, str]
) -> int:
    """Run it to its end, with our stdin, stdout and stderr; its exit code, 128 and the signal when one ended it.

    `more`: variables it has beside ours.
    """
    if container is None:
        command = [shutil.which("bash") or "sh", str(job_directory / SCRIPT)]
    else:
        command = inside(container, job_directory, SCRIPT)
    say(f"running {SCRIPT}")
    code = _call(command, job_directory, {**_environment(hide_certificates), **more})
    return 128 - code if code < 0 else code


def _call(command: list[str], directory: Path, environment: Mapping[str, str]) -> int:
    """As subprocess.call, but a SIGTERM that comes while the command starts ends it too: it waits until there is one."""
    came: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _frame: came.append(number))
    process = None
    try:
        process = subprocess.Popen(command, cwd=str(directory), env=environment)
        signal.signal(signal.SIGTERM, before)
        for number in came:
            os.kill(os.getpid(), number)
        return process.wait()
    except BaseException:
        if process is not None:
            process.kill()
            process.wait()
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


def _environment(hide_certificates: bool) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not (hide_certificates and name.startswith("X509_"))}
