"""Tasks: how far are they, and what is left over?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from textual.binding import BindingType

from pandascope.addresses import Address, Page
from tui.keys import offered
from tui.render.columns import task_columns
from tui.screens.acting import ActingScreen, of_tasks
from tui.screens.base import Answer
from tui.screens.marks import MarkedList
from tui.widgets.virtual_table import Column, Row


class TasksScreen(ActingScreen, MarkedList):
    """The list of tasks."""

    HELP = "The bar shows ended jobs: finished first, then failed. e lists the failed jobs of a task, j all of them."
    ROWS = "tasks"
    NOUN = ("task", "tasks")
    KEY = "jedi_task_id"
    BINDINGS: ClassVar[list[BindingType]] = offered("errors", "jobs_of", "why", "kill", "retry")

    @property
    def topics(self) -> Sequence[str]:
        """Tasks, and the jobs that move them on."""
        return ("tasks", "jobs")

    def columns(self) -> list[Column]:
        """The columns of tasks."""
        return task_columns(self.palette, self.console_app.now)

    async def ask(self) -> Answer:
        """The latest tasks."""
        return await self.console_app.client.tasks(**{"limit": 500, **self.filters})

    def open_row(self, row: Row) -> None:
        """To the task."""
        self.console_app.drill(Address(Page.TASK, int(row["jedi_task_id"])), row=row)

    def jobs_target(self) -> Address | None:
        """The jobs of the task."""
        row = self.table.current
        return None if row is None else Address(Page.JOBS, filters={"jedi_task_id": str(row["jedi_task_id"])})

    def chosen_for(self, action: str) -> tuple[Mapping[str, Any], str] | None:
        """The marked tasks, or the one under the cursor; to kill means their jobs."""
        numbers = [int(row["jedi_task_id"]) for row in self.chosen_rows()]
        return of_tasks(action, numbers) if numbers else None

    def was_done(self) -> None:
        """The marks have served."""
        self.clear_marks()
        super().was_done()

    def why_target(self) -> Address | None:
        """The task under the cursor."""
        row = self.table.current
        return None if row is None else Address(Page.TASK, int(row["jedi_task_id"]))

    def errors_target(self) -> Address | None:
        """The failed jobs of the task."""
        jobs = self.jobs_target()
        return None if jobs is None else jobs.with_filters(job_status="failed")
