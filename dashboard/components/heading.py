"""The head of a page: what it is, what it shows, how fresh it is."""

from __future__ import annotations

from typing import Any

from dash import html

from dashboard import wording
from dashboard.components import marks
from dashboard.components.attributes import attributes


def heading(title: Any, *, below: Any = None, aside: Any = None) -> html.Div:
    """Title to the left, controls to the right."""
    return html.Div(
        [
            html.Div([html.H1(title), html.Div(below, className="heading-below")]),
            html.Div(aside, className="heading-aside"),
        ],
        className="heading",
    )


def freshness(answer: dict[str, Any]) -> html.Span:
    """The window an answer covers and when it was read."""
    window = answer.get("window")
    words = [html.Span(wording.window(window))] if window else []
    return html.Span([*words, html.Span(["as of ", marks.age(answer.get("as_of"))])], className="freshness")


def copy_link() -> html.Button:
    """Copies the address of what is shown (assets/navigation.js)."""
    return html.Button(
        "Copy link",
        className="text-button",
        title="copy the address of this view (y)",
        **attributes(data_copy="address"),
    )


def new_badge(component_id: str) -> html.Button:
    """'3 new': what waits to be let in. Hidden while empty."""
    return html.Button(id=component_id, className="new-badge", title="show them (u)", **attributes(data_key="u"))
