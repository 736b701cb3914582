"""When a rule would have opened incidents, on a line of time, and as a list. Knows nothing of rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from dash import html

from dashboard import wording
from dashboard.components import panels

_LISTED = 12
_HEADS = ["When (UTC)", "Of what", "#Value", "#For", "What it would have said", "#Incident"]


def back_test(answer: Mapping[str, Any], days: float) -> html.Div:
    """The sentence, the line, the latest openings, and what is not known of the past."""
    openings = answer["openings"]
    notes = list(answer.get("cautions") or [])
    if not answer.get("is_complete", True):
        notes.append("not all of the past could be looked at")
    missed = answer.get("missed") or []
    if missed:
        named = ", ".join(f"#{number}" for number in missed[:8])
        notes.append(f"it would not have opened {named}{' and more' if len(missed) > 8 else ''}")
    return html.Div(
        [
            html.P(answer["sentence"], className="verdict-sentence"),
            _line(openings, days),
            html.Ul([html.Li(note) for note in notes], className="way-back") if notes else None,
            panels.table(_HEADS, [_row(one) for one in openings[-_LISTED:][::-1]]) if openings else None,
        ],
        className="back-test",
    )


def _line(openings: Sequence[Mapping[str, Any]], days: float) -> html.Div:
    """Days from left to right, a mark for each opening as wide as it would have lasted."""
    end = datetime.now(UTC)
    start = end - timedelta(days=days)
    whole = (end - start).total_seconds()
    marks = [_mark(one, start, whole) for one in openings]
    first = (start + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    step = max(1, round(days / 8))
    midnights = [first + timedelta(days=number) for number in range(0, int(days) + 1, step)]
    labels = [
        html.Span(
            f"{midnight:%d %b}",
            className="openings-day",
            style={"left": f"{100 * (midnight - start).total_seconds() / whole:.2f}%"},
        )
        for midnight in midnights
        if midnight < end - timedelta(days=days / 20)
    ]
    return html.Div(
        [html.Div(marks, className="openings-line"), html.Div(labels, className="openings-days")], className="openings"
    )


def _mark(one: Mapping[str, Any], start: datetime, whole: float) -> html.Span:
    at = wording.moment(one["time"]) or start
    left = max(0.0, min(99.4, 100 * (at - start).total_seconds() / whole))
    width = min(100 - left, max(0.5, 100 * float(one.get("would_last_s") or 0) / whole))
    title = f"{wording.utc(one['time'])}: {one['subject'] or 'everything'}, {_value(one)}"
    return html.Span(className="opening", style={"left": f"{left:.2f}%", "width": f"{width:.2f}%"}, title=title)


def _row(one: Mapping[str, Any]) -> list[Any]:
    title = one.get("title") or ""
    return [
        html.Span(wording.clock_time(one["time"]), className="mono nowrap"),
        one["subject"] or "everything",
        _value(one),
        wording.duration(one.get("would_last_s")),
        html.Span(title, className="wrap"),
        f"#{one['incident_id']}" if one.get("incident_id") else "",
    ]


def _value(one: Mapping[str, Any]) -> str:
    value = one.get("value")
    return "–" if value is None else f"{float(value):,.3g}"
