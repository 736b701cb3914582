"""Queues: which is unwell? Silent ones first, then by failures. Of one queue: how it came to its status, and what was done.

Operators drain, test, switch off and give back from here; each is previewed first (dashboard/deeds.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from dash import html

from dashboard import signin, wording
from dashboard.components import filters, marks, panels
from dashboard.components.deed_buttons import queue_buttons
from dashboard.components.deed_table import deed_table
from dashboard.components.endpoint_table import endpoint_table
from dashboard.components.family import DATA, family
from dashboard.components.heading import freshness, heading
from dashboard.links import Links
from dashboard.page import Page, View
from pandascope.addresses import Address
from pandascope.errors import NotAuthorised

_WAITING = ("activated", "assigned", "defined", "waiting", "throttled")
_RUNNING = ("sent", "starting", "stagein", "running", "stageout", "holding", "transferring", "merging")
_HEADS = ("Queue", "State", "Set by", "#Waiting", "#Running", "#Finished, 1 h", "#Failed, 1 h", "Last pilot")
_LIMIT_HEADS = ("At most", "Storage")
_NAMED = frozenset({"queue_name", "computing_site"})
"""Filters that name queues."""
_HISTORY_HEADS = ["When", "Who", "From", "To", "Why"]
_MOST_DEEDS = 20


def _layout(address: Address, links: Links) -> html.Div:
    return html.Div(
        [
            family("queues", links, DATA, "pages about queues and their data"),
            html.Div(heading("Queues"), id="queues-head"),
            html.Div(id="queues-chips"),
            html.Div(panels.skeleton(240), id="queues-list"),
            html.Div(id="queues-one"),
        ],
        className="stack",
    )


async def _load(view: View) -> Sequence[Any]:
    answer = await view.client.queues(**view.filters)
    rows = sorted(answer["queues"], key=_worst_first)
    silent = sum(1 for row in rows if row.get("silent"))
    words = wording.plural(len(rows), "queue") + (f", {silent} silent" if silent else "")
    may_act, name = signin.may_act(), ""
    if _is_of_one(view, rows):
        name = str(rows[0]["queue_name"])
        words = f"Queue {name}" + (", silent" if silent else "")
    below = await (_one(view, name, may_act) if name else _storages(view))
    return [
        heading(words, below=freshness(answer)),
        filters.chips(view.address, view.links, warnings=answer["warnings"]),
        _list(rows, view.links, may_act),
        below,
    ]


def _list(rows: Sequence[dict[str, Any]], links: Links, may_act: bool) -> html.Div:
    if not rows:
        return panels.empty("There is no queue yet. 'panda up' makes a local one.")
    heads = [*_HEADS, *([""] if may_act else []), *_LIMIT_HEADS]
    # the buttons stand before what is rarely looked at: a narrow window cuts that off first
    cells = [[*_row(row, links), *([queue_buttons(row)] if may_act else []), *_limits(row)] for row in rows]
    how = None if may_act else html.P(signin.HOW, className="pad dim")
    return html.Div([panels.table(heads, cells, class_name="queues cards"), how], className="panel")


async def _storages(view: View) -> Any:
    """Where queues keep files, tapes and nuclei first; nothing for readers who may not see it."""
    try:
        rows = await view.client.endpoints()
    except NotAuthorised:
        return None
    return panels.panel("Storages", endpoint_table(rows), flush=True) if rows else None


def _is_of_one(view: View, rows: Sequence[Mapping[str, Any]]) -> bool:
    return len(rows) == 1 and not _NAMED.isdisjoint(view.address.filters)


async def _one(view: View, name: str, may_act: bool) -> Any:
    """How the queue came to the status that it has, and what people did to it, with what takes that back."""
    told, done = await asyncio.gather(
        view.client.queue_history(name), view.client.deeds(target_kind="queue", target=name, limit=_MOST_DEEDS)
    )
    changes = [_change(change) for change in told["changes"]]
    history = (
        panels.table(_HISTORY_HEADS, changes, class_name="cards")
        if changes
        else panels.empty("Its status never changed.")
    )
    deeds = (
        deed_table(done["deeds"], may_act=may_act)
        if done["deeds"]
        else panels.empty("Nobody drained, tested or switched it off yet.")
    )
    return html.Div(
        [panels.panel(f"Done to {name}", deeds, flush=True), panels.panel("Its status", history, flush=True)],
        className="stack",
    )


def _change(change: Mapping[str, Any]) -> list[Any]:
    before = marks.queue_state(change["previous_status"]) if change["previous_status"] else ""
    why = html.Span(change["reason"] or "", className="wrap")
    return [marks.age(change["time"]), _who(change["who"]), before, marks.queue_state(change["status"]), why]


def _who(name: str | None) -> str:
    return "test jobs" if name == "queue_tester" else name or "the system"


def _worst_first(row: dict[str, Any]) -> tuple[bool, int, str]:
    return (not row.get("silent"), -int(row.get("failed_last_hour") or 0), str(row["queue_name"]))


def _row(row: dict[str, Any], links: Links) -> list[Any]:
    name, jobs = row["queue_name"], row.get("jobs") or {}
    waiting = sum(jobs.get(state, 0) for state in _WAITING)
    running = sum(jobs.get(state, 0) for state in _RUNNING)
    silent = html.Span("silent", className="chip chip-warning") if row.get("silent") else None
    return [
        html.Span([html.A(name, href=links.page("jobs", computing_site=name), className="name"), silent]),
        html.A(
            marks.queue_state(row.get("status")),
            href=links.page("queues", computing_site=name),
            title=row.get("comment") or "how it came to be so, and what was done",
        ),
        _set_by(row),
        _count_link(waiting, links.page("jobs", computing_site=name, job_status="|".join(_WAITING))),
        _count_link(running, links.page("jobs", computing_site=name, job_status="|".join(_RUNNING))),
        wording.count(row.get("finished_last_hour") or 0),
        _count_link(
            row.get("failed_last_hour") or 0, links.page("jobs", computing_site=name, job_status="failed", hours=1)
        ),
        marks.age(row.get("last_pilot_contact"), blank="never"),
    ]


def _limits(row: dict[str, Any]) -> list[Any]:
    cores, ram_mb = row.get("max_core_count"), row.get("max_ram_mb")
    most = [wording.plural(cores, "core") if cores else "", wording.size(ram_mb * 1_000_000) if ram_mb else ""]
    return [
        ", ".join(filter(None, most)) or html.Span("no limit", className="dim"),
        html.Span(row.get("storage_endpoint") or "", className="name"),
    ]


def _set_by(row: dict[str, Any]) -> Any:
    """Whose word the state is, since when and why."""
    if not row.get("status_time"):
        return ""
    why = row.get("status_reason") or "no reason given"
    said = html.Span([f"{_who(row.get('status_who'))}, ", marks.age(row["status_time"])], className="clip")
    return html.Div([said, html.Span(why, title=why, className="dim clip short")])


def _count_link(number: int, href: str) -> Any:
    return html.A(wording.count(number), href=href) if number else "0"


PAGE = Page(
    name="queues",
    title=lambda address: "Queues",
    layout=_layout,
    regions=(
        ("queues-head", "children"),
        ("queues-chips", "children"),
        ("queues-list", "children"),
        ("queues-one", "children"),
    ),
    load=_load,
    topics=lambda address: ["queues", "jobs", "deeds"],
)
