"""The way a pilot is told to stop: a signal from outside, or a command in the server's answer.

May be given in a signal handler or in another thread; whoever works on the job looks, or sleeps on `wakeup`.
"""

from __future__ import annotations

import signal

from pilot import errors
from pilot.errors import ErrorCode, JobAbandoned, JobFailure
from pilot.wakeup import Wakeup

SIGNALS: dict[int, ErrorCode] = {
    signal.SIGTERM: errors.SIGTERM,
    signal.SIGINT: errors.SIGINT,
    signal.SIGQUIT: errors.SIGQUIT,
    signal.SIGXCPU: errors.SIGXCPU,
    signal.SIGUSR1: errors.SIGUSR1,
    signal.SIGHUP: errors.KILL_SIGNAL,
}
"""Signals of a batch system or a person, with the code the job ends with."""

COMMANDS: dict[str, Exception] = {
    "tobekilled": JobFailure(errors.KILLED_BY_SERVER),
    "alreadydone": JobAbandoned("the server says that the job has ended already"),
    "badattemptnr": JobAbandoned("the server says that the job is at another attempt"),
}
"""Commands of the server that end the job; any other is only noted."""


class Orders:
    """The first order counts. An order by a signal ends the pilot, one by the server only the job in hand."""

    def __init__(self) -> None:
        self.wakeup = Wakeup()
        self._signal: Exception | None = None
        self._command: Exception | None = None

    def listen(self) -> None:
        """Take the signals of the table; only the main thread may call it."""
        for number in SIGNALS:
            signal.signal(number, lambda received, _frame: self.give_signal(received))

    def give_signal(self, number: int) -> None:
        """Stop everything, because of a signal."""
        if self._signal is None:
            self._signal = JobFailure(SIGNALS[number])
        self.wakeup.wake()

    def give_command(self, command: str | None) -> None:
        """Do what the server's answer says (pilot-wire.md 2.2: a comma list, matched by its words)."""
        for word, consequence in COMMANDS.items():
            if command and word in command and self._command is None:
                self._command = consequence
                self.wakeup.wake()

    def check(self) -> None:
        """Raise JobFailure or JobAbandoned when the job must end."""
        if self._command is not None:
            raise self._command
        if self._signal is not None:
            raise self._signal

    @property
    def pilot_must_end(self) -> bool:
        """Has a signal come?"""
        return self._signal is not None

    def next_job(self) -> None:
        """Forget the command for the job that has ended."""
        self._command = None

    def sleep(self, seconds: float) -> None:
        """Sleep, but not past an order."""
        if not self.pilot_must_end:
            self.wakeup.sleep(seconds)
