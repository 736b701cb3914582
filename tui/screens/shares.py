"""Shares: does everybody get what is due?"""

from __future__ import annotations

from collections.abc import Sequence

from pandascope.addresses import Address, Page
from tui.render.share_columns import share_columns
from tui.screens.base import Answer
from tui.screens.job_sets import JobSetsScreen
from tui.widgets.virtual_table import Column, Row


class SharesScreen(JobSetsScreen):
    """The tree of shares as a list, parents before children; enter shows the jobs of one."""

    HELP = (
        "Target and uses are cores times the power of each. Served first is who has least of its target. What a share leaves "
        "goes to its siblings, then up."
    )
    ROWS = "shares"
    NOUN = ("share", "shares")
    KEY = "name"

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

    def jobs_in(self, row: Row) -> Address | None:
        """The jobs of a leaf: no job belongs to a share with children."""
        return Address(Page.JOBS, filters={"gshare": str(row["name"])}) if row["is_leaf"] else None
