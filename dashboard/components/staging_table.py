"""Datasets that are brought from tape as a table: from where to where, how far, for whom. Knows the rows, no page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dash import html

from dashboard import palette, wording
from dashboard.components import marks, panels
from dashboard.links import Links

_HEADS = ("State", "Dataset", "Way", "Arrived", "Last arrival")
_MOST_TASKS = 3
_PACES = {
    "stuck": "nothing of it arrived for long: it was asked for again, and an incident tells of it",
    "slow": "nothing of it arrived for a while",
}


def staging_table(rows: Sequence[Mapping[str, Any]], links: Links, *, has_tasks: bool = True) -> html.Div:
    """One line per dataset; `has_tasks`: whether it says which tasks want it."""
    heads = [*_HEADS, "Tasks"] if has_tasks else _HEADS
    cells = [[*_row(row), *([_tasks(row, links)] if has_tasks else [])] for row in rows]
    return panels.table(heads, cells, class_name="cards")


def _row(row: Mapping[str, Any]) -> list[Any]:
    last = row["progress_time"] if row["n_staged"] else None
    return [
        html.Div([marks.staging_state(row["status"]), _urgency(row)]),
        html.Div([html.Span(row["dataset"], title=row["dataset"], className="clip"), _trouble(row)]),
        html.Div([_place("from", row["source_endpoint"], row), _place("to", row["destination_endpoint"], row)]),
        _arrived(row),
        marks.age(last, blank="none yet"),
    ]


def _place(word: str, name: str, row: Mapping[str, Any]) -> html.Div:
    where = (
        html.Span(name, title=row["reason"], className="name") if name else html.Span("not chosen yet", className="dim")
    )
    return html.Div([html.Span(f"{word} ", className="dim"), where])


def _urgency(row: Mapping[str, Any]) -> html.Div:
    said: list[Any] = []
    if row["pace"]:
        said.append(html.Span(row["pace"], className="chip chip-warning", title=_PACES.get(row["pace"])))
    if row["is_forced"]:
        said.append(html.Span("forced", className="chip", title="an operator put it before all others"))
    if row["place_in_queue"]:
        said.append(html.Span(f"{wording.ordinal(row['place_in_queue'])} in the queue", className="dim"))
    return html.Div(said)


def _trouble(row: Mapping[str, Any]) -> Any:
    """What keeps it from going on, and what could not be brought at all."""
    said = [row["trouble"]] if row["trouble"] else []
    if row["n_failed"]:
        named = "; ".join(f"{file['lfn']}: {file['error']}" for file in row["failed"])
        lost = f"{wording.plural(row['n_failed'], 'file')} could not be brought"
        said.append(f"{lost} ({named})" if named else lost)
    return panels.folded("; ".join(said), 160, "dim") if said else None


def _arrived(row: Mapping[str, Any]) -> html.Div:
    """A bar of what has arrived and what never will, of all files."""
    total = max(1, int(row["n_files"]))
    done, lost = palette.STAGING_STATES["done"].colour, palette.JOB_STATES["failed"].colour
    segments = [
        html.Span(className="ribbon-segment", style={"width": f"{100 * number / total:.1f}%", "--colour": colour})
        for colour, number in ((done, row["n_staged"]), (lost, row["n_failed"]))
        if number
    ]
    title = f"{row['n_staged']} of {row['n_files']} files are on disk, {row['n_failed']} could not be brought"
    words = (
        f"{wording.count(row['n_staged'])} of {wording.plural(row['n_files'], 'file')}, {wording.size(row['n_bytes'])}"
    )
    return html.Div(
        [html.Div(segments, className="ribbon slim progress", title=title), html.Div(words, className="dim")]
    )


def _tasks(row: Mapping[str, Any], links: Links) -> html.Span:
    """The tasks that want it, the first of them by number."""
    parts: list[Any] = []
    for number in row["tasks"][:_MOST_TASKS]:
        link = html.A(str(number), href=links.page("task", number), className="mono")
        parts += [", ", link] if parts else [link]
    more = int(row["n_tasks"]) - min(_MOST_TASKS, len(row["tasks"]))
    return html.Span([*parts, f" and {more} more"] if more > 0 else parts or html.Span("none", className="dim"))
