"""Incidents: what went wrong, who has it? The list worst first, with the one under the cursor explained at its side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType

from pandascope.addresses import Address, Page
from pandascope.errors import ClientError
from tui.keys import offered
from tui.render.columns import incident_columns
from tui.render.incident import incident_card
from tui.screens.base import Answer
from tui.screens.deeds import IncidentDeeds
from tui.screens.marks import MarkedList
from tui.text import plain
from tui.widgets.panel import Panel
from tui.widgets.prompt_line import PromptLine, Question
from tui.widgets.virtual_table import Column, Row, VirtualTable
from tui.workers import work


class IncidentList(IncidentDeeds, MarkedList):
    """What every list of incidents can do: marks, and merging what is marked."""

    BINDINGS: ClassVar[list[BindingType]] = offered("merge_into")

    def incident_row(self) -> Row | None:
        """The incident under the cursor."""
        return self.table.current

    def incident_rows(self) -> list[Row]:
        """The marked ones, or the one under the cursor."""
        return self.chosen_rows()

    def is_useful(self, action: str) -> bool:
        """Merging needs marks."""
        if action == "merge_into":
            return bool(self.table.marked - {self.table.current_key})
        return super().is_useful(action)

    def was_done(self) -> None:
        """The marks have served."""
        self.clear_marks()
        super().was_done()

    def changed(self, row: Row) -> None:
        """The marks have served."""
        self.clear_marks()
        super().changed(row)

    def action_merge_into(self) -> None:
        """`M`: what is marked becomes part of the incident under the cursor."""
        into = self.table.current
        others = [row for row in self.marked_rows if into is not None and row["incident_id"] != into["incident_id"]]
        if not self.is_possible():
            return
        if into is None or not others:
            self.notify(
                "Mark what is to be merged with space, put the cursor on the one that stays.", severity="warning"
            )
            return
        numbers, target = [int(row["incident_id"]) for row in others], int(into["incident_id"])

        def send(comment: str) -> str:
            self.run_worker(work(self._merge, numbers, target, comment.strip()), group="deed")
            return ""

        label = f"merge {', '.join(map(str, numbers[:5]))}{' ...' if len(numbers) > 5 else ''} into {target}: "
        hint = f"why they are one; enter merges, z takes it back · {plain(into.get('title'), limit=60)}"
        self.query_one(PromptLine).ask(Question(label, send, hint=hint))

    async def _merge(self, numbers: Sequence[int], into: int, comment: str) -> None:
        for position, number in enumerate(numbers):
            try:
                answer = await self.console_app.client.merge_incident(number, into, comment)
            except ClientError as error:
                words = f"{position} merged, then refused" if position else "Refused"
                self.notify(f"{words}: {error}", severity="error", markup=False, timeout=10)
                break
            self.console_app.done.append(("link", int(answer["link"]["link_id"])))
        else:
            self.notify(f"{', '.join(map(str, numbers))} merged into incident {into}. z takes it back.", markup=False)
        self.changed({})


class IncidentsScreen(IncidentList):
    """The list of incidents."""

    HELP = (
        "Open and acknowledged incidents, worst first: open before acknowledged, then severity, lost core-hours, last "
        "seen. :inc state=* shows the resolved ones too. Verbs are about what is marked, else about the one under the cursor."
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
