"""Activate a rule, make it passive, try it on what failed already. The API decides who may; here only the buttons."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from dash import ALL, Dash, Input, Output, State, ctx, html, no_update
from dash.exceptions import PreventUpdate

from dashboard import signin, wording
from dashboard.components import marks, panels
from dashboard.context import Monitor
from dashboard.links import Links
from dashboard.page import ADDRESS, AGAIN
from pandascope.errors import ClientError, Usage

_OF_A_RULE = ("error_source", "error_code", "error_diag", "architecture", "release", "gshare", "action", "parameters")
_TRIED = "Tried on what failed in the last 7 days"
_EXAMPLE_HEADS = ["Job", "Task", "Queue", "User", "Error", "When", "What it said"]

may_act = signin.may_act


def outcome() -> html.Div:
    """The place for what came of a button."""
    return html.Div(id="rules-outcome", role="status")


def how(may: bool) -> html.P:
    """How to do what the page does not."""
    if not may:
        return html.P(signin.HOW, className="pad dim")
    change, add, more = (marks.mono(f"panda rules {words}") for words in ("change N ...", "add ...", "--help"))
    return html.P(["More is done in a terminal: ", change, ", ", add, ", ", more, "."], className="pad dim")


def buttons(rule: Mapping[str, Any]) -> html.Div:
    """What makes sense for the rule's state. One that the system disabled is mended in a terminal: its pattern is wrong."""
    number = int(rule["rule_id"])
    if rule["disabled_reason"]:
        lines = [html.Div(f"panda rules change {number}"), html.Div("--diag REGEX")]
        return html.Div(lines, title="mend its expression: that enables it again", className="mono")
    turn = ("passive", "Make passive", "only log what it would do") if rule["is_active"] else ("active", "Activate", "")
    deeds = (turn, ("try", "Try", "how many of the jobs that failed in the last 7 days would it have met?"))
    made = [_button(deed, number, text, meaning) for deed, text, meaning in deeds]
    return html.Div(made, className="choices row-choices")


def _button(deed: str, number: int, text: str, meaning: str) -> html.Button:
    title = meaning or "let it act"
    change = f"'panda rules change {number} ...' changes the rest"
    return html.Button(
        text,
        id={"rule_deed": deed, "rule": number},
        className="button",
        title=f"{title} ({change})",
        type="button",
    )


def register(app: Dash, monitor: Monitor) -> None:
    """Connect the buttons."""

    @app.callback(
        Output("rules-outcome", "children"),
        Output(AGAIN, "data", allow_duplicate=True),
        Input({"rule_deed": ALL, "rule": ALL}, "n_clicks"),
        State(ADDRESS, "href"),
        prevent_initial_call=True,
    )
    async def act(_clicks: list[int | None], href: str | None) -> tuple[Any, Any]:
        pressed, address = ctx.triggered_id, monitor.links.parse(href)
        # buttons that were just drawn "trigger" too, without a click
        if not ctx.triggered or not ctx.triggered[0]["value"] or pressed is None or address is None:
            raise PreventUpdate
        if address.page != "rules":
            raise PreventUpdate
        deed, number = str(pressed["rule_deed"]), int(pressed["rule"])
        try:
            async with monitor.client() as client:
                if deed == "try":
                    return await _tried(client, number, monitor.links), no_update
                row = await client.change_retry_rule(number, {"is_active": deed == "active"})
        except ClientError as error:
            return panels.problem(error), no_update
        words = "active" if row["is_active"] else "passive: it only logs what it would do"
        said = html.P(f"Rule {number} is {words}.", className="pad")
        return html.Div(said, className="panel"), {"rule": number, "at": time.time()}


async def _tried(client: Any, number: int, links: Links) -> html.Section:
    rules = (await client.retry_rules())["rules"]
    rule = next((row for row in rules if row["rule_id"] == number), None)
    if rule is None:
        raise Usage(f"there is no rule {number} any more", field="rule_id", remedy="look at the list")
    answer = await client.try_retry_rule({name: rule[name] for name in _OF_A_RULE if rule[name] not in (None, "")})
    rows = [_example(row, links) for row in answer["examples"]]
    parts: list[Any] = [html.P(answer["sentence"], className="pad")]
    parts += [panels.table(_EXAMPLE_HEADS, rows)] if rows else []
    return panels.panel(f"Rule {number}", parts, aside=html.Span(_TRIED, className="dim"), flush=True)


def _example(row: Mapping[str, Any], links: Links) -> list[Any]:
    task, said = row["jedi_task_id"], wording.gist(row["diag"])
    return [
        html.A(str(row["panda_id"]), href=links.page("job", row["panda_id"]), className="mono"),
        html.A(str(task), href=links.page("task", task), className="mono") if task else "",
        row["computing_site"],
        row["prod_user_name"],
        marks.mono(f"{row['source']}:{row['code']}"),
        marks.age(row["state_change_time"]),
        html.Span(said, title=said, className="clip"),
    ]
