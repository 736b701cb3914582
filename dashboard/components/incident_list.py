"""The list of incidents, worst first: what, where, since when, how much it cost, who has it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dash import html

from dashboard import palette, wording
from dashboard.components import buttons, marks
from dashboard.components.sparkline import sparkline
from dashboard.components.verdict import NAMES
from dashboard.links import Links

Row = dict[str, Any]

_OF_KIND = {
    "failure_burst": "the jobs reported no failing line",
    "absence": "absence: something that should come does not",
    "backlog": "backlog: work waits longer than it should",
    "service": "service: a part of the system is in trouble",
    "data": "data: files or their storage are in trouble",
}
"""What stands where the failing line would be: only jobs that failed have one."""


def incident_list(rows: Sequence[Row], links: Links, *, can_mark: bool = False) -> html.Ul:
    """One entry per incident. The whole entry is a link to its page; with `can_mark` a box stands before it."""
    entries = [html.Li(_entry(row, links), key=str(row["incident_id"])) for row in rows]
    if can_mark:
        boxes = [buttons.mark_box(row["incident_id"], f"incident {row['incident_id']}") for row in rows]
        entries = [
            html.Li([box, _entry(row, links)], className="markable", key=str(row["incident_id"]))
            for box, row in zip(boxes, rows, strict=True)
        ]
    return html.Ul(entries, className="incident-list")


def keep_order(shown: Sequence[int], rows: Sequence[Row]) -> tuple[list[Row], int]:
    """The rows in the order in which the reader already sees them, and how many others are waiting to be let in."""
    by_id = {row["incident_id"]: row for row in rows}
    kept = [by_id[incident] for incident in shown if incident in by_id]
    return kept, len(by_id) - len(kept)


def _entry(row: Row, links: Links) -> html.A:
    look = palette.look(palette.SEVERITIES, row["severity"])
    return html.A(
        [
            html.Div(
                [marks.severity(row["severity"]), marks.incident_state(row["state"])], className="incident-severity"
            ),
            html.Div(
                [
                    html.Div(row["title"], className="incident-title", title=row["title"]),
                    _tags(row),
                    html.Div(line_words(row), className=_culprit_class(row)),
                ],
                className="incident-what",
            ),
            html.Div(
                [html.Div(_where(row)), html.Div(["began ", marks.age(row["first_seen"])], className="dim")],
                className="incident-where",
            ),
            html.Div(
                [
                    sparkline(
                        row.get("trend") or [], caption="events per 5 min over the last hour", colour=look.colour
                    ),
                    html.Div(marks.age(row["last_seen"]), className="dim"),
                ],
                className="incident-trend",
            ),
            html.Div(
                _cost(row),
                className="incident-cost",
            ),
            html.Div(
                [
                    html.Div(_owner(row), title=f"who has it: {_owner(row)}"),
                    html.Div(f"#{row['incident_id']}", className="dim"),
                ],
                className="incident-owner",
            ),
        ],
        href=links.page("incident", row["incident_id"]),
        className="incident-entry",
        style={"--colour": look.colour},
    )


def line_words(row: Row) -> str:
    """The failing line; of what has none by its nature, what it is about instead."""
    line = wording.gist(row.get("culprit_line"))
    if line:
        return line
    kind = str(row.get("kind") or "failure_burst")
    if kind == "manual":
        return f"opened by hand by {row['opened_by']}" if row.get("opened_by") else "opened by hand"
    return _OF_KIND.get(kind, kind.replace("_", " "))


def _cost(row: Row) -> list[Any]:
    """How many jobs and what is lost with them; most troubles that are no failures have none."""
    jobs = row.get("job_count") or 0
    if not jobs and row.get("kind") != "failure_burst":
        return [html.Div("no jobs in it", className="dim")]
    lost = wording.core_hours(row.get("lost_core_s")) + " lost"
    return [html.Div(wording.plural(jobs, "job")), html.Div(lost, className="dim")]


def _tags(row: Row) -> html.Div | None:
    """Whose trouble it is, what it explains, and what else one wants to know before opening it."""
    tags = []
    if row.get("verdict") and row["verdict"] != "unclear":
        whose = NAMES.get(str(row["verdict"]), str(row["verdict"])).lower()
        words = f"{whose} {row.get('verdict_value') or ''}".strip()
        tags.append(html.Span(words, title=f"whose trouble it is: {words}", className="chip tag"))
    if row.get("inhibits"):
        tags.append(html.Span(f"explains {wording.plural(row['inhibits'], 'other')}", className="chip tag"))
    if row.get("inhibited_by"):
        tags.append(html.Span(f"explained by #{row['inhibited_by']}", className="chip tag"))
    if row.get("held_by"):
        tags.append(html.Span(f"held by {row['held_by']}", className="chip tag"))
    return html.Div(tags, className="tags") if tags else None


def _owner(row: Row) -> str:
    if row.get("owner"):
        return str(row["owner"])
    return f"asked: {row['assigned_to']}" if row.get("assigned_to") else "nobody yet"


def _culprit_class(row: Row) -> str:
    return "incident-culprit mono" if row.get("culprit_line") else "incident-culprit dim"


def _where(row: Row) -> str:
    queue = row.get("computing_site") or row.get("component") or "everywhere"
    others = (row.get("queue_count") or 1) - 1
    return f"{queue} and {wording.plural(others, 'other')}" if others > 0 else str(queue)
