"""How many jobs are in each state: one ribbon in proportion, and below it the states as links."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dash import html

from dashboard import palette, wording
from dashboard.components import marks
from dashboard.components.attributes import attributes
from dashboard.links import Links


def job_ribbon(
    counts: Mapping[str, int], links: Links, *, nothing: str = "No jobs in this window.", **filters: Any
) -> html.Div:
    """Segments and a legend; both lead to the list of those jobs."""
    states = palette.in_order(palette.JOB_STATES, [name for name, number in counts.items() if number])
    if not states:
        return html.Div(nothing, className="dim")
    return html.Div(
        [
            html.Div([_segment(name, counts[name], links, filters) for name in states], className="ribbon"),
            html.Div([_entry(name, counts[name], links, filters) for name in states], className="ribbon-legend"),
        ]
    )


def _segment(name: str, number: int, links: Links, filters: Mapping[str, Any]) -> html.A:
    return html.A(
        href=links.page("jobs", job_status=name, **filters),
        title=f"{name}: {wording.count(number)}",
        className="ribbon-segment",
        style={"flexGrow": number, "--colour": palette.look(palette.JOB_STATES, name).colour},
        tabIndex=-1,
        **attributes(aria_hidden="true"),
    )


def _entry(name: str, number: int, links: Links, filters: Mapping[str, Any]) -> html.A:
    return html.A(
        [marks.job_state(name), html.Span(wording.count(number), className="ribbon-count")],
        href=links.page("jobs", job_status=name, **filters),
        className="ribbon-entry",
    )
