"""States, severities, ages and ids as small inline marks: shape, colour and word together."""

from __future__ import annotations

from typing import Any

from dash import html

from dashboard import palette
from dashboard.components.attributes import attributes
from dashboard.palette import Look


def mark(look: Look, word: str, *, class_name: str = "") -> html.Span:
    """A coloured shape followed by its word."""
    return html.Span([shape(look), html.Span(word)], className=f"mark {class_name}".strip())


def shape(look: Look) -> html.Span:
    """The shape alone, for places where the word stands nearby."""
    return html.Span(
        className=f"shape shape-{look.shape}", style={"--colour": look.colour}, **attributes(aria_hidden="true")
    )


def job_state(name: str | None) -> html.Span:
    """A job's state."""
    return mark(palette.look(palette.JOB_STATES, name), name or "unknown")


def task_state(name: str | None) -> html.Span:
    """A task's state."""
    return mark(palette.look(palette.TASK_STATES, name), name or "unknown")


def queue_state(name: str | None) -> html.Span:
    """A queue's state."""
    return mark(palette.look(palette.QUEUE_STATES, name), name or "unknown")


def staging_state(name: str | None) -> html.Span:
    """The state of a dataset that is brought from tape."""
    return mark(palette.look(palette.STAGING_STATES, name), name or "unknown")


def incident_state(name: str | None) -> html.Span:
    """An incident's state."""
    return mark(palette.look(palette.INCIDENT_STATES, name), name or "unknown")


def severity(name: str | None) -> html.Span:
    """An incident's severity."""
    return mark(palette.look(palette.SEVERITIES, name), name or "unknown", class_name="severity")


def age(time: str | None, *, blank: str = "–") -> html.Span:
    """'3 min ago', kept ticking by assets/ages.js; the full time is its tooltip."""
    if not time:
        return html.Span(blank)
    return html.Span(className="age", **attributes(data_time=time))


def mono(text: Any, *, class_name: str = "") -> html.Span:
    """Text in a fixed-width face: ids, file names, log lines."""
    return html.Span("" if text is None else str(text), className=f"mono {class_name}".strip())


def number(text: str, caption: str, *, class_name: str = "") -> html.Div:
    """A number with its caption below."""
    return html.Div(
        [html.Div(text, className="number-value"), html.Div(caption, className="number-caption")],
        className=f"number {class_name}".strip(),
    )
