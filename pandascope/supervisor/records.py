"""Which processes belong to an installation: one small file each in `DATA/run`, with the start time beside the pid.

A pid alone says nothing after a reboot or a wrap of the numbers; pid and start time together name one process.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

_CLOCK_TOLERANCE_S = 2.0
"""Start times are computed from the boot time, which moves a little when the clock is set."""


@dataclass(frozen=True)
class ProcessRecord:
    """One recorded process: name, pid, start time (seconds of the epoch), and what else is worth showing."""

    name: str
    pid: int
    started: float
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def since(self) -> str:
        """Start time as ISO 8601 UTC."""
        return datetime.fromtimestamp(self.started, UTC).isoformat(timespec="seconds")

    def process(self) -> psutil.Process | None:
        """The recorded process if it is still the one that runs under this pid."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) <= _CLOCK_TOLERANCE_S
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.Error:
            return None


class ProcessRecords:
    """The records of one data directory."""

    def __init__(self, data: Path) -> None:
        self.directory = data / "run"

    def write(self, name: str, pid: int, **details: Any) -> ProcessRecord:
        """Record a process under a name, replacing what was recorded under it."""
        try:
            started = psutil.Process(pid).create_time()
        except psutil.Error:
            started = time.time()
        record = ProcessRecord(name, pid, started, details)
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished = self.directory / f".{name}.{os.getpid()}"
        unfinished.write_text(json.dumps(asdict(record)))
        unfinished.replace(self.directory / f"{name}.json")
        return record

    def read(self) -> list[ProcessRecord]:
        """All records by name, of processes dead or alive; files that hold no record are passed over."""
        records = []
        for path in sorted(self.directory.glob("*.json")):
            with suppress(OSError, ValueError, TypeError):
                records.append(ProcessRecord(**json.loads(path.read_text())))
        return records

    def find(self, name: str) -> ProcessRecord | None:
        """The record of this name."""
        return next((record for record in self.read() if record.name == name), None)

    def remove(self, name: str) -> None:
        """Forget a record."""
        (self.directory / f"{name}.json").unlink(missing_ok=True)

    def stop(self, records: Iterable[ProcessRecord], *, patience_s: float) -> None:
        """End recorded processes: SIGTERM, up to `patience_s` seconds, SIGKILL; then forget their records."""
        records = list(records)
        processes = [process for record in records if (process := record.process()) is not None]
        end_processes(processes, patience_s=patience_s)
        for record in records:
            self.remove(record.name)


def end_processes(processes: list[psutil.Process], *, patience_s: float) -> None:
    """SIGTERM to all, up to `patience_s` seconds for all together, SIGKILL to the rest. psutil guards against reuse."""
    _signal(processes, signal.SIGTERM)
    _, left = psutil.wait_procs(processes, timeout=patience_s)
    _signal(left, signal.SIGKILL)
    psutil.wait_procs(left, timeout=5)


def _signal(processes: list[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            process.send_signal(number)
