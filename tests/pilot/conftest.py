"""Fixtures of the pilot's tests: a server to speak to, a job to run, options with short limits."""

from __future__ import annotations

import itertools
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pilot.description import JobDescription
from pilot.job import JobRun
from pilot.options import PilotOptions
from pilot.orders import Orders
from pilot.probe import probe_node
from pilot.report import Account
from pilot.server import Server
from tests.pilot.stand_in import StandIn, stand_in


@pytest.fixture
def server() -> Iterator[StandIn]:
    """A server on a free port."""
    with stand_in() as running:
        yield running


@pytest.fixture
def options(tmp_path: Path) -> PilotOptions:
    """Options of a hurried pilot."""
    return PilotOptions(
        queue="LOCAL",
        work_directory=tmp_path / "jobs",
        wait_s=0.05,
        heartbeat_s=0.1,
        check_period_s=0.1,
        scratch_min_mb=0,
        kill_grace_s=1.0,
        transfer_pause_s=0.0,
        report_limit_s=5.0,
    )


class Workshop:
    """Describes jobs with real files, and runs them."""

    def __init__(self, directory: Path, server: StandIn, options: PilotOptions) -> None:
        self.storage = directory / "storage"
        self.storage.mkdir()
        self.server, self.options = server, options
        self.orders = Orders()
        self._numbers = itertools.count(1)

    def input(self, name: str, content: bytes, **changes: Any) -> dict[str, Any]:
        """A file on the storage, with its entry in panda_files."""
        path = self.storage / f"replica-{next(self._numbers)}"
        path.write_bytes(content)
        entry = {
            "lfn": name,
            "local_name": name,
            "type": "input",
            "size_bytes": len(content),
            "checksum": f"ad:{zlib.adler32(content):08x}",
            "mover": "cp",
            "pfn": str(path),
        }
        return {**entry, **changes}

    def output(self, name: str, kind: str = "output", **changes: Any) -> dict[str, Any]:
        """An entry for a file to be stored."""
        return {"lfn": name, "local_name": name, "type": kind, "pfn": str(self.storage / "out" / name), **changes}

    def log(self) -> dict[str, Any]:
        """An entry for the log archive."""
        return self.output("job.log.tgz", "log")

    def job(self, text: str, *files: dict[str, Any], **changes: Any) -> dict[str, Any]:
        """A runShell job as it comes over the wire."""
        number = next(self._numbers) + 1000
        return {
            "PandaID": number,
            "taskID": 10_000_000,
            "attemptNr": 1,
            "transformation": "runShell",
            "jobPars": text,
            "coreCount": 1,
            "panda_files": list(files),
            **changes,
        }

    def run(self, job: dict[str, Any], **changes: Any) -> Account:
        """Run it here, with other options if wanted."""
        options = replace(self.options, **changes)
        line = self.server.line()
        try:
            server = Server(line, options, probe_node())
            return JobRun(JobDescription.from_wire(job), server, options, self.orders, time.monotonic()).run()
        finally:
            line.close()

    def when(self, ready: Callable[[], bool], act: Callable[[], None]) -> threading.Thread:
        """Do something from another thread as soon as a condition holds."""

        def wait_and_act() -> None:
            if wait_for(ready):
                act()

        thread = threading.Thread(target=wait_and_act, daemon=True)
        thread.start()
        return thread

    def has_written(self, text: str) -> bool:
        """Whether the payload that runs now has written a text: only then it is sure to have got so far."""
        written = self.options.work_directory.rglob("payload.stdout")
        return any(text in path.read_text() for path in written)

    @property
    def leftovers(self) -> list[Path]:
        """Job directories that are still there."""
        directory = self.options.work_directory
        return list(directory.iterdir()) if directory.exists() else []


def wait_for(condition: Callable[[], bool], timeout_s: float = 60.0) -> bool:
    """Look until a condition holds; False when it never did."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.01)
    return False


@pytest.fixture
def workshop(tmp_path: Path, server: StandIn, options: PilotOptions) -> Workshop:
    """Where jobs are made and run."""
    return Workshop(tmp_path, server, options)
