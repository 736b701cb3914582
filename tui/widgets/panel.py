"""A titled box with text or a table in it; its content is a rich renderable, never markup."""

from __future__ import annotations

from rich.console import RenderableType
from textual.widgets import Static


class Panel(Static):
    """A Static with a border title, hidden while it has nothing to say."""

    def __init__(self, title: str, *, id: str | None = None, classes: str = "") -> None:
        super().__init__("", id=id, classes=f"panel -empty {classes}".strip(), markup=False)
        self.border_title = title

    def show(self, content: RenderableType | None, subtitle: str = "") -> None:
        """Replace the content; None hides the panel."""
        self.set_class(content is None, "-empty")
        if content is not None:
            self.border_subtitle = subtitle.replace("[", r"\[")
            self.update(content)
