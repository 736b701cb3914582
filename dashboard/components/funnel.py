"""Why a job went to its queue, or a task to its storage: how many each criterion left, and how the best were weighed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dash import html

from dashboard import wording
from dashboard.components import marks


def funnel(decision: Mapping[str, Any], *, result: str = "Chosen", of: str = "queue") -> html.Div:
    """One bar per criterion that took some out, which are listed with the reason. `result` is the word for who is left,
    `of` what is chosen among."""
    steps = decision.get("funnel") or []
    cutting = [step for step in steps if step["before"] != step["after"] or step.get("note")]
    others = [step["sentence"] for step in steps if step not in cutting]
    top = max((int(step["before"]) for step in steps), default=1) or 1
    chosen = decision.get("chosen")
    said = f"{result}: {chosen}" if chosen else f"No {of} was left."
    return html.Div(
        [
            html.P([html.Strong(said), " ", marks.age(decision.get("time"))]),
            html.Ol([_step(step, top) for step in cutting], className="funnel"),
            _silent(others),
            _weighed(decision.get("weights") or [], of),
        ]
    )


def _silent(sentences: Sequence[str]) -> html.Details | None:
    """The criteria that left nobody out: there are some thirty, so they are folded away."""
    if not sentences:
        return None
    head = html.Summary(f"Criteria that left nobody out: {len(sentences)}", className="dim")
    return html.Details([head, html.Ul([html.Li(f"{sentence}.") for sentence in sentences], className="funnel-out")])


_PARTS: dict[str, str] = {
    "running": "{} running",
    "waiting": "{} waiting",
    "many_assigned": "times {} for jobs that wait for input",
    "nearness": "nearness of the input {}",
    "site_class": "waits there are of class {}",
    "expected_wait_s": "expected wait {}",
    "task_class": "the task is of class {}",
    "factor": "factor {}",
    "locality": "part of the input that counts as there {}",
    "tape": "times {} if its input there is only on tape",
    "room": "free room in TB, weighed, {}",
    "remaining_jobs": "{} jobs still to come there",
}
"""What a weight is made of, in words, by the names brokerage stores (docs/brokerage.md)."""


def _weighed(weights: Sequence[Mapping[str, Any]], of: str) -> html.Details | None:
    """The best with their weights, best first, so that a person can work them out again."""
    if not weights:
        return None
    rows = [
        html.Li([html.Strong(entry["queue"]), f": {entry['weight']:.4g} (", ", ".join(_parts(entry)), ")"])
        for entry in weights
    ]
    return html.Details(
        [
            html.Summary(f"Weights of the best {of}s: {len(rows)}", className="dim"),
            html.Ul(rows, className="funnel-out"),
        ]
    )


def _parts(entry: Mapping[str, Any]) -> list[str]:
    """The numbers of a weight in words; what has no words yet is shown by its name."""
    said = []
    for name, value in entry.items():
        if name in ("queue", "weight"):
            continue
        shown = wording.duration(value) if name.endswith("_s") else f"{value:g}" if isinstance(value, float) else value
        said.append(_PARTS.get(name, name.replace("_", " ") + " {}").format(shown))
    return said


def _step(step: Mapping[str, Any], top: int) -> html.Li:
    out = [html.Li([html.Strong(item["queue"]), f": {item['reason']}"]) for item in step.get("excluded") or []]
    return html.Li(
        [
            html.Div(
                [html.Span(step["sentence"]), html.Span(f"{step['before']} → {step['after']}", className="dim mono")],
                className="funnel-words",
            ),
            html.Div(html.Div(style={"width": f"{100 * int(step['after']) / top:.1f}%"}), className="funnel-bar"),
            html.Div(f"{step['note']}.", className="dim") if step.get("note") else None,
            html.Ul(out, className="funnel-out") if out else None,
        ]
    )
