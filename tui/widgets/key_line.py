"""The keys of a dialogue, each with its word, in as many lines as they need: a key never stands apart from its word."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual.app import RenderResult
from textual.geometry import Size
from textual.widget import Widget

from tui.palette import Palette

_APART = "  "


def key_lines(keys: Sequence[tuple[str, str]], palette: Palette, width: int) -> list[Text]:
    """Pairs of a key and a word in lines of at most `width` cells, where a pair is not wider than that."""
    lines: list[Text] = []
    for key, word in keys:
        pair = Text(key, palette.accent, end="").append(f" {word}", palette.muted)
        if lines and lines[-1].cell_len + len(_APART) + pair.cell_len <= width:
            lines[-1].append(_APART).append_text(pair)
        else:
            lines.append(pair)
    return lines


class KeyLine(Widget):
    """Draws `key_lines` for the width that there is."""

    DEFAULT_CSS = "KeyLine { height: auto; width: 100%; }"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._keys: list[tuple[str, str]] = []

    def show(self, keys: Sequence[tuple[str, str]]) -> None:
        """Draw other keys."""
        if list(keys) != self._keys:
            self._keys = list(keys)
            self.refresh(layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As many lines as they need."""
        return len(self._lines(width))

    def render(self) -> RenderResult:
        """The lines."""
        return Text("\n").join(self._lines(self.size.width))

    def _lines(self, width: int) -> list[Text]:
        return key_lines(self._keys, Palette.of_theme(self.app.theme_variables), width)
