"""Signs of life: a supervised process writes to a pipe from its main loop, and the supervisor notices when it stops.

A process may be there and yet do nothing (stopped, deadlocked, its loop blocked): no exit code tells of that.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress

SILENCE_S = 20.0
"""A process that has beaten once and gives no sign of life for so long is hung."""
START_SILENCE_S = 180.0
"""Before its first beat a process imports, and waits for a database that recovers."""
_ABSENCE_S = 5.0
"""A supervisor that did not look for so long (stopped, suspended, busy) begins to count anew."""


class Pulse:
    """The supervisor's side, for one process after another. Keep the object as long as they are to live."""

    def __init__(self, silence_s: float = SILENCE_S, start_silence_s: float = START_SILENCE_S) -> None:
        """`silence_s`: how long a process may be silent, `start_silence_s`: before its first sign, in seconds."""
        self._silence_s, self._start_silence_s = silence_s, start_silence_s
        self._reading, self.child_end = os.pipe()
        os.set_blocking(self._reading, False)
        os.set_blocking(self.child_end, False)
        self.begin()

    def begin(self) -> None:
        """A process starts now; what the one before wrote is forgotten."""
        self._drain()
        self._has_beaten = False
        self._last_heard = self._last_look = time.monotonic()

    def silence_too_long_s(self) -> float | None:
        """How long nothing was heard, in seconds, if that is too long; else None."""
        now = time.monotonic()
        was_away, self._last_look = now - self._last_look > _ABSENCE_S, now
        if self._drain():
            self._has_beaten, self._last_heard = True, now
        elif was_away:
            self._last_heard = now
        silence_s = now - self._last_heard
        limit_s = self._silence_s if self._has_beaten else self._start_silence_s
        return silence_s if silence_s > limit_s else None

    def _drain(self) -> bool:
        """Take everything out of the pipe; whether there was anything."""
        heard = False
        with suppress(BlockingIOError):
            while os.read(self._reading, 65536):
                heard = True
        return heard


def beat(child_end: int) -> None:
    """In the process: give a sign of life. A supervisor that is gone or does not read is no trouble."""
    with suppress(BlockingIOError, BrokenPipeError):
        os.write(child_end, b".")
