"""Staging: what comes from tape, for whom, and what stands still? One line per dataset that is brought to disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dash import html

from dashboard import wording
from dashboard.components import filters, panels
from dashboard.components.family import DATA, family
from dashboard.components.heading import copy_link, freshness, heading
from dashboard.components.paging import older
from dashboard.components.staging_table import staging_table
from dashboard.links import Links, bare, having, without
from dashboard.page import Page, View
from pandascope.addresses import Address

_PAGE_SIZE = 100
_NOTHING = (
    "Nothing comes from tape. A task whose input lies on tape only waits in 'staging' until the first files of it are on "
    "disk; the datasets that are brought for such tasks stand here."
)


def _layout(address: Address, links: Links) -> html.Div:
    return html.Div(
        [
            family("staging", links, DATA, "pages about queues and their data"),
            html.Div(heading("Staging from tape"), id="staging-head"),
            html.Div(id="staging-chips"),
            html.Div(panels.skeleton(240), id="staging-list"),
        ],
        className="stack",
    )


async def _load(view: View) -> Sequence[Any]:
    cursor = view.address.filters.get("cursor")
    answer = await view.client.staging(limit=_PAGE_SIZE, **view.filters, **({"cursor": cursor} if cursor else {}))
    rows = answer["requests"]
    more = " and more" if answer["next_cursor"] else ""
    stuck = sum(1 for row in rows if row["pace"] == "stuck")
    words = f"{wording.plural(len(rows), 'dataset')}{more} from tape" + (f", {stuck} stuck" if stuck else "")
    head = heading(words if rows else "Staging from tape", below=[freshness(answer), _choice(view)], aside=copy_link())
    shown = filters.chips(without(view.address, "cursor", "status"), view.links, warnings=answer["warnings"])
    return [head, shown, _list(rows, answer, view)]


def _choice(view: View) -> html.A:
    if "status" in view.address.filters:
        return html.A("show only those on their way", href=view.links.to(without(view.address, "status", "cursor")))
    return html.A("show ended ones too", href=view.links.to(having(view.address, "status", "*")))


def _list(rows: Sequence[Mapping[str, Any]], answer: dict[str, Any], view: View) -> Any:
    if not rows and without(view.address, "status", "cursor").filters:
        everything = html.A("Clear all filters", href=view.links.to(bare(view.address)), className="button")
        return panels.empty("No dataset on its way passes these filters.", everything)
    if not rows:
        return panels.empty(_NOTHING)
    return panels.panel(
        "Datasets that are brought to disk", [staging_table(rows, view.links), older(answer, view)], flush=True
    )


PAGE = Page(
    name="staging",
    title=lambda address: "Staging from tape",
    layout=_layout,
    regions=(("staging-head", "children"), ("staging-chips", "children"), ("staging-list", "children")),
    load=_load,
    topics=lambda address: ["tasks"],
)
