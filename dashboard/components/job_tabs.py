"""The tabs of one job, as links: its overview and its log."""

from __future__ import annotations

from dash import html

from dashboard.components.attributes import attributes
from dashboard.links import Links
from pandascope.addresses import Address


def job_tabs(address: Address, links: Links) -> html.Nav:
    """The tab of the page that is open is marked."""
    tabs = (("job", "Overview"), ("log", "Log"))
    return html.Nav(
        [
            html.A(
                text,
                href=links.page(name, address.number),
                className="page-tab chosen" if name == address.page else "page-tab",
                id=f"tab-{name}",
                **attributes(aria_current="page" if name == address.page else None),
            )
            for name, text in tabs
        ],
        className="page-tabs",
    )
