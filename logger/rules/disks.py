"""The rule for the server's own disks: what is full loses logs, sandboxes and, where the database is, everything."""

from __future__ import annotations

import logging
import shutil
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from logger.events import Kind
from logger.rules.base import Facts, Look, Measurement, MeasureRule
from logger.rules.parameters import DiskFullParameters
from logger.rules.words import span

log = logging.getLogger("panda.rules")

_PATIENCE_S = 0.5
_SILENT = timedelta(seconds=60)
_MB = 1_000_000


@dataclass
class _Asked:
    """A question for the free space of one directory, asked in a thread of its own: a disk that hangs hangs alone."""

    since: datetime
    thread: threading.Thread = field(default_factory=threading.Thread)
    free_mb: float | None = None
    size_mb: float = 0.0


class DiskFull(MeasureRule[DiskFullParameters]):
    """One trouble per watched directory whose disk has little room left, or does not answer at all.

    Seen from the host whose agents measure: a directory that this host does not have is nobody's trouble.
    """

    name = "disk_full"
    kind: Kind = "service"
    sentence = "A disk of the server is nearly full."
    model = DiskFullParameters
    unit = "MB"
    is_low = True

    def __init__(self, free_and_size: Callable[[str], tuple[float, float]] | None = None) -> None:
        """`free_and_size`: of a directory's disk, in MB; raises OSError."""
        self._read = free_and_size or _free_and_size
        self._asked: dict[str, _Asked] = {}

    def measure(self, look: Look, parameters: DiskFullParameters) -> list[Measurement]:
        """MB left on the disk of each directory; 0 where the disk has not answered for a minute."""
        wanted = list(dict.fromkeys(look.settings.watch_disks))
        for name in wanted:
            if name not in self._asked:
                self._asked[name] = self._ask(name, look.now)
        deadline = time.monotonic() + _PATIENCE_S
        found = []
        for name in wanted:
            asked = self._asked[name]
            asked.thread.join(max(0.0, deadline - time.monotonic()))
            if not asked.thread.is_alive():
                del self._asked[name]
            measured = _measurement(name, asked, look.now, parameters)
            if measured is not None:
                found.append(measured)
        return found

    def limit(self, parameters: DiskFullParameters, subject: str, usual: float) -> float:
        """The same for every disk."""
        return parameters.limit_mb

    def _ask(self, name: str, now: datetime) -> _Asked:
        asked = _Asked(now)

        def read() -> None:
            try:
                free_mb, asked.size_mb = self._read(name)
                asked.free_mb = free_mb
            except FileNotFoundError:
                return
            except OSError as error:
                log.warning("the disk of %s cannot be looked at: %s", name, error, extra={"component": "incidents"})

        asked.thread = threading.Thread(target=read, name="disk", daemon=True)
        asked.thread.start()
        return asked


def _free_and_size(name: str) -> tuple[float, float]:
    usage = shutil.disk_usage(name)
    return usage.free / _MB, usage.total / _MB


def _measurement(name: str, asked: _Asked, now: datetime, parameters: DiskFullParameters) -> Measurement | None:
    host = socket.gethostname()
    if asked.free_mb is None:
        if not asked.thread.is_alive() or now - asked.since < _SILENT:
            return None
        says = f"has not answered for {span((now - asked.since).total_seconds())}"
    else:
        says = f"has {asked.free_mb:.0f} MB of {asked.size_mb:.0f} MB left"
    free_mb = asked.free_mb or 0.0
    return Measurement(
        subject=name,
        value=free_mb,
        limit=parameters.limit_mb,
        title=f"The disk of {name} on {host} {says}",
        grouping=f"It is the disk of {name}.",
        note=f"{host}:{name} {says}",
        since=asked.since if asked.free_mb is None else None,
        facts=Facts(component="disk", error_class="disk"),
        severity="critical" if free_mb <= min(parameters.critical_mb, parameters.limit_mb) else None,
    )
