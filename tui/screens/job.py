"""Job: what happened to it? One sentence, the failing line, the course, files, and on a large screen the log as well."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, VerticalScroll

from pandascope.addresses import Address, Page, log_address
from tui.keys import offered
from tui.render import job as render
from tui.render.columns import file_columns
from tui.render.retries import retries
from tui.screens.acting import ActingScreen, of_tasks
from tui.screens.base import Answer
from tui.screens.log_pane import ask_log, show_log
from tui.text import plain, plain_lines, plural
from tui.widgets.log_view import LogView
from tui.widgets.panel import Panel
from tui.widgets.virtual_table import Row, VirtualTable


class JobColumn(VerticalScroll, can_focus=True):
    """Panels one below the other."""

    HELP = "Arrows scroll. tab moves to the files and, where it is shown, to the log."


class JobScreen(ActingScreen):
    """One job."""

    HELP = (
        "l opens the log at the line that failed, e the incident that the job belongs to, j all jobs of its task; "
        "w says why it does not run."
    )
    FIRST_FOCUS = "#job-story"
    BINDINGS: ClassVar[list[BindingType]] = offered("log", "errors", "jobs_of", "why", "kill", "retry")

    @property
    def topics(self) -> Sequence[str]:
        """This job."""
        return (f"job:{self.address.number}",)

    def parts(self) -> ComposeResult:
        """The story at the left; files, parameters and the log at the right."""
        with Container(id="job"):
            with JobColumn(id="job-story"):
                yield Panel("Job", id="job-summary")
                yield Panel("The line that failed", id="job-culprit", classes="bad")
                yield Panel("Errors", id="job-errors")
                yield Panel("Retries", id="job-retries")
                yield Panel("Course", id="job-timeline")
                yield Panel("Incidents", id="job-incidents")
                yield Panel("What it is", id="job-facts")
                yield Panel("How its queue was chosen", id="job-brokerage")
                yield Panel("Parameters", id="job-parameters")
            with Container(id="job-things"):
                files = VirtualTable(
                    file_columns(self.palette), lambda row: str(row.get("row_id")), id="job-files", classes="panel"
                )
                files.border_title = "Files"
                yield files
                log = LogView(id="job-log")
                log.add_class("panel")
                log.border_title = "Log"
                yield log

    def on_mount(self) -> None:
        """What the list knew is drawn at once."""
        row = self.place.memory.get("row")
        if row is not None and self.answer is None:
            self._show_row(row, "")

    async def ask(self) -> Answer:
        """The job and, for large screens, its log."""
        number, client = int(self.address.number or 0), self.console_app.client
        if not self.is_wide:
            return await client.job(number)
        answer, log = await asyncio.gather(client.job(number), ask_log(client, number))
        return {**answer, "log": log}

    def lacks(self, answer: Answer) -> bool:
        """The log."""
        return self.is_wide and "log" not in answer

    def show_ages(self) -> None:
        """That of the state."""
        answer = self.answer or {}
        self._show_row(dict(answer.get("job") or {}), str(answer.get("summary") or ""))

    def show(self, answer: Answer) -> None:
        """Every panel."""
        row, palette = dict(answer.get("job") or {}), self.palette
        self._show_row(row, str(answer.get("summary") or ""))
        self.query_one("#job-errors", Panel).show(render.errors(answer.get("errors") or [], palette))
        self.query_one("#job-retries", Panel).show(retries(answer.get("retries"), palette))
        self.query_one("#job-timeline", Panel).show(render.timeline(answer.get("history") or [], palette))
        self.query_one("#job-incidents", Panel).show(
            render.incidents(answer.get("incidents") or [], palette, answer.get("candidate")), "e opens the first"
        )
        self.query_one("#job-brokerage", Panel).show(render.brokerage(answer.get("brokerage"), palette))
        self.query_one("#job-parameters", Panel).show(_parameters(row, answer.get("parameters")))
        files = self.query_one("#job-files", VirtualTable)
        files.fill(list(answer.get("files") or []))
        files.border_subtitle = plural(len(files.rows), "file")
        if "log" in answer:
            show_log(self.query_one(LogView), answer["log"])

    def _show_row(self, row: Row, sentence: str) -> None:
        palette = self.palette
        self.query_one("#job-summary", Panel).show(render.summary(row, sentence, palette, self.console_app.now()))
        self.query_one("#job-culprit", Panel).show(render.culprit_line(row, palette), "l opens the log there")
        self.query_one("#job-facts", Panel).show(render.what_it_is(row, palette))

    def _row(self) -> Row:
        row: Row = (self.answer or {}).get("job") or self.place.memory.get("row") or {}
        return row

    def log_target(self) -> Address | None:
        """The log with the failing line."""
        return log_address(int(self.address.number or 0))

    def chosen_for(self, action: str) -> tuple[Mapping[str, Any], str] | None:
        """This job, or its task."""
        number, task = int(self.address.number or 0), self._row().get("jedi_task_id")
        if action == "kill":
            return {"jobs": [number]}, f"job {number}"
        return None if task is None else of_tasks(action, [int(task)])

    def why_target(self) -> Address | None:
        """This job."""
        return self.address

    def errors_target(self) -> Address | None:
        """The incident of the job."""
        found = (self.answer or {}).get("incidents") or []
        incident_id = found[0].get("incident_id") if found else self._row().get("incident_id")
        return None if incident_id is None else Address(Page.INCIDENT, int(incident_id))

    def jobs_target(self) -> Address | None:
        """The jobs of the same task."""
        task = self._row().get("jedi_task_id")
        return None if task is None else Address(Page.JOBS, filters={"jedi_task_id": str(task)})


def _parameters(row: Row, parameters: object) -> Text | None:
    if not parameters:
        return None
    lines = plain_lines(str(parameters))
    if row.get("transformation"):
        lines.insert(0, f"{plain(row['transformation'])}")
    return Text("\n".join(lines), overflow="fold")
