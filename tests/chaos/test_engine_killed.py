"""Two hosts' worth of agents on one database, killed, cut off and held up at random: no task is stuck, no input is lost or
given twice. PANDA_CHAOS_SEED=<number> draws other lots."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.database import Database
from core.states import FINAL_TASK_STATUSES
from core.taskbuffer.killing import Killer, kill_jobs
from core.taskengine.commands.locking import Issuer
from core.taskengine.commands.table import run_command
from core.taskengine.making import contents
from tests.chaos.bookkeeping import broken_rules
from tests.chaos.engine_host import PAGE
from tests.core.taskengine.submitting import accept, captured
from tests.support.builders import acquire, make_dataset, make_queue, make_task, outputs_of, report, stored

pytestmark = pytest.mark.chaos

KILLING_S = 15.0
FILES = 24
SEED = int(os.environ.get("PANDA_CHAOS_SEED", "4"))
ENDS = ("finished", "finished", "finished", "failed", "taken back")
MANAGER = Killer("carol", is_manager=True)


# a part of what is connected, now of an agent at work and now of its lease only; never our own
_CUT = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid() AND pid %% 3 <> %(spared)s
"""


class Hosts:
    """Two processes of agents, each replaced when it is killed."""

    def __init__(self, database: Database, log: Path) -> None:
        self._database, self._log = database, log
        self._processes = [self._start(), self._start()]
        self.strikes: Counter[str] = Counter()

    def _start(self) -> subprocess.Popen[bytes]:
        program = [sys.executable, "-m", "tests.chaos.engine_host", self._database.url]
        with self._log.open("ab") as log:
            return subprocess.Popen(program, stderr=log)

    def strike(self, chance: random.Random) -> None:
        """One of the three misfortunes, for one of the two."""
        strike = chance.choice((self.kill, self.kill, self.cut, self.hold_up))
        strike(chance)
        self.strikes[strike.__name__] += 1

    def kill(self, chance: random.Random) -> None:
        """kill -9 of either."""
        number = chance.randrange(2)
        self._processes[number].send_signal(signal.SIGKILL)
        self._processes[number].wait()
        self._processes[number] = self._start()

    def cut(self, chance: random.Random) -> None:
        """The database drops most of its connections."""
        self._database.fetch(_CUT, {"spared": chance.randrange(3)})

    def hold_up(self, chance: random.Random) -> None:
        """Either stops where it is, loses its connections to the other, and goes on as if nothing had been."""
        held = self._processes[chance.randrange(2)]
        held.send_signal(signal.SIGSTOP)
        self._database.fetch(_CUT, {"spared": -1})
        time.sleep(chance.uniform(1, 3))  # how long it is away; the other is at work
        held.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End both."""
        for process in self._processes:
            process.kill()
            process.wait()


@pytest.fixture
def hosts(database: Database, tmp_path: Path) -> Iterator[Hosts]:
    """Two hosts on the database of this test."""
    running = Hosts(database, tmp_path / "agents.log")
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


def stuck(database: Database) -> list[str]:
    """What there is to be seen when it does not end."""
    tasks = database.fetch(
        "SELECT t.jedi_task_id AS id, status, generate_at, error_dialog, (SELECT array_agg(DISTINCT job_status)"
        " FROM jobs_live j WHERE j.jedi_task_id = t.jedi_task_id) AS live FROM tasks t ORDER BY 1"
    )
    agents = database.fetch("SELECT name, process_id, last_run, last_error FROM agent_runs ORDER BY 1")
    return [str(row) for row in (*tasks, *agents)]


def submit_tasks(database: Database) -> list[int]:
    """Tasks with few and many attempts, one with scouts, one whose outputs are merged."""
    plain = [
        make_task(database, taskName=f"t{number}", inputDataset="in", nFilesPerJob=1 + number % 3, maxAttempt=4, **more)
        for number, more in enumerate([{"maxFailure": 1}, {"maxFailure": 3}, {"outputs": ["o"]}, {"useScout": True}])
    ]
    return [*plain, accept(database, merging())]


def merging() -> dict[str, Any]:
    """A task of prun that reads `in` and merges four outputs at a time."""
    parameters = captured("files", site="Q", nFilesPerJob=1, maxAttempt=4, dsForIN="in", skipScout=True)
    merge = captured("merge")
    parameters |= {name: merge[name] for name in ("mergeOutput", "mergeSpec")} | {"nFilesPerMergeJob": 4}
    for item in parameters["jobParameters"]:
        if item.get("param_type") == "input":
            item["dataset"] = "in"
    return parameters


def retry_what_failed(database: Database, retried: dict[int, int]) -> None:
    """Their owner has each task tried again once when it ends with failures; `retried` gets the last job before."""
    statement = """SELECT jedi_task_id AS id, (SELECT max(panda_id) FROM jobs_archive) AS last_job FROM tasks
                   WHERE status IN ('finished', 'failed') AND NOT jedi_task_id = ANY(%(ids)s)"""
    for row in database.fetch(statement, {"ids": list(retried)}):
        assert run_command(database, "retry", row["id"], Issuer("carol", True)).is_accepted
        retried[row["id"]] = row["last_job"]


def check_files(database: Database, task_id: int, retried_after: int) -> None:
    """Every file was given to one job after the other, as often as its row says, and to none after it was finished."""
    statement = """SELECT f.* FROM task_files f JOIN task_datasets d USING (dataset_id)
                   WHERE f.jedi_task_id = %(id)s AND d.is_master ORDER BY f.lfn"""
    files = database.fetch(statement, {"id": task_id})
    assert [file["lfn"] for file in files] == [f"f{number:02d}" for number in range(FILES)]
    assert {file["status"] for file in files} <= {"finished", "failed"}
    for file in files:
        jobs = database.fetch(
            "SELECT panda_id, j.job_status FROM job_files f JOIN jobs_archive j USING (panda_id) "
            "WHERE f.jedi_task_id = %(task)s AND f.file_id = %(file)s AND f.type = 'input' ORDER BY panda_id",
            {"task": task_id, "file": file["catalogue_file_id"]},
        )
        ends = [job["job_status"] for job in jobs]
        assert len(ends) == file["attempt_nr"] <= file["max_attempt"]
        assert [end for end in ends if end == "finished"] == ["finished"] * (file["status"] == "finished")
        assert "finished" not in ends[:-1]
        # who has a task tried again forgives its failed files what was before
        later = [job["job_status"] for job in jobs if job["panda_id"] > retried_after]
        assert file["failed_attempt"] in (ends.count("failed"), later.count("failed"))


def check_merges(database: Database, task_id: int) -> None:
    """What each run job made went into one merged file, unless merging gave up."""
    statement = """SELECT f.position AS panda_id, f.status, count(m.*) FILTER (WHERE j.job_status = 'finished') AS merged
                   FROM task_files f JOIN task_datasets d USING (dataset_id)
                   JOIN job_files made ON made.panda_id = f.position AND made.type = 'output'
                   LEFT JOIN job_files m ON m.lfn = made.lfn AND m.type = 'input' AND m.jedi_task_id = f.jedi_task_id
                   LEFT JOIN jobs_archive j ON j.panda_id = m.panda_id
                   WHERE f.jedi_task_id = %(id)s AND d.type = 'merge_input' GROUP BY f.position, f.status"""
    rows = database.fetch(statement, {"id": task_id})
    finished = database.fetch(
        "SELECT panda_id FROM jobs_archive WHERE jedi_task_id = %(id)s AND job_status = 'finished'"
        " AND processing_type <> 'pmerge'",
        {"id": task_id},
    )
    assert {row["panda_id"] for row in rows} == {row["panda_id"] for row in finished}
    assert [row for row in rows if row["merged"] != (row["status"] == "finished")] == []


@pytest.mark.timeout(280)
def test_agents_killed_at_random_lose_and_double_nothing(
    database: Database, hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance, retried = random.Random(SEED), dict[int, int]()
    monkeypatch.setitem(contents.feed_contents.__kwdefaults__, "limit", PAGE)
    make_queue(database, "Q")
    make_dataset(database, "in", [f"f{number:02d}" for number in range(FILES)], at=["Q_DISK"])
    tasks = submit_tasks(database)
    until, next_strike = time.monotonic() + KILLING_S, time.monotonic() + 3
    while time.monotonic() < until or hosts.strikes.total() < 3 or not are_through(database):
        pilots_work(database, chance)
        retry_what_failed(database, retried)
        # on a slow machine there is time for few of them: three there have to be
        if next_strike < time.monotonic() and (time.monotonic() < until or hosts.strikes.total() < 3):
            hosts.strike(chance)
            next_strike = time.monotonic() + chance.uniform(0.5, 3)
        assert time.monotonic() < until + 150, stuck(database)
        time.sleep(0.05)
    assert hosts.strikes.total() >= 3
    assert broken_rules(database) == {}
    for task_id in tasks:
        check_files(database, task_id, retried.get(task_id, 0))
    check_merges(database, tasks[-1])
