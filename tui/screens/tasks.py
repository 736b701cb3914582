"""Tasks: how far are they, and what is left over?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import BindingType

from pandascope.addresses import Address, Page
from tui.keys import offered
from tui.render.columns import task_columns
from tui.screens.base import Answer
from tui.screens.listing import ListingScreen
from tui.widgets.virtual_table import Column, Row


class TasksScreen(ListingScreen):
    """The list of tasks."""

    HELP = "The bar shows ended jobs: finished first, then failed. e lists the failed jobs of a task, j all of them."
    ROWS = "tasks"
    NOUN = ("task", "tasks")
    KEY = "jedi_task_id"
    BINDINGS: ClassVar[list[BindingType]] = offered("errors", "jobs_of", "why")

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

    def why_target(self) -> Address | None:
        """The task under the cursor."""
        row = self.table.current
        return None if row is None else Address(Page.TASK, int(row["jedi_task_id"]))

    def errors_target(self) -> Address | None:
        """The failed jobs of the task."""
        jobs = self.jobs_target()
        return None if jobs is None else jobs.with_filters(job_status="failed")
