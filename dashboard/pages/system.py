"""System: do the parts that work by themselves still work? The agents with their last run, and what timeouts ended."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from dash import Dash, Input, Output, dcc, html

from dashboard import wording
from dashboard.components import marks, panels
from dashboard.components.heading import freshness, heading
from dashboard.context import Monitor
from dashboard.links import Links
from dashboard.page import AGAIN, Page, View, in_browser
from pandascope.addresses import Address

_AGENT_HEADS = ["Agent", "State", "Last run", "Next run, UTC", "#Took", "#Cycles", "Host", "Last error"]
_TIMEOUT_HEADS = ["What", "States", "#Limit", "#Past half", "#Ended", "Last", "What happens then"]
_EVERY_MS = 10_000
"""Runs of agents are no changes that the stream tells of: the page asks again by itself."""
_ASK = """function (n) { return n ? {tick: n} : window.dash_clientside.no_update; }"""


def _layout(address: Address, links: Links) -> html.Div:
    return html.Div(
        [
            html.Div(heading("System"), id="system-head"),
            html.Div(panels.skeleton(240), id="system-agents"),
            html.Div(panels.skeleton(240), id="system-timeouts"),
            dcc.Interval(id="system-tick", interval=_EVERY_MS),
        ],
        className="stack",
    )


async def _load(view: View) -> Sequence[Any]:
    answer, timeouts = await asyncio.gather(view.client.agents(), view.client.timeouts())
    rows = sorted(answer["agents"], key=lambda row: (not row["last_error"], not row["is_late"], row["name"]))
    return [heading(_title(rows), below=freshness(answer)), _agents(rows), _timeouts(timeouts, view.links)]


def _title(rows: Sequence[Mapping[str, Any]]) -> str:
    failing = sum(1 for row in rows if row["last_error"])
    late = sum(1 for row in rows if row["is_late"] and not row["last_error"])
    parts = [wording.plural(len(rows), "agent")]
    parts += [f"{failing} failing"] if failing else []
    parts += [f"{late} late"] if late else []
    return ", ".join(parts)


def _agents(rows: Sequence[Mapping[str, Any]]) -> html.Section:
    if not rows:
        sentence = "No agent ever ran here. 'panda up' starts them with the server, 'panda agents' alone."
        return panels.panel("Agents", panels.empty(sentence))
    aside = html.Span("each runs once, on whichever host took it", className="dim")
    return panels.panel(
        "Agents", panels.table(_AGENT_HEADS, [_agent(row) for row in rows], class_name="cards"), aside=aside, flush=True
    )


def _agent(row: Mapping[str, Any]) -> list[Any]:
    return [
        html.Strong(row["name"].replace("_", " ")),
        _state(row),
        marks.age(row["last_run"], blank="never"),
        html.Span(wording.clock_time(row["next_run"])[-8:], title=wording.utc(row["next_run"])),
        wording.duration(row["duration_ms"] / 1000),
        wording.count(row["cycle_count"]),
        html.Span(row["host"], title=f"process {row['process_id']}", className="clip"),
        _error(row),
    ]


def _state(row: Mapping[str, Any]) -> html.Span:
    if row["last_error"]:
        return html.Span("failing", className="chip chip-warning")
    if row["is_late"]:
        why = "due for more than a minute: it hangs, has much to do at once, or no process runs it"
        return html.Span("late", className="chip chip-warning", title=why)
    return html.Span("runs")


def _error(row: Mapping[str, Any]) -> Any:
    """The error of the last run; of a run before, only when it was."""
    if row["last_error"]:
        return html.Span(
            [marks.age(row["last_error_time"]), f": {row['last_error']}"], title=row["last_error"], className="clip"
        )
    if row["last_error_time"]:
        return html.Span(["recovered, last one ", marks.age(row["last_error_time"])], className="dim")
    return html.Span("none", className="dim")


def _timeouts(answer: Mapping[str, Any], links: Links) -> html.Section:
    looked: list[Any] = (
        ["looked at ", marks.age(answer["last_run"])] if answer["last_run"] else ["no watchdog ever ran here"]
    )
    rows = [_timeout(row, links) for row in answer["timeouts"]]
    aside = html.Span(looked, className="dim")
    return panels.panel("Timeouts", panels.table(_TIMEOUT_HEADS, rows, class_name="cards"), aside=aside, flush=True)


def _timeout(row: Mapping[str, Any], links: Links) -> list[Any]:
    states = ", ".join(row["states"])
    return [
        html.Strong(row["name"]),
        html.Span(states, title=states, className="clip"),
        wording.duration(row["limit_s"]),
        _past_half(row),
        wording.count(row["ended_total"]),
        _last(row, links),
        html.Span(row["effect"], title=f"{row['effect']} (counted from: {row['age_of']})", className="wrap"),
    ]


def _past_half(row: Mapping[str, Any]) -> Any:
    number = wording.count(row["older_than_half"])
    return html.Span(number, className="chip chip-warning") if row["older_than_half"] else number


def _last(row: Mapping[str, Any], links: Links) -> Any:
    if not row["last_ended_time"]:
        return html.Span("never", className="dim")
    age = marks.age(row["last_ended_time"])
    return html.A(age, href=links.page("job", row["last_panda_id"])) if row["last_panda_id"] else age


def _more(app: Dash, monitor: Monitor) -> None:
    in_browser(
        app, _ASK, Output(AGAIN, "data", allow_duplicate=True), Input("system-tick", "n_intervals"), initially=False
    )


PAGE = Page(
    name="system",
    title=lambda address: "System",
    layout=_layout,
    regions=(("system-head", "children"), ("system-agents", "children"), ("system-timeouts", "children")),
    load=_load,
    topics=lambda address: ["system"],
    more=_more,
)
