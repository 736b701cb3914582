"""Cases for the production pilot, each with a queue, a task of prun and a pilot of its own; all at once, because the pilot
takes two minutes to report a failure (pilot-wire.md 7)."""

from __future__ import annotations

import hashlib
import re
import subprocess
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from core.queues import set_queue
from tests.support.real_world import RealClient, RealPilot
from tests.support.system import RunningSystem

SCOPE = "user.testuser"
INPUTS = {"first.txt": b"one\ntwo\n", "second.txt": b"three\n"}
CULPRIT = "RuntimeError: the calibration constant is missing"
LICENCE = "ConnectionError: no answer from the licence server"
HARVESTER = {"HARVESTER_ID": "factory", "HARVESTER_WORKER_ID": "77"}
EMPTY = "Q_EMPTY"
MARK = "@MARK@"
"""In a command: a path outside its work directory, the same for all jobs of the case; nothing is there at first."""


@dataclass(frozen=True)
class Case:
    """What a user asks for, and the queue and the pilot it meets."""

    command: str
    words: tuple[str, ...]
    """Further words for prun."""
    queue: dict[str, Any] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    pilots: int = 1
    """How many start at once."""
    is_retried: bool = False
    """Whether the task engine may try failed input again."""

    @property
    def is_built(self) -> bool:
        return "--bexec" in self.words


_GOOD = (
    "echo %IN | tr , ' ' | xargs cat | wc -l > lines.txt; echo 1 > part1.dat; echo 2 > part2.dat;"
    """ echo '{"lines": 3}' > userJobMetadata.json"""
)
CASES = {
    "good": Case(_GOOD, ("--inDS", f"{SCOPE}.input/", "--outputs", "lines.txt,part*.dat")),
    "exit3": Case(f"echo starting; echo '{CULPRIT}' >&2; exit 3", ("--outputs", "lines.txt")),
    "missing": Case("echo nothing is written", ("--outputs", "never.txt")),
    "killed": Case("sleep 600", ("--outputs", "lines.txt")),
    "lost": Case("cat %IN > lines.txt", ("--inDS", f"{SCOPE}.lost/", "--outputs", "lines.txt")),
    "talks": Case(
        "for i in $(seq 40); do echo line $i; sleep 1; done; echo 1 > lines.txt",
        ("--outputs", "lines.txt"),
        variables=HARVESTER,
    ),
    "built": Case(
        "cat made.txt > lines.txt",
        ("--bexec", "cp notes.txt made.txt", "--nJobs", "2", "--outputs", "lines.txt"),
        queue={"parameters": {"timefloor": 60}},
    ),
    "again": Case(
        f"echo %IN | grep -q first && mkdir {MARK} 2>/dev/null && {{ echo '{LICENCE}' >&2; exit 3; }}; cat %IN > lines.txt",
        ("--inDS", f"{SCOPE}.input/", "--nFilesPerJob", "1", "--outputs", "lines.txt"),
        pilots=2,
        is_retried=True,
    ),
}

_COLUMNS = (
    "panda_id, job_name, job_status, pilot_error_code, trans_exit_code, prod_user_name, attempt_nr, vo, pilot_id,"
    " modification_host, prod_source_label"
)
# one statement: a job that ends between two would be in both tables, or in none
_JOBS = f"""
SELECT {_COLUMNS} FROM jobs_live WHERE jedi_task_id = %(id)s
UNION ALL SELECT {_COLUMNS} FROM jobs_archive WHERE jedi_task_id = %(id)s ORDER BY panda_id
"""


