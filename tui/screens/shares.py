"""Shares: does everybody get what is due?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import BindingType

from pandascope.addresses import Address, Page
from tui.keys import offered
from tui.render.share_columns import share_columns
from tui.screens.base import Answer
from tui.screens.listing import ListingScreen
from tui.widgets.virtual_table import Column, Row


class SharesScreen(ListingScreen):
    """The tree of shares as a list, parents before children; enter shows the jobs of one."""

    HELP = "Served first is who has least of its target. What a share leaves goes to its siblings, then up."
    ROWS = "shares"
    NOUN = ("share", "shares")
    KEY = "name"
    BINDINGS: ClassVar[list[BindingType]] = offered("errors", "jobs_of")

    @property
    def topics(self) -> Sequence[str]:
        """Jobs: they make the numbers."""
        return ("jobs",)

    def columns(self) -> list[Column]:
        """The columns of shares."""
        return share_columns(self.palette)

    async def ask(self) -> Answer:
        """The whole tree."""
        return await self.console_app.client.shares()

    def nothing(self) -> str:
        """Without a tree."""
        return "There is no tree of shares: priority and age decide alone. 'panda shares load FILE' makes one."

    def open_row(self, row: Row) -> None:
        """To its jobs."""
        if row["is_leaf"]:
            self.console_app.drill(self._jobs(row))

    def jobs_target(self) -> Address | None:
        """The jobs of the share."""
        row = self.table.current
        return None if row is None or not row["is_leaf"] else self._jobs(row)

    def errors_target(self) -> Address | None:
        """The failed jobs of the share."""
        target = self.jobs_target()
        return None if target is None else target.with_filters(job_status="failed")

    def _jobs(self, row: Row) -> Address:
        return Address(Page.JOBS, filters={"gshare": str(row["name"])})
