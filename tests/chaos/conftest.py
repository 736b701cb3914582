"""A whole installation as `panda up` makes it, with pilots, to be broken by the tests of this folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from core.database import Database
from core.database.embedded import EmbeddedPostgres
from pandascope import Client
from pandascope.environment import read_environment_file
from tests.support.scratch import scratch_directory
from tests.support.system import eventually, free_port

PANDA = [sys.executable, "-P", "-m", "pandascope.cli.main"]


@dataclass
class Installation:
    """One data directory with everything running on it."""

    data: Path

    def up(self) -> None:
        """Start everything, at the address of the last time when there was one: pilots that survived look for it there."""
        known = self.data / "panda.env"
        port = read_environment_file(known)["PANDA_URL"].rpartition(":")[2] if known.exists() else free_port()
        self.panda("up", "--port", str(port), "--workers", "2", "--pilots", "3")

    def panda(self, *words: str, codes: tuple[int, ...] = (0,)) -> str:
        """Run a command on this installation; it must end with one of `codes`."""
        done = subprocess.run(
            [*PANDA, *words, "--data", str(self.data)], capture_output=True, text=True, timeout=240, check=False
        )
        assert done.returncode in codes, (words, done.stdout, done.stderr)
        return done.stdout

    def client(self) -> Client:
        """A client with the identity of whoever ran `panda up`."""
        known = read_environment_file(self.data / "panda.env")
        return Client(known["PANDA_URL"], known["PANDA_TOKEN"])

    def database(self) -> Database:
        """A door past the API, for counting what is really there."""
        return Database(EmbeddedPostgres(self.data).url, pool_size=1)

    def processes(self) -> dict[str, int]:
        """Process id of every part by its name in `panda status`; what is down is absent."""
        return {entry["name"]: int(entry["pid"]) for entry in self._status() if entry["state"] == "running"}

    def restarts(self, name: str) -> int:
        """How often `panda status` says that a part was started again."""
        return next(int(entry["restarts"]) for entry in self._status() if entry["name"] == name)

    def _status(self) -> list[dict[str, Any]]:
        known: list[dict[str, Any]] = json.loads(self.panda("status", "--json", codes=(0, 3)))["processes"]
        return known

    def pid(self, name: str) -> int:
        """Process id of a part; 0 while there is none."""
        return self.processes().get(name, 0)

    def kill_nine(self, name: str) -> None:
        """kill -9 of one part."""
        os.kill(self.pid(name), signal.SIGKILL)

    def pilots(self) -> list[psutil.Process]:
        """The pilots that run now."""
        return [psutil.Process(pid) for name, pid in self.processes().items() if name.startswith("pilot-")]


@dataclass
class Load:
    """A task whose jobs write a line into one common file each time they run, so that a second run cannot hide."""

    installation: Installation
    task_id: int
    jobs: int
    ledger: Path

    def ended(self) -> bool:
        """Whether the task has ended."""
        with self.installation.client() as client:
            return client.task(self.task_id)["task"]["status"] in ("done", "finished", "failed")

    def running_lines(self) -> list[str]:
        """What the payloads wrote so far."""
        return self.ledger.read_text().splitlines() if self.ledger.exists() else []

    def rows(self, statement: str) -> list[dict[str, Any]]:
        """Rows of a query about the jobs of this task (`%(task)s`)."""
        database = self.installation.database()
        try:
            return database.fetch(statement, {"task": self.task_id})
        finally:
            database.close()

    def check_every_job_ended_once(self, *, failed: int = 0) -> None:
        """Nothing is lost, nothing ended twice, nothing ran twice at the same attempt; at most `failed` jobs failed."""
        archived = self.rows("SELECT panda_id, job_status FROM jobs_archive WHERE jedi_task_id = %(task)s")
        live = self.rows("SELECT panda_id FROM jobs_live WHERE jedi_task_id = %(task)s")
        ends = self.rows(
            "SELECT panda_id, count(*) AS n FROM job_history WHERE jedi_task_id = %(task)s "
            "AND job_status IN ('finished', 'failed', 'cancelled', 'closed') GROUP BY panda_id"
        )
        given = self.rows(
            "SELECT panda_id, attempt_nr, count(*) AS n FROM job_history WHERE jedi_task_id = %(task)s "
            "AND job_status = 'sent' GROUP BY panda_id, attempt_nr"
        )
        assert live == []
        assert len(archived) == self.jobs == len({row["panda_id"] for row in archived})
        assert [row for row in ends if row["n"] != 1] == []
        assert [row for row in given if row["n"] != 1] == []
        lines = self.running_lines()
        assert len(lines) == len(set(lines))
        assert len([row for row in archived if row["job_status"] != "finished"]) <= failed, archived


@pytest.fixture(scope="module")
def installation() -> Iterator[Installation]:
    """`panda up` with three pilots and short periods; `panda down` at the end."""
    with scratch_directory("panda-chaos-") as directory:
        settings = "[agents]\nwatchdog_s = 1.0\n[timeouts]\nheartbeat_s = 60\nsent_s = 30\n"
        (directory / "panda.toml").write_text(settings)
        made = Installation(directory)
        try:
            made.up()
            yield made
        finally:
            made.panda("down")


@pytest.fixture
def load(installation: Installation, tmp_path: Path) -> Load:
    """A task of 40 short jobs, some of which are running now."""
    ledger = tmp_path / "ledger"
    command = f'echo "$PANDA_ID" >> {ledger}; sleep 0.3; echo done > %OUT'
    with installation.client() as client:
        submitted = client.submit_task(
            {
                "taskName": f"chaos.{uuid.uuid4().hex[:8]}",
                "jobParameters": command,
                "outputs": ["o.txt"],
                "nJobs": 40,
            }
        )
    load = Load(installation, int(submitted), 40, ledger)
    eventually(lambda: len(load.running_lines()) >= 4, timeout_s=120, what="some payloads run")
    return load
