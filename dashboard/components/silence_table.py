"""Silences as a table: of what, by whom, why, until when, how old, and how the trouble grew meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dash import html

from dashboard import wording
from dashboard.components import buttons, filters, marks, panels
from dashboard.links import Links

_ENDS = {
    "shift": "end of the shift",
    "doubles": "it has doubled",
    "second_queue": "another queue is hit",
    "fixed": "it is fixed",
}
_GREW = 2.0
"""A trouble that is twice what it was when it was silenced wants to be looked at."""
_MANY = 10
"""The same of one that was nothing yet."""


def silence_table(rows: Sequence[Mapping[str, Any]], links: Links, *, may_act: bool, of_one: bool = False) -> html.Div:
    """The newest first; `of_one` leaves out what it is about."""
    heads = [*([] if of_one else ["Of"]), "By", "Why", "Until", "Age", "Grown by", *([""] if may_act else [])]
    return panels.table(heads, [_row(row, links, may_act, of_one) for row in rows], class_name="silences cards")


def end_words(row: Mapping[str, Any]) -> str:
    """What ends a silence."""
    kind = str(row["until_kind"])
    at = wording.until(row["until_time"]).removeprefix("until ") if row.get("until_time") else ""
    if kind == "time":
        return at
    return f"{_ENDS.get(kind, kind)}{f', {at}' if at else ''}"


def growth(row: Mapping[str, Any]) -> Any:
    """'+340, × 2.1' since it was silenced."""
    grown = row.get("growth")
    if not grown:
        caught = row.get("caught") or 0
        words = f"{wording.plural(caught, 'incident')} silenced" if caught else "nothing yet"
        return html.Span("–" if row.get("incident_id") else words, className="dim" if not caught else None)
    factor = grown.get("factor")
    words = f"+{wording.count(grown['events'])}" + (f", × {factor:.1f}" if factor else "")
    is_much = float(factor) >= _GREW if factor else grown["events"] >= _MANY
    return html.Span(words, className="chip chip-warning") if is_much else html.Span(words)


def _row(row: Mapping[str, Any], links: Links, may_act: bool, of_one: bool) -> list[Any]:
    reason = row["reason"] or "no reason given"
    cells = [] if of_one else [_of(row, links)]
    cells += [
        row["who"],
        html.Span(reason, title=reason, className="wrap" if row["reason"] else "wrap dim"),
        html.Span(end_words(row)),
        marks.age(row["start_time"]),
        growth(row),
    ]
    return [*cells, _end(row)] if may_act else cells


def _of(row: Mapping[str, Any], links: Links) -> Any:
    if row.get("incident_id"):
        link = html.A(f"#{row['incident_id']} {row['title'] or ''}", href=links.page("incident", row["incident_id"]))
        return html.Div([link, html.Div(row.get("computing_site") or "", className="dim")], className="silence-of")
    matcher = row.get("matcher") or {}
    words = filters.sentence({name: str(value) for name, value in matcher.items()}) or "everything"
    href = links.page("incidents", **{name: value for name, value in matcher.items() if isinstance(value, str)})
    return html.Div([html.Span("all with ", className="dim"), html.A(words, href=href)])


def _end(row: Mapping[str, Any]) -> Any:
    if row["end_time"]:
        by = f" by {row['ended_by']}" if row["ended_by"] else ""
        why = f": {row['end_reason']}" if row["end_reason"] else ""
        return html.Span(["ended ", marks.age(row["end_time"]), f"{by}{why}"], className="dim")
    return buttons.row(buttons.button("End", "end-silence", row["silence_id"], title="tell of it again from now on"))
