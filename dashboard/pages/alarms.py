"""Alarms: the rules that open incidents, what each did lately, how it came to be as it is. Of one rule by name: all of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dash import html

from dashboard import signin, wording
from dashboard.components import alarm_words, buttons, filters, marks, panels
from dashboard.components.family import family
from dashboard.components.heading import copy_link, freshness, heading
from dashboard.links import Links
from dashboard.page import Page, View
from dashboard.pages import alarm_actions
from pandascope.addresses import Address

_HEADS = ["Rule", "Opens an incident when", "With", "Severity at least", "State", "#Open", "#In 7 days", "Last opened"]
_VERSION_HEADS = ["#Version", "When", "Who", "What", "All of it"]
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
        unit = {one["name"]: str(one["unit"]) for one in answer["evaluators"]}.get(rules[0]["evaluator"], "")
        return [head, chips, _list(answer, view, may_act), await _one(view, rules[0], unit, may_act)]
    return [head, chips, _list(answer, view, may_act), _evaluators(answer, may_act) if answer["rules"] else None]


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
        alarm_words.rule_words(rule["name"]),
        href=view.links.page("alarms", name=rule["name"]),
        title="its versions and what it measured",
        className="rule-name",
    )
    to_open = view.links.page("incidents", rule_name=rule["name"])
    cells = [
        html.Div([name, html.Div(rule["name"], className="mono id", title="its name in addresses and commands")]),
        html.Div([html.Span(title, title=sentence, className="wrap looks-at"), html.Div(_kind(rule), className="dim")]),
        _parameters(rule, evaluator),
        marks.severity(rule["severity_floor"]),
        _state(rule),
        html.A(wording.count(rule["n_open"]), href=to_open) if rule["n_open"] else "0",
        wording.count(rule["n_opened"]),
        marks.age(rule["last_opened"], blank="never"),
    ]
    return [*cells, _buttons(rule)] if may_act else cells


def _kind(rule: Mapping[str, Any]) -> str:
    return f"kind: {str(rule['kind']).replace('_', ' ')}"


def _parameters(rule: Mapping[str, Any], evaluator: Mapping[str, Any]) -> html.Div:
    """The first in words; all of them with what they mean are folded away below."""
    named = dict(alarm_words.given(rule["parameters"] or {}))
    names = alarm_words.names_in_order(evaluator, named)
    meanings = {one["name"]: alarm_words.meaning(one) for one in evaluator.get("parameters") or []}
    lines = [html.Div(alarm_words.sentence(name, named[name])) for name in names[:_MOST_PARAMETERS]]
    every = [
        html.Li(
            [
                html.Div([alarm_words.label(name), " ", html.Strong(alarm_words.value(name, named[name]))]),
                html.Div(meanings.get(name, ""), className="dim"),
                html.Div(name, className="mono id"),
            ]
        )
        for name in names
    ]
    words = "all of them" if len(names) > _MOST_PARAMETERS else "what that means"
    whole = html.Details([html.Summary(words), html.Ul(every, className="meanings")]) if every else None
    return html.Div([*lines, whole], className="parameters changes")


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
    named = f"{rule['name']}:{rule['version']}"  # what the title of a dialogue says
    turn = (
        buttons.button("Off", "alarm-off", to, title="it opens nothing until it is switched on again")
        if rule["is_active"]
        else buttons.button("On", "alarm-on", to, title="let it open incidents")
    )
    remove = None if rule["is_builtin"] else buttons.button("Remove", "remove-alarm", named)
    return buttons.row(
        buttons.button("Edit, try", "edit-alarm", named, title="its parameters, tried on the past"), turn, remove
    )


async def _one(view: View, rule: Mapping[str, Any], unit: str, may_act: bool) -> html.Div:
    answer = await view.client.incident_rule_versions(rule["rule_id"])
    measured = [
        [row["subject"] or "everything", alarm_words.measured(row["value"], unit), marks.age(row["bin_time"])]
        for row in answer["measured"]
    ]
    latest = (
        panels.table(["Of what", "#Value", "When"], measured)
        if measured
        else panels.empty(
            "Nothing in the last minutes: there is nothing of the kind now, or it counts events as they come."
        )
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
    text = html.Details([html.Summary("show"), _as_it_was(row["document"])], className="changes")
    cells = [str(row["version"]), marks.age(row["time"]), row["who"] or "the installation", row["what"], text]
    if not may_act:
        return cells
    to = f"{rule['rule_id']}:{rule['version']}:{row['version']}"
    is_present = row["version"] == rule["version"]
    return [*cells, None if is_present else buttons.row(buttons.button("Restore", "restore-alarm", to))]


def _as_it_was(document: Mapping[str, Any]) -> html.Dl:
    """A version of a rule in words; what it does not say was at its default."""
    said = [
        ("opens", str(document.get("title") or "")),
        ("kind", str(document.get("kind") or "").replace("_", " ")),
        ("severity at least", str(document.get("severity_floor") or "")),
        ("switched on", "yes" if document.get("is_active", True) else "no"),
    ]
    parameters = [
        (alarm_words.label(name), alarm_words.value(name, value))
        for name, value in alarm_words.given(document.get("parameters") or {})
    ]
    return html.Dl(
        [html.Div([html.Dt(name), html.Dd(value)]) for name, value in (*said, *parameters) if value],
        className="whole-difference",
    )


def _evaluators(answer: Mapping[str, Any], may_act: bool) -> html.Section:
    """What rules can look at: each may have several rules, with other parameters."""
    heads = ["What", "Opens an incident when", "Of kind", "It measures", *([""] if may_act else [])]
    rows = []
    for one in answer["evaluators"]:
        add = buttons.row(buttons.button("Add a rule", "add-alarm", one["name"]))
        kinds = ", ".join(str(kind).replace("_", " ") for kind in one["kinds"])
        what = html.Div([alarm_words.evaluator_words(one["name"]), html.Div(one["name"], className="mono id")])
        sentence = html.Span(one["sentence"], className="wrap")
        rows.append([what, sentence, kinds, alarm_words.measured_in(one["unit"]), *([add] if may_act else [])])
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
