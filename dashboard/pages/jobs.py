"""Jobs: which jobs, and what do they have in common? Facets narrow, the address is the question, rows stay put."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from dash import html, no_update

from dashboard import palette, wording
from dashboard.components import filters, panels
from dashboard.components.heading import copy_link, freshness, heading, new_badge
from dashboard.components.job_grid import job_grid
from dashboard.links import Links, bare, without
from dashboard.page import Page, View
from dashboard.pages import jobs_rows
from pandascope.addresses import Address

_LOOKS = {"job_status": palette.JOB_STATES}
_DEFAULT_HOURS = "24"


def _layout(address: Address, links: Links) -> html.Div:
    return html.Div(
        [
            html.Div(heading("Jobs"), id="jobs-head"),
            *jobs_rows.stores(),
            html.Div(
                [
                    html.Aside(panels.skeleton(140, 140, 140), id="jobs-facets", className="rail"),
                    html.Div(
                        [
                            html.Div(html.Div(id="jobs-chips"), className="chips-line"),
                            new_badge("jobs-new"),
                            html.Div(id="jobs-empty"),
                            html.Div(job_grid("jobs-grid", links), className="grid-frame", id="jobs-frame"),
                        ],
                        className="main-column",
                    ),
                ],
                className="with-rail fill",
            ),
        ],
        className="fill",
    )


async def _load(view: View) -> Sequence[Any]:
    answer = await view.client.jobs(limit=1, **view.filters)
    pages = view.states[0] or {}
    waiting = (
        await _newer(view, pages.get("newest")) if view.is_signal and pages.get("address") == str(view.address) else 0
    )
    is_first = answer["count"] and not pages.get("newest")
    return [
        heading(
            wording.plural(answer["count"], "job"),
            below=freshness(answer),
            aside=[filters.windows(view.address, view.links, default_hours=_DEFAULT_HOURS), copy_link()],
        ),
        filters.chips(view.address, view.links, warnings=answer["warnings"]),
        filters.facet_rail(answer["facets"], view.address, view.links, looks=_LOOKS, exact=answer["exact"]),
        None if answer["count"] else await _empty(view),
        {"display": "block" if answer["count"] else "none"},
        f"{wording.count(waiting)} new, show" if waiting and not is_first else None,
        no_update if view.is_signal and not is_first else {"address": str(view.address), "asked": time.time()},
    ]


async def _newer(view: View, newest: int | None) -> int:
    """How many jobs of the list are younger than the youngest one shown."""
    if not newest or "panda_id" in view.address.filters:
        return 0
    question = {**view.filters, "panda_id": f"{newest + 1}:"}
    if not any(name in question for name in filters.WINDOW_FIELDS):
        question["hours"] = _DEFAULT_HOURS
    return int((await view.client.jobs(limit=1, facets=0, **question))["count"])


async def _empty(view: View) -> html.Div:
    """An empty list says which filter to drop: the one without which there would be jobs."""
    names = [name for name in view.address.filters if name not in filters.WINDOW_FIELDS]
    offers = []
    for name in names:
        fewer = without(view.address, name)
        kept = {key: value for key, value in view.filters.items() if key != name}
        count = (await view.client.jobs(limit=1, facets=0, **kept))["count"]
        if count:
            text = f"Drop {filters.label(name)} {view.address.filters[name]}: {wording.plural(count, 'job')}"
            offers.append(html.A(text, href=view.links.to(fewer), className="button"))
    has_window = any(name in view.address.filters for name in filters.WINDOW_FIELDS)
    if (has_window or not names) and view.address.filters.get("hours") != "168":
        wider = filters.with_hours(view.address, "168")
        offers.append(html.A("Look at the last 7 days", href=view.links.to(wider), className="button"))
    if len(names) > 1:
        offers.append(html.A("Clear all filters", href=view.links.to(bare(view.address)), className="button"))
    if not names:
        return panels.empty("No job was there in this window. 'panda run' submits some.", *offers)
    return panels.empty("No job passes these filters in this window.", *offers)


def _title(address: Address) -> str:
    words = filters.sentence(address.filters)
    return f"Jobs: {words}" if words else "Jobs"


PAGE = Page(
    name="jobs",
    title=_title,
    layout=_layout,
    regions=(
        ("jobs-head", "children"),
        ("jobs-chips", "children"),
        ("jobs-facets", "children"),
        ("jobs-empty", "children"),
        ("jobs-frame", "style"),
        ("jobs-new", "children"),
        ("jobs-question", "data"),
    ),
    load=_load,
    topics=lambda address: ["jobs"],
    states=(("jobs-pages", "data"),),
    more=jobs_rows.register,
)
