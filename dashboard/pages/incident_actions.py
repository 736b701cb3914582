"""Acknowledge, resolve, reopen, each with a note. The API decides who may; here only the buttons."""

from __future__ import annotations

import time
from typing import Any

import dash_mantine_components as dmc
from dash import Dash, Input, Output, State, ctx, dcc, html, no_update
from dash.exceptions import PreventUpdate

from dashboard import signin
from dashboard.components import panels
from dashboard.components.attributes import attributes
from dashboard.context import Monitor
from dashboard.page import ADDRESS, AGAIN
from pandascope.errors import ClientError

_DEEDS = {
    "acknowledge": ("Acknowledge", "a", "Tell others that you have it."),
    "resolve": ("Resolve", "e", "It is over; it opens again by itself if it comes back."),
    "reopen": ("Reopen", "o", "It is not over."),
}
_OFFERED = {
    "open": ("acknowledge", "resolve"),
    "reopened": ("acknowledge", "resolve"),
    "acknowledged": ("resolve", "reopen"),
    "silenced": ("acknowledge", "resolve", "reopen"),
    "resolved": ("reopen",),
}


def bar() -> html.Div:
    """The place of the buttons, the note and what came of it."""
    return html.Div(
        [
            html.Div(id="incident-choices", className="choices"),
            dcc.Store(id="incident-state"),
            html.Div(id="incident-outcome", className="outcome", role="status"),
        ],
        className="actions",
    )


def choices(row: dict[str, Any]) -> Any:
    """The buttons that make sense for the incident's state, or how to sign in."""
    if not signin.may_act():
        return html.P(signin.HOW, className="how-to-act")
    note = dmc.TextInput(id="incident-note", placeholder="Note (optional)", className="note", size="sm")
    buttons = [_button(deed, index) for index, deed in enumerate(_OFFERED.get(row["state"], ()))]
    return [note, *buttons]


def register(app: Dash, monitor: Monitor) -> None:
    """Connect the buttons."""

    @app.callback(
        Output("incident-outcome", "children"),
        Output(AGAIN, "data", allow_duplicate=True),
        Input({"deed": "acknowledge"}, "n_clicks", allow_optional=True),
        Input({"deed": "resolve"}, "n_clicks", allow_optional=True),
        Input({"deed": "reopen"}, "n_clicks", allow_optional=True),
        State("incident-note", "value", allow_optional=True),
        State(ADDRESS, "href"),
        prevent_initial_call=True,
    )
    async def act(*values: Any) -> tuple[Any, Any]:
        *clicks, note, href = values
        address = monitor.links.parse(href)
        if not any(clicks) or not isinstance(ctx.triggered_id, dict) or address is None or address.page != "incident":
            raise PreventUpdate
        deed = str(ctx.triggered_id["deed"])
        try:
            async with monitor.client() as client:
                await getattr(client, deed)(address.number, (note or "").strip() or None)
        except ClientError as error:
            return panels.problem(error), no_update
        return None, {"deed": deed, "at": time.time()}


def _button(deed: str, index: int) -> dmc.Button:
    text, key, meaning = _DEEDS[deed]
    return dmc.Button(
        html.Span(text, title=f"{meaning} (key {key})"),
        id={"deed": deed},
        size="sm",
        variant="filled" if index == 0 else "default",
        **attributes(data_key=key),
    )
