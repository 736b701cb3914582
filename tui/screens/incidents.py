"""Incidents: what went wrong, who has it? The list worst first, with the one under the cursor explained at its side."""

from __future__ import annotations

from collections.abc import Sequence

from textual import on
from textual.app import ComposeResult

from pandascope.addresses import Address, Page
from tui.render.columns import incident_columns
from tui.render.incident import incident_card
from tui.screens.base import Answer
from tui.screens.deeds import IncidentDeeds
from tui.screens.listing import ListingScreen
from tui.widgets.panel import Panel
from tui.widgets.virtual_table import Column, Row, VirtualTable


class IncidentsScreen(IncidentDeeds, ListingScreen):
    """The list of incidents."""

    HELP = (
        "Open and acknowledged incidents, worst first: open before acknowledged, then severity, lost core-hours, last "
        "seen. :inc state=* shows the resolved ones too."
    )
    ROWS = "incidents"
    NOUN = ("incident", "incidents")
    KEY = "incident_id"
    HAS_FACETS = True

    @property
    def topics(self) -> Sequence[str]:
        """Any incident."""
        return ("incidents",)

    def columns(self) -> list[Column]:
        """The columns of incidents."""
        return incident_columns(self.palette, self.console_app.now)

    def parts(self) -> ComposeResult:
        """The list, and the card of the incident under the cursor."""
        yield from super().parts()
        yield Panel("Under the cursor", id="card")

    async def ask(self) -> Answer:
        """All of them: they are few, by their nature."""
        return await self.console_app.client.incidents(**{"limit": 500, **self.filters})

    def incident_row(self) -> Row | None:
        """The incident under the cursor."""
        return self.table.current

    def open_row(self, row: Row) -> None:
        """To the incident."""
        self.console_app.drill(Address(Page.INCIDENT, int(row["incident_id"])), row=row)

    @on(VirtualTable.Moved, "#rows")
    def _explain(self, event: VirtualTable.Moved) -> None:
        card = self.query_one("#card", Panel)
        card.show(None if event.row is None else incident_card(event.row, self.palette, self.console_app.now()))

    def show_ages(self) -> None:
        """Those of the card."""
        if self.table.current is not None:
            card = incident_card(self.table.current, self.palette, self.console_app.now())
            self.query_one("#card", Panel).show(card)

    def nothing(self) -> str:
        """Good news."""
        return "No incident is open. :inc state=* shows the resolved ones."
