"""The tabs that lead from one page of a family to the others: those about incidents, those about queues and their data."""

from __future__ import annotations

from dash import html

from dashboard.components.attributes import attributes
from dashboard.links import Links

INCIDENTS = (
    ("incidents", "Incidents"),
    ("silences", "Silences"),
    ("alarms", "Alarms"),
    ("notices", "Notices"),
    ("audit", "Audit"),
)
DATA = (("queues", "Queues"), ("staging", "Staging from tape"))


def family(
    current: str,
    links: Links,
    members: tuple[tuple[str, str], ...] = INCIDENTS,
    label: str = "pages about incidents",
) -> html.Nav:
    """One tab per page; that of the page shown is marked."""
    return html.Nav(
        [
            html.A(
                words,
                href=links.page(name),
                className="page-tab chosen" if name == current else "page-tab",
                **attributes(aria_current="page" if name == current else None),
            )
            for name, words in members
        ],
        className="page-tabs family",
        **attributes(aria_label=label),
    )
