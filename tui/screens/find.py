"""What a piece of text names: jobs, tasks, incidents, queues, users, as the server finds them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, ClassVar, cast

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static

from pandascope.addresses import parse_address
from pandascope.errors import ClientError
from tui.text import plain
from tui.workers import work

if TYPE_CHECKING:
    from tui.app import ConsoleApp


class FindScreen(ModalScreen[None]):
    """Hits to choose from; a single hit opens by itself."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q", "dismiss", "close")]

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text
        self.shown_s: float | None = None
        """Since when there is an answer (monotonic): no key counts that was typed before."""
        self._hits: list[dict[str, Any]] = []

    def compose(self) -> ComposeResult:
        """A sentence and the hits."""
        with Vertical(classes="dialogue find") as box:
            box.border_title = "Find"
            box.border_subtitle = "enter opens, esc closes"
            yield Static(Text(f"Looking for “{plain(self._text, limit=80)}” …"), id="find-words")
            yield OptionList(id="hits")

    def on_mount(self) -> None:
        """Ask."""
        self.query_one(OptionList).display = False
        self.run_worker(work(self._search), exclusive=True)

    async def _search(self) -> None:
        words = self.query_one("#find-words", Static)
        try:
            answer = await cast("ConsoleApp", self.app).client.search(self._text)
        except ClientError as error:
            words.update(Text(str(error)))
            self.shown_s = time.monotonic()
            return
        self._hits = list(answer.get("hits") or [])
        if len(self._hits) == 1:
            self._open(self._hits[0])
        elif not self._hits:
            words.update(Text(f"Nothing is called “{plain(self._text, limit=80)}”."))
        else:
            words.update(Text(f"{len(self._hits)} hits for “{plain(self._text, limit=80)}”"))
            hits = self.query_one(OptionList)
            hits.add_options(
                [Text(f"{hit.get('kind', ''):<9} {plain(hit.get('title'), limit=200)}") for hit in self._hits]
            )
            hits.display = True
            hits.focus()
        self.shown_s = time.monotonic()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Go to the hit."""
        self._open(self._hits[event.option_index])

    def _open(self, hit: dict[str, Any]) -> None:
        console = cast("ConsoleApp", self.app)
        try:
            address = parse_address(str(hit.get("address")))
        except ClientError as error:
            self.notify(str(error), severity="error", markup=False)
            return
        self.dismiss()
        self.app.call_later(console.jump, address)
