"""Incident: cause, scope, next step. The failing line is on it; `l` opens the log at that line."""

from __future__ import annotations

from collections.abc import Sequence

from textual import on
from textual.app import ComposeResult
from textual.containers import Container, VerticalScroll

from pandascope.addresses import Address, Page, log_address
from pandascope.client import AsyncClient
from tui.render import course
from tui.render.columns import job_columns
from tui.render.incident import activity, breakdown, culprit, culprit_source, reason, records, verdict
from tui.render.verdict import how_sure, judgement
from tui.screens.base import Answer
from tui.screens.deeds import IncidentDeeds
from tui.screens.log_pane import ask_log, show_log
from tui.screens.undo import Undoable, undoable_deed, undoable_link
from tui.text import plural
from tui.widgets.log_view import LogView
from tui.widgets.panel import Panel
from tui.widgets.virtual_table import Row, VirtualTable

_HUGE = 170
_TALL = 34
"""Below this many lines the screen is short."""
_AROUND, _AROUND_SHORT = 8, 2
"""Lines before the failing one."""


class FactsColumn(VerticalScroll, can_focus=True):
    """The panels of an incident, one below the other."""

    HELP = "Arrows scroll. tab moves to the next part."


class IncidentScreen(IncidentDeeds):
    """One incident."""

    HELP = (
        "Whose it is and by which counts, how much it costs, and the line that failed: l opens the log there, h lists the "
        "earlier occurrences. D, R and K first show what would follow; z takes the last deed about this incident back."
    )
    FIRST_FOCUS = "#incident-jobs"
    _first_key: str | None = None
    """The job that the cursor begins on: the one with the failing line that is shown, if it is among the samples."""

    @property
    def topics(self) -> Sequence[str]:
        """This incident."""
        return (f"incident:{self.address.number}",)

    def parts(self) -> ComposeResult:
        """Verdict, failing line and details; sample jobs, log records and, on huge screens, the log."""
        with Container(id="incident"):
            with FactsColumn(id="incident-facts"):
                yield Panel("Incident", id="verdict")
                yield Panel("The line that failed", id="culprit", classes="bad")
                yield Panel("Whose it is", id="judgement")
                yield Panel("What was done", id="activity")
                yield Panel("Why it is one incident", id="reason")
                yield Panel("Spread", id="breakdown")
                yield Panel("Explained by it", id="explained")
                yield Panel("Seen before", id="previous")
                yield Panel("Silences", id="silences")
                yield Panel("Deeds", id="deeds")
                yield Panel("Merged and split", id="links")
            with Container(id="incident-things"):
                columns = job_columns(self.palette, self.console_app.now)
                yield VirtualTable(columns, lambda row: str(row.get("panda_id")), id="incident-jobs", classes="panel")
                with FactsColumn(id="incident-records"):
                    yield Panel("Log records", id="records")
                log = LogView(id="incident-log")
                log.add_class("panel")
                yield log

    def on_mount(self) -> None:
        """What the list knew is drawn at once."""
        self.query_one("#incident-jobs").border_title = "Sample jobs"
        row = self.place.memory.get("row")
        if row is not None and self.answer is None:
            self._show_row(row, None)

    def on_resize(self) -> None:
        """Another height, another number of lines around the failing one."""
        self.show_ages()

    async def ask(self) -> Answer:
        """The incident and, for huge screens, the log with the failing line."""
        client = self.console_app.client
        answer = await client.incident(int(self.address.number or 0))
        found = answer.get("culprit")
        if self._is_huge and isinstance(found, dict) and found.get("panda_id") is not None:
            answer["log"] = await ask_log(client, int(found["panda_id"]), found.get("log_name"))
        return answer

    @property
    def _is_huge(self) -> bool:
        return self.app.size.width >= _HUGE

    def lacks(self, answer: Answer) -> bool:
        """The log."""
        return self._is_huge and bool(answer.get("culprit")) and "log" not in answer

    def show(self, answer: Answer) -> None:
        """Every panel; the jobs keep their cursor."""
        palette, row = self.palette, dict(answer.get("incident") or {})
        self._show_row(row, answer.get("culprit"))
        width = self.query_one("#incident-facts").size.width - 6
        judged = judgement(answer.get("verdict"), row, str(answer.get("owner_hint") or ""), palette, width)
        self.query_one("#judgement", Panel).show(judged, how_sure(answer.get("verdict")))
        self.query_one("#reason", Panel).show(reason(row, str(answer.get("grouping") or ""), palette))
        self.query_one("#breakdown", Panel).show(breakdown(answer.get("breakdown") or {}, palette, width))
        self._show_course(answer)
        self.query_one("#activity", Panel).show(activity(answer.get("activity") or [], palette))
        found = records(answer.get("records") or [], palette)
        self.query_one("#records", Panel).show(found)
        self.query_one("#incident-records").set_class(found is None, "-empty")
        self._show_jobs(answer, row)
        self.set_class("log" in answer, "-with-log")
        if "log" in answer:
            show_log(self.query_one(LogView), answer["log"])

    def _show_course(self, answer: Answer) -> None:
        """What is around it: what it explains, when it was there before, silences, deeds."""
        palette, earlier, below = self.palette, answer.get("previous") or [], answer.get("inhibits") or []
        self.query_one("#explained", Panel).show(course.explained(below, palette), "nobody is told of these")
        self.query_one("#previous", Panel).show(course.previous(earlier, palette), "h lists them")
        silences = answer.get("silences") or []
        is_silent = any(not row.get("end_time") for row in silences)
        silent = course.silences(silences, palette, self.console_app.now())
        self.query_one("#silences", Panel).show(silent, "U ends the one that is in force" if is_silent else "")
        done = answer.get("deeds") or []
        back = "z takes the last one back" if any(map(undoable_deed, done)) else ""
        self.query_one("#deeds", Panel).show(course.deeds(done, palette), back)
        self.query_one("#links", Panel).show(course.links(answer.get("links") or [], palette))

    def _show_jobs(self, answer: Answer, row: Row) -> None:
        table = self.query_one("#incident-jobs", VirtualTable)
        jobs = list(answer.get("jobs") or [])
        is_first = not table.rows
        culprit_job = str((answer.get("culprit") or {}).get("panda_id"))
        table.fill(jobs, keep=self.place.memory.pop("cursor", culprit_job if is_first else None))
        if is_first:
            self._first_key = table.current_key
        table.display = bool(jobs)
        self.set_class(bool(jobs), "-with-jobs")
        total = int(row.get("job_count") or 0)
        table.border_subtitle = f"{len(jobs)} of {plural(total, 'job')} · j lists them all"
        if not jobs and table.has_focus:
            self.query_one("#incident-facts").focus()

    def _show_row(self, row: Row, found: dict[str, object] | None) -> None:
        brief = self.app.size.height < _TALL
        judged = (self.answer or {}).get("verdict")
        said = verdict(row, self.palette, self.console_app.now(), brief=brief, judged=judged)
        self.query_one("#verdict", Panel).show(said)
        lines = culprit(found, row, self.palette, around_it=_AROUND_SHORT if brief else _AROUND)
        self.query_one("#culprit", Panel).show(lines, culprit_source(found))

    def show_ages(self) -> None:
        """Those of the verdict."""
        if self.answer is not None and self._has_shown:
            self._show_row(dict(self.answer.get("incident") or {}), self.answer.get("culprit"))

    def remember(self) -> None:
        """Where the cursor is."""
        self.place.memory["cursor"] = self.query_one("#incident-jobs", VirtualTable).current_key

    def incident_row(self) -> Row | None:
        """This incident; what the list knew while the answer is on its way."""
        row: Row | None = self.place.memory.get("row") if self.answer is None else self.answer.get("incident")
        return row

    async def find_undoable(self, client: AsyncClient) -> Undoable | None:
        """The newest deed, merge or split about this incident that can be taken back; else what was done here last."""
        answer = await client.incident(int(self.address.number or 0))
        found = [
            *map(undoable_deed, answer.get("deeds") or []),
            *map(undoable_link, answer.get("links") or []),
        ]
        newest = max(filter(None, found), key=lambda one: one.time, default=None)
        return newest if newest is not None else await super().find_undoable(client)

    def log_target(self) -> Address | None:
        """The log of the job under the cursor when one was chosen there, else the one with the culprit line."""
        table = self.query_one("#incident-jobs", VirtualTable)
        found = (self.answer or {}).get("culprit")
        if table.has_focus and table.current is not None and table.current_key != self._first_key:
            return log_address(int(table.current["panda_id"]))
        if isinstance(found, dict) and found.get("panda_id") is not None:
            return log_address(int(found["panda_id"]), str(found.get("log_name") or ""), found.get("line_number"))
        return super().log_target()

    @on(VirtualTable.Opened, "#incident-jobs")
    def _opened(self, event: VirtualTable.Opened) -> None:
        self.console_app.drill(Address(Page.JOB, int(event.row["panda_id"])), row=event.row)
