"""A log as numbered lines: the culprit line marked, errors coloured, matches lit. Never interprets what a line contains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import BindingType
from textual.cache import LRUCache
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.keys import offered
from tui.widgets.log_marks import error_lines, level, matching_lines, next_position


class LogView(ScrollView, can_focus=True):
    """Lines of one log with a line cursor. Line numbers count from `first_line_number`."""

    HELP = (
        "Arrows move by line, left and right along long lines. / searches (small letters match both cases); n and N go "
        "to the next and previous match, or error line when there is no search. c returns to the line that failed."
    )
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "log-view--number",
        "log-view--culprit",
        "log-view--cursor",
        "log-view--error",
        "log-view--warning",
        "log-view--match",
    }
    BINDINGS: ClassVar[list[BindingType]] = offered("next_match", "previous_match", "follow", "culprit")

    class Moved(Message):
        """The line cursor moved, or the lines changed."""

        def __init__(self, view: LogView) -> None:
            super().__init__()
            self.view = view

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._lines: list[str] = []
        self._errors: list[int] = []
        self._matches: list[int] = []
        self._wanted = ""
        self._strips: LRUCache[tuple[int, int, int, bool], Strip] = LRUCache(512)
        self.first_line_number = 1
        self.culprit: int | None = None
        self.cursor = 0
        self.following = False

    # -- content ------------------------------------------------------------------------------------------------

    @property
    def lines(self) -> Sequence[str]:
        """The lines shown."""
        return self._lines

    @property
    def line_number(self) -> int:
        """The number of the line under the cursor."""
        return self.first_line_number + self.cursor

    @property
    def matches(self) -> int:
        """How many lines match the search."""
        return len(self._matches)

    @property
    def errors(self) -> int:
        """How many lines look like an error."""
        return len(self._errors)

    def show(self, lines: Sequence[str], *, first_line_number: int = 1, culprit_number: int | None = None) -> None:
        """Replace the lines; the cursor stays on its line unless the view follows the end."""
        self._lines = list(lines)
        self.first_line_number = first_line_number
        self.culprit = None if culprit_number is None else culprit_number - first_line_number
        self._errors = error_lines(self._lines)
        self._matches = matching_lines(self._lines, self._wanted)
        self._strips.clear()
        longest = max((cell_len(line) for line in self._lines), default=0)
        self.virtual_size = Size(longest + self._gutter() + 1, len(self._lines))
        self.cursor = max(0, min(self.cursor, len(self._lines) - 1))
        if self.following:
            self.go_to(len(self._lines) - 1)
        self.refresh()
        self.post_message(self.Moved(self))

    def search(self, wanted: str) -> int:
        """Light up lines with `wanted` and go to the first from the cursor on; returns how many lines match."""
        self._wanted = wanted
        self._matches = matching_lines(self._lines, wanted)
        self._strips.clear()
        self.refresh()
        if self._matches and self.cursor not in self._matches:
            self.action_next_match()
        self.post_message(self.Moved(self))
        return len(self._matches)

    def go_to_number(self, number: int) -> None:
        """Put the cursor on a line number, the line in the middle of the screen."""
        self.go_to(number - self.first_line_number, centred=True)

    def go_to(self, position: int, *, centred: bool = False) -> None:
        """Put the cursor on a position (from 0)."""
        if not self._lines:
            return
        before, self.cursor = self.cursor, max(0, min(position, len(self._lines) - 1))
        height = max(1, self.size.height)
        top = int(self.scroll_offset.y)
        if centred and not top + 2 <= self.cursor < top + height - 2:
            self.scroll_to(y=max(0, self.cursor - height // 2), animate=False, immediate=True, force=True)
        elif self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False, immediate=True, force=True)
        elif self.cursor >= top + height:
            self.scroll_to(y=self.cursor - height + 1, animate=False, immediate=True, force=True)
        if before != self.cursor:
            self.refresh()
            self.post_message(self.Moved(self))

    # -- drawing ------------------------------------------------------------------------------------------------

    def _gutter(self) -> int:
        return len(str(self.first_line_number + max(0, len(self._lines) - 1))) + 4

    def on_resize(self) -> None:
        """Keep the cursor in sight."""
        self.go_to(self.cursor)

    def notify_style_update(self) -> None:
        """The theme changed."""
        super().notify_style_update()
        self._strips.clear()

    def render_line(self, y: int) -> Strip:
        """One line of the screen: number, mark, text from the horizontal scroll position on."""
        width = self.size.width
        position = int(self.scroll_offset.y) + y
        if not 0 <= position < len(self._lines):
            return Strip.blank(width, self.rich_style)
        scrolled = int(self.scroll_offset.x)
        key = (position, width, scrolled, position == self.cursor)
        strip = self._strips.get(key)
        if strip is None:
            strip = self._strips[key] = self._line(position, width, scrolled)
        return strip

    def _line(self, position: int, width: int, scrolled: int) -> Strip:
        line = self._lines[position]
        base = self.rich_style
        number_style = base + self.get_component_rich_style("log-view--number", partial=True)
        mark = " "
        kind = level(line)
        text_style = base
        if kind:
            text_style = base + self.get_component_rich_style(f"log-view--{kind}", partial=True)
        if position == self.culprit:
            text_style = base + self.get_component_rich_style("log-view--culprit", partial=True)
            mark = "▶"
        elif kind == "error":
            mark = "│"
        if position == self.cursor:
            cursor = self.get_component_rich_style("log-view--cursor", partial=True)
            number_style, text_style = number_style + cursor, text_style + cursor
        gutter = self._gutter()
        number = str(self.first_line_number + position).rjust(gutter - 4)
        head = Strip(
            [Segment(f" {number} ", number_style), Segment(mark, text_style), Segment(" ", text_style)]
        ).adjust_cell_length(gutter, text_style)
        body = Strip(self._text(line, text_style)).crop_extend(scrolled, scrolled + max(0, width - gutter), text_style)
        return Strip.join([head, body])

    def _text(self, line: str, style: Style) -> list[Segment]:
        text = Text(line, end="", no_wrap=True)
        if self._wanted:
            folds = self._wanted.islower()
            haystack = line.lower() if folds else line
            match = self.get_component_rich_style("log-view--match", partial=True)
            found = haystack.find(self._wanted)
            while found >= 0:
                text.stylize(match, found, found + len(self._wanted))
                found = haystack.find(self._wanted, found + len(self._wanted))
        return list(Segment.apply_style(text.render(self.app.console), style))

    # -- moving -------------------------------------------------------------------------------------------------

    def action_scroll_up(self) -> None:
        """One line up; leaves following."""
        self._step(-1)

    def action_scroll_down(self) -> None:
        """One line down."""
        self._step(1)

    def action_page_up(self) -> None:
        """One screenful up; leaves following."""
        self._step(-max(1, self.size.height - 1))

    def action_page_down(self) -> None:
        """One screenful down."""
        self._step(max(1, self.size.height - 1))

    def action_scroll_home(self) -> None:
        """To the first line and column."""
        self._step(-len(self._lines))
        self.scroll_to(x=0, animate=False, immediate=True, force=True)

    def action_scroll_end(self) -> None:
        """To the last line."""
        self._step(len(self._lines))

    def action_scroll_left(self) -> None:
        """Along the line, to the left."""
        self.scroll_to(x=max(0, self.scroll_offset.x - 16), animate=False, immediate=True, force=True)

    def action_scroll_right(self) -> None:
        """Along the line, to the right."""
        self.scroll_to(x=self.scroll_offset.x + 16, animate=False, immediate=True, force=True)

    def action_next_match(self) -> None:
        """The next match, or error line."""
        self._jump(1)

    def action_previous_match(self) -> None:
        """The previous match, or error line."""
        self._jump(-1)

    def action_culprit(self) -> None:
        """Back to the line that failed."""
        if self.culprit is None:
            self.notify("No line of this log is known to be the one that failed.", severity="warning")
        else:
            self.following = False
            self.go_to(self.culprit, centred=True)

    def action_follow(self) -> None:
        """Stay at the end, or stop doing so."""
        self.following = not self.following
        if self.following:
            self.go_to(len(self._lines) - 1)
        self.post_message(self.Moved(self))

    def on_click(self, event: events.Click) -> None:
        """A click puts the cursor on the line."""
        self.go_to(int(self.scroll_offset.y) + event.y)

    def _step(self, lines: int) -> None:
        if lines < 0:
            self.following = False
        self.go_to(self.cursor + lines)

    def _jump(self, direction: int) -> None:
        position = next_position(self._matches if self._wanted else self._errors, self.cursor, direction)
        if position is None:
            what = f"No line contains “{self._wanted}”." if self._wanted else "No line looks like an error."
            self.notify(what, severity="warning", markup=False)
        else:
            self.following = False
            self.go_to(position, centred=True)
