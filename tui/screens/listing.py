"""What every list view has in common: a virtual table, facets at its side, a filter, rows that wait to be shown.

A list never moves rows by itself: a live answer changes cells in place and counts what is new; `u` brings it in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical

from pandascope.addresses import Address, Page
from tui.command_line import FIELDS, parse_filters
from tui.keys import offered
from tui.local_filter import matches
from tui.screens.base import Answer, MonitorScreen
from tui.text import number, plural
from tui.widgets.facet_pane import FacetPane, facet_rows
from tui.widgets.prompt_line import PromptLine, Question
from tui.widgets.virtual_table import Column, Row, VirtualTable


class ListingScreen(MonitorScreen):
    """A list of rows of one kind."""

    FIRST_FOCUS = "#rows"
    ROWS: ClassVar[str] = ""
    """The key of the rows in the answer."""
    NOUN: ClassVar[tuple[str, str]] = ("row", "rows")
    TITLE_OF_ROWS: ClassVar[str] = ""
    """What stands above the table; the noun when empty."""
    KEY: ClassVar[str] = ""
    """The column that names a row."""
    HAS_FACETS: ClassVar[bool] = False
    BINDINGS: ClassVar[list[BindingType]] = offered("merge", "drop_filter", "focus_next_part")

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._waiting = 0

    # -- what a list fills in -----------------------------------------------------------------------------------

    def columns(self) -> list[Column]:
        """The columns."""
        raise NotImplementedError

    def open_row(self, row: Row) -> None:
        """Enter on a row."""

    def ribbon(self) -> ComposeResult:
        """Widgets above the table."""
        yield from ()

    # -- body ---------------------------------------------------------------------------------------------------

    def parts(self) -> ComposeResult:
        """Facets at the left, the table with what stands above it at the right."""
        with Horizontal(id="listing"):
            if self.HAS_FACETS:
                yield FacetPane(self.palette, id="facets")
            with Vertical(id="list-column"):
                yield from self.ribbon()
                yield VirtualTable(self.columns(), self.row_key, id="rows", classes="panel")

    def row_key(self, row: Row) -> str:
        """What a row is recognised by."""
        return str(row.get(self.KEY))

    @property
    def table(self) -> VirtualTable:
        """The list."""
        return self.query_one("#rows", VirtualTable)

    @property
    def filters(self) -> dict[str, str]:
        """The filters of the address, for the client."""
        return dict(self.address.filters)

    @property
    def local_filter(self) -> str:
        """The filter on the rows that are loaded."""
        return str(self.place.memory.get("filter", ""))

    # -- answers ------------------------------------------------------------------------------------------------

    def show(self, answer: Answer) -> None:
        """Fill the table; the cursor returns to the row it was on."""
        keep = self.place.memory.pop("cursor", None)
        self._waiting = 0
        rows = self.place.memory.pop("rows", None) or self._rows_of(answer)
        self.table.fill(rows, has_more=bool(answer.get("next_cursor")), keep=keep)
        self.show_facets(answer)
        self.describe()

    def show_live(self, answer: Answer) -> None:
        """Change cells in place; new rows wait, rows that left the list are shown dim."""
        rows, table = self._rows_of(answer), self.table
        if not table.rows:
            self.show(answer)
            return
        keys = {self.row_key(row) for row in rows}
        gone = [self.row_key(row) for row in table.rows if self.row_key(row) not in keys]
        self._waiting = sum(not table.has_key(key) for key in keys)
        table.update_rows(rows, gone=gone)
        self.show_facets(answer)
        self.describe()

    def _rows_of(self, answer: Answer) -> list[Row]:
        rows: list[Row] = list(answer.get(self.ROWS) or [])
        return [row for row in rows if matches(row, self.local_filter)] if self.local_filter else rows

    def show_facets(self, answer: Answer) -> None:
        """Counts per value, in place."""
        facets = answer.get("facets")
        if not self.HAS_FACETS or not isinstance(facets, dict):
            return
        pane = self.query_one(FacetPane)
        pane.fill(facet_rows(facets, self.address.filters))
        pane.set_class(not pane.rows, "-empty")
        pane.border_subtitle = "" if answer.get("exact", True) else "estimated"

    def describe(self) -> None:
        """Write under the table how many rows there are, which one the cursor is on, and what waits."""
        table, answer = self.table, self.answer or {}
        loaded = len(table.rows)
        total = loaded if self.local_filter else max(loaded, self.total(answer))
        words = [
            plural(total, *self.NOUN) if not loaded else f"{number(table.cursor + 1)} of {plural(total, *self.NOUN)}"
        ]
        if self.local_filter:
            words.append(f"filter {self.local_filter}")
        if self._waiting:
            words.append(f"{number(self._waiting)} new, press u")
        table.border_subtitle = " · ".join(words).replace("[", r"\[")
        table.border_title = self.TITLE_OF_ROWS or self.NOUN[1].capitalize()
        table.set_class(bool(self._waiting), "-waiting")
        self._say_when_empty(loaded)
        self.draw_hints()

    def total(self, answer: Answer) -> int:
        """How many rows there are at the server."""
        count = answer.get("count")
        return count if isinstance(count, int) else 0

    def is_useful(self, action: str) -> bool:
        """Rows can be shown when some wait, a filter dropped when there is one."""
        if action == "merge":
            return bool(self._waiting)
        if action == "drop_filter":
            return bool(self.local_filter or self.address.filters)
        return super().is_useful(action)

    def _say_when_empty(self, loaded: int) -> None:
        if self.console_app.feed.reason or not self._has_shown:
            return
        warnings = [str(warning) for warning in (self.answer or {}).get("warnings") or []]
        if loaded:
            self.say("; ".join(warnings))
            return
        if self.local_filter or self.address.filters:
            sentence = f"No {self.NOUN[0]} matches. backspace removes the last filter"
            filters = list(self.address.filters.items())
            sentence += f" ({filters[-1][0]}={filters[-1][1]})." if filters and not self.local_filter else "."
        else:
            sentence = self.nothing()
        self.say("; ".join([sentence, *warnings]))

    def nothing(self) -> str:
        """What to say when the list is empty without any filter."""
        return f"There are no {self.NOUN[1]}."

    def remember(self) -> None:
        """Where the cursor is."""
        self.place.memory["cursor"] = self.table.current_key

    # -- keys ---------------------------------------------------------------------------------------------------

    @on(VirtualTable.Opened, "#rows")
    def _opened(self, event: VirtualTable.Opened) -> None:
        self.open_row(event.row)

    @on(VirtualTable.Moved, "#rows")
    def _moved(self, _: VirtualTable.Moved) -> None:
        self.describe()

    def action_merge(self) -> None:
        """`u`: everything in its proper order."""
        self.reload()

    def selected_id(self) -> str:
        """The name of the row under the cursor."""
        return self.table.current_key or ""

    def action_focus_next_part(self) -> None:
        """tab: between the table and the facets (on a narrow screen they come and go), or to the next list."""
        if not self.HAS_FACETS or not self.query_one(FacetPane).rows:
            self.focus_next()
            return
        facets = self.query_one(FacetPane)
        to_facets = not facets.has_focus
        self.set_class(to_facets, "-facets")
        (facets if to_facets else self.table).focus()

    def action_find(self) -> None:
        """`/`."""
        hint = "text · !text (not) · name=value" + ("" if self.address.page is Page.JOBS else " · ~fuzzy")
        self.query_one(PromptLine).ask(Question("/", self._find, hint=hint, value=self._found_before(), is_prose=False))

    def _found_before(self) -> str:
        return self.local_filter

    def _find(self, text: str) -> str:
        text = text.strip()
        name, equals, value = text.partition("=")
        if equals and self.is_server_filter(name):
            self.narrow(self.address.with_filters(**parse_filters([f"{name}={value}"], self.address.page)))
        else:
            self.find_text(text)
        return ""

    def is_server_filter(self, name: str) -> bool:
        """Is `name=value` a filter that the server knows?"""
        page = self.address.page
        return bool(set(parse_filters([f"{name}=x"], page)) & set(FIELDS.get(page, ())))

    def find_text(self, text: str) -> None:
        """Keep only rows that match, among those loaded."""
        self.place.memory["filter"] = text
        if self.answer is not None:
            self.show(self.answer)

    def action_drop_filter(self) -> None:
        """backspace: the filter given last."""
        if self.local_filter:
            self.find_text("")
        elif self.address.filters:
            last = list(self.address.filters)[-1]
            self.narrow(self.address.with_filters(**{last: None}))

    def narrow(self, address: Address) -> None:
        """The same list with other filters, on the same screen."""
        if address == self.address:
            return
        self.remember()
        self.place = self.console_app.trail.replace(address)
        self._has_shown = False
        self._mark = -1
        self.say("")
        self.reload()
        self.console_app.draw_status()

    @on(FacetPane.Chosen)
    def _facet_chosen(self, event: FacetPane.Chosen) -> None:
        event.stop()
        self.narrow(self.address.with_filters(**{event.field: narrowed(self.address.filters, event)}))


def narrowed(filters: Mapping[str, str], event: FacetPane.Chosen) -> str | None:
    """The new filter of a field after a facet value was chosen, None when it goes."""
    before = filters.get(event.field, "")
    if event.was_chosen:
        rest = [value for value in before.split("|") if value != event.value]
        return "|".join(rest) or None
    return f"!{event.value}" if event.excluded else event.value


def keys_of(rows: Sequence[Row], name: str) -> list[str]:
    """The keys of rows, as text."""
    return [str(row.get(name)) for row in rows]
