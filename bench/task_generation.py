"""`python -m bench.task_generation`: one task of very many files, listed and made into jobs by agents that are killed on the way.

Prints jobs per second, the memory of the agents' process, and whether each file was used exactly once.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from core.agents import run_agents
from core.agents.base import run_loops
from core.agents.feeder import Feeder
from core.agents.generator import Generator
from core.configuration import Settings
from core.database import Database, Row, migrate
from core.database.embedded import EmbeddedPostgres
from core.queues import set_endpoint, set_queue
from core.tasks import submit_task
from core.workload_settings import GenerationSettings

_REGISTER = """
INSERT INTO datasets (name, scope, kind, status, owner, vo) VALUES ('bench.in', 'bench', 'input', 'closed', 'bench', 'bench');
INSERT INTO files (dataset_id, lfn, guid, size_bytes, checksum, n_events)
SELECT d.dataset_id, 'bench.in.' || lpad(cast(n AS text), 9, '0') || '.root', cast(gen_random_uuid() AS text), 1000000000,
       'ad:01c2009c', 1000
FROM datasets d, generate_series(1, %(files)s) AS n WHERE d.name = 'bench.in';
ANALYZE files;
"""
_TASK = "SELECT status, n_files, n_jobs FROM tasks WHERE jedi_task_id = %(id)s"
_CHECK = """
SELECT (SELECT count(*) FROM task_files WHERE jedi_task_id = %(id)s) AS files,
       (SELECT count(DISTINCT catalogue_file_id) FROM task_files WHERE jedi_task_id = %(id)s) AS catalogue_files,
       (SELECT count(*) FROM task_files WHERE jedi_task_id = %(id)s AND status = 'running' AND attempt_nr = 1) AS given,
       (SELECT count(DISTINCT panda_id) FROM task_files WHERE jedi_task_id = %(id)s) AS holders,
       (SELECT count(*) FROM jobs_live WHERE jedi_task_id = %(id)s) AS jobs,
       (SELECT count(DISTINCT job_index) FROM jobs_live WHERE jedi_task_id = %(id)s) AS numbers,
       (SELECT count(DISTINCT f.file_id) FROM job_files f JOIN jobs_live j USING (panda_id)
        WHERE j.jedi_task_id = %(id)s AND f.type = 'input') AS inputs
"""
_PERIOD_S = 0.25


@dataclass
class _Agents:
    """A process of agents, and the most memory that any such process had."""

    url: str
    has_all: bool
    log: Path
    peak_mb: float = 0.0
    kills: int = 0
    process: subprocess.Popen[bytes] = field(init=False)

    def start(self) -> None:
        """Start one."""
        command = [sys.executable, "-m", "bench.task_generation", "--agents-of", self.url]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([*command, *(["--all-agents"] * self.has_all)], stderr=log)

    def look(self) -> float:
        """Its memory now, in MB; raises RuntimeError when it has died by itself."""
        if self.process.poll() is not None:
            raise RuntimeError(f"the agents ended: {self.log.read_text()[-2000:]}")
        facts = dict(line.split(":", 1) for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines())
        self.peak_mb = max(self.peak_mb, int(facts["VmHWM"].split()[0]) / 1024)
        return int(facts["VmRSS"].split()[0]) / 1024

    def stop(self, *, hard: bool) -> None:
        """End it: `hard` as a lost host ends."""
        self.kills += hard
        self.process.send_signal(signal.SIGKILL if hard else signal.SIGTERM)
        self.process.wait()


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.task_generation", description=__doc__)
    parser.add_argument("--files", type=int, default=100_000, help="files of the task, one job each")
    parser.add_argument("--all-agents", action="store_true", help="brokerage and all others too, not only these two")
    parser.add_argument("--agents-of", default="", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.agents_of:
        _be_agents(arguments.agents_of, has_all=arguments.all_agents)
        return
    with tempfile.TemporaryDirectory(prefix="panda-bench-") as name:
        directory = Path(name)
        directory.chmod(0o711)
        server = EmbeddedPostgres(directory)
        database = Database(server.start(), statement_timeout_ms=3_600_000)
        try:
            migrate(database)
            _measure(database, _Agents(database.url, arguments.all_agents, directory / "agents.log"), arguments.files)
        finally:
            database.close()
            server.stop()


def _be_agents(url: str, *, has_all: bool) -> None:
    """What a host runs, except that no share holds the task back for want of pilots."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    unlimited = GenerationSettings(max_queued_jobs=10**9)
    settings = Settings(database_url=url, generation=unlimited)
    if has_all:
        run_agents(settings, stop)
        return
    database = Database(url)
    periods = settings.agents
    agents = [
        Feeder(database, settings.generation, periods.feeder_s),
        Generator(database, settings.generation, settings.tasks, periods.generator_s),
    ]
    run_loops([*agents], database, stop)


def _measure(database: Database, agents: _Agents, files: int) -> None:
    set_endpoint(database, "BENCH_DISK", mover="cp", path="/bench")
    set_queue(database, "BENCH", {"storage_endpoint": "BENCH_DISK"})
    database.execute(_REGISTER, {"files": files})
    known = {"taskName": "bench", "jobParameters": "cat %IN", "inputDataset": "bench.in", "prodSourceLabel": "managed"}
    began = time.monotonic()
    task_id = submit_task(database, known, user_name="bench", vo="bench")
    print(f"submitted in {time.monotonic() - began:.2f} s", flush=True)
    agents.start()
    _listing(database, agents, task_id, files)
    _generation(database, agents, task_id, files)
    agents.stop(hard=False)
    found = database.fetch(_CHECK, {"id": task_id})[0]
    is_right = set(found.values()) == {files}
    print(f"{agents.kills} times kill -9; each of {files} files used exactly once: {'yes' if is_right else found}")
    print(f"peak memory of the agents: {agents.peak_mb:.0f} MB")


def _listing(database: Database, agents: _Agents, task_id: int, files: int) -> None:
    began = time.monotonic()
    while (row := _row(database, task_id))["status"] == "defined":
        agents.look()
        if not agents.kills and row["n_files"] > files // 2:
            agents.stop(hard=True)
            agents.start()
        time.sleep(_PERIOD_S)
    seconds = time.monotonic() - began
    print(f"listed {files} files in {seconds:.1f} s, {files / seconds:.0f}/s", flush=True)


def _generation(database: Database, agents: _Agents, task_id: int, files: int) -> None:
    began, marks = time.monotonic(), [files * tenth // 10 for tenth in range(1, 11)]
    before, since = _row(database, task_id)["n_jobs"], began
    print(f"{'jobs':>9} {'jobs/s':>8} {'RSS MB':>7}")
    while marks:
        time.sleep(_PERIOD_S)
        memory, made = agents.look(), _row(database, task_id)["n_jobs"]
        if made < marks[0]:
            continue
        now = time.monotonic()
        print(f"{made:9d} {(made - before) / (now - since):8.0f} {memory:7.0f}", flush=True)
        before, since = made, now
        marks = [mark for mark in marks if mark > made]
        if len(marks) in (7, 3):
            agents.stop(hard=True)
            agents.start()
    seconds = time.monotonic() - began
    print(f"made {files} jobs in {seconds:.1f} s, {files / seconds:.0f}/s", flush=True)


def _row(database: Database, task_id: int) -> Row:
    return database.fetch(_TASK, {"id": task_id})[0]


if __name__ == "__main__":
    main()
