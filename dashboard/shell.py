"""What surrounds every page: navigation, search, the live badge, who is signed in. Exactly one Location is here."""

from __future__ import annotations

from typing import Any

import dash_mantine_components as dmc
from dash import Dash, Input, Output, State, dcc, html, no_update

from dashboard import dialogue, search, signin
from dashboard.components import panels
from dashboard.components.attributes import attributes
from dashboard.components.filters import WINDOW_FIELDS
from dashboard.context import Monitor
from dashboard.links import Links
from dashboard.page import ADDRESS, AGAIN, LIVE, in_browser
from dashboard.pages import PAGES
from pandascope.addresses import Address

_BY_NAME = {page.name: page for page in PAGES}
_NAVIGATION = (
    ("now", "Now", ("now",)),
    ("incidents", "Incidents", ("incidents", "incident", "silences", "alarms", "notices", "audit")),
    ("shifts", "Shift", ("shifts", "shift")),
    ("jobs", "Jobs", ("jobs", "job", "log")),
    ("tasks", "Tasks", ("tasks", "task")),
    ("queues", "Queues", ("queues", "staging")),
    ("shares", "Shares", ("shares",)),
    ("users", "Users", ("users",)),
    ("rules", "Rules", ("rules",)),
    ("system", "System", ("system",)),
)
_SET_TITLE = """function (title) {
    document.title = title ? title + " · pandascope" : "pandascope";
    return window.dash_clientside.no_update;
}"""
_RELOAD = "function (why) { if (why) { window.location.reload(); } return window.dash_clientside.no_update; }"
_THEME: dict[str, Any] = {
    "primaryColor": "blue",
    "fontFamily": "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'DejaVu Sans', sans-serif",
    "fontFamilyMonospace": "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace",
    "defaultRadius": "md",
}


def register(app: Dash, monitor: Monitor) -> None:
    """Set the layout and connect navigation, search and sign-in."""
    app.layout = lambda: _layout(monitor, app.get_asset_url("live_worker.js"))

    @app.callback(
        Output("page", "children"),
        Output("page-key", "data"),
        Output("navigation", "children"),
        Output("title", "data"),
        Input(ADDRESS, "href"),
        State("page-key", "data"),
    )
    def show(href: str | None, shown: str | None) -> tuple[Any, Any, Any, Any]:
        address = monitor.links.parse(href)
        if address is None:
            missing = no_update if href is None else _missing(monitor.links)
            return missing, None, _navigation(None, monitor.links), "No such page"
        key = f"{address.page}:{address.number}"
        page = _BY_NAME[address.page]
        frame = no_update if key == shown else page.frame(address, monitor.links)
        return frame, key, _navigation(address, monitor.links), page.title(address)

    in_browser(app, _SET_TITLE, Output("title", "storage_type"), Input("title", "data"))
    in_browser(app, _RELOAD, Output("reload", "storage_type"), Input("reload", "data"))
    search.register(app, monitor)
    signin.register(app, monitor)
    dialogue.register(app, monitor)


def _layout(monitor: Monitor, worker_url: str) -> dmc.MantineProvider:
    roots = [
        dcc.Location(id=ADDRESS, refresh="callback-nav"),
        dcc.Store(id=LIVE),
        dcc.Store(id=AGAIN),
        dcc.Store(id="page-key"),
        dcc.Store(id="title"),
        dcc.Store(id="reload"),
    ]
    return dmc.MantineProvider(
        [
            *roots,
            html.A("Skip to content", href="#page", className="skip-link"),
            _header(monitor, worker_url),
            html.Main(id="page", tabIndex=-1),
            *signin.parts(),
            *dialogue.parts(),
        ],
        theme=_THEME,
        defaultColorScheme="auto",
    )


def _header(monitor: Monitor, worker_url: str) -> html.Header:
    return html.Header(
        [
            html.A(
                [html.Span(className="logo-mark", **attributes(aria_hidden="true")), html.Span("pandascope")],
                href=monitor.links.page("now"),
                className="logo",
            ),
            html.Nav(id="navigation", className="navigation", **attributes(aria_label="pages")),
            search.box(),
            html.Div(
                id="live-badge",
                className="live-badge",
                role="status",
                **attributes(data_stream=monitor.stream_path, data_worker=worker_url),
            ),
            html.Button(
                id="scheme-toggle",
                className="icon-button",
                title="light or dark (d)",
                **attributes(aria_label="light or dark"),
            ),
            signin.corner(),
        ],
        className="header",
    )


def _navigation(address: Address | None, links: Links) -> list[html.A]:
    window = {} if address is None else {name: address.filters.get(name) for name in WINDOW_FIELDS}
    current = "" if address is None else str(address.page)
    return [
        html.A(
            text,
            href=links.page(name, **window),
            className="nav-link chosen" if current in members else "nav-link",
            **attributes(aria_current="page" if current in members else None),
        )
        for name, text, members in _NAVIGATION
    ]


def _missing(links: Links) -> html.Div:
    to_now = html.A("Go to Now", href=links.page("now"), className="button")
    return html.Div(panels.empty("There is no page at this address.", to_now), className="page")
