"""Incident: cause, scope, next step. The failing line is on it; `l` opens the log at that line."""

from __future__ import annotations

from collections.abc import Sequence

from textual import on
from textual.app import ComposeResult
from textual.containers import Container, VerticalScroll

from pandascope.addresses import Address, Page, log_address
from tui.render.columns import job_columns
from tui.render.incident import activity, breakdown, culprit, culprit_source, records, verdict
from tui.screens.base import Answer
from tui.screens.deeds import IncidentDeeds
from tui.text import plural
from tui.widgets.panel import Panel
from tui.widgets.virtual_table import Row, VirtualTable


class FactsColumn(VerticalScroll, can_focus=True):
    """The panels of an incident, one below the other."""

    HELP = "Arrows scroll. tab moves to the sample jobs."


class IncidentScreen(IncidentDeeds):
    """One incident."""

    HELP = "Why these failures are one incident, how much they cost, and the line that failed. l opens the log there."
    FIRST_FOCUS = "#incident-jobs"

    @property
    def topics(self) -> Sequence[str]:
        """This incident."""
        return (f"incident:{self.address.number}",)

    def parts(self) -> ComposeResult:
        """Verdict and failing line, sample jobs, then the details."""
        with Container(id="incident"):
            with FactsColumn(id="incident-facts"):
                yield Panel("Incident", id="verdict")
                yield Panel("The line that failed", id="culprit", classes="bad")
                yield Panel("Spread", id="breakdown")
                yield Panel("What was done", id="activity")
                yield Panel("Log records", id="records")
            table = VirtualTable(
                job_columns(self.palette, self.console_app.now),
                lambda row: str(row.get("panda_id")),
                id="incident-jobs",
                classes="panel",
            )
            table.border_title = "Sample jobs"
            yield table

    def on_mount(self) -> None:
        """What the list knew is drawn at once."""
        for name in ("#verdict", "#culprit", "#breakdown", "#activity", "#records"):
            self.query_one(name, Panel).show(None)
        row = self.place.memory.get("row")
        if row is not None and self.answer is None:
            self._show_row(row, None, "")

    async def ask(self) -> Answer:
        """The incident."""
        return await self.console_app.client.incident(int(self.address.number or 0))

    def show(self, answer: Answer) -> None:
        """Every panel; the jobs keep their cursor."""
        row = dict(answer.get("incident") or {})
        self._show_row(row, answer.get("culprit"), str(answer.get("grouping") or ""))
        width = self.query_one("#incident-facts").size.width - 6
        self.query_one("#breakdown", Panel).show(breakdown(answer.get("breakdown") or {}, self.palette, width))
        self.query_one("#activity", Panel).show(activity(answer.get("activity") or [], self.palette))
        self.query_one("#records", Panel).show(records(answer.get("records") or [], self.palette))
        table = self.query_one("#incident-jobs", VirtualTable)
        jobs = list(answer.get("jobs") or [])
        table.fill(jobs, keep=self.place.memory.pop("cursor", None))
        table.display = bool(jobs)
        total = int(row.get("job_count") or 0)
        table.border_subtitle = f"{len(jobs)} of {plural(total, 'job')} · j lists them all"
        if not jobs:
            self.query_one("#incident-facts").focus()

    def _show_row(self, row: Row, found: dict[str, object] | None, grouping: str) -> None:
        now = self.console_app.now()
        self.query_one("#verdict", Panel).show(verdict(row, self.palette, now, grouping))
        self.query_one("#culprit", Panel).show(culprit(found, row, self.palette), culprit_source(found))

    def remember(self) -> None:
        """Where the cursor is."""
        self.place.memory["cursor"] = self.query_one("#incident-jobs", VirtualTable).current_key

    def incident_row(self) -> Row | None:
        """This incident; what the list knew while the answer is on its way."""
        if self.answer is not None:
            row: Row | None = self.answer.get("incident")
            return row
        row = self.place.memory.get("row")
        return row

    def log_target(self) -> Address | None:
        """The log of the job under the cursor when one was chosen there, else the one with the culprit line."""
        table = self.query_one("#incident-jobs", VirtualTable)
        found = (self.answer or {}).get("culprit")
        if table.has_focus and table.cursor > 0 and table.current is not None:
            return log_address(int(table.current["panda_id"]))
        if isinstance(found, dict) and found.get("panda_id") is not None:
            return log_address(int(found["panda_id"]), str(found.get("log_name") or ""), found.get("line_number"))
        return super().log_target()

    @on(VirtualTable.Opened, "#incident-jobs")
    def _opened(self, event: VirtualTable.Opened) -> None:
        self.console_app.drill(Address(Page.JOB, int(event.row["panda_id"])), row=event.row)
