"""Queues: which queue is unwell?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import BindingType

from pandascope.addresses import Address, Page
from tui.keys import offered
from tui.render.columns import queue_columns
from tui.screens.acting import ActingScreen, drain_request
from tui.screens.base import Answer
from tui.screens.job_sets import JobSetsScreen
from tui.screens.marks import MarkedList
from tui.widgets.virtual_table import Column, Row


class QueuesScreen(ActingScreen, JobSetsScreen, MarkedList):
    """The list of queues; enter shows the jobs of one."""

    HELP = (
        "A silent queue has work waiting and has not heard from a pilot for ten minutes. D drains the marked queues, or the "
        "one under the cursor, and gives drained ones work again; in its preview s goes on to test, offline and online."
    )
    BINDINGS: ClassVar[list[BindingType]] = offered("drain")
    ROWS = "queues"
    NOUN = ("queue", "queues")
    KEY = "queue_name"
    ASKS_EVERY_S = 20.0

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

    def action_drain(self) -> None:
        """`D`: the marked queues, or the one under the cursor."""
        rows = self.chosen_rows()
        if not rows:
            self.notify("There is no queue under the cursor.", severity="warning")
        else:
            self.preview(drain_request(rows, {"queues": [str(row["queue_name"]) for row in rows]}))

    def was_done(self) -> None:
        """The marks have served."""
        self.clear_marks()
        super().was_done()
