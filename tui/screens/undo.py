"""One thing to be taken back, named before it is: a deed, or a merge or split. enter does it, esc leaves."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from pandascope.client import AsyncClient
from pandascope.errors import ClientError, ServerUnreachable
from tui.palette import Palette
from tui.render.preview import deed_words, undo_question
from tui.text import ago, plain, plural
from tui.widgets.prompt_line import PromptLine, Question
from tui.widgets.virtual_table import Row
from tui.workers import work

if TYPE_CHECKING:
    from tui.app import ConsoleApp


@dataclass(frozen=True)
class Undoable:
    """What can be taken back. `puts_back`: what that brings; `time`: when it was done, ISO 8601."""

    kind: Literal["deed", "link"]
    number: int
    words: str
    puts_back: str
    time: str = ""


Find = Callable[[AsyncClient], Awaitable[Undoable | None]]


def undoable_deed(deed: Row) -> Undoable | None:
    """A deed, if something takes it back and nobody has."""
    is_open = not deed.get("undone_time") and deed.get("state") != "executing"
    if not (deed.get("inverse") and is_open and deed.get("can_be_undone", True)):
        return None
    what = plural(int(deed.get("target_count") or 0), str(deed.get("target_kind")))
    words = (
        f"Deed {deed['deed_id']}: {plain(deed.get('action'), limit=40)}, {what}, by {plain(deed.get('who'), limit=60)}"
    )
    return Undoable("deed", int(deed["deed_id"]), words, plain(deed["inverse"], limit=200), str(deed.get("time") or ""))


def undoable_link(link: Row) -> Undoable | None:
    """A merge or split that is in force."""
    if link.get("undone_time"):
        return None
    about = f"incident {link.get('incident_id')}"
    parts = f"into {link.get('into_incident_id')}" if link.get("kind") == "merge" else "in two"
    words = f"{plain(link.get('kind'), limit=10)} of {about} {parts}, by {plain(link.get('who'), limit=60)}"
    return Undoable("link", int(link["link_id"]), words.capitalize(), "all events where they would be without it",
                    str(link.get("time") or ""))  # fmt: skip


class UndoScreen(ModalScreen[bool]):
    """A dialogue; True when something was taken back."""

    AUTO_FOCUS = ""  # else the line to type into, which is not hidden yet, would take the keys
    VERTICAL_BREAKPOINTS = [(0, "-tiny"), (16, "-roomy")]

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "undo", "take it back"),
        Binding("w", "reason", "why"),
        Binding("escape,q,z", "leave", "leave"),
    ]

    def __init__(self, find: Find) -> None:
        super().__init__()
        self._find = find
        self.shown_s: float | None = None
        """Since when it can be answered (monotonic); None while the server is asked: no key counts that was typed before."""
        self._found: Undoable | None = None
        self._reason = ""
        self._is_busy = False

    def compose(self) -> ComposeResult:
        """What it is, the keys, a line to type into."""
        with Vertical(classes="dialogue preview") as box:
            box.border_title = "Undo"
            box.border_subtitle = "esc leaves"
            yield Static(Text("Looking for it …"), id="undo-words")
            yield PromptLine(id="prompt")

    def on_mount(self) -> None:
        """Look for it."""
        self.run_worker(work(self._look), group="undo", exclusive=True)

    async def _look(self) -> None:
        try:
            self._found = await self._find(self._monitor.client)
        except ClientError as error:
            self._say(str(error))
        else:
            self._show_found()
        self.shown_s = time.monotonic()

    def _show_found(self) -> None:
        if self._found is None:
            self._say("There is nothing here that can be taken back. :deeds lists what was done.")
        else:
            self._draw()

    def action_undo(self) -> None:
        """enter."""
        if self._found is not None and not self._is_busy:
            self._is_busy, self.shown_s = True, None
            self.run_worker(work(self._take_back, self._found), group="undo", exclusive=True)

    async def _take_back(self, found: Undoable) -> None:
        client = self._monitor.client
        try:
            if found.kind == "deed":
                deed: dict[str, Any] = await client.undo_deed(found.number, self._reason)
                said = f"Taken back. {deed_words(deed)}."
            else:
                await client.undo_link(found.number)
                said = "Taken back: the incidents are as they would be without it."
        except ServerUnreachable as error:
            self._monitor.feed.lost(error.detail)
            self._say(f"No answer came: {error.detail}. :deeds shows whether it was taken back.")
        except ClientError as error:
            self._say(f"Not taken back: {error}.")
        else:
            self._monitor.done = [one for one in self._monitor.done if one != (found.kind, found.number)]
            self.notify(said, markup=False)
            self.dismiss(True)
        finally:
            self._is_busy, self.shown_s = False, time.monotonic()

    def action_reason(self) -> None:
        """`w`."""
        if self._found is None:
            return

        def take(words: str) -> str:
            self._reason = words.strip()[:2000]
            self._draw()
            return ""

        self.query_one(PromptLine).ask(Question("why: ", take, value=self._reason))

    def action_leave(self) -> None:
        """esc."""
        self.dismiss(False)

    def _draw(self) -> None:
        found = self._found
        if found is not None:
            when = f"{ago(found.time, self._monitor.now())} ago" if found.time else ""
            palette = Palette.of_theme(self.app.theme_variables)
            self.query_one(".dialogue").border_subtitle = "enter takes it back · w why · esc leaves"
            content = undo_question(found.words, found.puts_back, when, palette, self._reason)
            self.query_one("#undo-words", Static).update(content)

    def _say(self, sentence: str) -> None:
        self._found = None
        self.query_one(".dialogue").border_subtitle = "esc leaves"
        self.query_one("#undo-words", Static).update(Text(sentence, overflow="fold"))

    @property
    def _monitor(self) -> ConsoleApp:
        return cast("ConsoleApp", self.app)
