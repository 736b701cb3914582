"""The states a job went through, with how long it stayed in each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dash import html

from dashboard import palette, wording
from dashboard.components import marks

_NARROWEST = 0.02


def timeline(history: Sequence[Mapping[str, Any]]) -> html.Div:
    """A strip in proportion to time (short states stay visible), then one line per state."""
    if not history:
        return html.Div("Nothing is recorded yet.", className="dim")
    known = [float(step.get("duration_s") or 0) for step in history]
    floor = max(sum(known), 1.0) * _NARROWEST
    strip = [_segment(step, max(length, floor)) for step, length in zip(history, known, strict=True)]
    places = ["", *(_place(step) for step in history)]
    steps = [_step(step, before) for step, before in zip(history, places, strict=False)]
    return html.Div([html.Div(strip, className="ribbon slim"), html.Ol(steps, className="steps")])


def _segment(step: Mapping[str, Any], width: float) -> html.Span:
    name = str(step["job_status"])
    return html.Span(
        title=f"{name}: {wording.duration(step.get('duration_s'))}",
        className="ribbon-segment",
        style={"flexGrow": width, "--colour": palette.look(palette.JOB_STATES, name).colour},
    )


def _place(step: Mapping[str, Any]) -> str:
    return " · ".join(str(step[name]) for name in ("computing_site", "host") if step.get(name))


def _step(step: Mapping[str, Any], place_before: str) -> html.Li:
    """One state; the place is told where it changes."""
    lasting = step.get("duration_s")
    time = wording.clock_time(step["modification_time"])
    place = _place(step)
    words = [html.Span(place, className="dim")] if place and place != place_before else []
    if step.get("reason"):
        words.append(html.Span(step["reason"]))
    return html.Li(
        [
            marks.job_state(step["job_status"]),
            html.Span(wording.duration(lasting) if lasting is not None else "", className="step-duration"),
            html.Span(time[-8:], title=f"{time} UTC", className="dim mono"),
            html.Div(words, className="step-words"),
        ]
    )
