"""Rules: what is done when jobs fail, and does it help? The rules with what they did, the last deeds, whose fault it was."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from dash import html, no_update

from dashboard import wording
from dashboard.components import marks, panels
from dashboard.components.heading import freshness, heading
from dashboard.links import Links
from dashboard.page import Page, View
from dashboard.pages import rule_actions
from pandascope.addresses import Address

_HEADS = ["#Rule", "Error", "What it does, and why", "State", "#Matched", "#Acted", "Last", ""]
_DEED_HEADS = ["When", "Job", "Task", "Error", "Action", "#Rule", "What it did"]
_CLASS_HEADS = ["Whose", "#Failed jobs", "#Core-hours"]
_ERROR_HEADS = ["Error", "Name", "Whose", "#Failed jobs"]
_DEEDS = 20
_ERRORS = 10
_NARROWED = (("error_diag", "says"), ("architecture", "architecture"), ("release", "release"), ("gshare", "share"))


def _layout(address: Address, links: Links) -> html.Div:
    return html.Div(
        [
            html.Div(heading("Rules"), id="rules-head"),
            html.Div(panels.skeleton(240), id="rules-list"),
            rule_actions.outcome(),
            html.Div(panels.skeleton(120), id="rules-faults"),
            html.Div(panels.skeleton(240), id="rules-deeds"),
        ],
        className="stack",
    )


async def _load(view: View) -> Sequence[Any]:
    if view.is_signal:  # up to 200 000 failed jobs are classified for the faults: not at every change
        answer, log = await asyncio.gather(view.client.retry_rules(), view.client.retry_log(limit=_DEEDS))
        shown: Any = no_update
    else:
        answer, log, faults = await asyncio.gather(
            view.client.retry_rules(), view.client.retry_log(limit=_DEEDS), view.client.faults()
        )
        shown = _faults(faults, view.links)
    rules = answer["rules"]
    acting = sum(1 for rule in rules if rule["acts"])
    title = f"{wording.plural(len(rules), 'rule')}, {acting} active" if rules else "Rules"
    return [heading(title, below=freshness(answer)), _list(answer), shown, _deeds(log["deeds"], view.links)]


def _list(answer: Mapping[str, Any]) -> html.Section:
    rules = answer["rules"]
    if not rules:
        sentence = "There is no rule: the limits of tasks decide alone. 'panda rules add' makes one."
        return panels.panel("Rules for failed jobs", panels.empty(sentence))
    passive = {action["name"] for action in answer["actions"] if not action["is_active"]}
    may_act = rule_actions.may_act()
    table = panels.table(_HEADS, [_rule(rule, passive, may_act) for rule in rules], class_name="cards")
    return panels.panel(
        "Rules for failed jobs", [table, rule_actions.how(may_act)], aside=_passive_words(passive), flush=True
    )


def _passive_words(passive: set[str]) -> html.Span | None:
    words = ", ".join(sorted(name.replace("_", " ") for name in passive))
    return html.Span(f"passive for all rules: {words}", className="dim") if words else None


def _rule(rule: Mapping[str, Any], passive: set[str], may_act: bool) -> list[Any]:
    narrowed = ", ".join(f"{word} {rule[name]}" for name, word in _NARROWED if rule[name])
    error = f"{rule['error_source'] or '*'}:{rule['error_code'] or '*'}"
    return [
        html.Span(str(rule["rule_id"]), title=f"changed by {rule['modified_by'] or 'the installation'}"),
        html.Div([marks.mono(error), html.Span(narrowed, title=narrowed, className="dim clip short")]),
        _action(rule),
        _state(rule, passive),
        wording.count(rule["n_matched"]),
        wording.count(rule["n_acted"]),
        marks.age(rule["last_matched"], blank="never"),
        rule_actions.buttons(rule) if may_act else None,
    ]


def _action(rule: Mapping[str, Any]) -> html.Div:
    parameters = ", ".join(f"{name} {value}" for name, value in (rule["parameters"] or {}).items())
    words = f"{rule['action'].replace('_', ' ')}{f' ({parameters})' if parameters else ''}"
    why = rule["description"]
    return html.Div([html.Span(words, title=words, className="clip"), html.Span(why, title=why, className="dim clip")])


def _state(rule: Mapping[str, Any], passive: set[str]) -> html.Div:
    """Active, or the first reason why it only watches; and when it ends."""
    expires = rule["expiration_time"]
    until = html.Div(wording.until(expires), className="dim") if expires else None
    return html.Div([_word_of_state(rule, passive), until])


def _word_of_state(rule: Mapping[str, Any], passive: set[str]) -> html.Span:
    if rule["disabled_reason"]:
        reason = rule["disabled_reason"]
        words = html.Span(reason, title=reason, className="clip short")
        return html.Span([html.Span("disabled", className="chip chip-warning"), words])
    if rule["acts"]:
        return html.Span("active")
    if not rule["is_active"]:
        return html.Span("passive", title="it is only logged what it would have done", className="dim")
    if rule["action"] in passive:
        return html.Span("action passive", title="the action is passive for all rules", className="dim")
    return html.Span("expired", className="dim")


def _faults(answer: dict[str, Any], links: Links) -> html.Section:
    aside = freshness(answer)
    if not answer["classes"]:
        sentence = "No job failed in the last 24 hours. Failed jobs stand here by whose fault they were."
        return panels.panel("Whose fault failures were", panels.empty(sentence), aside=aside)
    classes = [
        [name, wording.count(row["jobs"]), wording.hours(row["lost_core_s"] / 3600)]
        for name, row in sorted(answer["classes"].items(), key=lambda item: -item[1]["jobs"])
    ]
    errors = [_error(row, links) for row in answer["errors"][:_ERRORS]]
    tables = [
        panels.table(_CLASS_HEADS, classes, class_name="cards"),
        panels.table(_ERROR_HEADS, errors, class_name="cards"),
    ]
    return panels.panel("Whose fault failures were", html.Div(tables, className="two-columns"), aside=aside, flush=True)


def _error(row: Mapping[str, Any], links: Links) -> list[Any]:
    error = f"{row['component']}:{row['code']}"
    name = row["name"] or ""
    to_jobs = links.page("jobs", job_status="failed", error=error, hours=24)
    return [
        html.A(error, href=to_jobs, className="mono"),
        html.Span(name, title=name, className="clip short"),
        row["error_class"],
        wording.count(row["jobs"]),
    ]


def _deeds(deeds: Sequence[Mapping[str, Any]], links: Links) -> html.Section:
    title = "What rules did lately"
    if not deeds:
        return panels.panel(title, panels.empty("Nothing yet. What a rule does about a failed job is noted here."))
    aside = html.Span(f"the newest {_DEEDS}; 'panda rules log' shows more", className="dim")
    return panels.panel(
        title,
        panels.table(_DEED_HEADS, [_deed(row, links) for row in deeds], class_name="cards"),
        aside=aside,
        flush=True,
    )


def _deed(row: Mapping[str, Any], links: Links) -> list[Any]:
    task, effect = row["jedi_task_id"], row["effect"]
    return [
        marks.age(row["time"]),
        html.A(str(row["panda_id"]), href=links.page("job", row["panda_id"]), className="mono"),
        html.A(str(task), href=links.page("task", task), className="mono") if task else "",
        html.Span(f"{row['error_source']}:{row['error_code']}", title=row["error_diag"], className="mono"),
        row["action"].replace("_", " "),
        str(row["rule_id"] or "class"),
        html.Span(effect, title=effect, className="clip" if row["has_acted"] else "clip dim"),
    ]


PAGE = Page(
    name="rules",
    title=lambda address: "Rules",
    layout=_layout,
    regions=(
        ("rules-head", "children"),
        ("rules-list", "children"),
        ("rules-faults", "children"),
        ("rules-deeds", "children"),
    ),
    load=_load,
    topics=lambda address: ["jobs"],
    more=rule_actions.register,
)
