"""Alarms: the rules that open incidents, what each did lately, how it came to be as it is. Of one rule by name: all of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from dash import html

from dashboard import signin, wording
from dashboard.components import buttons, filters, marks, panels
from dashboard.components.family import family
from dashboard.components.heading import copy_link, freshness, heading
from dashboard.links import Links
from dashboard.page import Page, View
from dashboard.pages import alarm_actions
from pandascope.addresses import Address

_HEADS = ["Rule", "Looks at", "Parameters", "At least", "State", "#Open", "#7 days", "Last opened"]
_VERSION_HEADS = ["#Version", "When", "Who", "What", "Document"]
_MOST_PARAMETERS = 3
WORKS = alarm_actions.WORKS


def _layout(address: Address, links: Links) -> html.Div:
    return html.Div(
        [
            family("alarms", links),
            html.Div(heading("Alarms"), id="alarms-head"),
            html.Div(id="alarms-chips"),
            html.Div(panels.skeleton(300), id="alarms-list"),
            html.Div(id="alarms-one"),
        ],
        className="stack",
    )


async def _load(view: View) -> Sequence[Any]:
    answer = await view.client.incident_rules(**view.filters)
    rules, may_act = answer["rules"], signin.may_act()
    active = sum(1 for rule in rules if rule["is_active"] and not rule["disabled_reason"])
    title = f"{wording.plural(len(rules), 'alarm rule')}, {active} on"
    head = heading(title, below=freshness(answer), aside=copy_link())
    chips = filters.chips(view.address, view.links, warnings=answer["warnings"])
    if len(rules) == 1 and "name" in view.address.filters:
        return [head, chips, _list(answer, view, may_act), await _one(view, rules[0], may_act)]
    return [head, chips, _list(answer, view, may_act), _evaluators(answer, may_act)]


def _list(answer: Mapping[str, Any], view: View, may_act: bool) -> Any:
    evaluators = {one["name"]: one for one in answer["evaluators"]}
    if not answer["rules"]:
        return panels.empty(
            "No rule passes these filters.", html.A("All rules", href=view.links.page("alarms"), className="button")
        )
    heads = [*_HEADS, *([""] if may_act else [])]
    rows = [_rule(rule, evaluators.get(rule["evaluator"]) or {}, view, may_act) for rule in answer["rules"]]
    how = None if may_act else html.P(signin.HOW, className="pad dim")
    aside = html.Span("asked in this order: the first that fits counts an event", className="dim")
    return panels.panel(
        "What opens incidents", [panels.table(heads, rows, class_name="alarms cards"), how], aside=aside, flush=True
    )


def _rule(rule: Mapping[str, Any], evaluator: Mapping[str, Any], view: View, may_act: bool) -> list[Any]:
    sentence = str(evaluator.get("sentence") or "")
    title = rule["title"] or sentence
    name = html.A(
        rule["name"], href=view.links.page("alarms", name=rule["name"]), title="its versions and what it measured"
    )
    to_open = view.links.page("incidents", rule_name=rule["name"])
    cells = [
        html.Div([name, html.Div(str(rule["kind"]).replace("_", " "), className="dim")]),
        html.Span(title, title=sentence, className="wrap looks-at"),
        _parameters(rule),
        marks.severity(rule["severity_floor"]),
        _state(rule),
        html.A(wording.count(rule["n_open"]), href=to_open) if rule["n_open"] else "0",
        wording.count(rule["n_opened"]),
        marks.age(rule["last_opened"], blank="never"),
    ]
    return [*cells, _buttons(rule)] if may_act else cells


def _parameters(rule: Mapping[str, Any]) -> html.Div:
    given = [_parameter(name, value) for name, value in (rule["parameters"] or {}).items() if value not in ("", [])]
    rest = len(given) - _MOST_PARAMETERS
    lines = [html.Div(words) for words in given[:_MOST_PARAMETERS]]
    more = [html.Div(f"and {rest} more")] if rest > 0 else []
    return html.Div([*lines, *more], title="\n".join(given), className="dim parameters")


def _parameter(name: str, value: Any) -> str:
    """'limit 10 min', 'burst jobs 10': what ends in _s is a time."""
    if name.endswith("_s") and isinstance(value, int | float):
        return f"{name[:-2].replace('_', ' ')} {wording.duration(value)}"
    return f"{name.replace('_', ' ')} {value}"


def _state(rule: Mapping[str, Any]) -> html.Div:
    version = html.Div(
        f"version {rule['version']}",
        title=f"changed by {rule['modified_by'] or 'the installation'}",
        className="dim nowrap",
    )
    if rule["disabled_reason"]:
        reason = rule["disabled_reason"]
        return html.Div(
            [
                html.Span("cannot be used", title=reason, className="chip chip-warning"),
                html.Div(reason, className="wrap"),
                version,
            ]
        )
    word = html.Span("on") if rule["is_active"] else html.Span("off", className="dim")
    return html.Div([word, version])


def _buttons(rule: Mapping[str, Any]) -> html.Div:
    to = f"{rule['rule_id']}:{rule['version']}"
    turn = (
        buttons.button("Off", "alarm-off", to, title="it opens nothing until it is switched on again")
        if rule["is_active"]
        else buttons.button("On", "alarm-on", to, title="let it open incidents")
    )
    remove = None if rule["is_builtin"] else buttons.button("Remove", "remove-alarm", to)
    return buttons.row(
        buttons.button("Edit, try", "edit-alarm", to, title="its parameters, tried on the past"), turn, remove
    )


async def _one(view: View, rule: Mapping[str, Any], may_act: bool) -> html.Div:
    answer = await view.client.incident_rule_versions(rule["rule_id"])
    measured = [
        [row["subject"] or "everything", f"{row['value']:,.4g}", marks.age(row["bin_time"])]
        for row in answer["measured"]
    ]
    latest = (
        panels.table(["Of what", "#Value", "When"], measured)
        if measured
        else panels.empty("Nothing in the last minutes.")
    )
    heads = [*_VERSION_HEADS, *([""] if may_act else [])]
    versions = [_version(row, rule, may_act) for row in answer["versions"]]
    return html.Div(
        [
            panels.panel(
                "Versions, newest first", panels.table(heads, versions, class_name="versions cards"), flush=True
            ),
            panels.panel("What it measured last", latest, flush=True),
        ],
        className="two-columns wide-left",
    )


def _version(row: Mapping[str, Any], rule: Mapping[str, Any], may_act: bool) -> list[Any]:
    document = json.dumps(row["document"], indent=1, ensure_ascii=False, sort_keys=True)
    text = html.Details([html.Summary("show"), html.Pre(document, className="code")])
    cells = [str(row["version"]), marks.age(row["time"]), row["who"] or "the installation", row["what"], text]
    if not may_act:
        return cells
    to = f"{rule['rule_id']}:{rule['version']}:{row['version']}"
    is_present = row["version"] == rule["version"]
    return [*cells, None if is_present else buttons.row(buttons.button("Restore", "restore-alarm", to))]


def _evaluators(answer: Mapping[str, Any], may_act: bool) -> html.Section:
    """What rules can look at: each may have several rules, with other parameters."""
    heads = ["Evaluator", "What it looks at", "Kinds", "Unit", *([""] if may_act else [])]
    rows = []
    for one in answer["evaluators"]:
        add = buttons.row(buttons.button("Add a rule", "add-alarm", one["name"]))
        kinds = ", ".join(str(kind).replace("_", " ") for kind in one["kinds"])
        rows.append(
            [one["name"], html.Span(one["sentence"], className="wrap"), kinds, one["unit"], *([add] if may_act else [])]
        )
    return panels.panel("What rules can look at", panels.table(heads, rows, class_name="evaluators cards"), flush=True)


PAGE = Page(
    name="alarms",
    title=lambda address: f"Alarm {address.filters['name']}" if "name" in address.filters else "Alarms",
    layout=_layout,
    regions=(
        ("alarms-head", "children"),
        ("alarms-chips", "children"),
        ("alarms-list", "children"),
        ("alarms-one", "children"),
    ),
    load=_load,
    topics=lambda address: ["rules"],
)
