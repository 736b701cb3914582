"""What the scouts of a task measured, and which of its needs changed by that."""

from __future__ import annotations

from typing import Any

from dash import html

from dashboard import wording
from dashboard.components import panels


def measured(entries: list[dict[str, Any]]) -> html.Section | None:
    """A panel with one part per measuring; nothing when none was made."""
    if not entries:
        return None
    return panels.panel("Measured needs", html.Div([_part(entry) for entry in entries], className="stack"))


def _part(entry: dict[str, Any]) -> html.Div:
    when = wording.utc(entry.get("time"))
    parts: list[Any] = [
        html.P(
            [
                html.Strong(str(entry["stage"]).capitalize()),
                f" {entry.get('reason') or ''} ",
                html.Span(when, className="dim"),
            ]
        ),
        panels.facts([(_capital(value["name"]), f"{value['value']:,} {value['unit']}") for value in entry["values"]]),
    ]
    if entry["changed"]:
        rows = [[change["parameter"], _shown(change["old"]), _shown(change["new"])] for change in entry["changed"]]
        parts.append(panels.table(["Parameter", "#Before", "#For the jobs to come"], rows))
    return html.Div(parts)


def _capital(name: str) -> str:
    return name[:1].upper() + name[1:]


def _shown(value: Any) -> str:
    return "not stated" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
