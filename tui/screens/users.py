"""Users: who runs, who waits, who is at a limit?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import BindingType

from pandascope.addresses import Address, Page
from tui.keys import offered
from tui.render.columns import user_columns
from tui.screens.base import Answer
from tui.screens.listing import ListingScreen
from tui.widgets.virtual_table import Column, Row


class UsersScreen(ListingScreen):
    """The list of users and working groups; enter shows the jobs of one."""

    HELP = "Held jobs wait because their user or group is at a limit, or banned. e lists failed jobs, j all of them."
    ROWS = "users"
    NOUN = ("account", "accounts")
    KEY = "account"
    BINDINGS: ClassVar[list[BindingType]] = offered("errors", "jobs_of")

    @property
    def topics(self) -> Sequence[str]:
        """Jobs and tasks: they make the numbers."""
        return ("jobs", "tasks")

    def columns(self) -> list[Column]:
        """The columns of accounts."""
        return user_columns(self.palette)

    async def ask(self) -> Answer:
        """The busiest accounts; a user and a group may have the same name."""
        answer = await self.console_app.client.users(**{"limit": 500, **self.filters})
        users = [{**row, "account": f"{row['kind']} {row['name']}"} for row in answer["users"]]
        return {**answer, "users": users}

    def open_row(self, row: Row) -> None:
        """To its jobs."""
        self.console_app.drill(self._jobs(row))

    def jobs_target(self) -> Address | None:
        """The jobs of the account."""
        row = self.table.current
        return None if row is None else self._jobs(row)

    def errors_target(self) -> Address | None:
        """The failed jobs of the account."""
        row = self.table.current
        return None if row is None else self._jobs(row).with_filters(job_status="failed")

    def _jobs(self, row: Row) -> Address:
        field = "working_group" if row["kind"] == "group" else "prod_user_name"
        return Address(Page.JOBS, filters={field: str(row["name"])})
