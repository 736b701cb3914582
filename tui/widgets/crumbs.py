"""The second line: where this view stands and how one came here, filters included. A click goes back to a crumb."""

from __future__ import annotations

from collections.abc import Sequence

from rich.style import Style
from rich.text import Text
from textual.app import RenderResult
from textual.widget import Widget

from tui.palette import Palette
from tui.text import plain


def crumbs_text(titles: Sequence[str], palette: Palette, width: int) -> Text:
    """The titles, the last one strong; the first ones go when space is short."""
    kept = list(titles)
    while True:
        line = Text(" ", no_wrap=True, end="")
        if len(kept) < len(titles):
            line.append("… › ", palette.muted)
        for number, title in enumerate(kept):
            is_last = number == len(kept) - 1
            step = len(titles) - len(kept) + number
            click = Style() if is_last else Style.from_meta({"@click": f"app.crumb({step})"})
            line.append(plain(title, limit=200), (palette.strong if is_last else palette.active) + click)
            if not is_last:
                line.append(" › ", palette.muted)
        if line.cell_len <= width or len(kept) <= 1:
            line.truncate(width, overflow="ellipsis")
            return line
        kept.pop(0)


class Crumbs(Widget):
    """Draws `crumbs_text`."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._titles: tuple[str, ...] = ()

    def show(self, titles: Sequence[str]) -> None:
        """Draw another path."""
        if tuple(titles) != self._titles:
            self._titles = tuple(titles)
            self.refresh()

    def render(self) -> RenderResult:
        """The line."""
        return crumbs_text(self._titles, Palette.of_theme(self.app.theme_variables), self.size.width)
