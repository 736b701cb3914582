"""Four figures that say whether the system is well, each with what it is compared to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Static


@dataclass(frozen=True)
class Tile:
    """One figure: what it is, its value, a sentence below it."""

    title: str
    value: Text
    below: Text


class Tiles(Horizontal):
    """A row of tiles; their number is fixed when the row is made."""

    def __init__(self, amount: int, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._amount = amount

    def compose(self) -> ComposeResult:
        """Empty tiles."""
        for _ in range(self._amount):
            yield Static(classes="tile panel")

    def show(self, tiles: Sequence[Tile], muted: Style) -> None:
        """Write figures into the tiles."""
        for widget, tile in zip(self.query(".tile").results(Static), tiles, strict=False):
            text = Text(no_wrap=True, overflow="ellipsis")
            text.append_text(tile.value).append("\n")
            text.append_text(tile.below)
            widget.border_title = tile.title
            widget.update(text)
