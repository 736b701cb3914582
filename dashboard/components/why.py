"""Why a job or a task does not run: the first reason large, who is responsible, what comes next, what would help."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Any

from dash import html

from dashboard import wording
from dashboard.components import panels
from dashboard.components.funnel import funnel
from dashboard.links import Links
from pandascope.errors import ClientError

_SETTLED = frozenset({"finished", "done"})
"""States that nobody asks about."""


async def told(question: Awaitable[dict[str, Any]]) -> dict[str, Any]:
    """The answer; empty when there is none, which must not keep the rest of a page from being shown."""
    try:
        return await question
    except ClientError:
        return {}


def why(answer: Mapping[str, Any], links: Links) -> html.Section | None:
    """The panel; None for what ended well, or when nothing is known."""
    reason = answer.get("reason")
    if reason is None or answer.get("status") in _SETTLED:
        return None
    parts = [
        html.P(reason["sentence"], className="why-reason", id="why-reason"),
        html.Dl(_facts(reason, answer, links), className="why-facts"),
        _also(answer.get("also") or []),
        _brokerage(answer.get("brokerage")),
    ]
    return panels.panel("Why", [part for part in parts if part is not None], class_name="why")


def _facts(reason: Mapping[str, Any], answer: Mapping[str, Any], links: Links) -> list[html.Div]:
    pairs: list[tuple[str, Any]] = [
        ("Responsible", [html.Strong(reason["responsible"]), f", {reason['responsible_words']}"]),
        ("Next", _next(reason)),
        ("You can", html.Ul([html.Li(line) for line in reason["advice"]]) if reason["advice"] else None),
        ("Start", _start(answer.get("start"))),
        ("Job", _job(reason, answer, links)),
    ]
    return [html.Div([html.Dt(name), html.Dd(value)]) for name, value in pairs if value]


def _next(reason: Mapping[str, Any]) -> Any:
    words = str(reason["next_step"])
    # most sentences name the time themselves
    is_said = " UTC, " in words or words.endswith(" UTC")
    time = wording.utc(reason["next_time"]) if reason["next_time"] and not is_said else ""
    return [words[:1].upper() + words[1:], html.Span(f" ({time})", className="dim") if time else ""]


def _start(start: Mapping[str, Any] | None) -> Any:
    if not start:
        return None
    if not start["is_known"]:
        return start["sentence"]
    half, nine = wording.utc(start["start_p50"]), wording.utc(start["start_p90"])
    return [html.Strong(f"Before {nine}"), f" nine times of ten, before {half} half the time. {start['sentence']}"]


def _job(reason: Mapping[str, Any], answer: Mapping[str, Any], links: Links) -> Any:
    """Of a task: the job that the reason speaks of."""
    number = reason["numbers"].get("panda_id")
    if answer.get("kind") != "task" or number is None:
        return None
    return html.A(str(number), href=links.page("job", number))


def _also(reasons: list[Mapping[str, Any]]) -> Any:
    if not reasons:
        return None
    return html.Div(
        [html.H3("Also"), html.Ul([html.Li(reason["sentence"]) for reason in reasons], className="why-also")]
    )


def _brokerage(brokerage: Mapping[str, Any] | None) -> Any:
    """The criteria that leave somebody out, and every change that would let further queues in."""
    if not brokerage:
        return None
    decision = {"funnel": brokerage["funnel"], "time": brokerage["time"], "chosen": ", ".join(brokerage["accepted"])}
    changes = [
        html.Li([html.Strong(change["words"]), f": {change['accepted_then']} of {change['queue_count']} queues"])
        for change in brokerage["changes"]
    ]
    return html.Details(
        [
            html.Summary([html.Strong("Queues: "), brokerage["sentence"]], className="why-queues"),
            html.Ul(changes, className="why-changes") if changes else None,
            funnel(decision, result="Accepted"),
        ],
        open=not brokerage["accepted"],
        id="why-brokerage",
    )
