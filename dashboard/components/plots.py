"""Plots over time as Plotly figures. Axis and grid colours come from assets/style.css, so both schemes work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import plotly.graph_objects as go
from dash import dcc, html

from dashboard import palette, wording
from dashboard.links import Links

_CONFIG: dict[str, Any] = {"config": {"displayModeBar": False, "responsive": True, "scrollZoom": False}}


def stacked_bars(answer: Mapping[str, Any], links: Links, *, by: str = "status", **filters: Any) -> go.Figure:
    """Counts per bin, stacked by state. Every bar carries the address of the jobs behind it (assets/navigation.js)."""
    figure = _blank()
    bins: Sequence[str] = answer["bins"]
    bin_s = int(answer["bin_s"])
    names = palette.in_order(palette.JOB_STATES, list(answer["series"])) if by == "status" else sorted(answer["series"])
    for index, name in enumerate(reversed(names)):
        figure.add_bar(
            x=list(bins),
            y=list(answer["series"][name]),
            name=name,
            width=bin_s * 1000 * 0.86,
            offset=bin_s * 1000 * 0.07,
            marker={"color": _colour(by, name, index), "line": {"width": 0}},
            customdata=[_jobs_of_bin(links, by, name, start, bin_s, filters) for start in bins],
            hovertemplate="%{y} " + _no_markup(name) + "<br>%{x|%d %b %H:%M} UTC<extra></extra>",
        )
    top = max((sum(counts) for counts in zip(*answer["series"].values(), strict=True)), default=0)
    _whole_numbers(figure, top)
    _say_when_empty(figure, top, "No job ended in this time.")
    return figure


def counts_over_time(values: Sequence[int], *, bin_s: int, until: str | None, colour: str) -> go.Figure:
    """A short series ending at a time, as bars."""
    figure = _blank()
    end = wording.moment(until)
    if end is None:
        return figure
    start = end - timedelta(seconds=bin_s * len(values))
    times = [(start + timedelta(seconds=bin_s * index)).isoformat() for index in range(len(values))]
    figure.add_bar(
        x=times,
        y=list(values),
        width=bin_s * 1000 * 0.86,
        offset=0,
        marker={"color": colour, "line": {"width": 0}},
        hovertemplate="%{y} events<br>from %{x|%H:%M} UTC<extra></extra>",
    )
    figure.update_layout(showlegend=False)
    _whole_numbers(figure, max(values, default=0))
    _say_when_empty(figure, max(values, default=0), "Nothing in this time.")
    return figure


def hours_by_day(days: Sequence[Mapping[str, Any]]) -> go.Figure:
    """Core hours of each day, those of failed jobs apart."""
    figure = _blank()
    shares = (
        ("failed", [day["failed_core_hours"] for day in days]),
        ("finished", [max(0.0, day["wall_core_hours"] - day["failed_core_hours"]) for day in days]),
    )
    for name, values in shares:
        figure.add_bar(
            x=[day["day"] for day in days],
            y=values,
            name="failed jobs" if name == "failed" else "other jobs",
            marker={"color": palette.look(palette.JOB_STATES, name).colour, "line": {"width": 0}},
            hovertemplate="%{y:.1f} core hours<br>%{x|%d %b}<extra></extra>",
        )
    figure.update_layout(bargap=0.15)
    top = max((value for _, values in shares for value in values), default=0)
    _plain_numbers(figure, top, " core-h")
    _say_when_empty(figure, top, "No job of this account ended in these days.")
    return figure


def graph(component_id: str, *, height: int = 220) -> html.Div:
    """An empty plot that a callback fills; its place is kept while Plotly is still being loaded."""
    figure = _blank().update_xaxes(visible=False).update_yaxes(visible=False)  # else it shows a year of nothing
    plot = dcc.Graph(id=component_id, figure=figure, style={"height": f"{height}px"}, className="plot", **_CONFIG)
    return html.Div(plot, style={"height": f"{height}px"})


def _blank() -> go.Figure:
    axis = {"gridcolor": "rgba(128,128,128,.2)", "zeroline": False, "fixedrange": True, "automargin": True}
    return go.Figure(
        layout={
            "barmode": "stack",
            "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"family": "system-ui, sans-serif", "size": 12},
            "xaxis": {**axis, "type": "date", "showgrid": False, "tickangle": 0},
            "yaxis": {**axis, "rangemode": "tozero", "tickformat": "~s", "nticks": 5},
            "legend": {"orientation": "h", "y": 1, "yanchor": "bottom", "x": 0, "traceorder": "reversed"},
            "hoverlabel": {"align": "left"},
            "uirevision": "kept",
            "showlegend": True,
        }
    )


def _whole_numbers(figure: go.Figure, top: int) -> None:
    """Counts have no fractions, so a low axis gets a tick per unit."""
    if top <= 5:
        figure.update_yaxes(dtick=1, range=[0, max(top, 1) * 1.05])


def _plain_numbers(figure: go.Figure, top: float, unit: str) -> None:
    """Numbers with their unit: '0.002 core-h', not '2m', and thousands as '2k'."""
    figure.update_yaxes(tickformat="~s" if top >= 1000 else "~g", ticksuffix=unit)


def _say_when_empty(figure: go.Figure, top: float, sentence: str) -> None:
    """Axes around nothing look like a fault of the page."""
    if not top:
        figure.update_xaxes(showticklabels=False).update_yaxes(visible=False)
        figure.update_layout(showlegend=False)
        figure.add_annotation(
            text=sentence, showarrow=False, x=0.5, y=0.5, xref="paper", yref="paper", font={"size": 14}
        )


def _colour(by: str, name: str, index: int) -> str:
    if by == "status":
        return palette.look(palette.JOB_STATES, name).colour
    return palette.SERIES[index % len(palette.SERIES)]


def _jobs_of_bin(links: Links, by: str, name: str, start: str, bin_s: int, filters: Mapping[str, Any]) -> str:
    begin = wording.moment(start)
    end = None if begin is None else begin + timedelta(seconds=bin_s)
    field = "job_status" if by == "status" else by
    times = {} if begin is None or end is None else {"date_from": begin.isoformat(), "date_to": end.isoformat()}
    return links.page("jobs", **{field: name, **filters, **times})


def _no_markup(text: str) -> str:
    """Plotly reads a few tags in labels: names from outside must not become markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("%{", "% {")
