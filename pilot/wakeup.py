"""A sleep that a signal handler or another thread can end: a pipe, because locks are not safe in signal handlers."""

from __future__ import annotations

import os
import select
from contextlib import suppress


class Wakeup:
    """One sleeper, any number of wakers."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)

    def fileno(self) -> int:
        """The descriptor that is readable after a call, for select."""
        return self._reader

    def wake(self) -> None:
        """End the present sleep, or the next one."""
        with suppress(BlockingIOError):
            os.write(self._writer, b".")

    def sleep(self, seconds: float) -> None:
        """Sleep until the time is over or somebody calls."""
        select.select([self], [], [], max(0.0, seconds))
        self.drain()

    def drain(self) -> None:
        """Take the calls that have come, so that the next sleep waits for new ones."""
        with suppress(BlockingIOError):
            os.read(self._reader, 4096)

    def close(self) -> None:
        """Give the pipe back."""
        os.close(self._reader)
        os.close(self._writer)
