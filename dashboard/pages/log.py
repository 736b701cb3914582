"""Log: show the failing line. The text is drawn by assets/log.js, as text, with the line in sight."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, dcc, html

from dashboard import wording
from dashboard.components.attributes import attributes
from dashboard.components.heading import copy_link, freshness, heading
from dashboard.components.job_tabs import job_tabs
from dashboard.context import Monitor
from dashboard.links import Links
from dashboard.page import Page, View, in_browser
from pandascope.addresses import Address


def _layout(address: Address, links: Links) -> html.Div:
    return html.Div(
        [
            html.Div(heading(f"Log of job {address.number}"), id="log-head"),
            job_tabs(address, links),
            html.Div(
                [
                    html.Div(id="log-names", className="log-names"),
                    html.Div(id="log-culprit", className="log-culprit"),
                    html.Div(
                        [
                            _tool("log-previous", "Previous error", "N"),
                            _tool("log-next", "Next error", "n"),
                            _tool("log-to-culprit", "Failing line", "c"),
                            html.Span(id="log-place", className="dim", role="status"),
                        ],
                        className="log-tools",
                    ),
                ],
                className="log-bar",
            ),
            html.Div(
                id="log-view",
                className="log-lines log-view",
                tabIndex=0,
                role="region",
                **attributes(aria_label="log text"),
            ),
            dcc.Store(id="log-data"),
        ],
        className="stack fill",
    )


def _tool(component_id: str, text: str, key: str) -> html.Button:
    return html.Button(text, id=component_id, className="button", title=f"key {key}", **attributes(data_key=key))


async def _load(view: View) -> Sequence[Any]:
    number = view.number
    answer = await view.client.job_log(number, view.address.filters.get("name"))
    culprit = answer.get("culprit")
    head = heading(
        f"Log of job {number}",
        below=[html.Span(_extent(answer)), freshness(answer)],
        aside=copy_link(),
    )
    data = {
        "key": f"{number}/{answer['name']}",
        "text": answer["text"],
        "first": answer["first_line_number"],
        "culprit": culprit["line_number"] if culprit else None,
        "line": view.address.line,
        "base": view.links.page("log", number, name=answer["name"]),
    }
    return [head, _names(answer, view), _culprit(culprit), data]


def _extent(answer: dict[str, Any]) -> str:
    lines = wording.plural(answer["line_count"], "line")
    return f"the last {lines} that were kept" if answer.get("truncated") else lines


def _names(answer: dict[str, Any], view: View) -> list[html.A]:
    return [
        html.A(
            name,
            href=view.links.page("log", view.address.number, name=name),
            className="page-tab chosen mono" if name == answer["name"] else "page-tab mono",
            **attributes(aria_current="true" if name == answer["name"] else None),
        )
        for name in answer.get("names") or []
    ]


def _culprit(culprit: dict[str, Any] | None) -> Any:
    if not culprit:
        return html.Span("no failing line found in this log", className="dim")
    return [
        html.Span(f"line {culprit['line_number']}: ", className="dim"),
        html.Span(culprit["text"], className="mono"),
    ]


def _more(app: Dash, monitor: Monitor) -> None:
    in_browser(app, ClientsideFunction("log", "show"), Output("log-data", "storage_type"), Input("log-data", "data"))


PAGE = Page(
    name="log",
    title=lambda address: f"Log of job {address.number}",
    layout=_layout,
    regions=(("log-head", "children"), ("log-names", "children"), ("log-culprit", "children"), ("log-data", "data")),
    load=_load,
    topics=lambda address: [f"job:{address.number}"],
    more=_more,
)
