"""The link to older rows, by the server's cursor: every page of a long list has an address."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dash import html

from dashboard.links import having, without

if TYPE_CHECKING:
    from dashboard.page import View


def older(answer: Mapping[str, Any], view: View) -> html.Div | None:
    """Links to the rows before these, and back to the newest; nothing when all is shown."""
    links = []
    if view.address.filters.get("cursor"):
        links.append(html.A("newest", href=view.links.to(without(view.address, "cursor")), className="button"))
    if answer.get("next_cursor"):
        links.append(
            html.A(
                "older", href=view.links.to(having(view.address, "cursor", answer["next_cursor"])), className="button"
            )
        )
    return html.Div(links, className="pad paging") if links else None
