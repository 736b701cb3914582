"""Keys that work on every view of the console: the trail, the digits, the command line, copying, help, leaving.

Knows the place that is shown and the application; knows nothing of what a view asks or draws.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from textual.screen import Screen

from pandascope.addresses import Address, Page
from pandascope.errors import Usage
from tui.command_line import completions, parse_command
from tui.keys import BY_ACTION
from tui.navigation import Place
from tui.screens.help import HelpScreen
from tui.screens.leave import LeaveScreen
from tui.screens.page_keys import PageKeys
from tui.suggester import LineSuggester
from tui.widgets.prompt_line import PromptLine, Question

if TYPE_CHECKING:
    from tui.app import ConsoleApp


class KeysEverywhere(PageKeys, Screen[None]):
    """A screen with a place on the trail."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place

    @property
    def console_app(self) -> ConsoleApp:
        """The application, by its type."""
        return cast("ConsoleApp", self.app)

    @property
    def address(self) -> Address:
        """What this view shows."""
        return self.place.address

    def selected_id(self) -> str:
        """The number or name of the selection."""
        return str(self.address.number or "")

    def action_press(self, action: str) -> None:
        """A click on a key hint: what the key would do."""
        self.app.simulate_key(BY_ACTION[action].keys.split(",")[0])

    def action_climb(self) -> None:
        """esc."""
        self.console_app.climb()

    def action_history_back(self) -> None:
        """`[`."""
        self.console_app.show_place(self.console_app.trail.back())

    def action_history_forward(self) -> None:
        """`]`."""
        self.console_app.show_place(self.console_app.trail.forward())

    def action_toggle_last(self) -> None:
        """`-`."""
        self.console_app.show_place(self.console_app.trail.toggle())

    def jump_to(self, page: Page) -> None:
        """To a list, on a new path."""
        self.console_app.jump(Address(page))

    def action_copy_link(self) -> None:
        """`y`: to the clipboard by OSC 52, which works over ssh too."""
        url = self.link().url(self.console_app.client.url)
        self.app.copy_to_clipboard(url)
        self.notify(f"Copied {url}", markup=False)

    def action_copy_id(self) -> None:
        """`Y`."""
        text = self.selected_id()
        if text:
            self.app.copy_to_clipboard(text)
            self.notify(f"Copied {text}", markup=False)

    def link(self) -> Address:
        """The address that `y` copies."""
        return self.address

    def action_help(self) -> None:
        """`?`."""
        self.app.push_screen(HelpScreen(self))

    def action_quit_console(self) -> None:
        """`q`."""
        self.app.push_screen(LeaveScreen())

    def action_command(self) -> None:
        """`:`."""
        hint = "jobs failed 6h · job 17 · incident 5 · find TEXT · an address · tab completes"
        question = Question(":", self._run_command, hint=hint, suggester=LineSuggester(completions), is_prose=False)
        self.query_one(PromptLine).ask(question)

    def _run_command(self, text: str) -> str:
        if not text.strip():
            return ""
        try:
            command = parse_command(text)
        except Usage as error:
            return str(error)
        complaint = self.console_app.complaint(command)
        if not complaint:
            self.query_one(PromptLine).close()
            self.console_app.carry_out(command)
        return complaint
