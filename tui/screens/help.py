"""The keys that work here, from the live bindings, with what the focused widget and the screen say of themselves."""

from __future__ import annotations

from typing import Any, ClassVar

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

from tui.keys import KEYS
from tui.live import MEANING
from tui.palette import Palette


class HelpScreen(ModalScreen[None]):
    """Opened above the screen that it explains."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,question_mark,f1,q,enter", "dismiss", "close")]

    def __init__(self, about: Screen[Any]) -> None:
        super().__init__()
        focused = about.focused
        texts = [getattr(about, "HELP", ""), getattr(focused, "HELP", "") if focused is not None else ""]
        self._texts = [text for text in texts if isinstance(text, str) and text]
        self._offered = {active.binding.id for active in about.active_bindings.values()}

    def compose(self) -> ComposeResult:
        """Sentences, then the keys."""
        palette = Palette.of_theme(self.app.theme_variables)
        with VerticalScroll(classes="dialogue help") as box:
            box.border_title = "Keys of what is in focus"
            box.border_subtitle = "esc closes"
            for text in self._texts:
                yield Static(Text(text + "\n"))
            yield Static(self._keys(palette))
            yield Static(_live_words(palette))

    def _keys(self, palette: Palette) -> Table:
        table = Table.grid(padding=(0, 2))
        table.add_column(justify="right", no_wrap=True)
        table.add_column()
        for key in KEYS:
            if key.action in self._offered and not key.keys.isdecimal():
                table.add_row(Text(key.shown_key, style=palette.accent), Text(key.sentence, style=palette.text))
        screens = " · ".join(
            f"{key.keys} {key.word}" for key in KEYS if key.keys.isdecimal() and key.action in self._offered
        )
        table.add_row(Text("0-9", style=palette.accent), Text(screens, style=palette.text))
        return table


def _live_words(palette: Palette) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_row(Text(""), Text(""))
    for state, meaning in MEANING.items():
        table.add_row(Text(str(state), style=palette.heading), Text(meaning, style=palette.muted))
    return table
