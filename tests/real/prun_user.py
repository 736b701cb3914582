"""A physicist with the real prun, a server, and two of our own pilots that run what it submits."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from logger.agents import build_agents
from pandascope.supervisor.composition import create_server
from tests.support.pilots import running_pilots
from tests.support.real_world import RealClient
from tests.support.system import RunningSystem, eventually, running_system

FINAL = ("done", "finished", "failed", "aborted", "broken")


@dataclass
class User:
    """A user with the real client, and a server with pilots."""

    system: RunningSystem
    client: RealClient

    @property
    def code(self) -> Path:
        """Where the user's programs are, which go along as the sandbox."""
        return self.client.directory / "code"

    def prun(self, name: str, command: str | None, *words: str, check: bool = True, cwd: Path | None = None) -> str:
        """Submit in the directory of the user's code; what prun printed. `command`: none if a file of options has it."""
        words = ("--outDS", f"user.testuser.{name}", "--vo", "testvo", *words)
        first = () if command is None else ("--exec", command)
        return self.client.run("prun", *first, *words, cwd=cwd or self.code, check=check)

    def submit(self, name: str, command: str | None, *words: str, cwd: Path | None = None) -> int:
        """The id of a task that was accepted."""
        printed = self.prun(name, command, *words, cwd=cwd)
        found = re.search(r"jediTaskID=(\d+)", printed)
        assert found, printed
        return int(found.group(1))

    def status(self, task_id: int) -> str:
        row = self.system.database.fetch_one("SELECT status FROM tasks WHERE jedi_task_id = %(id)s", {"id": task_id})
        assert row is not None
        return str(row["status"])

    def ended(self, task_id: int, timeout_s: float = 240) -> str:
        """The final status of a task, when it has one."""

        def final() -> str:
            status = self.status(task_id)
            return status if status in FINAL else ""

        return eventually(final, timeout_s=timeout_s, what=f"task {task_id} ends: {self.jobs(task_id)}")

    def jobs(self, task_id: int) -> list[dict[str, Any]]:
        """Status, exit code and diagnosis of the jobs of a task."""
        columns = (
            "panda_id, job_status, prod_source_label, attempt_nr, pilot_error_code, pilot_error_diag, trans_exit_code"
        )
        statement = f"""SELECT {columns} FROM jobs_live WHERE jedi_task_id = %(id)s
                        UNION ALL SELECT {columns} FROM jobs_archive WHERE jedi_task_id = %(id)s ORDER BY 1"""
        return self.system.database.fetch(statement, {"id": task_id})

    def files(self, task_id: int, kind: str = "output") -> list[dict[str, Any]]:
        """The files of a kind that the jobs of a task make, in the order of the jobs."""
        statement = """SELECT lfn, dataset, status, pfn FROM job_files
                       WHERE jedi_task_id = %(id)s AND type = %(kind)s ORDER BY panda_id, row_id"""
        return self.system.database.fetch(statement, {"id": task_id, "kind": kind})

    def outputs(self, task_id: int) -> list[str]:
        """What is in the stored outputs of a task, in the order of its jobs."""
        return [Path(row["pfn"]).read_text() for row in self.files(task_id) if row["status"] == "ready"]

    def register(self, dataset: str, files: dict[str, str], events: Mapping[str, int] | None = None) -> None:
        """A dataset whose files lie at the local queue's storage; `events`: how many each of them holds."""
        entries = []
        for lfn, text in files.items():
            place = self.system.storage / "data" / dataset / lfn
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
            checksum = f"ad:{zlib.adler32(text.encode()):08x}"
            replicas = [{"endpoint": "LOCAL_DISK", "pfn": str(place)}]
            entry = {"lfn": lfn, "size_bytes": len(text), "checksum": checksum, "replicas": replicas}
            entries.append({**entry, "n_events": events[lfn]} if events else entry)
        body = {"name": dataset, "scope": "user.testuser", "files": entries}
        answer = self.system.client("testuser", name="test user").post("/api/control/datasets", json=body)
        assert answer.status_code == 201, answer.text


@contextmanager
def prun_user(database_url: str, program: Path, directory: Path) -> Iterator[User]:
    """The user in the directory of their code, with two datasets of five files: five (f1.txt ...) and side (s1.txt ...)."""
    with running_system(database_url, directory, further_agents=build_agents, make_server=create_server) as system:
        code = directory / "home" / "code"
        (code / "lib").mkdir(parents=True)
        (code / "run.sh").write_text('#!/bin/bash\necho "got $*"\n')
        (code / "run.sh").chmod(0o755)
        (code / "lib" / "words.txt").write_text("from the sandbox\n")
        client = RealClient(program, system.url, system.token("testuser", name="test user"), code.parent)
        user = User(system, client)
        user.register("user.testuser.five", {f"f{number}.txt": f"{number}\n" for number in range(1, 6)})
        user.register("user.testuser.side", {f"s{number}.txt": f"side{number}\n" for number in range(1, 6)})
        with running_pilots(system, directory, count=2):
            yield user
