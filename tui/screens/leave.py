"""The question before the console closes."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static


class LeaveScreen(ModalScreen[None]):
    """y or enter leaves, n or esc stays."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y,enter,q", "leave", "leave"),
        Binding("n,escape", "dismiss", "stay"),
    ]

    def compose(self) -> ComposeResult:
        """One sentence."""
        with Vertical(classes="dialogue") as box:
            box.border_title = "Leave the console?"
            yield Static(Text("y  leave      n  stay\n\nThe jobs go on without it."))

    def action_leave(self) -> None:
        """Close the console."""
        self.app.exit()
