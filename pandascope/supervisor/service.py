"""One supervised process: started, watched, started again with growing pauses. Knows nothing of what it runs."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pandascope.supervisor.logs import open_log
from pandascope.supervisor.records import ProcessRecords

_FIRST_PAUSE_S, _LONGEST_PAUSE_S, _STEADY_AFTER_S = 0.25, 30.0, 30.0


@dataclass(frozen=True)
class Command:
    """What to run: arguments, changes of the environment (None removes), descriptors to pass on, where output goes."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str | None]
    descriptors: Sequence[int]
    log: Path
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Ended:
    """How a process ended. `restart_in_s` is the pause before it is started again."""

    name: str
    pid: int
    return_code: int
    restart_in_s: float

    @property
    def signal_name(self) -> str:
        """Name of the signal that killed it, empty if it exited by itself."""
        return signal_name(self.return_code)

    @property
    def sentence(self) -> str:
        """What happened, for people."""
        return f"{self.name} (pid {self.pid}) {how_it_ended(self.return_code)}"


class Service:
    """Keeps one command running."""

    def __init__(self, command: Command, records: ProcessRecords) -> None:
        self.command = command
        self.name = command.name
        self._records = records
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._pause_s = _FIRST_PAUSE_S
        self._next_start = 0.0
        self._restarts = 0

    @property
    def is_running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the process and record it. It leads a session of its own: the terminal's signals do not reach it."""
        changed = {**os.environ, **self.command.environment}
        environment = {name: value for name, value in changed.items() if value is not None}
        with open_log(self.command.log) as log:
            self._process = subprocess.Popen(
                list(self.command.arguments),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=list(self.command.descriptors),
                env=environment,
                start_new_session=True,
            )
        self._started = time.monotonic()
        self._records.write(self.name, self._process.pid, restarts=self._restarts, **self.command.details)

    def check(self) -> Ended | None:
        """Look after the process: report its end once, and start it again when its pause is over."""
        now = time.monotonic()
        if self._process is None:
            if now >= self._next_start:
                self._restarts += 1
                self.start()
            return None
        return_code = self._process.poll()
        if return_code is None:
            return None
        if now - self._started > _STEADY_AFTER_S:
            self._pause_s = _FIRST_PAUSE_S
        ended = Ended(self.name, self._process.pid, return_code, self._pause_s)
        self._next_start = now + self._pause_s
        self._pause_s = min(_LONGEST_PAUSE_S, self._pause_s * 2)
        self._process = None
        return ended

    def terminate(self) -> None:
        """Ask the process to end."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def wait(self, patience_s: float) -> None:
        """Wait up to `patience_s` seconds for the end of the process, then kill it; forget its record."""
        if self._process is not None:
            try:
                self._process.wait(max(0.0, patience_s))
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        self._records.remove(self.name)


def signal_name(return_code: int) -> str:
    """Name of the signal behind a negative return code, else empty."""
    try:
        return signal.Signals(-return_code).name if return_code < 0 else ""
    except ValueError:
        return f"signal {-return_code}"


def how_it_ended(return_code: int) -> str:
    """ "was killed by SIGKILL" or "ended with exit code 1"."""
    name = signal_name(return_code)
    return f"was killed by {name}" if name else f"ended with exit code {return_code}"
