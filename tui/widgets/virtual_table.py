"""A table for any number of rows, drawn line by line. Knows columns and keys; does not know where rows come from.

Only the lines on the screen are rendered, so 50 000 rows cost what 20 do (a stock table spends seconds on them). The
cursor belongs to a row's key, not to a position: after a refresh it is on the same row. More rows are asked for with
`NeedMore` when the end comes near.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import BindingType
from textual.cache import LRUCache
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.keys import offered

Row = Mapping[str, Any]
GAP = 2
"""Blanks between columns."""


@dataclass(frozen=True)
class Column:
    """One column. `width` is the least it needs, `flex` its share of what is left over (up to `most`), `rank` how early
    it goes when space is short (0 stays)."""

    heading: str
    width: int
    render: Callable[[Row], Text]
    flex: int = 0
    most: int = 1000
    rank: int = 0
    align: Literal["left", "right"] = "left"


def fit_columns(columns: Sequence[Column], width: int) -> list[tuple[Column, int]]:
    """The columns that fit into `width` cells, each with its final width."""
    chosen = list(columns)

    def needed() -> int:
        return sum(column.width for column in chosen) + GAP * max(0, len(chosen) - 1)

    while len(chosen) > 1 and needed() > width and any(column.rank for column in chosen):
        chosen.remove(max(chosen, key=lambda column: column.rank))
    widths = [column.width for column in chosen]
    spare = width - needed()
    while spare > 0:
        open_ended = [i for i, column in enumerate(chosen) if column.flex and widths[i] < column.most]
        if not open_ended:
            break
        total = sum(chosen[i].flex for i in open_ended)
        before = spare
        for i in open_ended:
            extra = min(max(1, before * chosen[i].flex // total), chosen[i].most - widths[i], spare)
            widths[i] += extra
            spare -= extra
    if spare < 0 and widths:
        widest = max(range(len(widths)), key=lambda i: (chosen[i].flex > 0, widths[i]))
        widths[widest] = max(1, widths[widest] + spare)
    return list(zip(chosen, widths, strict=True))


class VirtualTable(ScrollView, can_focus=True):
    """Rows on the line API with a cursor by key."""

    HELP = "Arrows, page keys, home and end move. Enter opens the row. The rows stay where they are while you read."
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "virtual-table--heading",
        "virtual-table--cursor",
        "virtual-table--cursor-blurred",
        "virtual-table--gone",
    }
    BINDINGS: ClassVar[list[BindingType]] = offered("drill")
    cursor: reactive[int] = reactive(0, repaint=False)

    class Opened(Message):
        """Enter (or a second click) on a row."""

        def __init__(self, table: VirtualTable, row: Row) -> None:
            super().__init__()
            self.table = table
            self.row = row

        @property
        def control(self) -> VirtualTable:
            """The table, for `@on` selectors."""
            return self.table

    class Moved(Message):
        """The cursor is on another row, or the row has new content."""

        def __init__(self, table: VirtualTable, row: Row | None) -> None:
            super().__init__()
            self.table = table
            self.row = row

        @property
        def control(self) -> VirtualTable:
            """The table, for `@on` selectors."""
            return self.table

    class NeedMore(Message):
        """The end of the loaded rows comes near."""

        def __init__(self, table: VirtualTable) -> None:
            super().__init__()
            self.table = table

        @property
        def control(self) -> VirtualTable:
            """The table, for `@on` selectors."""
            return self.table

    def __init__(
        self,
        columns: Sequence[Column],
        key: Callable[[Row], str],
        *,
        selectable: Callable[[Row], bool] = lambda _: True,
        show_heading: bool = True,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._columns = list(columns)
        self._key = key
        self._selectable = selectable
        self._heading_lines = 1 if show_heading else 0
        self._rows: list[Row] = []
        self._positions: dict[str, int] = {}
        self._gone: frozenset[str] = frozenset()
        self.marked: frozenset[str] = frozenset()
        self._fitted: list[tuple[Column, int]] = []
        self._strips: LRUCache[tuple[int, int, bool, bool], Strip] = LRUCache(512)
        self.has_more = False
        self._asked_at = -1

    # -- content ------------------------------------------------------------------------------------------------

    @property
    def rows(self) -> Sequence[Row]:
        """The rows in the order shown."""
        return self._rows

    @property
    def current(self) -> Row | None:
        """The row under the cursor."""
        return self._rows[self.cursor] if 0 <= self.cursor < len(self._rows) else None

    @property
    def current_key(self) -> str | None:
        """The key of the row under the cursor."""
        row = self.current
        return self._key(row) if row is not None else None

    def has_key(self, key: str) -> bool:
        """Is a row of this key among those loaded?"""
        return key in self._positions

    def fill(self, rows: Sequence[Row], *, has_more: bool = False, keep: str | None = None) -> None:
        """Replace all rows; the cursor goes to the key it was on (or to `keep`) when that row is still there."""
        wanted = keep if keep is not None else self.current_key
        above = self.cursor - int(self.scroll_offset.y)
        self._rows = list(rows)
        self._positions = {self._key(row): position for position, row in enumerate(self._rows)}
        self._gone = frozenset()
        self.marked &= self._positions.keys()
        self._changed(has_more)
        position = self._positions.get(wanted, -1) if wanted is not None else -1
        if position >= 0:
            self._place(position)
            self.scroll_to(y=max(0, position - above), animate=False, immediate=True, force=True)
        else:
            self._place(self._next_selectable(min(self.cursor, max(0, len(self._rows) - 1)), 1))
        self.post_message(self.Moved(self, self.current))

    def append(self, rows: Sequence[Row], *, has_more: bool) -> None:
        """Add a page at the end; rows that are there already are left alone."""
        for row in rows:
            key = self._key(row)
            if key not in self._positions:
                self._positions[key] = len(self._rows)
                self._rows.append(row)
        self._changed(has_more)

    def update_rows(self, rows: Sequence[Row], *, gone: Sequence[str] = ()) -> None:
        """New content for rows that are shown, in place; keys in `gone` no longer match what the list shows."""
        for row in rows:
            position = self._positions.get(self._key(row))
            if position is not None:
                self._rows[position] = row
        self._gone = frozenset(gone)
        self._strips.clear()
        self.refresh()
        self.post_message(self.Moved(self, self.current))

    def visible_rows(self) -> list[Row]:
        """The rows on the screen now."""
        top = int(self.scroll_offset.y)
        return self._rows[top : top + max(1, self.size.height - self._heading_lines)]

    def move_to(self, key: str) -> bool:
        """Put the cursor on a key; False when no such row is loaded."""
        position = self._positions.get(key)
        if position is None:
            return False
        self._place(position)
        return True

    def mark(self, keys: frozenset[str]) -> None:
        """These rows are marked, and no others."""
        self.marked = keys
        self.redraw()

    def redraw(self) -> None:
        """Draw everything anew: colours or ages have changed."""
        self._strips.clear()
        self.refresh()

    def _changed(self, has_more: bool) -> None:
        self.has_more = has_more
        self._asked_at = -1
        self._strips.clear()
        self._resize_virtual()
        self.refresh()

    def _resize_virtual(self) -> None:
        width = max(1, self.scrollable_content_region.width or self.size.width)
        self._fitted = fit_columns(self._columns, width - 2)
        self.virtual_size = Size(width, len(self._rows) + self._heading_lines)

    # -- drawing ------------------------------------------------------------------------------------------------

    def on_resize(self) -> None:
        """Fit the columns to the new width and keep the cursor in sight."""
        self._strips.clear()
        self._resize_virtual()
        self._scroll_to_cursor()
        self._ask_for_more()

    def notify_style_update(self) -> None:
        """The theme changed."""
        super().notify_style_update()
        self._strips.clear()

    def render_line(self, y: int) -> Strip:
        """One line of the screen: the heading, then rows from the scroll position on."""
        width = self.size.width
        if self._heading_lines and y == 0:
            return self._heading(width)
        position = int(self.scroll_offset.y) + y - self._heading_lines
        if not 0 <= position < len(self._rows):
            return Strip.blank(width, self.rich_style)
        is_cursor = position == self.cursor
        cache_key = (position, width, is_cursor, self.has_focus)
        strip = self._strips.get(cache_key)
        if strip is None:
            strip = self._row(position, width, is_cursor)
            self._strips[cache_key] = strip
        return strip

    def _heading(self, width: int) -> Strip:
        style = self.get_component_rich_style("virtual-table--heading")
        cells = [(Text(column.heading), column, cells) for column, cells in self._fitted]
        return self._line(cells, width, style)

    def _row(self, position: int, width: int, is_cursor: bool) -> Strip:
        row = self._rows[position]
        cells = [(column.render(row), column, cells) for column, cells in self._fitted]
        style = self.rich_style
        if self._key(row) in self._gone:
            style += self.get_component_rich_style("virtual-table--gone", partial=True)
        if is_cursor and self._selectable(row):
            name = "virtual-table--cursor" if self.has_focus else "virtual-table--cursor-blurred"
            style += self.get_component_rich_style(name, partial=True)
        return self._line(cells, width, style, "▪" if self._key(row) in self.marked else " ")

    def _line(self, cells: Sequence[tuple[Text, Column, int]], width: int, style: Style, first: str = " ") -> Strip:
        console = self.app.console
        segments: list[Segment] = [Segment(first, style)]
        for number, (text, column, room) in enumerate(cells):
            if number:
                segments.append(Segment(" " * GAP, style))
            cell = text.copy()
            cell.end = ""
            cell.no_wrap = True
            cell.truncate(room, overflow="ellipsis")
            missing = room - cell.cell_len
            if missing > 0 and column.align == "right":
                segments.append(Segment(" " * missing, style))
            # a text without spans renders without its own style, so that is applied here
            segments.extend(Segment.apply_style(cell.render(console), style + console.get_style(cell.style)))
            if missing > 0 and column.align == "left":
                segments.append(Segment(" " * missing, style))
        return Strip(segments).adjust_cell_length(width, style)

    # -- moving -------------------------------------------------------------------------------------------------

    def _page(self) -> int:
        return max(1, self.size.height - self._heading_lines - 1)

    def action_scroll_up(self) -> None:
        """One row up."""
        self._move(-1)

    def action_scroll_down(self) -> None:
        """One row down."""
        self._move(1)

    def action_page_up(self) -> None:
        """One screenful up."""
        self._move(-self._page())

    def action_page_down(self) -> None:
        """One screenful down."""
        self._move(self._page())

    def action_scroll_home(self) -> None:
        """To the first row."""
        self._place(self._next_selectable(0, 1))

    def action_scroll_end(self) -> None:
        """To the last row that is loaded; the next page is on its way."""
        self._place(self._next_selectable(len(self._rows) - 1, -1))

    def action_drill(self) -> None:
        """Open the row under the cursor."""
        row = self.current
        if row is not None and self._selectable(row):
            self.post_message(self.Opened(self, row))

    def on_click(self, event: events.Click) -> None:
        """A click moves the cursor; a click on the row under the cursor opens it."""
        position = int(self.scroll_offset.y) + event.y - self._heading_lines
        if event.y < self._heading_lines or not 0 <= position < len(self._rows):
            return
        if not self._selectable(self._rows[position]):
            return
        if position == self.cursor and event.chain > 1:
            self.action_drill()
        else:
            self._place(position)

    def _move(self, steps: int) -> None:
        target = max(0, min(len(self._rows) - 1, self.cursor + steps))
        self._place(self._next_selectable(target, 1 if steps > 0 else -1))

    def _next_selectable(self, position: int, direction: int) -> int:
        for way in (direction, -direction):
            candidate = position
            while 0 <= candidate < len(self._rows):
                if self._selectable(self._rows[candidate]):
                    return candidate
                candidate += way
        return max(0, position)

    def _place(self, position: int) -> None:
        before = self.cursor
        self.cursor = max(0, position)
        self._scroll_to_cursor()
        self._ask_for_more()
        if before != self.cursor:
            self.refresh()
            self.post_message(self.Moved(self, self.current))

    def _scroll_to_cursor(self) -> None:
        if not self._rows or self.size.height <= self._heading_lines:
            return
        top = int(self.scroll_offset.y)
        height = self.size.height - self._heading_lines
        first = 0 if self.cursor == self._next_selectable(0, 1) else self.cursor
        if first < top:
            self.scroll_to(y=first, animate=False, immediate=True, force=True)
        elif self.cursor >= top + height:
            self.scroll_to(y=self.cursor - height + 1, animate=False, immediate=True, force=True)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Scrolling with the mouse may come near the end too."""
        super().watch_scroll_y(old_value, new_value)
        self._ask_for_more()

    def _ask_for_more(self) -> None:
        if not self.has_more or self._asked_at == len(self._rows):
            return
        furthest = max(self.cursor, int(self.scroll_offset.y) + self.size.height)
        if furthest + 2 * self._page() >= len(self._rows):
            self._asked_at = len(self._rows)
            self.post_message(self.NeedMore(self))
