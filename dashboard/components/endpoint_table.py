"""Storage endpoints as a table: which are tapes, which collect the outputs of tasks, and what room they have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dash import html

from dashboard import wording
from dashboard.components import marks, panels

_HEADS = ("Storage", "State", "What it is", "#Free", "#Capacity", "Used", "Reached by", "Path")
_MB = 1_000_000


def endpoint_table(rows: Sequence[Mapping[str, Any]]) -> html.Div:
    """Tapes and collecting storages first, as few as they are, then the others by name."""
    ordered = sorted(rows, key=lambda row: (row["kind"] != "tape", not row["is_nucleus"], row["name"]))
    return panels.table(_HEADS, [_row(row) for row in ordered], class_name="cards")


def _row(row: Mapping[str, Any]) -> list[Any]:
    free, total = row["free_mb"], row["total_mb"]
    return [
        html.Span(row["name"], className="name"),
        marks.queue_state(row["state"]),
        _kind(row),
        wording.size(free * _MB) if free is not None else "–",
        wording.size(total * _MB) if total else "–",
        _room(free, total),
        row["mover"],
        marks.mono(row["path"], class_name="wrap"),
    ]


def _kind(row: Mapping[str, Any]) -> Any:
    chips = []
    if row["kind"] == "tape":
        title = "files are brought to a disk before jobs read them"
        chips.append(html.Span("tape", className="chip", title=title))
    if row["is_nucleus"]:
        title = "outputs of production tasks may be collected here"
        chips.append(html.Span("nucleus", className="chip", title=title))
    return html.Span(chips) if chips else html.Span(row["kind"], className="dim")


def _room(free: int | None, total: int | None) -> Any:
    """A bar of what is used; nothing where nobody reports it."""
    if free is None or not total:
        return html.Span("not reported", className="dim")
    used = max(0.0, min(1.0, 1 - free / total))
    bar = html.Div(className="share-used", style={"width": f"{100 * used:.1f}%"})
    return html.Div(bar, className="share-bar", title=f"{wording.per_cent(used)} used")
