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
from pandascope.supervisor.pulse import Pulse
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
    """How a process ended. `restart_in_s` is the pause before it is started again.

    `silent_s`: after how many seconds without a sign of life we killed it; None when it ended otherwise.
    """

    name: str
    pid: int
    return_code: int
    restart_in_s: float
    silent_s: float | None = None

    @property
    def signal_name(self) -> str:
        """Name of the signal that killed it, empty if it exited by itself."""
        return signal_name(self.return_code)

    @property
    def how(self) -> str:
        """What happened, as a clause without its name."""
        if self.silent_s is None:
            return how_it_ended(self.return_code)
        return f"gave no sign of life for {self.silent_s:.0f} s and was killed"

    @property
    def sentence(self) -> str:
        """What happened, for people."""
        return f"{self.name} (pid {self.pid}) {self.how}"


class Service:
    """Keeps one command running. With a pulse, it also ends a process that hangs."""

    def __init__(self, command: Command, records: ProcessRecords, pulse: Pulse | None = None) -> None:
        """`pulse`: where the process beats; its end of the pipe is passed on, the command has to name it."""
        self.command = command
        self._pulse = pulse
        self._silent_s: float | None = None
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
        passed = [*self.command.descriptors, *([self._pulse.child_end] if self._pulse else [])]
        with open_log(self.command.log) as log:
            self._process = subprocess.Popen(
                list(self.command.arguments),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=passed,
                env=environment,
                start_new_session=True,
            )
        self._started = time.monotonic()
        self._silent_s = None
        if self._pulse is not None:
            self._pulse.begin()
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
            self._end_if_hung()
            return None
        if now - self._started > _STEADY_AFTER_S:
            self._pause_s = _FIRST_PAUSE_S
        ended = Ended(self.name, self._process.pid, return_code, self._pause_s, self._silent_s)
        self._next_start = now + self._pause_s
        self._pause_s = min(_LONGEST_PAUSE_S, self._pause_s * 2)
        self._process = None
        return ended

    def _end_if_hung(self) -> None:
        if self._pulse is None or self._process is None or self._silent_s is not None:
            return
        self._silent_s = self._pulse.silence_too_long_s()
        if self._silent_s is not None:
            self._process.kill()

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
