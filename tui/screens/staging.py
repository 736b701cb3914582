"""Staging: what comes from tape, for whom, and what stands still?"""

from __future__ import annotations

from collections.abc import Sequence

from pandascope.addresses import Address, Page
from tui.render.staging_columns import staging_columns
from tui.screens.base import Answer
from tui.screens.listing import ListingScreen
from tui.widgets.virtual_table import Column, Row


class StagingScreen(ListingScreen):
    """One line per dataset that is brought to disk; enter opens the task that wants it."""

    HELP = (
        "Tasks whose input lies on tape only wait in staging until the first of it is on disk. What is stuck is asked for again "
        "by itself, and an incident tells of it. Enter opens the first task of a dataset; :staging status=* shows ended ones too."
    )
    ROWS = "requests"
    NOUN = ("dataset from tape", "datasets from tape")
    KEY = "request_id"
    ASKS_EVERY_S = 20.0

    @property
    def topics(self) -> Sequence[str]:
        """Tasks: they ask for it, and go on when it comes."""
        return ("tasks",)

    def columns(self) -> list[Column]:
        """The columns of requests."""
        return staging_columns(self.palette, self.console_app.now)

    async def ask(self) -> Answer:
        """Those on their way."""
        return await self.console_app.client.staging(**{"limit": 500, **self.filters})

    def open_row(self, row: Row) -> None:
        """To the task that wants it, the first of several."""
        if row["tasks"]:
            self.console_app.drill(Address(Page.TASK, int(row["tasks"][0])))

    def nothing(self) -> str:
        """What would stand here."""
        return "Nothing comes from tape. Datasets stand here that are brought to disk for tasks in staging."
