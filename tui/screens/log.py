"""Log: the failing line, and what stands around it. Opens at the line of the address, else at the culprit line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Static

from pandascope.addresses import Address, Page, log_address
from tui.keys import offered
from tui.screens.base import Answer, MonitorScreen
from tui.text import number, plain, plain_lines, plural
from tui.widgets.log_view import LogView
from tui.widgets.prompt_line import PromptLine, Question


class LogScreen(MonitorScreen):
    """A kept log of one job."""

    HELP = (
        "The last 64 kB of the job's logs are kept. tab goes through them; the one with the failing line comes first."
    )
    FIRST_FOCUS = "#log"
    BINDINGS: ClassVar[list[BindingType]] = offered("next_name", "previous_name", "errors", "jobs_of")

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self._positioned = False
        self._search = ""

    @property
    def topics(self) -> Sequence[str]:
        """This job."""
        return (f"job:{self.address.number}",)

    def parts(self) -> ComposeResult:
        """The names, the lines, where one is."""
        yield Static(id="log-names")
        yield LogView(id="log")
        yield Static(id="log-place")

    async def ask(self) -> Answer:
        """The log of the address."""
        return await self.console_app.client.job_log(int(self.address.number or 0), self.address.filters.get("name"))

    def show(self, answer: Answer) -> None:
        """The lines; the first time at the line that matters."""
        view = self.query_one(LogView)
        culprit = answer.get("culprit") or {}
        view.show(
            plain_lines(str(answer.get("text") or "")),
            first_line_number=int(answer.get("first_line_number") or 1),
            culprit_number=culprit.get("line_number"),
        )
        self._show_names(answer)
        if not self._positioned:
            self._positioned = True
            wanted = self.place.memory.pop("line", None) or self.address.line or culprit.get("line_number")
            if wanted:
                self.call_after_refresh(view.go_to_number, int(wanted))
            else:
                self.call_after_refresh(view.go_to, len(view.lines) - 1)
        if not view.lines:
            self.say("This log is empty.")
        elif answer.get("truncated"):
            self.say("The log was longer: only its end is kept.")
        else:
            self.say("")

    def remember(self) -> None:
        """The line under the cursor."""
        self.place.memory["line"] = self.query_one(LogView).line_number

    def _names(self) -> list[str]:
        return [str(name) for name in (self.answer or {}).get("names") or []]

    def _show_names(self, answer: Answer) -> None:
        line = Text(" ", no_wrap=True, overflow="ellipsis")
        for name in self._names():
            is_shown = name == answer.get("name")
            line.append(f" {plain(name)} ", self.palette.strong if is_shown else self.palette.muted)
            line.stylize("reverse", len(line.plain) - len(plain(name)) - 2) if is_shown else None
            line.append(" ")
        self.query_one("#log-names", Static).update(line)

    @on(LogView.Moved)
    def _describe(self, _: LogView.Moved) -> None:
        view, palette = self.query_one(LogView), self.palette
        line = Text(" ", no_wrap=True, overflow="ellipsis", style=palette.muted)
        last = view.first_line_number + max(0, len(view.lines) - 1)
        line.append(f"line {number(view.line_number)} of {number(last)}", palette.text)
        if view.culprit is not None:
            line.append(f"  ▶ failing line {number(view.first_line_number + view.culprit)}", palette.bad)
        line.append(f"  {plural(view.errors, 'error line')}")
        if self._search:
            line.append(f"  {plural(view.matches, 'line')} with “{self._search}”", palette.accent)
        if view.following:
            line.append("  following", palette.active)
        self.query_one("#log-place", Static).update(line)

    def _turn(self, direction: int) -> None:
        names = self._names()
        if len(names) < 2:
            self.notify("This job has no other log.")
            return
        shown = str((self.answer or {}).get("name"))
        position = names.index(shown) if shown in names else 0
        name = names[(position + direction) % len(names)]
        self.place = self.console_app.trail.replace(log_address(int(self.address.number or 0), name))
        self._positioned = False
        self._has_shown = False
        self.reload()

    def action_next_name(self) -> None:
        """tab."""
        self._turn(1)

    def action_previous_name(self) -> None:
        """shift+tab."""
        self._turn(-1)

    def action_find(self) -> None:
        """`/`: search as one types."""
        self.query_one(PromptLine).ask(
            Question(
                "/",
                self._found,
                hint="small letters match both cases; n and N move",
                value=self._search,
                is_prose=False,
            )
        )

    def _found(self, text: str) -> str:
        self._search = text
        found = self.query_one(LogView).search(text)
        return f"no line contains “{text}”" if text and not found else ""

    def errors_target(self) -> Address | None:
        """The job, where its errors are told."""
        return Address(Page.JOB, self.address.number)

    def jobs_target(self) -> Address | None:
        """The job."""
        return Address(Page.JOB, self.address.number)

    def link(self) -> Address:
        """The line under the cursor."""
        shown = str((self.answer or {}).get("name") or "")
        return log_address(int(self.address.number or 0), shown, self.query_one(LogView).line_number)
