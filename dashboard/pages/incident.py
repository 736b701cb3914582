"""Incident: cause, scope, next step. The failing line is on the page; opening it in the log is one click more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dash import html, no_update

from dashboard import palette, signin, wording
from dashboard.components import buttons, incident_parts, marks, panels, plots
from dashboard.components.culprit import culprit
from dashboard.components.deed_table import deed_table
from dashboard.components.heading import copy_link, freshness, heading
from dashboard.components.job_table import job_table
from dashboard.components.verdict import verdict_panel
from dashboard.links import Links
from dashboard.page import Page, View
from dashboard.pages import incident_actions
from pandascope.addresses import Address

_TREND_BIN_S = 300
_WEB_SCHEMES = ("https://", "http://")


def _layout(address: Address, links: Links) -> html.Div:
    left = [
        html.Div(panels.panel("Whose trouble is it?", panels.skeleton(120)), id="incident-judged"),
        html.Div(panels.panel("Failing line", panels.skeleton(180)), id="incident-culprit"),
        html.Div(id="incident-breakdown"),
    ]
    right = [
        panels.panel("Events per 5 minutes, last hour, UTC", plots.graph("incident-trend", height=150)),
        html.Div(id="incident-silences"),
        html.Div(id="incident-costs"),
        html.Div(id="incident-previous"),
        html.Div(id="incident-activity"),
    ]
    return html.Div(
        [
            html.Div(heading(f"Incident {address.number}"), id="incident-head"),
            incident_actions.bar(),
            html.Div(panels.skeleton(80), id="incident-verdict"),
            html.Div(
                [html.Div(left, className="stack"), html.Div(right, className="stack")],
                className="two-columns wide-left",
            ),
            html.Div(id="incident-explains"),
            html.Div(id="incident-jobs"),
            html.Div(id="incident-deeds"),
            html.Div(id="incident-links"),
            html.Div(id="incident-records"),
        ],
        className="stack",
    )


async def _load(view: View) -> Sequence[Any]:
    answer = await view.client.incident(view.number)
    row, links, may_act = answer["incident"], view.links, signin.may_act()
    look = palette.look(palette.SEVERITIES, row["severity"])
    state = incident_actions.state_of(row)
    deeds = answer.get("deeds") or []
    return [
        _head(answer, row, view),
        no_update if view.is_signal and view.states[0] == state else incident_actions.choices(row),
        state,
        _numbers(row, links),
        verdict_panel(answer, links),
        _culprit(answer, links),
        plots.counts_over_time(row.get("trend") or [], bin_s=_TREND_BIN_S, until=answer["as_of"], colour=look.colour),
        incident_parts.breakdown(answer.get("breakdown") or {}, row, links),
        incident_parts.silences(answer.get("silences") or [], may_act=may_act),
        incident_parts.costs(answer),
        incident_parts.previous(answer.get("previous") or [], links),
        incident_parts.explained(answer.get("inhibits") or [], links),
        _jobs(answer.get("jobs") or [], row, links),
        panels.panel("Done about it", deed_table(deeds, may_act=may_act), flush=True) if deeds else None,
        incident_parts.links_panel(answer.get("links") or [], links, may_act=may_act),
        incident_parts.activity(answer),
        incident_parts.records(answer.get("records") or []),
    ]


def _head(answer: dict[str, Any], row: dict[str, Any], view: View) -> html.Div:
    below = [
        marks.severity(row["severity"]),
        marks.incident_state(row["state"]),
        html.Span(["first seen ", marks.age(row["first_seen"])]),
        html.Span(["last seen ", marks.age(row["last_seen"])]),
        html.Span(f"owner {row['owner']}" if row.get("owner") else "nobody has it yet"),
        *_further(row, view.links),
        freshness(answer),
    ]
    report = buttons.copy("Copy report", incident_parts.report(answer), title="the facts as text, to tell the site")
    title = html.Span([html.Span(f"#{row['incident_id']} ", className="dim"), row["title"]])
    return heading(title, below=below, aside=[report, copy_link()])


def _further(row: dict[str, Any], links: Links) -> list[html.Span]:
    """What is said only when it is so: who shall look, who holds it, what explains it, where it went."""
    said: list[list[Any]] = []
    if row.get("assigned_to"):
        said.append([f"assigned to {row['assigned_to']}"])
    if row.get("held_by"):
        said.append([html.Span(f"held by {row['held_by']}", title="no rule ends or changes it until it is released")])
    for name, words in (("inhibited_by", "explained by"), ("merged_into", "part of"), ("previous_id", "before:")):
        if row.get(name):
            said.append([f"{words} ", html.A(f"#{row[name]}", href=links.page("incident", row[name]))])
    if row.get("reopened_count"):
        said.append([f"came back {wording.count(row['reopened_count'])} times"])
    if row["state"] == "resolved" and row.get("resolution"):
        said.append([f"{str(row['resolution']).replace('_', ' ')} ({row.get('resolved_by') or 'rule'})"])
    if row.get("rule_name"):
        said.append(["rule ", html.A(row["rule_name"], href=links.page("alarms", name=row["rule_name"]))])
    for link in row.get("links") or []:
        if str(link["url"]).startswith(_WEB_SCHEMES):
            said.append([html.A(link["title"], href=link["url"], target="_blank", rel="noopener noreferrer")])
    return [html.Span(words) for words in said]


def _numbers(row: dict[str, Any], links: Links) -> html.Div:
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


def _culprit(answer: dict[str, Any], links: Links) -> html.Section:
    found = answer.get("culprit")
    kept = "the log is gone; these lines were kept" if found and found.get("is_kept") else None
    aside = html.Span(kept, className="dim") if kept else None
    return panels.panel("Failing line", culprit(found, links), aside=aside)


def _jobs(rows: list[dict[str, Any]], row: dict[str, Any], links: Links) -> Any:
    if not rows:
        return None
    every = html.A("All its jobs", href=links.page("jobs", incident=row["incident_id"]))
    return panels.panel("Jobs, newest first", job_table(rows, links), aside=every, flush=True)


PAGE = Page(
    name="incident",
    title=lambda address: f"Incident {address.number}",
    layout=_layout,
    regions=(
        ("incident-head", "children"),
        ("incident-choices", "children"),
        ("incident-state", "data"),
        ("incident-verdict", "children"),
        ("incident-judged", "children"),
        ("incident-culprit", "children"),
        ("incident-trend", "figure"),
        ("incident-breakdown", "children"),
        ("incident-silences", "children"),
        ("incident-costs", "children"),
        ("incident-previous", "children"),
        ("incident-explains", "children"),
        ("incident-jobs", "children"),
        ("incident-deeds", "children"),
        ("incident-links", "children"),
        ("incident-activity", "children"),
        ("incident-records", "children"),
    ),
    load=_load,
    topics=lambda address: [f"incident:{address.number}", "incidents"],
    states=(("incident-state", "data"),),
)
