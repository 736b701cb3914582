"""The search box: a PandaID, a task, a name. One hit opens at once, several are offered."""

from __future__ import annotations

from typing import Any

from dash import Dash, Input, Output, ctx, dcc, html, no_update

from dashboard.components.attributes import attributes
from dashboard.context import Monitor
from dashboard.links import Links
from dashboard.page import ADDRESS
from pandascope.addresses import parse_address
from pandascope.errors import ClientError, Usage


def box() -> html.Div:
    """The input with the place for its hits."""
    field = dcc.Input(
        id="search",
        type="search",
        placeholder="Search a job, task, queue, user   /",
        className="search-input",
        autoComplete="off",
        debounce=False,
        spellCheck="false",
    )
    return html.Div([field, html.Div(id="search-hits", className="search-hits")], className="search", role="search")


def register(app: Dash, monitor: Monitor) -> None:
    """Connect the box: the enter key asks."""

    @app.callback(
        Output(ADDRESS, "href", allow_duplicate=True),
        Output("search-hits", "children"),
        Input("search", "n_submit"),
        Input(ADDRESS, "pathname"),
        Input("search", "value"),
        prevent_initial_call=True,
    )
    async def find(_submitted: int | None, _path: str | None, text: str | None) -> tuple[Any, Any]:
        if not _is_submit() or not (text or "").strip():
            return no_update, None
        try:
            async with monitor.client() as client:
                hits = (await client.search((text or "").strip()))["hits"]
        except ClientError as error:
            return no_update, html.Div(str(error), className="search-none")
        if len(hits) == 1:
            return _href(hits[0], monitor.links), None
        return no_update, _offer((text or "").strip(), hits, monitor.links)


def _is_submit() -> bool:
    return any(trigger["prop_id"] == "search.n_submit" for trigger in ctx.triggered)


def _offer(text: str, hits: list[dict[str, Any]], links: Links) -> Any:
    if not hits:
        return html.Div("Nothing has this id or name.", className="search-none", role="status")
    return html.Ul(
        [
            html.Li(
                html.A(
                    [html.Span(hit["kind"], className="search-kind"), html.Span(str(hit["title"]))],
                    href=_href(hit, links),
                )
            )
            for hit in hits
        ],
        **attributes(data_text=text),
    )


def _href(hit: dict[str, Any], links: Links) -> str:
    try:
        return links.to(parse_address(str(hit["address"])))
    except Usage:
        return links.page("jobs", q=hit["id"])
