"""Buttons that name a work and what it is done to; assets/works.js hands the click on. Knows no work."""

from __future__ import annotations

from typing import Any

from dash import html

from dashboard.components.attributes import attributes

MARKED = "marked"
"""As the `to` of a button: everything that is marked in the list."""


def button(
    words: str,
    work: str,
    to: Any,
    *,
    title: str = "",
    key: str | None = None,
    note: str | None = None,
    is_main: bool = False,
    is_grave: bool = False,
) -> html.Button:
    """A button. `note`: the id of the field whose text goes with it; `key`: the letter that presses it."""
    grave = " button-grave" if is_grave else ""
    return html.Button(
        words,
        className=("button button-main" if is_main else "button") + grave,
        title=(f"{title} (key {key})" if key and title else title) or words,
        type="button",
        **attributes(data_do=work, data_to=str(to), data_key=key, data_note=note),
    )


def copy(words: str, text: str, *, title: str = "") -> html.Button:
    """A button that puts a text on the clipboard, and below it the address of the page."""
    return html.Button(words, className="text-button", title=title, type="button", **attributes(data_copy_text=text))


def row(*made: Any) -> html.Div:
    """Buttons side by side in a table's cell; out of reach while the server is away."""
    return html.Div([one for one in made if one is not None], className="choices row-choices")


def mark_box(number: int, title: str) -> html.Button:
    """A box that marks a row of a list (assets/works.js keeps what is marked)."""
    return html.Button(
        className="mark-box",
        type="button",
        title="mark it for the bar above",
        **attributes(role="checkbox", aria_checked="false", aria_label=f"mark {title}", data_mark=str(number)),
    )


def mark_all() -> html.Button:
    """A box that marks every row shown, or none."""
    return html.Button(
        className="mark-box",
        type="button",
        title="mark all that are shown (*)",
        **attributes(role="checkbox", aria_checked="false", aria_label="mark all", data_mark="*", data_key="*"),
    )
