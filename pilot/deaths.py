"""What a factory tells the incident store of its pilots: that one died badly, and that pilots end well again.

Knows the queue and sentences; knows no process.
"""

from __future__ import annotations

import logging

log = logging.getLogger("pilot.factory")

WELL_AGAIN_AFTER = 3
"""So many pilots that end well in a row are the end of the trouble: one alone may be luck."""


class Deaths:
    """Remembers which kinds of death were told and not taken back. One thread."""

    def __init__(self, queue: str) -> None:
        self._queue = queue
        self._told: set[str] = set()
        self._well = 0

    def died(self, worker_id: str, how: str) -> None:
        """A pilot died of something else than a lost server: one incident for each way to die, however many do."""
        key = f"pilot died:{self._queue}:{how}"
        self._told.add(key)
        self._well = 0
        about = {"kind": "service", "computing_site": self._queue, "worker_id": worker_id, "fingerprint": key}
        log.error("pilot %s %s", worker_id, how, extra=about)

    def ended_well(self) -> None:
        """A pilot has done what it was there for."""
        self._well += 1
        if self._told and self._well >= WELL_AGAIN_AFTER:
            about = {"computing_site": self._queue, "over": sorted(self._told)}
            log.info("the last %d pilots of queue %s ended well", self._well, self._queue, extra=about)
            self._told.clear()
