"""Users: who runs, who waits, who is at a limit? With a name in the address: one user or group, and its use by day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dash import html, no_update

from dashboard import wording
from dashboard.components import filters, marks, panels, plots
from dashboard.components.heading import copy_link, freshness, heading
from dashboard.links import Links
from dashboard.page import Page, View
from pandascope.addresses import Address

_HEADS = (
    *("Account", "#Running", "#Of at most", "#Cores", "#Queued", "#Held", "#Tasks"),
    *("#CPU h today", "#7 days", "#30 days", "#Failed h, 30 d"),
)
_QUEUE_HEADS = [
    "Queue",
    "Label",
    "#CPU h",
    "#Core h",
    "#Normalised",
    "#Failed core h",
    "#Finished",
    "#Failed",
    "#Cancelled",
]
_TASK_HEADS = ["State", "Task", "Name", "#Jobs", "#Finished", "#Failed", "Changed"]
_PLOT = "users-plot"
_HIDDEN, _SHOWN = {"display": "none"}, {"display": "block"}


def _layout(address: Address, links: Links) -> html.Div:
    by_day = panels.panel(
        "Core hours by day", plots.graph(_PLOT), aside=html.Span("of jobs that ended that day, UTC", className="dim")
    )
    return html.Div(
        [
            html.Div(heading("Users"), id="users-head"),
            html.Div(id="users-chips"),
            html.Div(by_day, id="users-days", style=_HIDDEN),
            html.Div(panels.skeleton(240), id="users-body"),
        ],
        className="stack",
    )


def _one(address: Address) -> str | None:
    """The name, when the address means one account and not a pattern."""
    name = address.filters.get("name", "")
    return name if name and not any(sign in name for sign in "*!|") else None


async def _load(view: View) -> Sequence[Any]:
    name = _one(view.address)
    if name is None:
        answer = await view.client.users(**view.filters)
        chips = filters.chips(view.address, view.links, warnings=answer["warnings"])
        head = heading(wording.plural(len(answer["users"]), "account"), below=freshness(answer))
        return [head, chips, _HIDDEN, no_update, _list(answer, view)]
    answer = await view.client.user(name, kind=view.filters.get("kind", "user"))
    user = answer["user"]
    head = heading(f"{user['kind'].capitalize()} {user['name']}", below=freshness(answer), aside=copy_link())
    return [head, _back(view), _SHOWN, plots.hours_by_day(answer["days"]), _account(answer, view.links)]


def _back(view: View) -> html.Div:
    return html.Div(html.A("All users and groups", href=view.links.page("users")))


def _list(answer: Mapping[str, Any], view: View) -> Any:
    links = view.links
    if not answer["users"] and any(name not in filters.WINDOW_FIELDS for name in view.address.filters):
        everybody = html.A("All users and groups", href=links.page("users"), className="button")
        return panels.empty("No user and no group passes these filters.", everybody)
    if not answer["users"]:
        return panels.empty("Nobody has submitted anything yet, and nothing was decided about anybody.")
    rows = [_row(row, links) for row in answer["users"]]
    return html.Div(panels.table(_HEADS, rows, class_name="cards"), className="panel")


def _row(row: Mapping[str, Any], links: Links) -> list[Any]:
    jobs = _jobs_link(row, links)
    label = row["name"] if row["kind"] == "user" else f"{row['name']} (group)"
    stands = standing(row["limits"])
    chip = html.Div(stands) if stands is not None else None
    return [
        html.Div([html.A(label, href=links.page("users", name=row["name"], kind=row["kind"]), className="name"), chip]),
        html.A(wording.count(row["running_jobs"]), href=jobs("running")) if row["running_jobs"] else "0",
        wording.count(row["limits"]["max_running_jobs"]),
        wording.count(row["running_cores"]),
        html.A(wording.count(row["queued_jobs"]), href=jobs("activated|assigned|defined|pending|throttled|waiting"))
        if row["queued_jobs"]
        else "0",
        wording.count(row["held_jobs"]),
        wording.count(row["active_tasks"]),
        *(
            wording.hours(row[name])
            for name in ("cpu_hours_1d", "cpu_hours_7d", "cpu_hours_30d", "failed_core_hours_30d")
        ),
    ]


def _jobs_link(row: Mapping[str, Any], links: Links) -> Any:
    field = "prod_user_name" if row["kind"] == "user" else "working_group"
    return lambda status: links.page("jobs", job_status=status, **{field: row["name"]})


def standing(limits: Mapping[str, Any]) -> Any:
    """A ban or a boost as a chip; its reason is the tooltip."""
    if limits["is_banned"]:
        return html.Span(
            f"banned {wording.until(limits['banned_until'])}", className="chip chip-warning", title=limits["reason"]
        )
    if limits["boost_priority"] is not None:
        words = f"priority {limits['boost_priority']} {wording.until(limits['boost_until'])}"
        return html.Span(words, className="chip", title=limits["reason"])
    return None


def _account(answer: Mapping[str, Any], links: Links) -> html.Div:
    return html.Div(
        [
            _numbers(answer["user"]),
            panels.panel("Limits", [_limits(answer), *map(_quota, answer["quotas"])]),
            panels.panel("Use by queue, 30 days", _queues(answer["queues"], links), flush=True),
            panels.panel("Tasks", _tasks(answer["tasks"], links), flush=True),
        ],
        className="stack",
    )


def _numbers(user: Mapping[str, Any]) -> html.Div:
    held = f"{wording.count(user['held_jobs'])} of them held by a limit" if user["held_jobs"] else "none of them held"
    limits = user["limits"]
    cores = f"{wording.count(user['running_cores'])} of {wording.count(limits['max_running_cores'])} cores"
    at_most = f"of {wording.count(limits['max_running_jobs'])} jobs, on {cores}"
    tiles = [
        panels.tile("Running", wording.count(user["running_jobs"]), at_most),
        panels.tile("Queued", wording.count(user["queued_jobs"]), held),
        panels.tile("Tasks", wording.count(user["active_tasks"]), f"of {wording.count(limits['max_active_tasks'])}"),
        panels.tile(
            "CPU hours, 30 days", wording.hours(user["cpu_hours_30d"]), f"{wording.hours(user['cpu_hours_1d'])} today"
        ),
    ]
    return html.Div(tiles, className="tiles")


def _limits(answer: Mapping[str, Any]) -> Any:
    limits, decided = answer["user"]["limits"], answer["decided"]
    who: list[Any] = ["the settings"]
    if decided:
        who = [f"{decided['modified_by']}, ", marks.age(decided["modification_time"])]
    return panels.facts(
        [
            ("Decided by", html.Span(who)),
            ("Standing", standing(limits)),
            ("Why", limits["reason"]),
            ("Beyond a quota", limits["quota_mode"]),
            ("Live jobs per point of priority", str(limits["jobs_per_priority_point"])),
        ]
    )


def _quota(quota: Mapping[str, Any]) -> html.P:
    end = f"; used up {wording.until(quota['free_again'])}" if quota["free_again"] else ""
    days = wording.plural(quota["days"], "day")
    return html.P(f"{wording.hours(quota['used'])} of {wording.count(quota['allowed'])} CPU hours in {days}{end}")


def _queues(rows: Sequence[Mapping[str, Any]], links: Links) -> Any:
    if not rows:
        return panels.empty("No job of this account has ended in the last thirty days.")
    hours = ("cpu_hours", "wall_core_hours", "power_hours", "failed_core_hours")
    counts = ("jobs_finished", "jobs_failed", "jobs_cancelled")
    cells = [
        [
            html.A(row["computing_site"] or "none", href=links.page("jobs", computing_site=row["computing_site"])),
            row["prod_source_label"],
            *(wording.hours(row[name]) for name in hours),
            *(wording.count(row[name]) for name in counts),
        ]
        for row in rows
    ]
    return panels.table(_QUEUE_HEADS, cells, class_name="cards")


def _tasks(rows: Sequence[Mapping[str, Any]], links: Links) -> Any:
    if not rows:
        return panels.empty("There is no task.")
    cells = [
        [
            marks.task_state(row["status"]),
            html.A(str(row["jedi_task_id"]), href=links.page("task", row["jedi_task_id"]), className="mono"),
            html.Span(row["task_name"], className="clip"),
            *(wording.count(row[name]) for name in ("n_jobs", "n_finished", "n_failed")),
            marks.age(row["modification_time"]),
        ]
        for row in rows
    ]
    return panels.table(_TASK_HEADS, cells, class_name="cards")


PAGE = Page(
    name="users",
    title=lambda address: _one(address) or "Users",
    layout=_layout,
    regions=(
        ("users-head", "children"),
        ("users-chips", "children"),
        ("users-days", "style"),
        (_PLOT, "figure"),
        ("users-body", "children"),
    ),
    load=_load,
    topics=lambda address: ["jobs", "tasks"],
)
