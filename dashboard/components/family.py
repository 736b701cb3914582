"""The tabs that lead from one page about incidents to the others."""

from __future__ import annotations

from dash import html

from dashboard.components.attributes import attributes
from dashboard.links import Links

MEMBERS = (
    ("incidents", "Incidents"),
    ("silences", "Silences"),
    ("alarms", "Alarms"),
    ("notices", "Notices"),
    ("audit", "Audit"),
)


def family(current: str, links: Links) -> html.Nav:
    """One tab per page; that of the page shown is marked."""
    return html.Nav(
        [
            html.A(
                words,
                href=links.page(name),
                className="page-tab chosen" if name == current else "page-tab",
                **attributes(aria_current="page" if name == current else None),
            )
            for name, words in MEMBERS
        ],
        className="page-tabs family",
        **attributes(aria_label="pages about incidents"),
    )
