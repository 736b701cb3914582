"""Tells the server how a job is getting on, from a thread of its own, so that nothing the job does can delay it.

State changes go out at once and in order; between them a heartbeat with figures every so often. Answers become orders.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from pandascope.errors import ClientError, Refused
from pilot.description import JobDescription
from pilot.line import CALL_TIMEOUT_S
from pilot.logs import JobLog
from pilot.orders import Orders
from pilot.server import Server

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 30.0
_LAST_WORD_S = 3.0


class Heartbeat:
    """Reports of one job. `figures` gives the present ones and is called from the thread."""

    def __init__(
        self,
        server: Server,
        job: JobDescription,
        orders: Orders,
        period_s: float,
        figures: Callable[[], dict[str, Any]],
        log: JobLog,
    ) -> None:
        self._server, self._job, self._orders, self._log = server, job, orders, log
        self._period_s = period_s
        self._figures = figures
        self._changes: deque[str] = deque()
        self._state = "starting"
        self._changed = threading.Condition()
        self._stopping = False
        self._pause_s = 0.0
        self._last_delivery = time.monotonic()
        self._thread = threading.Thread(target=self._run, name=f"heartbeat of job {job.panda_id}", daemon=True)
        self._thread.start()

    def last_delivery(self) -> float:
        """When the server last answered (time.monotonic)."""
        return self._last_delivery

    def report(self, state: str) -> None:
        """Tell the server of a new state; returns at once."""
        with self._changed:
            self._changes.append(state)
            self._changed.notify()

    def stop(self) -> None:
        """Send what is still to be told, if the server takes it now, and end the thread."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join(_LAST_WORD_S if self._orders.pilot_must_end else CALL_TIMEOUT_S)

    def _run(self) -> None:
        while self._wait_for_something_to_tell():
            state = self._changes[0] if self._changes else self._state
            if self._send(state):
                self._state, self._pause_s = state, 0.0
                with self._changed:
                    if self._changes:
                        self._changes.popleft()
            elif self._stopping:
                return
            else:
                self._pause_s = min(_LONGEST_PAUSE_S, self._period_s, max(_FIRST_PAUSE_S, 2 * self._pause_s))

    def _wait_for_something_to_tell(self) -> bool:
        """Sleep until a state changed, a heartbeat or another attempt is due; False: there is nothing more to tell."""
        with self._changed:
            if self._pause_s:
                self._changed.wait_for(lambda: self._stopping, self._pause_s)
            elif not self._changes and not self._stopping:
                self._changed.wait_for(lambda: bool(self._changes) or self._stopping, self._period_s)
            return bool(self._changes) or not self._stopping

    def _send(self, state: str) -> bool:
        """One report; True when the server has it, or will never take it."""
        try:
            command = self._server.update(self._job, state, self._figures())
        except Refused as refusal:
            self._log.warning("the server refused the report '%s': %s", state, refusal)
        except ClientError as error:
            self._log.warning("the report '%s' did not reach the server: %s", state, error)
            return False
        else:
            if command:
                self._log.info("the server answered '%s' with the command %s", state, command)
            self._orders.give_command(command)
        self._last_delivery = time.monotonic()
        return True
