"""System: do the parts that work by themselves still work?"""

from __future__ import annotations

import asyncio

from pandascope.addresses import Address, Page
from tui.render.rule_columns import agent_columns, timeout_columns
from tui.screens.base import Answer
from tui.screens.pair import PairScreen
from tui.text import ago
from tui.widgets.virtual_table import Column, Row


class SystemScreen(PairScreen):
    """Agents, those in trouble first; below, the timeouts: enter there opens the job that was ended last."""

    HELP = "A late agent is due for more than a minute. Past half: jobs that have used up half of a limit."
    ROWS = "agents"
    NOUN = ("agent", "agents")
    KEY = "name"
    ROWS_BELOW = "timeouts"
    KEY_BELOW = "name"
    TITLE_BELOW = "Timeouts"
    ASKS_EVERY_S = 10.0

    def columns(self) -> list[Column]:
        """The columns of agents."""
        return agent_columns(self.palette, self.console_app.now)

    def columns_below(self) -> list[Column]:
        """The columns of timeouts."""
        return timeout_columns(self.palette, self.console_app.now)

    async def ask(self) -> Answer:
        """Agents and timeouts."""
        client = self.console_app.client
        answer, timeouts = await asyncio.gather(client.agents(), client.timeouts())
        rows = sorted(answer["agents"], key=lambda row: (not row["last_error"], not row["is_late"], row["name"]))
        return {**answer, "agents": rows, "timeouts": timeouts["timeouts"], "looked_at": timeouts["last_run"]}

    def words_below(self, answer: Answer) -> str:
        """When the watchdog looked."""
        looked_at = answer["looked_at"]
        return f"looked at {ago(looked_at, self.console_app.now())} ago" if looked_at else "no watchdog ever ran here"

    def nothing(self) -> str:
        """Without agents."""
        return "No agent ever ran here. 'panda up' starts them with the server, 'panda agents' alone."

    def open_below(self, row: Row) -> None:
        """To the job that was ended last."""
        if row["last_panda_id"]:
            self.console_app.drill(Address(Page.JOB, int(row["last_panda_id"])))
