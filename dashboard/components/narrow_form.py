"""A form of filters: what is filled in becomes the address of the page, so that it can be copied and gone back from.

The fields stand in the layout of a page and follow its address; a change signal leaves them as they are, since somebody
may be writing there. Knows no page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import dash_mantine_components as dmc
from dash import Input, State, html, no_update

from dashboard.components.attributes import attributes
from pandascope.addresses import Address

_GO = """function (clicks, ...given) {
    if (!clicks) return;
    const names = %s, url = new URL(location.href);
    url.searchParams.delete("cursor");
    names.forEach((name, index) => {
        const value = String(given[index] ?? "").trim();
        if (value) url.searchParams.set(name, value); else url.searchParams.delete(name);
    });
    window.pandascope.go(url.pathname + url.search.replaceAll("+", "%%20"));
}"""


@dataclass(frozen=True)
class Field:
    """A filter: `choices` are (value, words); with `suggestions` anything may be written beside them."""

    name: str
    label: str
    choices: Sequence[tuple[str, str]] = ()
    suggestions: Sequence[str] = ()
    placeholder: str = ""


@dataclass(frozen=True)
class NarrowForm:
    """The form of one page."""

    page: str
    fields: Sequence[Field]

    def draw(self, address: Address) -> html.Div:
        """The fields with what the address says."""
        drawn = [self._field(field, _value(field, address)) for field in self.fields]
        go = html.Button("Show", id=f"{self.page}-narrow-go", className="button", type="button")
        return html.Div(
            [*drawn, go], className="narrow-form", role="search", **attributes(aria_label="narrow the list")
        )

    @property
    def regions(self) -> tuple[tuple[str, str], ...]:
        """The fields as regions of a page: their values follow the address."""
        return tuple((self._id(field), "value") for field in self.fields)

    def values(self, address: Address, *, is_signal: bool) -> list[Any]:
        """One value for each of `regions`; a change signal leaves them."""
        if is_signal:
            return [no_update] * len(self.fields)
        return [_value(field, address) for field in self.fields]

    def register(self, app: Any) -> None:
        """Connect the button; the enter key presses it (assets/navigation.js)."""
        states = [State(self._id(field), "value") for field in self.fields]
        names = str([field.name for field in self.fields])
        app.clientside_callback(
            _GO % names, Input(f"{self.page}-narrow-go", "n_clicks"), *states, prevent_initial_call=True
        )

    def _id(self, field: Field) -> str:
        return f"{self.page}-narrow-{field.name.replace('_', '-')}"

    def _field(self, field: Field, value: str | None) -> Any:
        common: dict[str, Any] = {"id": self._id(field), "label": field.label, "value": value, "size": "xs"}
        if field.choices:
            data = [{"value": one, "label": words} for one, words in field.choices]
            return dmc.Select(data=data, placeholder="any", clearable=True, checkIconPosition="right", **common)
        words = {"placeholder": field.placeholder or "any"}
        if field.suggestions:
            return dmc.Autocomplete(data=list(field.suggestions), limit=12, **words, **common)
        return dmc.TextInput(autoComplete="off", **words, **common)


def _value(field: Field, address: Address) -> str | None:
    """What the address says; a choice that is none of them is None, since an empty text would leave its words standing."""
    return address.filters.get(field.name, None if field.choices else "")
