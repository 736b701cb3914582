"""Silences: what is nobody told of, until when, and is that still right?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import BindingType

from pandascope.addresses import Address, Page
from pandascope.errors import ClientError
from tui.keys import offered
from tui.render.course import silence_columns
from tui.screens.acting import ActingScreen
from tui.screens.base import Answer
from tui.screens.listing import ListingScreen
from tui.text import plain
from tui.widgets.virtual_table import Column, Row
from tui.workers import work


class SilencesScreen(ActingScreen, ListingScreen):
    """The silences in force, newest first; enter opens the incident, x ends a silence."""

    HELP = (
        "What grew much since it was silenced deserves a second look. x ends a silence: what it silenced is heard again. "
        ":silences ended=1 shows those that are over too."
    )
    ROWS = "silences"
    NOUN = ("silence", "silences")
    KEY = "silence_id"
    BINDINGS: ClassVar[list[BindingType]] = offered("end_silence")

    @property
    def topics(self) -> Sequence[str]:
        """Silences, and the incidents that grow meanwhile."""
        return ("silences", "incidents")

    def columns(self) -> list[Column]:
        """The columns of silences."""
        return silence_columns(self.palette, self.console_app.now)

    async def ask(self) -> Answer:
        """Those in force."""
        return await self.console_app.client.silences(**{"limit": 500, **self.filters})

    def open_row(self, row: Row) -> None:
        """To what is silenced: the incident, or what the filters find."""
        matcher = row.get("matcher")
        if row.get("incident_id") is not None:
            self.console_app.drill(Address(Page.INCIDENT, int(row["incident_id"])))
        elif isinstance(matcher, dict):
            filters = {str(name): str(value) for name, value in matcher.items() if name != "silence_id"}
            self.console_app.drill(Address(Page.INCIDENTS, filters={**filters, "state": "silenced"}))

    def is_useful(self, action: str) -> bool:
        """A silence that is over cannot be ended."""
        if action == "end_silence":
            return self.table.current is not None and not self.table.current.get("end_time")
        return super().is_useful(action)

    def action_end_silence(self) -> None:
        """`x`: at once; a new one is as quickly made."""
        row = self.table.current
        if row is None:
            self.notify("There is no silence under the cursor.", severity="warning")
        elif self.is_possible():
            self.run_worker(work(self._end, int(row["silence_id"]), plain(row.get("title"), limit=60)), group="deed")

    async def _end(self, silence_id: int, title: str) -> None:
        try:
            await self.console_app.client.end_silence(silence_id)
        except ClientError as error:
            self.notify(f"Refused: {error}", severity="error", markup=False, timeout=10)
        else:
            self.notify(f"The silence has ended{f': {title} is heard again' if title else ''}.", markup=False)
        self.reload()

    def nothing(self) -> str:
        """Good news."""
        return "Nothing is silenced."
