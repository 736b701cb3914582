"""The same machine with tasks that stop on their way to their jobs: for tape, a first job that defines them, a destination."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import MultipleResults, initialize, multiple, precondition, rule

from core.agents.data_carousel import DataCarousel
from core.agents.preprocessor import Preprocessor
from core.agents.task_broker import TaskBroker
from core.database import Database
from core.queues import set_endpoint
from core.workload_settings import CarouselSettings, GenerationSettings, TaskBrokerageSettings
from tests.core.carousel.tapes import Storage
from tests.core.taskbrokerage.grid import make_nucleus
from tests.core.taskengine.submitting import accept
from tests.core.taskengine.test_commands_machine import BUNCH, FILES, MOST_TASKS, PAGE, SCOUTS, Tasks, live_through
from tests.support.builders import make_queue

STOPS = ("data_carousel", "preprocessor", "task_broker")
KINDS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        **{"inputDataset": st.sampled_from(["small", "taped"]), "nFilesPerJob": st.integers(1, 2)},
        **{"preprocesses": st.booleans(), "is_production": st.booleans(), "inputPreStaging": st.booleans()},
        "useScout": st.booleans(),
    }
)
"""Of a task of the house: on disk or on tape, with or without a first job, a user's or production's."""


class StoppingTasks(Tasks):
    """Tasks that may have to wait for tape, for their definition and for their nucleus before they make jobs."""

    working = (*STOPS, *Tasks.working)
    root: Path

    @initialize(target=Tasks.tasks, first=KINDS, second=KINDS)
    def begin(self, first: dict[str, Any], second: dict[str, Any]) -> MultipleResults[int]:  # type: ignore[override]
        """A fresh house with tape and nucleus, and two tasks."""
        self.build()
        return multiple(self.submit_stopping(first), self.submit_stopping(second))

    def build(self) -> None:
        """As before, with real directories for what lies on tape, and an endpoint that collects outputs."""
        super().build()
        storage = Storage(self.database, Path(tempfile.mkdtemp(dir=self.root)))
        (storage.root / "Q_DISK").mkdir()
        set_endpoint(self.database, "Q_DISK", mover="cp", path=str(storage.root / "Q_DISK"))
        for name in ("Q", "R"):
            parameters = {"write_wan": True, "allow_wan": True}
            make_queue(self.database, name, endpoint="", parameters=parameters)
            self.database.execute(
                "UPDATE queues SET storage_endpoint = 'Q_DISK' WHERE queue_name = %(name)s", {"name": name}
            )
        make_nucleus(self.database)
        storage.put("taped", *FILES[:3])
        settings = GenerationSettings(files_per_cycle=PAGE, jobs_per_cycle=BUNCH)
        self.agents |= {
            "data_carousel": DataCarousel(
                self.database, CarouselSettings(release_after_s=0, copies_per_cycle=1), 1, SCOUTS
            ),
            "preprocessor": Preprocessor(self.database, 1, SCOUTS),
            "task_broker": TaskBroker(
                self.database, TaskBrokerageSettings(min_usable_mb=0), 1, generation=settings, scouts=SCOUTS
            ),
        }

    @precondition(lambda self: self.n_tasks < MOST_TASKS)
    @rule(target=Tasks.tasks, known=KINDS)
    def stopping_task(self, known: dict[str, Any]) -> int:
        """Another one."""
        return self.submit_stopping(known)

    @rule(name=st.sampled_from(STOPS))
    def a_stop_works(self, name: str) -> None:
        """A file comes from tape, a definition or a destination is looked at."""
        self.agents[name].cycle()

    def submit_stopping(self, known: dict[str, Any]) -> int:
        """A task of alice's."""
        self.n_tasks += 1
        wanted = {key: value for key, value in known.items() if key not in ("preprocesses", "is_production")}
        parameters: dict[str, Any] = {
            **{"taskName": f"user.alice.s{self.n_tasks}", "jobParameters": "true", "outputs": ["o"], "maxFailure": 2},
            **wanted,
        }
        if known["preprocesses"]:
            parameters["preproSpec"] = {"command": "./find > %OUT"}
        if known["is_production"]:
            parameters["prodSourceLabel"] = "managed"
        return accept(self.database, parameters, user_name="alice", is_production=known["is_production"])


@pytest.mark.timeout(280)
def test_commands_on_tasks_that_stop_on_their_way(
    shared_database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    StoppingTasks.root = tmp_path
    live_through(StoppingTasks, shared_database, monkeypatch, 12)
