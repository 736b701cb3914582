"""The proof: the unmodified prun submits, the unmodified pilot runs, the unmodified pbook shows. All cases at once, because
the pilot takes two minutes to report a failure (pilot-wire.md 7)."""

from __future__ import annotations

import hashlib
import re
import subprocess
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from core.queues import set_endpoint, set_queue
from logger.agents import build_agents
from pandascope.supervisor.composition import create_server
from tests.support.real_world import RealClient, RealPilot
from tests.support.system import RunningSystem, eventually, running_system

pytestmark = pytest.mark.timeout(900)

INPUTS = {"first.txt": b"one\ntwo\n", "second.txt": b"three\n"}
SCOPE = "user.testuser"
CULPRIT = "RuntimeError: the calibration constant is missing"
COMMANDS = {
    "good": (
        "echo %IN | tr , ' ' | xargs cat | wc -l > lines.txt",
        "--inDS",
        "user.testuser.input/",
        "--outputs",
        "lines.txt",
    ),
    "exit3": (f"echo starting; echo '{CULPRIT}' >&2; exit 3", "--outputs", "lines.txt"),
    "missing": ("echo nothing is written", "--outputs", "never.txt"),
    "killed": ("sleep 600", "--outputs", "lines.txt"),
}
EMPTY = "Q_EMPTY"

