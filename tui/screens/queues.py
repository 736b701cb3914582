"""Queues: which queue is unwell?"""

from __future__ import annotations

from collections.abc import Sequence

from pandascope.addresses import Address, Page
from tui.render.columns import queue_columns
from tui.screens.base import Answer
from tui.screens.job_sets import JobSetsScreen
from tui.widgets.virtual_table import Column, Row


class QueuesScreen(JobSetsScreen):
    """The list of queues; enter shows the jobs of one."""

    HELP = "A silent queue has work waiting and has not heard from a pilot for ten minutes."
    ROWS = "queues"
    NOUN = ("queue", "queues")
    KEY = "queue_name"

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

    def jobs_in(self, row: Row) -> Address:
        """The jobs at a queue."""
        return Address(Page.JOBS, filters={"computing_site": str(row["queue_name"])})
