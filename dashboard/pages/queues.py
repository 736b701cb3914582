"""Queues: which is unwell? Silent ones first, then by failures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dash import html

from dashboard import wording
from dashboard.components import filters, marks, panels
from dashboard.components.heading import freshness, heading
from dashboard.links import Links
from dashboard.page import Page, View
from pandascope.addresses import Address

_WAITING = ("activated", "assigned", "defined", "waiting", "throttled")
_RUNNING = ("sent", "starting", "stagein", "running", "stageout", "holding", "transferring", "merging")
_HEADS = [
    "Queue",
    "State",
    "Set by",
    "#Waiting",
    "#Running",
    "#Finished, 1 h",
    "#Failed, 1 h",
    "Last pilot",
    "#Most cores",
    "#Most memory",
    "Storage",
]


def _layout(address: Address, links: Links) -> html.Div:
    return html.Div(
        [
            html.Div(heading("Queues"), id="queues-head"),
            html.Div(id="queues-chips"),
            html.Div(panels.skeleton(240), id="queues-list"),
        ],
        className="stack",
    )


async def _load(view: View) -> Sequence[Any]:
    answer = await view.client.queues(**view.filters)
    rows = sorted(answer["queues"], key=_worst_first)
    silent = sum(1 for row in rows if row.get("silent"))
    words = wording.plural(len(rows), "queue") + (f", {silent} silent" if silent else "")
    body = (
        html.Div(panels.table(_HEADS, [_row(row, view.links) for row in rows]), className="panel")
        if rows
        else panels.empty("There is no queue yet. 'panda up' makes a local one.")
    )
    return [
        heading(words, below=freshness(answer)),
        filters.chips(view.address, view.links, warnings=answer["warnings"]),
        body,
    ]


def _worst_first(row: dict[str, Any]) -> tuple[bool, int, str]:
    return (not row.get("silent"), -int(row.get("failed_last_hour") or 0), str(row["queue_name"]))


def _row(row: dict[str, Any], links: Links) -> list[Any]:
    name, jobs = row["queue_name"], row.get("jobs") or {}
    waiting = sum(jobs.get(state, 0) for state in _WAITING)
    running = sum(jobs.get(state, 0) for state in _RUNNING)
    silent = html.Span("silent", className="chip chip-warning") if row.get("silent") else None
    return [
        html.Span([html.A(name, href=links.page("jobs", computing_site=name)), silent]),
        html.Span(marks.queue_state(row.get("status")), title=row.get("comment") or ""),
        _set_by(row),
        _count_link(waiting, links.page("jobs", computing_site=name, job_status="|".join(_WAITING))),
        _count_link(running, links.page("jobs", computing_site=name, job_status="|".join(_RUNNING))),
        wording.count(row.get("finished_last_hour") or 0),
        _count_link(
            row.get("failed_last_hour") or 0, links.page("jobs", computing_site=name, job_status="failed", hours=1)
        ),
        marks.age(row.get("last_pilot_contact"), blank="never"),
        wording.count(row.get("max_core_count") or None),
        wording.size((row.get("max_ram_mb") or 0) * 1_000_000) if row.get("max_ram_mb") else "–",
        row.get("storage_endpoint") or "",
    ]


def _set_by(row: dict[str, Any]) -> Any:
    """Whose word the state is, since when and why."""
    if not row.get("status_time"):
        return ""
    who = "test jobs" if row.get("status_who") == "queue_tester" else row.get("status_who") or "the system"
    why = row.get("status_reason") or "no reason given"
    said = html.Span([f"{who}, ", marks.age(row["status_time"])], className="clip")
    return html.Div([said, html.Span(why, title=why, className="dim clip short")])


def _count_link(number: int, href: str) -> Any:
    return html.A(wording.count(number), href=href) if number else "0"


PAGE = Page(
    name="queues",
    title=lambda address: "Queues",
    layout=_layout,
    regions=(("queues-head", "children"), ("queues-chips", "children"), ("queues-list", "children")),
    load=_load,
    topics=lambda address: ["queues", "jobs"],
)
