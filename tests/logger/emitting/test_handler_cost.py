"""What logging to a dead collector costs its program, in calls: no disk, no network, and no more for the last record.

Seconds and ratios are measured by `python -m bench.emitting`.
"""

from __future__ import annotations

import logging
import sys
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from logger.handler import PandaHandler

_CLOSED = "http://127.0.0.1:9"
_MOST_CALLS = 120
"""Functions, in Python and below, that one log call calls: 80, logging's own among them, and some more to wake the thread."""
_WAITS = ("socket", "connect", "send", "recv", "getaddrinfo", "write", "open", "fsync", "flock", "sleep", "unlink")
"""Parts of the names of whatever asks the network or the disk, or waits."""


def _called(log: logging.Logger, number: int) -> Counter[str]:
    """What one log call calls, in its own thread."""
    calls: Counter[str] = Counter()

    def counted(frame: FrameType, event: str, argument: Any) -> None:
        if event == "c_call":
            calls[str(argument.__qualname__)] += 1
        elif event == "call":
            calls[frame.f_code.co_qualname] += 1

    sys.setprofile(counted)
    try:
        log.error("the replica of file %d is gone", number, extra={"computing_site": "CERN", "code": 1103})
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.parametrize("spools", [True, False])
def test_a_program_that_logs_asks_neither_disk_nor_network_whatever_has_gathered(tmp_path: Path, spools: bool) -> None:
    log = logging.Logger("busy")
    handler = PandaHandler(_CLOSED, component="busy", spool=str(tmp_path) if spools else "", max_records=1000)
    log.addHandler(handler)
    try:
        calls = [_called(log, number) for number in range(3000)]
    finally:
        handler.close()
    steady = calls[1:]  # the first one starts the thread
    asked = {name for called in steady for name in called if any(part in name.lower() for part in _WAITS)}
    assert not asked
    assert max(called.total() for called in steady) < _MOST_CALLS
