"""Tasks: which are not getting on? Progress by jobs, failures in sight."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dash import html

from dashboard import palette, wording
from dashboard.components import filters, marks, panels
from dashboard.components.heading import copy_link, freshness, heading
from dashboard.links import Links, bare
from dashboard.page import Page, View
from pandascope.addresses import Address

_HEADS = ["State", "Task", "Name", "User", "Progress", "#Jobs", "#Finished", "#Failed", "#Active", "Changed"]


def _layout(address: Address, links: Links) -> html.Div:
    return html.Div(
        [
            html.Div(heading("Tasks"), id="tasks-head"),
            html.Div(id="tasks-chips"),
            html.Div(panels.skeleton(320), id="tasks-list"),
        ],
        className="stack",
    )


async def _load(view: View) -> Sequence[Any]:
    answer = await view.client.tasks(limit=100, **view.filters)
    head = heading(wording.plural(answer["count"], "task"), below=freshness(answer), aside=copy_link())
    chips = filters.chips(view.address, view.links, warnings=answer["warnings"])
    return [head, chips, _table(answer["tasks"], view)]


def _table(rows: list[dict[str, Any]], view: View) -> Any:
    if not rows:
        clear = html.A("Clear all filters", href=view.links.to(bare(view.address)), className="button")
        how = (
            "No task in this time. 'panda run' submits one."
            if not view.address.filters
            else "No task passes these filters."
        )
        return panels.empty(how, *([clear] if view.address.filters else []))
    return html.Div(
        panels.table(_HEADS, [_row(row, view.links) for row in rows], class_name="cards"), className="panel"
    )


def _row(row: dict[str, Any], links: Links) -> list[Any]:
    number = row["jedi_task_id"]
    failed = wording.count(row.get("n_failed") or 0)
    return [
        marks.task_state(row["status"]),
        html.A(str(number), href=links.page("task", number), className="mono"),
        html.Span(row.get("task_name") or "", className="clip"),
        row.get("user_name") or "",
        progress(row),
        html.A(wording.count(row.get("n_jobs") or 0), href=links.page("jobs", jedi_task_id=number)),
        wording.count(row.get("n_finished") or 0),
        html.A(failed, href=links.page("jobs", jedi_task_id=number, job_status="failed"))
        if row.get("n_failed")
        else "0",
        wording.count(row.get("n_active") or 0),
        marks.age(row.get("modification_time")),
    ]


def progress(row: dict[str, Any]) -> html.Div:
    """Finished, failed, cancelled and the rest of a task's jobs as one bar."""
    total = max(1, row.get("n_jobs") or 0)
    parts = [
        (row.get(f"n_{name}") or 0, palette.JOB_STATES[name].colour) for name in ("finished", "failed", "cancelled")
    ]
    done = sum(number for number, _ in parts)
    segments = [
        html.Span(className="ribbon-segment", style={"width": f"{100 * number / total:.1f}%", "--colour": colour})
        for number, colour in parts
        if number
    ]
    return html.Div(
        segments, className="ribbon slim progress", title=f"{done} of {row.get('n_jobs') or 0} jobs have ended"
    )


PAGE = Page(
    name="tasks",
    title=lambda address: "Tasks",
    layout=_layout,
    regions=(("tasks-head", "children"), ("tasks-chips", "children"), ("tasks-list", "children")),
    load=_load,
    topics=lambda address: ["tasks"],
)
