"""Now: what needs me? The worst incidents first; beside them what failed last and how the system does."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from textual import on
from textual.app import ComposeResult
from textual.containers import Container, Vertical

from pandascope.addresses import Address, Page
from tui.render.columns import failed_job_columns, incident_columns, queue_columns
from tui.render.incident import incident_card
from tui.render.now import agents, figures
from tui.screens.base import Answer
from tui.screens.incidents import IncidentList
from tui.text import moment, number
from tui.widgets.panel import Panel
from tui.widgets.ribbon import Ribbon
from tui.widgets.throughput_chart import Course, ThroughputChart
from tui.widgets.tiles import Tiles
from tui.widgets.virtual_table import Column, Row, VirtualTable

COURSE_HOURS = 12
COURSE_BIN_S = 60
_LEAST_BINS = 60
"""A chart of one hour is the shortest that is drawn."""
_ENDED = ("finished", "failed", "cancelled", "closed")
_FAILED_SHOWN = 50


class NowScreen(IncidentList):
    """The first screen."""

    HELP = "The ten worst unresolved incidents. Enter opens one, l goes straight to the failing line, a acknowledges."
    GIVES_SUMMARY = True
    ROWS = "worst"
    NOUN = ("incident", "incidents")
    TITLE_OF_ROWS = "Worst incidents"
    KEY = "incident_id"
    ASKS_EVERY_S = 20.0

    @property
    def topics(self) -> Sequence[str]:
        """Everything."""
        return ("incidents", "jobs", "queues")

    def columns(self) -> list[Column]:
        """The columns of incidents."""
        return incident_columns(self.palette, self.console_app.now)

    def parts(self) -> ComposeResult:
        """Figures above; incidents with the chosen one and the course of the day; queues and failed jobs beside them."""
        yield Tiles(4, id="tiles")
        yield Ribbon(id="ribbon")
        with Container(id="now"):
            with Vertical(id="now-incidents"):
                yield VirtualTable(self.columns(), self.row_key, id="rows", classes="panel")
                yield Panel("Under the cursor", id="card")
                yield ThroughputChart(id="chart")
            with Vertical(id="now-system"):
                queue_list = queue_columns(self.palette, self.console_app.now)
                yield VirtualTable(queue_list, lambda row: str(row.get("queue_name")), id="now-queues", classes="panel")
                failed_list = failed_job_columns(self.palette, self.console_app.now)
                yield VirtualTable(failed_list, lambda row: str(row.get("panda_id")), id="now-failed", classes="panel")
                yield Panel("Agents", id="agents")

    def on_mount(self) -> None:
        """Titles of the side lists."""
        self.query_one("#now-queues").border_title = "Queues"
        self.query_one("#now-failed").border_title = "Failed last"

    async def ask(self) -> Answer:
        """The summary; queues, failed jobs and the course of the day where there is room for them."""
        client = self.console_app.client
        if not self.is_wide:
            return await client.summary()
        summary, queues, failed, course = await asyncio.gather(
            client.summary(),
            client.queues(),
            client.jobs(job_status="failed", facets=0, limit=_FAILED_SHOWN),
            client.throughput(hours=COURSE_HOURS, bin_s=COURSE_BIN_S, job_status="|".join(_ENDED)),
        )
        return {**summary, "queues": queues.get("queues") or [], "failed": failed.get("jobs") or [], "course": course}

    def lacks(self, answer: Answer) -> bool:
        """The second column."""
        return self.is_wide and "course" not in answer

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
        # whether an agent is late is judged by the time of the answer: it has run since, which no event tells of
        then = moment(answer.get("as_of")) or self.console_app.now()
        self.console_app.take_summary(answer)
        self.query_one(Tiles).show(figures(answer, palette), palette.muted)
        self.query_one(Ribbon).show(answer.get("jobs") or {}, palette)
        self.query_one("#agents", Panel).show(agents(answer.get("agents") or [], palette, then))
        if "course" not in answer:
            return
        self.query_one(ThroughputChart).show(_course(answer["course"]).since_first(_LEAST_BINS), palette)
        self.query_one("#now-queues", VirtualTable).fill(answer["queues"])
        failed = self.query_one("#now-failed", VirtualTable)
        failed.fill(answer["failed"])
        failed.border_subtitle = "last 24 h · enter opens" if answer["failed"] else "none in 24 h"

    def total(self, answer: Answer) -> int:
        """Unresolved incidents; the count of the summary is that of its jobs."""
        incidents = answer.get("incidents") or {}
        return sum(int(incidents.get(state) or 0) for state in ("open", "acknowledged", "silenced"))

    def describe(self) -> None:
        """How many more there are than the worst."""
        super().describe()
        shown, total = len(self.table.rows), self.total(self.answer or {})
        if total > shown:
            before = self.table.border_subtitle
            self.table.border_subtitle = f"{before} · the {number(shown)} worst, 2 lists all"

    def open_row(self, row: Row) -> None:
        """To the incident."""
        self.console_app.drill(Address(Page.INCIDENT, int(row["incident_id"])), row=row)

    @on(VirtualTable.Opened, "#now-queues")
    def _open_queue(self, event: VirtualTable.Opened) -> None:
        self.console_app.drill(Address(Page.JOBS, filters={"computing_site": str(event.row["queue_name"])}))

    @on(VirtualTable.Opened, "#now-failed")
    def _open_failed(self, event: VirtualTable.Opened) -> None:
        self.console_app.drill(Address(Page.JOB, int(event.row["panda_id"])), row=event.row)

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
        return "No incident is open: nothing needs you now."

    @property
    def window_words(self) -> str:
        """The window of the job counts."""
        return super().window_words or "last 24 h"


def _course(answer: dict[str, Any]) -> Course:
    """Ended jobs per bin of a throughput answer; closed jobs (the system ended them unrun) go with the cancelled."""
    bins, series = list(answer.get("bins") or []), answer.get("series") or {}

    def counts(*statuses: str) -> list[int]:
        columns = [list(series.get(status) or [0] * len(bins)) for status in statuses]
        return [sum(values) for values in zip(*columns, strict=True)]

    return Course(bins, counts("finished"), counts("failed"), counts("cancelled", "closed"))
