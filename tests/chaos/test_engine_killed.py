"""Two hosts' worth of agents on one database, killed at random: no task is stuck, no input is lost or given twice."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.database import Database
from core.states import FINAL_TASK_STATUSES
from core.taskbuffer.killing import Killer, kill_jobs
from core.taskengine.making import contents
from tests.chaos.bookkeeping import broken_rules
from tests.chaos.engine_host import PAGE
from tests.support.builders import acquire, make_dataset, make_queue, make_task, outputs_of, report, stored

pytestmark = pytest.mark.chaos

KILLING_S = 12.0
FILES = 24
ENDS = ("finished", "finished", "finished", "failed", "taken back")
MANAGER = Killer("carol", is_manager=True)


class Hosts:
    """Two processes of agents, each replaced when it is killed."""

    def __init__(self, url: str, log: Path) -> None:
        self._url, self._log = url, log
        self._processes = [self._start(), self._start()]
        self.kills = 0

    def _start(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen([sys.executable, "-m", "tests.chaos.engine_host", self._url], stderr=log)

    def kill_one(self, chance: random.Random) -> None:
        """kill -9 of either."""
        number = chance.randrange(2)
        self._processes[number].send_signal(signal.SIGKILL)
        self._processes[number].wait()
        self._processes[number] = self._start()
        self.kills += 1

    def stop(self) -> None:
        """End both."""
        for process in self._processes:
            process.kill()
            process.wait()


@pytest.fixture
def hosts(database_url: str, tmp_path: Path) -> Iterator[Hosts]:
    """Two hosts on the database of this test."""
    running = Hosts(database_url, tmp_path / "agents.log")
    yield running
    running.stop()


def pilots_work(database: Database, chance: random.Random) -> None:
    """Pilots take what there is, and it ends one way or the other."""
    for entry in acquire(database, "Q", job_count=8):
        panda_id = entry.job["panda_id"]
        report(database, panda_id, "running")
        how = chance.choice(ENDS)
        if how == "taken back":
            kill_jobs(database, [panda_id], MANAGER, 51)
            report(database, panda_id, "failed", pilot_error_code=1144)
        elif how == "failed":
            report(database, panda_id, "failed", pilot_error_code=1305, pilot_error_diag="it did not work")
        else:
            report(database, panda_id, "finished", output_report=stored(outputs_of(database, panda_id)))


def are_through(database: Database) -> bool:
    statuses = {row["status"] for row in database.fetch("SELECT DISTINCT status FROM tasks")}
    return statuses <= {status.value for status in FINAL_TASK_STATUSES}


@pytest.mark.timeout(150)
def test_agents_killed_at_random_lose_and_double_nothing(
    database: Database, hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(4)
    monkeypatch.setitem(contents.feed_contents.__kwdefaults__, "limit", PAGE)
    make_queue(database, "Q")
    make_dataset(database, "in", [f"f{number:02d}" for number in range(FILES)], at=["Q_DISK"])
    tasks = [
        make_task(database, taskName=f"t{number}", inputDataset="in", nFilesPerJob=1 + number % 3, maxAttempt=4, **more)
        for number, more in enumerate([{"maxFailure": 1}, {"maxFailure": 3}, {"outputs": ["o"]}, {}])
    ]
    until, next_kill = time.monotonic() + KILLING_S, time.monotonic() + 3
    while time.monotonic() < until or not are_through(database):
        pilots_work(database, chance)
        if next_kill < time.monotonic() < until:
            hosts.kill_one(chance)
            next_kill = time.monotonic() + chance.uniform(0.5, 3)
        assert time.monotonic() < until + 90, database.fetch("SELECT * FROM tasks")
        time.sleep(0.05)
    assert hosts.kills >= 3
    assert broken_rules(database) == {}
    for task_id in tasks:
        files = database.fetch("SELECT * FROM task_files WHERE jedi_task_id = %(id)s", {"id": task_id})
        assert sorted(file["lfn"] for file in files) == [f"f{number:02d}" for number in range(FILES)]
        assert {file["status"] for file in files} <= {"finished", "failed"}
        for file in files:
            jobs = database.fetch(
                "SELECT j.job_status FROM job_files f JOIN jobs_archive j USING (panda_id) "
                "WHERE f.jedi_task_id = %(task)s AND f.file_id = %(file)s AND f.type = 'input'",
                {"task": task_id, "file": file["catalogue_file_id"]},
            )
            ends = [job["job_status"] for job in jobs]
            assert len(ends) == file["attempt_nr"] <= file["max_attempt"]
            assert ends.count("finished") == (file["status"] == "finished")
            assert ends.count("failed") == file["failed_attempt"]
