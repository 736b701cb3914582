"""Names with their values, one per line: the plainest way to tell what a thing is."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table
from rich.text import Text

from tui.palette import Palette


def facts(pairs: Iterable[tuple[str, Text]], palette: Palette) -> Table:
    """A table of two columns; pairs without a value are left out."""
    table = Table.grid(padding=(0, 2), expand=True)
    table.add_column(no_wrap=True, style=palette.muted, min_width=9)
    table.add_column(ratio=1, overflow="fold")
    for name, value in pairs:
        if value.plain.strip() and value.plain != "–":
            table.add_row(Text(name), value)
    return table
