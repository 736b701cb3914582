"""Shift: who has the watch, and what is handed over? The handover writes itself; who goes and who comes sign it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import TextArea

from pandascope.client import AsyncClient
from pandascope.errors import ClientError, ServerUnreachable
from tui.keys import offered
from tui.render import shift as render
from tui.screens.acting import ActingScreen
from tui.screens.base import Answer
from tui.text import number, plain_lines
from tui.widgets.panel import Panel
from tui.widgets.prompt_line import PromptLine, Question
from tui.widgets.virtual_table import Row
from tui.workers import work

Call = Callable[[AsyncClient], Coroutine[Any, Any, Any]]


class ShiftColumn(VerticalScroll, can_focus=True):
    """The panels of a shift, one below the other."""

    HELP = "Arrows and page keys scroll."


class ShiftScreen(ActingScreen):
    """The running shift (or the last one), or one by its number."""

    HELP = (
        "The handover is made of what happened, and changes until it is signed. C writes a note, E edits the text, O signs "
        "it out; a takes the watch over by signing what is read here, or begins a shift where nobody has the watch. "
        ":shift 3 shows an earlier one."
    )
    FIRST_FOCUS = "#shift"
    BINDINGS: ClassVar[list[BindingType]] = offered("acknowledge", "comment", "edit", "sign_out")

    @property
    def topics(self) -> Sequence[str]:
        """Shifts; the text is made of incidents and deeds."""
        return ("shift", "deeds", "silences")

    def parts(self) -> ComposeResult:
        """Who, the text, what has happened since it was edited, notes, earlier shifts."""
        with ShiftColumn(id="shift"):
            yield Panel("Watch", id="shift-watch")
            yield Panel("Notes", id="shift-notes")
            yield Panel("Handover", id="shift-draft")
            yield Panel("As it would be written now", id="shift-difference")
            yield Panel("Earlier shifts", id="shift-earlier")

    async def ask(self) -> Answer:
        """The shift, and those before."""
        client = self.console_app.client
        if self.address.number is not None:
            shifts, answer = await asyncio.gather(client.shifts(limit=20), client.shift(self.address.number))
            return {**answer, "shifts": shifts.get("shifts") or [], "watch": shifts.get("watch") or {}}
        shifts = await client.shifts(limit=20)
        rows = shifts.get("shifts") or []
        shift_id = shifts.get("running") or (rows[0]["shift_id"] if rows else None)
        answer = await client.shift(int(shift_id)) if shift_id is not None else {"as_of": shifts.get("as_of")}
        return {**answer, "shifts": rows, "watch": shifts.get("watch") or {}}

    def show(self, answer: Answer) -> None:
        """Everything."""
        palette, row = self.palette, self._row()
        self._show_watch(answer)
        draft = str(answer.get("draft") or "")
        written = f"edited · {'frozen by its signature' if row.get('outgoing_by') else 'E edits'}"
        made = "frozen by its signature" if row.get("outgoing_by") else "made of what happened, E edits"
        subtitle = written if row.get("is_edited") else made
        self.query_one("#shift-draft", Panel).show(render.handover(draft, palette), subtitle)
        self.query_one("#shift-difference", Panel).show(render.difference(answer.get("difference") or [], palette))
        self.query_one("#shift-notes", Panel).show(render.notes(answer.get("notes") or [], palette))
        before = [one for one in answer.get("shifts") or [] if one.get("shift_id") != row.get("shift_id")]
        self.query_one("#shift-earlier", Panel).show(render.earlier(before, palette), ":shift N shows one")
        self.draw_hints()

    def _show_watch(self, answer: Answer) -> None:
        row = self._row()
        if row:
            words = render.watch(row, answer.get("watch") or {}, self.palette, self.console_app.now())
            self.query_one("#shift-watch", Panel).show(words)
        if not self._is_running:
            self.say("Nobody has the watch: a begins a shift with you." if self.address.number is None else "")
        else:
            self.say("")

    def show_ages(self) -> None:
        """That of the watch."""
        self._show_watch(self.answer or {})

    def _row(self) -> Row:
        row: Row = (self.answer or {}).get("shift") or {}
        return row

    @property
    def _is_running(self) -> bool:
        return self._row().get("state") == "running"

    def is_useful(self, action: str) -> bool:
        """What the shift is ready for."""
        is_signed = bool(self._row().get("outgoing_by"))
        fits = {
            "acknowledge": (self._is_running and is_signed) or (not self._is_running and self.address.number is None),
            "comment": self._is_running,
            "edit": self._is_running,
            "sign_out": self._is_running and not is_signed,
        }
        return fits.get(action, super().is_useful(action))

    # -- verbs --------------------------------------------------------------------------------------------------

    def action_acknowledge(self) -> None:
        """`a`: take the watch over by the text that stands here, or begin a shift."""
        row = self._row()
        if not self._is_running and self.address.number is None:
            self._call(lambda client: client.start_shift(), "The shift has begun; you have the watch.")
        elif not self._is_running:
            self.notify("That shift was handed over.", severity="warning")
        elif not row.get("outgoing_by"):
            self.notify("It is not signed out yet: who goes presses O first.", severity="warning")
        else:
            digest, shift_id = str(row.get("digest") or ""), int(row["shift_id"])
            self._call(lambda client: client.sign_in(shift_id, digest=digest), "Signed. You have the watch.")

    def action_sign_out(self) -> None:
        """`O`: at once, if the handover still says what stands here; an edit takes the signature away again."""
        if not self._is_running:
            self.notify("No shift is running here.", severity="warning")
            return
        digest, shift_id = str((self.answer or {}).get("draft_digest") or ""), int(self._row()["shift_id"])
        told = "Signed out: the text is frozen. E would open it again."
        self._call(lambda client: client.sign_out(shift_id, digest), told)

    def action_comment(self) -> None:
        """`C`: a note; `#17` at its beginning says which incident it is about."""
        if not self._is_running:
            self.notify("No shift is running here: a begins one.", severity="warning")
            return
        shift_id = int(self._row()["shift_id"])

        def take(text: str) -> str:
            first, _, rest = text.strip().partition(" ")
            is_about = first.startswith("#") and first[1:].isdecimal() and len(first) <= 19 and rest.strip()
            incident_id = int(first[1:]) if is_about else None
            words = rest.strip() if is_about else text.strip()
            if not words:
                return "nothing is written yet; esc leaves"
            self._call(lambda client: client.note_shift(shift_id, words, incident_id), "Noted.")
            return ""

        hint = "what those who come should know; #17 first: about incident 17; enter sends, esc leaves"
        if self.is_possible():
            self.query_one(PromptLine).ask(Question("note: ", take, hint=hint))

    def action_edit(self) -> None:
        """`E`: the text that stands here; what others wrote meanwhile is not written over."""
        row = self._row()
        if not self._is_running:
            self.notify("No shift is running here.", severity="warning")
        elif self.is_possible():
            shift_id, seen = int(row["shift_id"]), row.get("draft_time")

            def save(text: str | None) -> None:
                if text is not None:
                    self._call(lambda client: client.edit_draft(shift_id, text, seen), "The handover is saved.")

            self.app.push_screen(EditScreen(str((self.answer or {}).get("draft") or "")), save)

    def _call(self, call: Call, done: str) -> None:
        if self.is_possible():
            self.run_worker(work(self._send, call, done), group="deed")

    async def _send(self, call: Call, done: str) -> None:
        try:
            await call(self.console_app.client)
        except ServerUnreachable as error:
            self.console_app.feed.lost(error.detail)
            self.notify(f"Not sent: {error.detail}", severity="error", markup=False)
        except ClientError as error:
            self.notify(f"Refused: {error}", severity="error", markup=False, timeout=10)
        else:
            self.notify(done)
        self.reload(live=True)

    def selected_id(self) -> str:
        """The number of the shift."""
        return str(self._row().get("shift_id") or "")


class EditScreen(ModalScreen[str | None]):
    """The handover in an editor; ctrl+s saves, esc leaves it as it was. An empty text brings back the one made of what
    happened."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "save", "save", priority=True),
        Binding("escape", "leave", "leave", priority=True),
    ]

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = "\n".join(plain_lines(text))
        self._may_leave = True

    def compose(self) -> ComposeResult:
        """The editor."""
        with Vertical(classes="dialogue edit") as box:
            box.border_title = "Handover (Markdown)"
            box.border_subtitle = "ctrl+s saves · esc leaves"
            yield TextArea(self._text, id="handover", show_line_numbers=False)

    def on_mount(self) -> None:
        """Type at once."""
        self.query_one(TextArea).focus()

    @on(TextArea.Changed)
    def _changed(self, event: TextArea.Changed) -> None:
        self._may_leave = event.text_area.text == self._text
        box = self.query_one(".edit")
        box.border_subtitle = f"{number(len(event.text_area.text))} characters · ctrl+s saves · esc leaves"

    def action_save(self) -> None:
        """ctrl+s."""
        self.dismiss(self.query_one(TextArea).text)

    def action_leave(self) -> None:
        """esc; with changes it has to be pressed twice."""
        if self._may_leave:
            self.dismiss(None)
        else:
            self._may_leave = True
            self.query_one(".edit").border_subtitle = "esc once more throws the changes away · ctrl+s saves"
