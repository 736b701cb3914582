"""A child that dies with its supervisor, even when that is killed with SIGKILL: the child holds one end of a pipe.

Works on every Unix, needs no race-prone code between fork and exec, and does not reach the child's own children
(pilots), which are to outlive a dead supervisor.
"""

from __future__ import annotations

import os
import threading

VARIABLE = "PANDA_LIFELINE_FD"
_EXIT_CODE = 70


class Lifeline:
    """The supervisor's end. Keep the object as long as the children are to live."""

    def __init__(self) -> None:
        self.child_end, self._own_end = os.pipe()

    def environment(self) -> dict[str, str]:
        """What a child needs in its environment to find its end (passed on as an open descriptor)."""
        return {VARIABLE: str(self.child_end)}


def hold() -> None:
    """In a child: end this process at once when the supervisor is gone. Does nothing without a supervisor."""
    text = os.environ.pop(VARIABLE, "")
    if not text.isdecimal():
        return
    descriptor = int(text)
    os.set_inheritable(descriptor, False)
    threading.Thread(target=_wait, args=(descriptor,), name="lifeline", daemon=True).start()


def _wait(descriptor: int) -> None:
    os.read(descriptor, 1)  # nobody ever writes: this returns when the other end is closed
    os._exit(_EXIT_CODE)
