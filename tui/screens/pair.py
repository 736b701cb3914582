"""A list with a second one below it, as rules and system have. tab goes from one to the other."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical

from tui.screens.base import Answer
from tui.screens.listing import ListingScreen
from tui.widgets.virtual_table import Column, Row, VirtualTable


class PairScreen(ListingScreen):
    """The upper list is that of every list screen; the lower one shows what comes with the same answer."""

    ROWS_BELOW: ClassVar[str] = ""
    """The key of the lower rows in the answer."""
    KEY_BELOW: ClassVar[str] = ""
    TITLE_BELOW: ClassVar[str] = ""
    EMPTY_BELOW: ClassVar[str] = ""
    """What stands in the frame of the lower list while it is empty."""

    def columns_below(self) -> list[Column]:
        """The columns of the lower list."""
        raise NotImplementedError

    def open_below(self, row: Row) -> None:
        """Enter on a row of the lower list."""

    def words_below(self, answer: Answer) -> str:
        """What stands in the frame of the lower list."""
        return "" if answer.get(self.ROWS_BELOW) else self.EMPTY_BELOW

    def parts(self) -> ComposeResult:
        """One above the other."""
        with Vertical(id="list-column"):
            yield VirtualTable(self.columns(), self.row_key, id="rows", classes="panel")
            yield VirtualTable(
                self.columns_below(), lambda row: str(row.get(self.KEY_BELOW)), id="below", classes="panel"
            )

    def show(self, answer: Answer) -> None:
        """Both."""
        super().show(answer)
        self._show_below(answer)

    def show_live(self, answer: Answer) -> None:
        """The upper rows stay where they are; the cursor of the lower list stays on its row."""
        super().show_live(answer)
        self._show_below(answer)

    def _show_below(self, answer: Answer) -> None:
        table = self.query_one("#below", VirtualTable)
        table.fill(list(answer.get(self.ROWS_BELOW) or []), keep=table.current_key)
        table.border_title = self.TITLE_BELOW
        table.border_subtitle = self.words_below(answer).replace("[", r"\[")

    @on(VirtualTable.Opened, "#below")
    def _opened_below(self, event: VirtualTable.Opened) -> None:
        self.open_below(event.row)
