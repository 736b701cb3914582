"""Users: who runs, who waits, who is at a limit?"""

from __future__ import annotations

from collections.abc import Sequence

from pandascope.addresses import Address, Page
from tui.render.columns import user_columns
from tui.screens.base import Answer
from tui.screens.job_sets import JobSetsScreen
from tui.widgets.virtual_table import Column, Row


class UsersScreen(JobSetsScreen):
    """The list of users and working groups; enter shows the jobs of one."""

    HELP = "Held jobs wait because their user or group is at a limit, or banned. e lists failed jobs, j all of them."
    ROWS = "users"
    NOUN = ("account", "accounts")
    KEY = "account"

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

    def jobs_in(self, row: Row) -> Address:
        """The jobs of an account: a user's own, or all of a group."""
        field = "working_group" if row["kind"] == "group" else "prod_user_name"
        return Address(Page.JOBS, filters={field: str(row["name"])})
