"""The same machine with families: tasks that read what others make, theirs too, and commands on any of them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import MultipleResults, initialize, multiple, precondition, rule

from core.agents.releaser import Releaser
from core.database import Database
from core.errors import UnknownObject
from core.states import FINAL_TASK_STATUSES
from core.taskengine.commands.locking import Issuer
from core.taskengine.commands.table import run_command
from tests.core.taskengine.submitting import send
from tests.core.taskengine.test_commands_machine import CAROL, MOST_TASKS, ORDINARY, Tasks, live_through
from tests.support.builders import everything

CHILDREN: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"nFilesPerJob": st.integers(1, 3), "noWaitParent": st.booleans(), "maxFailure": st.integers(1, 2)}
)

LOOKS_UP_INPUT = ("release", "incexec", "resubmit", "reactivate")


class Families(Tasks):
    """Tasks of which some are the children of others."""

    working = (*Tasks.working, "releaser")

    @initialize(target=Tasks.tasks, known=ORDINARY, first=CHILDREN, second=CHILDREN)
    def begin(  # type: ignore[override]
        self, known: dict[str, Any], first: dict[str, Any], second: dict[str, Any]
    ) -> MultipleResults[int]:
        """A task, its child and the child of that."""
        self.build()
        self.agents["releaser"] = Releaser(self.database, 1)
        parent = self.submit({**known, "useScout": False})
        child = self.submit_child(parent, first)
        return multiple(parent, child, self.submit_child(child, second))

    @precondition(lambda self: self.n_tasks < MOST_TASKS)
    @rule(target=Tasks.tasks, parent=Tasks.tasks, known=CHILDREN)
    def another_child(self, parent: int, known: dict[str, Any]) -> Any:
        """Of any task that can still have one."""
        if self.row(parent)["status"] in ("failed", "broken", "aborted"):
            return multiple()
        return self.submit_child(parent, known)

    @rule()
    def children_look(self) -> None:
        """They take what is there."""
        self.agents["releaser"].cycle()

    def submit_child(self, parent: int, known: dict[str, Any]) -> int:
        """A task of alice's that reads what `parent` makes."""
        self.n_tasks += 1
        made = self.database.fetch(
            "SELECT name FROM task_datasets WHERE jedi_task_id = %(id)s AND type = 'output'", {"id": parent}
        )
        parameters = {
            **{"taskName": f"user.alice.c{self.n_tasks}", "jobParameters": "true", "outputs": ["o"], "site": "Q"},
            **{"inputDataset": made[0]["name"] if made else f"user.alice.c{self.n_tasks - 1}.{parent}_out"},
            **{"allowEmptyInput": True, **known},
        }
        submission = send(self.database, parameters, user_name="alice", parent_tid=parent)
        assert submission.jedi_task_id is not None, submission
        return submission.jedi_task_id

    def command(self, task_id: int, name: str, options: dict[str, Any], who: Issuer) -> None:
        """As before; input that nobody began to make cannot be looked up, which changes nothing."""
        before = everything(self.database)
        try:
            super().command(task_id, name, options, who)
        except UnknownObject as refusal:
            assert (name in LOOKS_UP_INPUT, refusal.field) == (True, "inputDataset")
            assert everything(self.database) == before

    def teardown(self) -> None:
        """A paused task would keep its children waiting: it goes on."""
        ended = {"ended": [*FINAL_TASK_STATUSES]}
        for row in self.database.fetch("SELECT jedi_task_id FROM tasks WHERE NOT status = ANY(%(ended)s)", ended):
            run_command(self.database, "resume", row["jedi_task_id"], CAROL)
        super().teardown()


@pytest.mark.timeout(280)
def test_commands_on_families(shared_database: Database, monkeypatch: pytest.MonkeyPatch):
    live_through(Families, shared_database, monkeypatch, 12)
