"""Marks in a list: verbs are about all that are marked, or else about the row under the cursor."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType

from tui.keys import offered
from tui.screens.listing import ListingScreen
from tui.text import number
from tui.widgets.virtual_table import Row


class MarkedList(ListingScreen):
    """A list whose rows can be marked."""

    BINDINGS: ClassVar[list[BindingType]] = offered("mark", "mark_all")

    @property
    def marked_rows(self) -> list[Row]:
        """The marked rows, in their order."""
        marked = self.table.marked
        return [row for row in self.table.rows if self.row_key(row) in marked] if marked else []

    def chosen_rows(self) -> list[Row]:
        """What verbs are about: the marked rows, without marks the one under the cursor."""
        marked, current = self.marked_rows, self.table.current
        return marked or ([current] if current is not None else [])

    def action_mark(self) -> None:
        """space: mark or not, and on to the next row."""
        table = self.table
        if table.current_key is None:
            return
        table.mark(table.marked ^ {table.current_key})
        table.action_scroll_down()
        self.describe()

    def action_mark_all(self) -> None:
        """`*`: all that are shown; when all are marked, none."""
        table = self.table
        every = frozenset(self.row_key(row) for row in table.rows)
        table.mark(frozenset() if table.marked == every else every)
        if table.marked and table.has_more:
            self.notify(f"{number(len(every))} are marked: those that are loaded. There are more below.", markup=False)
        self.describe()

    def describe(self) -> None:
        """How many are marked."""
        super().describe()
        if self.table.marked:
            self.table.border_subtitle = f"{number(len(self.table.marked))} marked · {self.table.border_subtitle}"

    def clear_marks(self) -> None:
        """What was to be done with them is done."""
        self.table.mark(frozenset())
        self.describe()
