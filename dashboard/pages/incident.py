"""Incident: cause, scope, next step. The failing line is on the page; opening it in the log is one click more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dash import html, no_update

from dashboard import palette, wording
from dashboard.components import filters, marks, panels, plots
from dashboard.components.culprit import culprit
from dashboard.components.heading import copy_link, freshness, heading
from dashboard.components.job_table import job_table
from dashboard.links import Links
from dashboard.page import Page, View
from dashboard.pages import incident_actions
from pandascope.addresses import Address

_BREAKDOWN_FIELDS = ("computing_site", "jedi_task_id", "prod_user_name", "modification_host")
_TREND_BIN_S = 300


def _layout(address: Address, links: Links) -> html.Div:
    return html.Div(
        [
            html.Div(heading(f"Incident {address.number}"), id="incident-head"),
            incident_actions.bar(),
            html.Div(panels.skeleton(80), id="incident-verdict"),
            html.Div(
                [
                    html.Div(
                        [
                            html.Div(panels.panel("Failing line", panels.skeleton(180)), id="incident-culprit"),
                            html.Div(id="incident-breakdown"),
                        ],
                        className="stack",
                    ),
                    html.Div(
                        [
                            panels.panel(
                                "Events per 5 minutes, last hour, UTC", plots.graph("incident-trend", height=180)
                            ),
                            html.Div(id="incident-activity"),
                        ],
                        className="stack",
                    ),
                ],
                className="two-columns wide-left",
            ),
            html.Div(id="incident-jobs"),
            html.Div(id="incident-records"),
        ],
        className="stack",
    )


async def _load(view: View) -> Sequence[Any]:
    answer = await view.client.incident(view.number)
    row = answer["incident"]
    look = palette.look(palette.SEVERITIES, row["severity"])
    return [
        _head(answer, row, view.links),
        no_update if view.is_signal and view.states[0] == row["state"] else incident_actions.choices(row),
        row["state"],
        _verdict(row, view.links),
        panels.panel("Failing line", culprit(answer.get("culprit"), view.links)),
        plots.counts_over_time(row.get("trend") or [], bin_s=_TREND_BIN_S, until=answer["as_of"], colour=look.colour),
        _breakdown(answer.get("breakdown") or {}, row, view.links),
        _jobs(answer.get("jobs") or [], row, view.links),
        _activity(answer),
        _records(answer.get("records") or []),
    ]


def _head(answer: dict[str, Any], row: dict[str, Any], links: Links) -> html.Div:
    below = [
        marks.severity(row["severity"]),
        marks.incident_state(row["state"]),
        html.Span(["first seen ", marks.age(row["first_seen"])]),
        html.Span(["last seen ", marks.age(row["last_seen"])]),
        html.Span(f"owner {row['owner']}" if row.get("owner") else "nobody has it yet"),
        freshness(answer),
    ]
    return heading(
        [html.Span(f"#{row['incident_id']} ", className="dim"), html.Span(row["title"])], below=below, aside=copy_link()
    )


def _verdict(row: dict[str, Any], links: Links) -> html.Div:
    jobs = links.page("jobs", incident=row["incident_id"])
    code = ":".join(str(row[name]) for name in ("component", "code") if row.get(name) not in (None, ""))
    return html.Div(
        [
            html.A(_count(row, "job"), href=jobs, className="number-link"),
            marks.number(wording.core_hours(row.get("lost_core_s")), "lost"),
            _count(row, "queue"),
            _count(row, "task"),
            _count(row, "user"),
            _count(row, "record"),
            marks.number(code or "–", "component and code", class_name="number-text"),
            marks.number(str(row["kind"]).replace("_", " "), "kind", class_name="number-text"),
        ],
        className="numbers panel",
    )


def _count(row: dict[str, Any], noun: str) -> html.Div:
    number = row.get(f"{noun}_count")
    return marks.number(wording.count(number), noun if number == 1 else f"{noun}s")


def _breakdown(breakdown: dict[str, list[dict[str, Any]]], row: dict[str, Any], links: Links) -> Any:
    tables = [
        _breakdown_table(field, breakdown[field], row, links) for field in _BREAKDOWN_FIELDS if breakdown.get(field)
    ]
    return panels.panel("Where it happens", html.Div(tables, className="breakdowns")) if tables else None


def _breakdown_table(field: str, values: list[dict[str, Any]], row: dict[str, Any], links: Links) -> html.Div:
    total = sum(int(value["count"]) for value in values) or 1
    return html.Div(
        [
            html.H3(filters.label(field)),
            html.Ul(
                [
                    html.Li(
                        html.A(
                            [
                                html.Span(
                                    className="facet-bar", style={"width": f"{100 * int(v['count']) / total:.1f}%"}
                                ),
                                html.Span(str(v["value"] or "Not specified"), className="facet-name"),
                                html.Span(wording.count(v["count"]), className="facet-count"),
                            ],
                            href=links.page(
                                "jobs", incident=row["incident_id"], **{field: v["value"] or "Not specified"}
                            ),
                            className="facet-row",
                        )
                    )
                    for v in values
                ]
            ),
        ]
    )


def _jobs(rows: list[dict[str, Any]], row: dict[str, Any], links: Links) -> Any:
    if not rows:
        return None
    every = html.A("All its jobs", href=links.page("jobs", incident=row["incident_id"]))
    return panels.panel("Jobs, newest first", job_table(rows, links), aside=every, flush=True)


def _activity(answer: dict[str, Any]) -> html.Section:
    entries = [
        html.Li(
            [
                html.Div([html.Strong(deed["action"]), html.Span(" by "), html.Span(deed["who"] or "the system")]),
                html.Div(deed["comment"], className="comment") if deed.get("comment") else None,
                html.Div(marks.age(deed["time"]), className="dim"),
            ]
        )
        for deed in answer.get("activity") or []
    ]
    why = html.P(answer.get("grouping"), className="dim")
    body = [html.Ol(entries, className="activity") if entries else html.P("Nobody has acted on it yet."), why]
    return panels.panel("Activity", body)


def _records(records: list[dict[str, Any]]) -> html.Section:
    lines = [
        html.Div(
            [
                html.Span(wording.clock_time(record["time"])[11:], className="log-number"),
                html.Span(record.get("level") or "", className=f"level level-{str(record.get('level')).lower()}"),
                html.Span(record.get("component") or "", className="dim"),
                html.Span(record.get("message") or "", className="log-text"),
            ],
            className="record",
        )
        for record in records
    ]
    if not lines:
        return panels.panel("Log records", "No records are kept.")
    zone = html.Span("times in UTC", className="dim")
    return panels.panel("Log records", html.Div(lines, className="records mono"), aside=zone)


PAGE = Page(
    name="incident",
    title=lambda address: f"Incident {address.number}",
    layout=_layout,
    regions=(
        ("incident-head", "children"),
        ("incident-choices", "children"),
        ("incident-state", "data"),
        ("incident-verdict", "children"),
        ("incident-culprit", "children"),
        ("incident-trend", "figure"),
        ("incident-breakdown", "children"),
        ("incident-jobs", "children"),
        ("incident-activity", "children"),
        ("incident-records", "children"),
    ),
    load=_load,
    topics=lambda address: [f"incident:{address.number}", "incidents"],
    states=(("incident-state", "data"),),
    more=incident_actions.register,
)
