"""What the rows of a list have in common: fields, their values with counts. Enter narrows the list to a value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from rich.text import Text
from textual.binding import BindingType
from textual.message import Message

from tui.keys import offered
from tui.palette import Palette
from tui.text import number, plain
from tui.widgets.virtual_table import Column, Row, VirtualTable

_TITLES = {
    "job_status": "state",
    "computing_site": "computingSite",
    "prod_user_name": "user",
    "jedi_task_id": "jediTaskID",
    "prod_source_label": "prodSourceLabel",
    "processing_type": "processingType",
    "modification_host": "node",
    "error": "error",
}
_MOST_VALUES = 12
"""Values shown per field; the rest is told as a number."""
NOT_SPECIFIED = "Not specified"


def facet_rows(facets: Mapping[str, Sequence[Mapping[str, Any]]], chosen: Mapping[str, str]) -> list[Row]:
    """Headings and values as rows; fields with a single value that nobody chose say nothing and are left out."""
    rows: list[Row] = []
    for name, values in facets.items():
        if len(values) < 2 and name not in chosen:
            continue
        rows.append({"key": name, "field": name, "heading": _TITLES.get(name, name.replace("_", " "))})
        highest = max((value.get("count") or 0 for value in values), default=0)
        for value in values[:_MOST_VALUES]:
            word = NOT_SPECIFIED if value.get("value") in (None, "") else str(value["value"])
            is_chosen = word in chosen.get(name, "").split("|")
            rows.append({"key": f"{name}={word}", "field": name, "value": word, "count": value.get("count"),
                         "chosen": is_chosen, "highest": highest})  # fmt: skip
        if len(values) > _MOST_VALUES:
            rows.append({"key": f"{name} more", "field": name, "more": len(values) - _MOST_VALUES})
    return rows


class FacetPane(VirtualTable):
    """Facets as a list with headings."""

    HELP = (
        "Enter keeps only the rows with this value; enter again on a chosen value (▸) drops it. ! leaves the value out."
    )
    BINDINGS: ClassVar[list[BindingType]] = offered("drill", "exclude")

    class Chosen(Message):
        """A value was chosen (`excluded`: to be left out), or dropped when it was chosen before."""

        def __init__(self, field: str, value: str, *, was_chosen: bool, excluded: bool) -> None:
            super().__init__()
            self.field = field
            self.value = value
            self.was_chosen = was_chosen
            self.excluded = excluded

    def __init__(self, palette: Palette, *, id: str | None = None) -> None:
        columns = [
            Column("", 14, lambda row: _label(row, palette), flex=1),
            Column("", 7, lambda row: _count(row, palette), align="right"),
        ]
        super().__init__(
            columns, lambda row: str(row["key"]), selectable=lambda row: "value" in row, show_heading=False, id=id
        )
        self.border_title = "In common"

    def action_drill(self) -> None:
        """Narrow to the value under the cursor."""
        self._choose(excluded=False)

    def action_exclude(self) -> None:
        """Leave the value under the cursor out."""
        self._choose(excluded=True)

    def _choose(self, *, excluded: bool) -> None:
        row = self.current
        if row is not None and "value" in row:
            self.post_message(
                self.Chosen(row["field"], row["value"], was_chosen=bool(row["chosen"]), excluded=excluded)
            )


def _label(row: Row, palette: Palette) -> Text:
    if "heading" in row:
        return Text(row["heading"], style=palette.heading, end="")
    if "more" in row:
        return Text(f"  … {number(row['more'])} more values", style=palette.muted, end="")
    mark = "▸ " if row["chosen"] else "  "
    if row["field"] == "job_status":
        word = palette.job_status(row["value"])
    elif row["field"] == "severity":
        word = palette.severity(row["value"])
    else:
        word = Text(plain(row["value"], limit=120), style=palette.text, end="")
    return Text(mark, style=palette.accent, end="").append_text(word)


def _count(row: Row, palette: Palette) -> Text:
    if "value" not in row:
        return Text("", end="")
    return Text(number(row["count"]), style=palette.accent if row["chosen"] else palette.text, end="")
