"""Deeds and the audit: who did what to which objects, does it go back, and who changed what."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, cast

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from pandascope.addresses import Address, Page
from pandascope.client import AsyncClient
from pandascope.errors import ClientError
from tui.keys import offered
from tui.palette import Palette
from tui.render.course import audit_columns, deed_columns
from tui.render.preview import one_deed
from tui.screens.acting import ActingScreen
from tui.screens.base import Answer
from tui.screens.pair import PairScreen
from tui.screens.undo import Undoable, undoable_deed
from tui.widgets.virtual_table import Column, Row
from tui.workers import work

if TYPE_CHECKING:
    from tui.app import ConsoleApp

_AUDIT_ROWS = 200
_OBJECTS = {"incident": Page.INCIDENT, "job": Page.JOB, "task": Page.TASK}


class AuditScreen(ActingScreen, PairScreen):
    """The deeds; below, the audit of everything that people changed."""

    HELP = (
        "Deeds are what was previewed and confirmed; z takes the one under the cursor back, v lets one stay that would go "
        "back by itself, enter shows what became of each object. Below is the audit: tab goes there, enter opens the object."
    )
    ROWS = "deeds"
    NOUN = ("deed", "deeds")
    KEY = "deed_id"
    ROWS_BELOW = "entries"
    KEY_BELOW = "audit_id"
    TITLE_BELOW = "Audit"
    EMPTY_BELOW = "nobody has changed anything yet"
    BINDINGS: ClassVar[list[BindingType]] = offered("let_stay")

    @property
    def topics(self) -> Sequence[str]:
        """Deeds; jobs too while one waits for test jobs, which are counted."""
        waits = any(row.get("revert_progress") for row in (self.answer or {}).get(self.ROWS) or [])
        return ("deeds", "jobs") if waits else ("deeds",)

    def columns(self) -> list[Column]:
        """The columns of deeds."""
        return deed_columns(self.palette, self.console_app.now)

    def columns_below(self) -> list[Column]:
        """The columns of the audit."""
        return audit_columns(self.palette, self.console_app.now)

    async def ask(self) -> Answer:
        """Both, the newest first; who= and deed_id= filter both."""
        client = self.console_app.client
        shared = {name: value for name, value in self.filters.items() if name in {"who", "action", "via", "deed_id"}}
        answer, log = await asyncio.gather(
            client.deeds(**{"limit": 500, **self.filters}), client.audit(**{"limit": _AUDIT_ROWS, **shared})
        )
        return {**answer, "entries": log.get("entries") or []}

    def open_row(self, row: Row) -> None:
        """What became of each object."""
        self.app.push_screen(DeedScreen(int(row["deed_id"])))

    def open_below(self, row: Row) -> None:
        """To the object, if it has a page."""
        page, number = _OBJECTS.get(str(row.get("object_kind"))), str(row.get("object_id"))
        if page is not None and number.isdecimal():
            self.console_app.drill(Address(page, int(number)))

    def is_useful(self, action: str) -> bool:
        """Undo and staying, where the deed under the cursor allows it."""
        row = self.table.current or {}
        if action == "undo":
            return undoable_deed(row) is not None if row else False
        if action == "let_stay":
            return row.get("revert_state") == "waiting"
        return super().is_useful(action)

    async def find_undoable(self, client: AsyncClient) -> Undoable | None:
        """The deed under the cursor."""
        row = self.table.current
        return None if row is None else undoable_deed((await client.deed(int(row["deed_id"]))).get("deed") or {})

    def action_let_stay(self) -> None:
        """`v`."""
        row = self.table.current
        if row is None or row.get("revert_state") != "waiting":
            self.notify("The deed under the cursor does not go back by itself.", severity="warning")
        elif self.is_possible():
            self.run_worker(work(self._let_stay, int(row["deed_id"])), group="deed")

    async def _let_stay(self, deed_id: int) -> None:
        try:
            await self.console_app.client.cancel_revert(deed_id)
        except ClientError as error:
            self.notify(f"Refused: {error}", severity="error", markup=False, timeout=10)
        else:
            self.notify(f"What deed {deed_id} did stays.")
        self.reload(live=True)

    def nothing(self) -> str:
        """Nobody did anything."""
        return "Nothing was done with a preview yet."


class DeedScreen(ModalScreen[None]):
    """One deed with its objects, those that were not done first."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,enter", "dismiss", "close")]

    def __init__(self, deed_id: int) -> None:
        super().__init__()
        self._deed_id = deed_id

    def compose(self) -> ComposeResult:
        """One text that scrolls."""
        with VerticalScroll(classes="dialogue why") as box:
            box.border_title = f"Deed {self._deed_id}"
            box.border_subtitle = "esc closes"
            yield Static(Text("Asking …"), id="deed-words")

    def on_mount(self) -> None:
        """Ask."""
        self.run_worker(work(self._ask), exclusive=True)

    async def _ask(self) -> None:
        console, words = cast("ConsoleApp", self.app), self.query_one("#deed-words", Static)
        try:
            answer = await console.client.deed(self._deed_id)
        except ClientError as error:
            words.update(Text(str(error)))
        else:
            words.update(one_deed(answer, Palette.of_theme(self.app.theme_variables)))
