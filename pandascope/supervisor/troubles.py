"""What the supervisor tells the incident store of its parts: that one ended, and that this is over once it runs steadily.

Knows names and sentences; starts nothing and looks at no process.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

STEADY_S = 60.0
"""A part that has not ended for so long is well again; twice the longest pause before it is started again."""

_ENDED, _HUNG = "process ended:{}", "process hung:{}"


class Troubles:
    """Remembers since when each part has not ended. One thread."""

    def __init__(self, log: logging.Logger, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._monotonic = monotonic
        self._since: dict[str, float] = {}

    def starts(self, name: str) -> None:
        """A part is started: what an earlier supervisor told of it is over, too, if it runs well from now on."""
        self._since[name] = self._monotonic()

    def ended(self, name: str, sentence: str, *, signal: str = "", exit_code: int | None = None) -> None:
        """A part has ended by itself: an incident, one for each part however often it ends."""
        self._tell(_ENDED.format(name), name, sentence, signal, exit_code)

    def hung(self, name: str, sentence: str) -> None:
        """A part gave no sign of life and was killed: a trouble of its own."""
        self._tell(_HUNG.format(name), name, sentence, "SIGKILL", None)

    def _tell(self, key: str, name: str, sentence: str, signal: str, exit_code: int | None) -> None:
        self._since[name] = self._monotonic()
        about = {"component": name, "kind": "service", "fingerprint": key, "signal": signal, "exit_code": exit_code}
        self._log.getChild(name).error("%s", sentence, extra=about)

    def tell_what_is_over(self) -> None:
        """Say of each part that has run steadily since it was started or ended last that it does, once."""
        now = self._monotonic()
        for name, since in list(self._since.items()):
            if now - since >= STEADY_S:
                del self._since[name]
                about = {"component": name, "over": [_ENDED.format(name), _HUNG.format(name)]}
                self._log.getChild(name).info("has been running for %.0f s", STEADY_S, extra=about)
