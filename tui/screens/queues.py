"""Queues: which queue is unwell?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import BindingType

from pandascope.addresses import Address, Page
from tui.keys import offered
from tui.render.columns import queue_columns
from tui.screens.base import Answer
from tui.screens.listing import ListingScreen
from tui.widgets.virtual_table import Column, Row


class QueuesScreen(ListingScreen):
    """The list of queues; enter shows the jobs of one."""

    HELP = "A silent queue has work waiting and has not heard from a pilot for ten minutes."
    ROWS = "queues"
    NOUN = ("queue", "queues")
    KEY = "queue_name"
    BINDINGS: ClassVar[list[BindingType]] = offered("errors", "jobs_of")

    @property
    def topics(self) -> Sequence[str]:
        """Queues, and the jobs in them."""
        return ("queues", "jobs")

    def columns(self) -> list[Column]:
        """The columns of queues."""
        return queue_columns(self.palette, self.console_app.now)

    async def ask(self) -> Answer:
        """All queues."""
        return await self.console_app.client.queues(**self.filters)

    def open_row(self, row: Row) -> None:
        """To its jobs."""
        self.console_app.drill(self._jobs(row))

    def jobs_target(self) -> Address | None:
        """The jobs of the queue."""
        row = self.table.current
        return None if row is None else self._jobs(row)

    def errors_target(self) -> Address | None:
        """The failed jobs of the queue."""
        row = self.table.current
        return None if row is None else self._jobs(row).with_filters(job_status="failed")

    def _jobs(self, row: Row) -> Address:
        return Address(Page.JOBS, filters={"computing_site": str(row["queue_name"])})
