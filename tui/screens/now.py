"""Now: what needs me? The worst incidents first; below the tiles, what the system does at this moment."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from textual import on
from textual.app import ComposeResult
from textual.containers import Container, Horizontal, Vertical

from pandascope.addresses import Address, Page
from tui.render.columns import incident_columns, queue_columns
from tui.render.incident import incident_card
from tui.render.now import agents, figures
from tui.screens.base import Answer
from tui.screens.deeds import IncidentDeeds
from tui.screens.listing import ListingScreen
from tui.widgets.panel import Panel
from tui.widgets.ribbon import Ribbon
from tui.widgets.throughput_chart import ThroughputChart
from tui.widgets.tiles import Tiles
from tui.widgets.virtual_table import Column, Row, VirtualTable


class NowScreen(IncidentDeeds, ListingScreen):
    """The first screen."""

    HELP = "The ten worst unresolved incidents. Enter opens one, l goes straight to the failing line, a acknowledges."
    GIVES_SUMMARY = True
    ROWS = "worst"
    NOUN = ("incident", "worst incidents")
    KEY = "incident_id"

    @property
    def topics(self) -> Sequence[str]:
        """Everything."""
        return ("incidents", "jobs", "queues")

    def columns(self) -> list[Column]:
        """The columns of incidents."""
        return incident_columns(self.palette, self.console_app.now)

    def parts(self) -> ComposeResult:
        """Tiles and ribbon above; incidents with the card of the chosen one, course and queues beside or below."""
        yield Tiles(4, id="tiles")
        yield Ribbon(id="ribbon")
        with Container(id="now"):
            with Vertical(id="now-incidents"):
                yield VirtualTable(self.columns(), self.row_key, id="rows", classes="panel")
                yield Panel("Under the cursor", id="card")
            with Vertical(id="now-course"):
                yield ThroughputChart(id="chart")
                queues = VirtualTable(
                    queue_columns(self.palette, self.console_app.now),
                    lambda row: str(row.get("queue_name")),
                    id="now-queues",
                    classes="panel",
                )
                queues.border_title = "Queues"
                yield queues
                with Horizontal(id="now-agents"):
                    yield Panel("Agents", id="agents")

    async def ask(self) -> Answer:
        """The summary; queues and the course of the day where there is room for them."""
        client = self.console_app.client
        if not self.has_class("-wide", "-huge"):
            return await client.summary()
        summary, queues, course = await asyncio.gather(
            client.summary(), client.queues(), client.throughput(hours=12, bin_s=600)
        )
        return {**summary, "queues": queues.get("queues") or [], "course": course}

    def show(self, answer: Answer) -> None:
        """Everything."""
        super().show(answer)
        self._show_system(answer)

    def show_live(self, answer: Answer) -> None:
        """Figures change; incidents stay where they are."""
        super().show_live(answer)
        self._show_system(answer)

    def _show_system(self, answer: Answer) -> None:
        palette = self.palette
        self.console_app.take_summary(answer)
        self.query_one(Tiles).show(figures(answer, palette), palette.muted)
        self.query_one(Ribbon).show(answer.get("jobs") or {}, palette)
        bins, finished, failed = _course(answer)
        self.query_one(ThroughputChart).show(bins, finished, failed, palette)
        self.query_one("#now-queues", VirtualTable).fill(list(answer.get("queues") or []))
        self.query_one("#agents", Panel).show(agents(answer.get("agents") or [], palette, self.console_app.now()))

    def incident_row(self) -> Row | None:
        """The incident under the cursor."""
        return self.table.current

    def open_row(self, row: Row) -> None:
        """To the incident."""
        self.console_app.drill(Address(Page.INCIDENT, int(row["incident_id"])), row=row)

    @on(VirtualTable.Opened, "#now-queues")
    def _open_queue(self, event: VirtualTable.Opened) -> None:
        self.console_app.drill(Address(Page.JOBS, filters={"computing_site": str(event.row["queue_name"])}))

    @on(VirtualTable.Moved, "#rows")
    def _explain(self, event: VirtualTable.Moved) -> None:
        card = self.query_one("#card", Panel)
        card.show(None if event.row is None else incident_card(event.row, self.palette, self.console_app.now()))

    def describe(self) -> None:
        """The summary's count is not that of the list."""
        super().describe()

    def nothing(self) -> str:
        """Good news."""
        return "No incident is open: nothing needs you now."

    @property
    def window_words(self) -> str:
        """The window of the job counts."""
        return super().window_words or "last 24 h"


def _course(answer: dict[str, Any]) -> tuple[list[str], list[int], list[int]]:
    """Bins and counts of the throughput answer; from the summary's sparkline when that is all there is."""
    course = answer.get("course")
    if isinstance(course, dict):
        bins, series = list(course.get("bins") or []), course.get("series") or {}
        empty = [0] * len(bins)
        failed = [
            sum(counts) for counts in zip(series.get("failed") or empty, series.get("closed") or empty, strict=False)
        ]
        return bins, list(series.get("finished") or empty), failed
    spark = answer.get("sparkline") or {}
    finished, failed = list(spark.get("finished") or []), list(spark.get("failed") or [])
    return [""] * len(finished), finished, failed
