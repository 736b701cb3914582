"""Starts the payload under its guard, waits for it, ends it. Knows nothing of limits or of the server."""

from __future__ import annotations

import os
import re
import select
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pilot import guard
from pilot.adopted import reap_orphans
from pilot.description import JobDescription
from pilot.directory import JobDirectory, setup_failure
from pilot.errors import SETUP_FAILED, TRANSFORM_NOT_FOUND, JobFailure
from pilot.transformation import start_of
from pilot.wakeup import Wakeup

RUN_SHELL = "runShell"
MAX_PARAMETER_CHARACTERS = 131_071
"""The longest single argument Linux passes on; shlex, too, takes its time beyond."""

_NOT_FOR_PAYLOADS = re.compile(
    r"PANDA_.*|OIDC_.*|X509_USER_.*|BEARER_TOKEN.*|OLDPWD|.*_TOKEN|.*(PASSWORD|SECRET|CREDENTIAL|ACCESS_KEY).*",
    re.IGNORECASE,
)
"""Environment variables a payload must not see: our own, and what usually holds a secret."""


@dataclass(frozen=True)
class PayloadEnd:
    """How the payload ended. `exit_code` is None when a signal ended it; times and memory are of its whole tree."""

    exit_code: int | None
    signal: int | None
    cpu_time_s: float
    max_rss_kb: int

    @property
    def trans_exit_code(self) -> int:
        """One number, as a shell shows it: 128 and the signal, when a signal ended it."""
        return 128 + (self.signal or 0) if self.exit_code is None else self.exit_code


def payload_command(job: JobDescription, directory: JobDirectory, downloaded: Path | None = None) -> list[str]:
    """The command that runs the job in its work directory. Raises JobFailure when there is no such program.

    runShell: the text becomes a script for bash, or sh where there is no bash. Otherwise an executable of the job, of
    the node (absolute) or in PATH, or the program that was `downloaded` when the transformation is a URL, with its
    parameters split as a shell would.
    """
    if job.transformation == RUN_SHELL:
        try:
            directory.script.write_bytes(os.fsencode(job.parameters + "\n"))
        except OSError as error:
            raise setup_failure("the script of the job could not be written", error) from error
        return [shutil.which("bash") or "sh", os.path.relpath(directory.script, directory.work)]
    start = start_of(downloaded) if downloaded else [_program(job.transformation, directory)]
    if len(job.parameters) > MAX_PARAMETER_CHARACTERS:
        wanted = f"{len(job.parameters)} characters of parameters, a program takes {MAX_PARAMETER_CHARACTERS}"
        raise JobFailure(SETUP_FAILED, f"{wanted}; runShell takes any number")
    try:
        return [*start, *shlex.split(job.parameters)]
    except ValueError as error:
        raise JobFailure(SETUP_FAILED, f"the parameters cannot be split: {error}") from error


def _program(name: str, directory: JobDirectory) -> str:
    program = shutil.which(str(directory.work / name)) or shutil.which(name)
    if program is None:
        raise JobFailure(TRANSFORM_NOT_FOUND, f"{name} is no program of this job or of this node")
    return program


def payload_environment(own: Mapping[str, str], job: JobDescription, queue: str) -> dict[str, str]:
    """The pilot's environment without credentials, with the names of the job (as the real pilot spells them, too)."""
    kept = {name: value for name, value in own.items() if not _NOT_FOR_PAYLOADS.fullmatch(name)}
    return kept | {
        "PANDA_ID": str(job.panda_id),
        "PANDA_TASK_ID": str(job.jedi_task_id),
        "PANDA_ATTEMPT_NR": str(job.attempt_nr),
        "PANDA_CORE_COUNT": str(job.core_count),
        "PANDA_QUEUE": queue,
        "PANDAID": str(job.panda_id),
        "PanDA_TaskID": str(job.jedi_task_id),
        "PanDA_AttemptNr": str(job.attempt_nr),
        "ATHENA_PROC_NUMBER": str(job.core_count),
        "ATHENA_CORE_NUMBER": str(job.core_count),
        **({"PANDA_CONTAINER_NAME": job.container_name} if job.container_name else {}),
    }


class Payload:
    """A running payload and its line to the guard."""

    def __init__(self, command: Sequence[str], directory: JobDirectory, environment: Mapping[str, str]) -> None:
        """Start it: stdin empty, stdout and stderr into the job's directory. Raises JobFailure."""
        self._others = frozenset(guard.descendants(os.getpid()))
        self._line, guards_end = socket.socketpair()
        arguments = [sys.executable, "-I", "-S", str(Path(guard.__file__)), str(guards_end.fileno()), *command]
        try:
            with directory.stdout.open("wb") as stdout, directory.stderr.open("wb") as stderr:
                self._guard = subprocess.Popen(
                    arguments,
                    cwd=directory.work,
                    env={**environment, **directory.environment()},
                    stdin=subprocess.DEVNULL,
                    stdout=stdout,
                    stderr=stderr,
                    pass_fds=[guards_end.fileno()],
                    start_new_session=True,
                )
        except OSError as error:
            self._line.close()
            raise setup_failure("the payload could not be started", error) from error
        except ValueError as error:
            self._line.close()
            raise JobFailure(SETUP_FAILED, f"the payload could not be started: {error}") from error
        finally:
            guards_end.close()

    @property
    def guard_id(self) -> int:
        """Process id of the guard: the payload is everything below it."""
        return self._guard.pid

    def wait(self, timeout_s: float, wakeup: Wakeup | None = None) -> PayloadEnd | None:
        """How it ended, with nothing of it left; None when it still runs after the time or at a wake-up call."""
        watched: list[socket.socket | Wakeup] = [self._line] if wakeup is None else [self._line, wakeup]
        ready, _, _ = select.select(watched, [], [], max(0.0, timeout_s))
        return self._end() if self._line in ready else None

    def kill(self, grace_s: float) -> PayloadEnd:
        """End it: SIGTERM to every process, after `grace_s` SIGKILL; again and again until none is left."""
        with suppress(OSError):
            self._line.send(guard.TERMINATE)
        end = self._wait_until(time.monotonic() + grace_s)
        if end is None:
            with suppress(OSError):
                self._line.send(guard.KILL)
            end = self._wait_until(time.monotonic() + guard.KILL_LIMIT_S + 2)
        return end or self._end_without_guard()

    def close(self) -> None:
        """Make sure that nothing of it runs any more, whatever happened before."""
        self._line.close()
        try:
            self._guard.wait(guard.KILL_LIMIT_S + 2)
        except subprocess.TimeoutExpired:
            self._end_without_guard()

    def _wait_until(self, deadline: float) -> PayloadEnd | None:
        return self.wait(deadline - time.monotonic())

    def _end(self) -> PayloadEnd:
        try:
            words = self._line.recv(200).split()
        except OSError:
            words = []
        if len(words) != 3:
            return self._end_without_guard()
        self._guard.wait()
        code = os.waitstatus_to_exitcode(int(words[0]))
        return PayloadEnd(
            exit_code=code if code >= 0 else None,
            signal=-code if code < 0 else None,
            cpu_time_s=float(words[1]),
            max_rss_kb=int(words[2]),
        )

    def _end_without_guard(self) -> PayloadEnd:
        """Somebody has killed the guard: its processes are ours now (guard.adopt_orphans), and must not live on."""
        self._guard.kill()
        self._guard.wait()
        guard.kill_descendants(partial(reap_orphans, self._others), spare=self._others)
        return PayloadEnd(exit_code=None, signal=9, cpu_time_s=0.0, max_rss_kb=0)
