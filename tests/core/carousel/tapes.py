"""A tape, a disk and a queue in directories of a test, with real files, and the agent that brings them."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

from core.agents.data_carousel import DataCarousel
from core.agents.feeder import Feeder
from core.agents.generator import Generator
from core.database import Database, Row
from core.dataservice.catalogue import NewCatalogueFile, NewReplica, register_dataset
from core.queues import set_endpoint, set_queue
from core.taskengine.commands.locking import Issuer
from core.taskengine.commands.table import Outcome, run_command
from core.workload_settings import CarouselSettings, GenerationSettings, TaskTimes
from tests.core.taskengine.submitting import place, row_of_task, run, task_files
from tests.support.builders import make_task

OWNER = "alice"


class Storage:
    """The endpoints TAPE and DISK, and the queue Q at DISK."""

    def __init__(self, database: Database, root: Path) -> None:
        self.database = database
        self.root = root
        for name, kind in (("TAPE", "tape"), ("DISK", "disk")):
            self.add(name, kind)
        self.queue("Q", "DISK")

    def add(self, name: str, kind: str = "disk", **attributes: Any) -> Path:
        """A further endpoint, in a directory of its own."""
        directory = self.root / name
        directory.mkdir(exist_ok=True)
        set_endpoint(
            self.database,
            name,
            **{"mover": "cp", "path": str(directory), "kind": kind, "state": "online", **attributes},
        )
        return directory

    def queue(self, name: str, endpoint: str, **attributes: Any) -> None:
        """An online queue at an endpoint."""
        set_queue(self.database, name, {"storage_endpoint": endpoint, **attributes})

    def put(self, dataset: str, *names: str, at: tuple[str, ...] = ("TAPE",)) -> None:
        """A dataset of real files that hold their own names, with a copy of each at these endpoints."""
        files = []
        for name in names:
            content = f"content of {name}\n".encode()
            replicas = []
            for endpoint in at:
                path = self.root / endpoint / dataset / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
                replicas.append(NewReplica(endpoint, str(path)))
            checksum = f"ad:{zlib.adler32(content):08x}"
            files.append(NewCatalogueFile(name, len(content), checksum, replicas=replicas))
        register_dataset(
            self.database,
            **{"name": dataset, "scope": f"user.{OWNER}", "kind": "input", "owner": OWNER, "vo": "testvo"},
            files=files,
        )

    def on_tape(self, dataset: str, name: str) -> Path:
        """The file on tape."""
        return self.root / "TAPE" / dataset / name

    def copies(self, endpoint: str = "DISK") -> list[str]:
        """What lies at an endpoint, whole or half copied."""
        return sorted(path.name for path in (self.root / endpoint).rglob("*") if path.is_file())

    def places(self, dataset: str) -> set[str]:
        """The endpoints that the catalogue knows copies of a dataset at."""
        statement = """SELECT DISTINCT r.endpoint FROM replicas r JOIN files f USING (file_id) JOIN datasets d USING (dataset_id)
                       WHERE d.name = %(name)s"""
        return {row["endpoint"] for row in self.database.fetch(statement, {"name": dataset})}

    def requests(self) -> list[Row]:
        """All requests, the first made first."""
        return self.database.fetch("SELECT * FROM data_carousel_requests ORDER BY request_id")

    def request(self) -> Row:
        """The only request."""
        [row] = self.requests()
        return row

    def task(self, *datasets: str, **parameters: Any) -> int:
        """A task of alice's over datasets, a file in each job."""
        known: dict[str, Any] = {"inputDataset": datasets[0], "nFilesPerJob": 1, "taskName": f"t.{datasets[0]}"}
        return make_task(self.database, **{**known, **parameters})

    def agent(self, **settings: Any) -> DataCarousel:
        """The agent, which deletes copies at once unless told otherwise."""
        return DataCarousel(self.database, CarouselSettings(**{"release_after_s": 0, **settings}), 1)

    def bring(self, **settings: Any) -> None:
        """Cycles until nothing moves."""
        agent = self.agent(**settings)
        while agent.cycle():
            pass

    def command(self, name: str, task_id: int, **options: Any) -> Outcome:
        """A command of the owner of a task, who may do what production may."""
        return run_command(self.database, name, task_id, Issuer(OWNER, is_production=True), **options)

    def bring_some(self, count: int) -> None:
        """One file at a time, until so many are on disk."""
        agent = self.agent(copies_per_cycle=1)
        while len(self.copies()) < count:
            agent.cycle()

    def bring_first(self, task_id: int) -> None:
        """One file at a time, until the task goes on."""
        agent = self.agent(copies_per_cycle=1)
        while row_of_task(self.database, task_id)["status"] == "staging":
            agent.cycle()

    def make_jobs(self) -> None:
        """What feeder and generator have to do."""
        feeder = Feeder(self.database, GenerationSettings(), 1)
        generator = Generator(self.database, GenerationSettings(), TaskTimes(), 1)
        while feeder.cycle() + generator.cycle():
            pass

    def run_all(self, task_id: int) -> int:
        """Jobs made, placed, run and accounted for; how many ran."""
        self.make_jobs()
        place(self.database)
        statement = "SELECT panda_id FROM jobs_live WHERE jedi_task_id = %(id)s AND job_status = 'activated'"
        panda_ids = [row["panda_id"] for row in self.database.fetch(statement, {"id": task_id})]
        run(self.database, *panda_ids)
        return len(panda_ids)

    def older(self, column: str, hours: float) -> None:
        """Move a time of all requests into the past."""
        self.database.execute(
            f"UPDATE data_carousel_requests SET {column} = {column} - make_interval(secs => %(s)s)", {"s": hours * 3600}
        )


def status(storage: Storage, task_id: int) -> str:
    """The state of a task."""
    return str(row_of_task(storage.database, task_id)["status"])


def statuses(storage: Storage, task_id: int) -> list[str]:
    """The states of the files of its master input, in order."""
    return [row["status"] for row in task_files(storage.database, task_id)]
