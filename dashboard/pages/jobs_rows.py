"""The rows of the job list: blocks by keyset cursor, and changes of the rows in sight without moving them."""

from __future__ import annotations

from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, State, dcc
from dash.exceptions import PreventUpdate

from dashboard.components.job_grid import BLOCK_ROWS, grid_row
from dashboard.context import Monitor
from dashboard.page import ADDRESS, AGAIN, LIVE, in_browser, question
from pandascope.addresses import Address
from pandascope.errors import ClientError


def stores() -> list[dcc.Store]:
    """What the list remembers in the browser: cursors of its blocks, never rows."""
    return [dcc.Store(id=name) for name in ("jobs-pages", "jobs-question", "jobs-sight", "jobs-fresh")]


def register(app: Dash, monitor: Monitor) -> None:
    """Connect the grid."""

    @app.callback(
        Output("jobs-grid", "getRowsResponse"),
        Output("jobs-pages", "data"),
        Input("jobs-grid", "getRowsRequest"),
        State(ADDRESS, "href"),
        State("jobs-pages", "data"),
        prevent_initial_call=True,
    )
    async def block(request: dict[str, Any] | None, href: str | None, pages: dict[str, Any] | None) -> tuple[Any, Any]:
        address = monitor.links.parse(href)
        if request is None or address is None or address.page != "jobs":
            raise PreventUpdate
        start = int(request["startRow"])
        pages = _pages_of(pages, address, start)
        try:
            return await _block(monitor, address, start, pages), pages
        except ClientError:  # the page says it in words; the grid only must not wait for ever
            return {"rowData": [], "rowCount": start}, pages

    @app.callback(
        Output("jobs-fresh", "data"),
        Input("jobs-sight", "data"),
        prevent_initial_call=True,
    )
    async def freshen(panda_ids: list[str] | None) -> list[dict[str, Any]]:
        if not panda_ids:
            raise PreventUpdate
        async with monitor.client() as client:
            answer = await client.jobs(panda_id=",".join(panda_ids), facets=0, limit=len(panda_ids))
        return [grid_row(row) for row in answer["jobs"]]

    _clientside(app)


def _clientside(app: Dash) -> None:
    """What happens in the browser alone (assets/grid.js)."""
    for function, output, source in (
        ("start_over", Output("jobs-question", "storage_type"), Input("jobs-question", "data")),
        ("rows_in_sight", Output("jobs-sight", "data"), Input(LIVE, "data")),
        ("put_fresh", Output("jobs-fresh", "storage_type"), Input("jobs-fresh", "data")),
        ("ask_again", Output(AGAIN, "data", allow_duplicate=True), Input("jobs-new", "n_clicks")),
    ):
        in_browser(app, ClientsideFunction("grid", function), output, source, initially=False)


def _pages_of(pages: dict[str, Any] | None, address: Address, start: int) -> dict[str, Any]:
    """The cursors known for this list; a new question, or the first block anew, begins without any."""
    if pages is None or pages.get("address") != str(address) or start == 0:
        return {"address": str(address), "cursors": {}, "newest": None}
    return pages


async def _block(monitor: Monitor, address: Address, start: int, pages: dict[str, Any]) -> dict[str, Any]:
    """The rows from `start` on. Cursors that are not known yet are found by walking from the nearest one that is."""
    cursors: dict[str, str] = pages["cursors"]
    position = max((int(at) for at in cursors if int(at) <= start), default=0)
    async with monitor.client() as client:
        while True:
            filters = {**question(address), "limit": BLOCK_ROWS, "facets": 0, "cursor": cursors.get(str(position))}
            answer = await client.jobs(**filters)
            rows, next_cursor = answer["jobs"], answer["next_cursor"]
            if position == 0 and rows:
                pages["newest"] = rows[0]["panda_id"]
            if next_cursor:
                cursors[str(position + BLOCK_ROWS)] = next_cursor
            if position >= start or not next_cursor:
                break
            position += BLOCK_ROWS
    rows = rows if position == start else []
    count = None if next_cursor else start + len(rows)
    return {"rowData": [grid_row(row) for row in rows], "rowCount": count}
