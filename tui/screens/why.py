"""Why it does not run: a dialogue above the job or task (or the list with its row) that it explains."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from pandascope.addresses import Address, Page
from pandascope.errors import ClientError
from tui.palette import Palette
from tui.render.why import why
from tui.workers import work

if TYPE_CHECKING:
    from tui.app import ConsoleApp


class WhyScreen(ModalScreen[None]):
    """Asks once; `r` asks again."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,w,q,enter", "dismiss", "close"),
        Binding("r", "ask", "ask again"),
    ]

    def __init__(self, about: Address) -> None:
        """`about`: a job or a task."""
        super().__init__()
        self._about = about

    def compose(self) -> ComposeResult:
        """One text that scrolls."""
        with VerticalScroll(classes="dialogue why") as box:
            box.border_title = f"Why · {self._about.page} {self._about.number}"
            box.border_subtitle = "r asks again, esc closes"
            yield Static(Text("Asking …"), id="why")

    def on_mount(self) -> None:
        """Ask."""
        self.action_ask()

    def action_ask(self) -> None:
        """`r`."""
        self.run_worker(work(self._ask), exclusive=True)

    async def _ask(self) -> None:
        client, number = cast("ConsoleApp", self.app).client, int(self._about.number or 0)
        words = self.query_one("#why", Static)
        try:
            is_task = self._about.page is Page.TASK
            answer = await (client.why_task(number) if is_task else client.why_job(number))
        except ClientError as error:
            words.update(Text(str(error)))
            return
        words.update(why(answer, Palette.of_theme(self.app.theme_variables)))