_COLUMNS = "panda_id, job_status, pilot_error_code, trans_exit_code, prod_user_name, attempt_nr, vo, pilot_id"
# one statement: a job that ends between two would be in both tables, or in none
_JOB = f"""
SELECT {_COLUMNS} FROM jobs_live WHERE jedi_task_id = %(id)s
UNION ALL SELECT {_COLUMNS} FROM jobs_archive WHERE jedi_task_id = %(id)s
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

    def job(self, case: str) -> dict[str, Any]:
        """The row of the one job of a case."""
        (job,) = self.system.database.fetch(_JOB, {"id": self.tasks[case]})
        return job

    def files(self, case: str, kind: str) -> list[dict[str, Any]]:
        """The files of a kind of that job."""
        return self.system.database.fetch(
            "SELECT * FROM job_files WHERE panda_id = %(id)s AND type = %(kind)s",
            {"id": self.job(case)["panda_id"], "kind": kind},
        )


@pytest.fixture(scope="module")
def grid(
    module_database_url: str,
    client_program: Path,
    pilot_program: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Grid]:
    """Submits every case, runs a pilot for each, and waits until all have ended."""
    directory = tmp_path_factory.mktemp("grid")
    with running_system(
        module_database_url, directory, further_agents=build_agents, make_server=create_server
    ) as system:
        token = system.token("testuser", name="test user")
        home = directory / "home"
        home.mkdir()
        grid = Grid(system, RealClient(client_program, system.url, token, home))
        set_endpoint(system.database, "REAL_DISK", mover="cp", path=str(system.storage), is_deterministic=True)
        for case in COMMANDS:
            set_queue(system.database, f"Q_{case.upper()}", {"site": "REAL", "storage_endpoint": "REAL_DISK"})
        set_queue(system.database, EMPTY, {"site": "REAL", "storage_endpoint": "REAL_DISK"})
        register_input(grid)
        for case, (command, *words) in COMMANDS.items():
            submit(grid, case, command, *words)
        pilots = directory / "pilots"
        pilots.mkdir()
        grid.work = pilots
        with run_pilots(grid, pilot_program):
            eventually(lambda: grid.job("killed")["job_status"] == "running", timeout_s=120, what="the payload runs")
            grid.printed["kill"] = grid.client.run("pbook", "kill", str(grid.tasks["killed"]))
            for case in COMMANDS:
                eventually(
                    lambda case=case: grid.job(case)["job_status"] in ("finished", "failed", "cancelled", "closed"),
                    timeout_s=400,
                    what=f"{case} ends",
                )
            for name, process in grid.pilots.items():
                assert process.wait(300) == 0, (name, pilot_output(grid, name)[-2000:])
        grid.printed["show"] = grid.client.run("pbook", "showl")
        yield grid


@contextmanager
def run_pilots(grid: Grid, program: Path) -> Iterator[None]:
    """A pilot for every queue."""
    try:
        for case in (*COMMANDS, "empty"):
            grid.pilots[case] = RealPilot(program, grid.system, grid.work, f"Q_{case.upper()}").start(case)
        yield
    finally:
        for process in grid.pilots.values():
            RealPilot.end(process)


def register_input(grid: Grid) -> None:
    """A dataset of two files where the pilot looks for them (pilot-wire.md 4)."""
    described = []
    for lfn, content in INPUTS.items():
        digest = hashlib.md5(f"{SCOPE}:{lfn}".encode()).hexdigest()
        place = grid.system.storage / "user" / "testuser" / digest[:2] / digest[2:4] / lfn
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        replica = {"endpoint": "REAL_DISK", "pfn": str(place)}
        checksum = f"ad:{zlib.adler32(content):08x}"
        described.append({"lfn": lfn, "size_bytes": len(content), "checksum": checksum, "replicas": [replica]})
    body = {"name": "user.testuser.input", "scope": SCOPE, "files": described}
    answer = grid.system.client("testuser", name="test user").post("/api/control/datasets", json=body)
    assert answer.status_code == 201, answer.text


def submit(grid: Grid, case: str, command: str, *words: str) -> None:
    sandbox = grid.client.directory / case
    sandbox.mkdir()
    (sandbox / "notes.txt").write_text("taken along")
    name = f"user.testuser.{case}"
    options = ("--outDS", name, "--noBuild", "--site", f"Q_{case.upper()}", "--vo", "testvo", *words)
    printed = grid.client.run("prun", "--exec", command, *options, cwd=sandbox)
    found = re.search(r"jediTaskID=(\d+)", printed)
    assert found, printed
    grid.tasks[case] = int(found.group(1))
    assert grid.tasks[case] >= 10_000_000


def pilot_output(grid: Grid, case: str) -> str:
    return (grid.work / case / "pilot.out").read_text(errors="replace")


def test_a_job_of_prun_runs_in_the_production_pilot(grid):
    job = grid.job("good")
    assert (job["job_status"], job["pilot_error_code"], job["trans_exit_code"]) == ("finished", 0, 0)
    assert (job["prod_user_name"], job["attempt_nr"], job["vo"]) == ("Test User", 1, "testvo")
    assert "3.7.0.36" in job["pilot_id"]
    (output,) = grid.files("good", "output")
    assert Path(output["pfn"]).read_text().strip() == "3"


@pytest.mark.parametrize("kind", ["output", "log"])
def test_size_and_checksum_on_the_server_are_those_of_the_file(grid, kind):
    (file,) = grid.files("good", kind)
    stored = Path(file["pfn"]).read_bytes()
    assert file["status"] == "ready"
    assert file["size_bytes"] == len(stored)
    assert file["checksum"] == f"ad:{zlib.adler32(stored):08x}"
    assert re.fullmatch(r"[0-9a-f-]{36}", file["guid"])
    dataset = grid.system.client("testuser", name="test user").get(f"/api/control/dataset/{file['dataset']}").json()
    assert [entry["lfn"] for entry in dataset["files"]] == [file["lfn"]]


def test_the_log_archive_holds_what_the_payload_wrote(grid):
    (log,) = grid.files("good", "log")
    with tarfile.open(log["pfn"]) as archive:
        assert any(name.endswith("payload.stdout") for name in archive.getnames())


def test_pbook_shows_the_tasks_as_they_ended(grid):
    lines = {case: next(line for line in grid.printed["show"].splitlines() if f".{case}" in line) for case in COMMANDS}
    assert {case: line.split()[1] for case, line in lines.items()} == {
        "good": "done",
        "exit3": "failed",
        "missing": "failed",
        "killed": "aborted",
    }
    assert str(grid.tasks["good"]) in lines["good"]
    assert "100%" in lines["good"]


def test_exit_3_of_the_payload_is_told_with_its_line(grid):
    job = grid.job("exit3")
    assert (job["job_status"], job["pilot_error_code"], job["trans_exit_code"]) == ("failed", 1305, 3)
    assert [file["status"] for file in grid.files("exit3", "output")] == ["failed"]
    assert [file["status"] for file in grid.files("exit3", "log")] == ["ready"]
    reader = grid.system.client("testuser", name="test user")

    def incident() -> dict[str, Any] | None:
        rows = reader.get("/api/monitor/incidents", params={"jedi_task_id": grid.tasks["exit3"]}).json()["incidents"]
        return rows[0] if rows else None

    row = eventually(incident, what="the failure becomes an incident")
    assert row["culprit_line"] == CULPRIT


def test_a_missing_output_is_1165(grid):
    job = grid.job("missing")
    assert (job["job_status"], job["pilot_error_code"]) == ("failed", 1165)


def test_a_kill_by_pbook_ends_the_payload(grid):
    assert "will be killed" in grid.printed["kill"]
    job = grid.job("killed")
    assert (job["job_status"], job["pilot_error_code"]) == ("cancelled", 1144)


def test_an_empty_queue_answers_20(grid):
    printed = pilot_output(grid, "empty")
    assert re.search(r"StatusCode\W+20|status ?code\D+20|no jobs", printed, re.IGNORECASE), printed[-3000:]


def test_the_jobs_appear_in_the_monitor_like_any_others(grid):
    reader = grid.system.client("testuser", name="test user")
    page = reader.get("/api/monitor/jobs", params={"prod_user_name": "Test User"}).json()
    assert {row["jedi_task_id"] for row in page["jobs"]} == set(grid.tasks.values())
    tasks = reader.get("/api/monitor/tasks", params={"user_name": "Test User"}).json()["tasks"]
    assert {row["task_name"] for row in tasks} == {f"user.testuser.{case}/" for case in COMMANDS}
    detail = reader.get(f"/api/monitor/job/{grid.job('good')['panda_id']}").json()
    assert {file["type"] for file in detail["files"]} >= {"input", "output", "log"}
