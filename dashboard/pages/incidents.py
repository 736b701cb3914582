"""Incidents: what happened, and who has it? Facets to the left, the worst on top."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dash import Dash, Input, Output, dcc, html

from dashboard import palette, signin, wording
from dashboard.components import filters, panels
from dashboard.components.bulk_bar import bulk_bar
from dashboard.components.buttons import button
from dashboard.components.family import family
from dashboard.components.heading import copy_link, freshness, heading, new_badge
from dashboard.components.incident_list import incident_list, keep_order
from dashboard.context import Monitor
from dashboard.links import Links, bare, having, without
from dashboard.page import AGAIN, Page, View, in_browser
from pandascope.addresses import Address

_LOOKS = {"state": palette.INCIDENT_STATES, "severity": palette.SEVERITIES}
_PAGE_SIZE = 100


def _layout(address: Address, links: Links) -> html.Div:
    return html.Div(
        [
            family("incidents", links),
            html.Div(heading("Incidents"), id="incidents-head"),
            dcc.Store(id="incidents-shown"),
            html.Div(
                [
                    html.Aside(panels.skeleton(140, 140), id="incidents-facets", className="rail"),
                    html.Div(
                        [
                            html.Div(id="incidents-chips"),
                            html.Div(id="incidents-bulk"),
                            new_badge("incidents-new"),
                            html.Div(panels.skeleton(420), id="incidents-list"),
                        ],
                        className="main-column",
                    ),
                ],
                className="with-rail",
            ),
        ]
    )


async def _load(view: View) -> Sequence[Any]:
    answer = await view.client.incidents(limit=_PAGE_SIZE, **view.filters)
    rows, waiting = answer["incidents"], 0
    known = view.states[0] or {}
    if view.is_signal and known.get("address") == str(view.address) and known.get("ids"):
        rows, waiting = keep_order(known["ids"], rows)
    shown = {"address": str(view.address), "ids": [row["incident_id"] for row in rows]}
    return [
        heading(
            wording.plural(answer["count"], "incident"),
            below=[
                freshness(answer),
                _state_choice(view.address, view.links),
                _explained_choice(view.address, view.links),
            ],
            aside=[_open() if signin.may_act() else None, copy_link()],
        ),
        filters.chips(view.address, view.links, warnings=answer["warnings"]),
        filters.facet_rail(answer["facets"], view.address, view.links, looks=_LOOKS, exact=answer["exact"]),
        _list(rows, answer, view),
        f"{waiting} new, show" if waiting else None,
        shown,
        bulk_bar() if rows and signin.may_act() else None,
    ]


def _open() -> html.Div:
    title = "open one that no rule saw"
    return html.Div(button("Open an incident", "open-incident", "new", title=title), className="choices")


def _explained_choice(address: Address, links: Links) -> html.A:
    """Those that a central incident explains stand below it, unless they are asked for."""
    if "inhibited" in address.filters:
        return html.A("hide explained ones", href=links.to(without(address, "inhibited")))
    return html.A("show explained ones too", href=links.to(having(address, "inhibited", "*")))


def _state_choice(address: Address, links: Links) -> Any:
    chosen = address.filters.get("state")
    if chosen == "*":
        return html.A("show only unresolved ones", href=links.to(without(address, "state")))
    return html.A("show resolved ones too", href=links.to(having(address, "state", "*"))) if not chosen else html.Span()


def _list(rows: list[dict[str, Any]], answer: dict[str, Any], view: View) -> Any:
    if rows:
        rest = answer["count"] - len(rows)
        more = (
            [html.P(f"{wording.count(rest)} more: narrow the list with the facets.", className="dim pad")]
            if rest > 0
            else []
        )
        return html.Div([incident_list(rows, view.links, can_mark=signin.may_act()), *more], className="panel")
    if not view.address.filters:
        return panels.empty(
            "No incident is open.",
            html.A("Show resolved ones", href=view.links.to(having(view.address, "state", "*")), className="button"),
        )
    return panels.empty(
        "No incident passes these filters.",
        html.A("Clear all filters", href=view.links.to(bare(view.address)), className="button"),
    )


def _more(app: Dash, monitor: Monitor) -> None:
    source = "function (n) { return n ? {clicked: n} : window.dash_clientside.no_update; }"
    in_browser(
        app, source, Output(AGAIN, "data", allow_duplicate=True), Input("incidents-new", "n_clicks"), initially=False
    )


def _title(address: Address) -> str:
    words = filters.sentence(address.filters)
    return f"Incidents: {words}" if words else "Incidents"


PAGE = Page(
    name="incidents",
    title=_title,
    layout=_layout,
    regions=(
        ("incidents-head", "children"),
        ("incidents-chips", "children"),
        ("incidents-facets", "children"),
        ("incidents-list", "children"),
        ("incidents-new", "children"),
        ("incidents-shown", "data"),
        ("incidents-bulk", "children"),
    ),
    load=_load,
    topics=lambda address: ["incidents"],
    states=(("incidents-shown", "data"),),
    more=_more,
)