@dataclass
class Grid:
    """What the cases share: the server, the user's client, and what came of each case."""

    system: RunningSystem
    client: RealClient
    printed: dict[str, str] = field(default_factory=dict)
    tasks: dict[str, int] = field(default_factory=dict)
    pilots: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    work: Path = Path()

    def jobs(self, case: str) -> list[dict[str, Any]]:
        """The rows of the jobs of a case."""
        return self.system.database.fetch(_JOBS, {"id": self.tasks[case]})

    def job(self, case: str) -> dict[str, Any]:
        """The row of the one job of a case."""
        (job,) = self.jobs(case)
        return job

    def files(self, case: str, kind: str) -> list[dict[str, Any]]:
        """The files of a kind of that job."""
        return self.system.database.fetch(
            "SELECT * FROM job_files WHERE panda_id = %(id)s AND type = %(kind)s ORDER BY row_id",
            {"id": self.job(case)["panda_id"], "kind": kind},
        )

    def ended(self, case: str) -> bool:
        """Whether its task has."""
        row = self.system.database.fetch_one(
            "SELECT status FROM tasks WHERE jedi_task_id = %(id)s", {"id": self.tasks[case]}
        )
        return row is not None and row["status"] in ("done", "finished", "failed", "aborted", "broken")

    def waits(self, case: str, attempt: int) -> bool:
        """Whether a job of such an attempt waits for a pilot."""
        return any((job["job_status"], job["attempt_nr"]) == ("activated", attempt) for job in self.jobs(case))

    def log(self, case: str, name: str) -> str:
        """A kept log of its job; empty when there is none."""
        answer = self.reader().get(f"/api/monitor/job/{self.job(case)['panda_id']}/log", params={"name": name})
        return str(answer.json().get("text", ""))

    def reader(self, *roles: str) -> Any:
        """The monitor as the user, or as a manager, sees it."""
        return self.system.client("testuser", *roles, name="test user")

    def pilot_output(self, case: str) -> str:
        """What its pilot printed."""
        return (self.work / case / case / "pilot.out").read_text(errors="replace")

    def last_form(self, case: str, method: str) -> str:
        """The last form that its pilot sent to a method: it keeps it for curl."""
        (path,) = (self.work / case / case).glob(f"PanDA_Pilot3_*/curl_{method}*.config")
        return "&".join(re.findall(r'^data="(.*)"$', path.read_text(), re.MULTILINE))


def register_inputs(grid: Grid) -> None:
    """A dataset of two files where the pilot looks for them (pilot-wire.md 4), and one of a file that is not there."""
    for name, files in (("input", INPUTS), ("lost", {"lost.txt": b"gone"})):
        described = []
        for lfn, content in files.items():
            digest = hashlib.md5(f"{SCOPE}:{lfn}".encode()).hexdigest()
            place = grid.system.storage / "user" / "testuser" / digest[:2] / digest[2:4] / lfn
            if name == "input":
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(content)
            replica = {"endpoint": "REAL_DISK", "pfn": str(place)}
            checksum = f"ad:{zlib.adler32(content):08x}"
            described.append({"lfn": lfn, "size_bytes": len(content), "checksum": checksum, "replicas": [replica]})
        body = {"name": f"{SCOPE}.{name}", "scope": SCOPE, "files": described}
        answer = grid.reader().post("/api/control/datasets", json=body)
        assert answer.status_code == 201, answer.text


def submit(grid: Grid, name: str, case: Case) -> None:
    """Make the queue of a case and submit its task with prun."""
    queue = f"Q_{name.upper()}"
    set_queue(grid.system.database, queue, {"site": "REAL", "storage_endpoint": "REAL_DISK", **case.queue})
    sandbox = grid.client.directory / name
    sandbox.mkdir()
    (sandbox / "notes.txt").write_text("taken along")
    options = ("--outDS", f"{SCOPE}.{name}", "--site", queue, "--vo", "testvo", *case.words)
    options += () if case.is_built else ("--noBuild",)
    options += () if case.is_retried else ("--disableAutoRetry",)
    command = case.command.replace(MARK, str(grid.work / f"{name}.mark"))
    printed = grid.client.run("prun", "--exec", command, *options, cwd=sandbox)
    found = re.search(r"jediTaskID=(\d+)", printed)
    assert found, printed
    grid.tasks[name] = int(found.group(1))
    assert grid.tasks[name] >= 10_000_000


def start_pilot(grid: Grid, program: Path, case: str) -> None:
    """One more pilot for the queue of a case."""
    name = next(name for number in count(1) if (name := f"{case}-{number}" if number > 1 else case) not in grid.pilots)
    directory = grid.work / name
    directory.mkdir()
    variables = CASES[case].variables if case in CASES else {}
    grid.pilots[name] = RealPilot(program, grid.system, directory, f"Q_{case.upper()}", extra=variables).start(name)


@contextmanager
def run_pilots(grid: Grid, program: Path) -> Iterator[None]:
    """The pilots of every queue, and one for a queue without work."""
    try:
        for name in (*(name for name, case in CASES.items() for _ in range(case.pilots)), "empty"):
            start_pilot(grid, program, name)
        yield
    finally:
        for process in grid.pilots.values():
            RealPilot.end(process)
