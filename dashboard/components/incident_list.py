"""The list of incidents, worst first: what, where, since when, how much it cost, who has it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dash import html

from dashboard import palette, wording
from dashboard.components import marks
from dashboard.components.sparkline import sparkline
from dashboard.links import Links

Row = dict[str, Any]


def incident_list(rows: Sequence[Row], links: Links) -> html.Ul:
    """One entry per incident. The whole entry is a link to its page."""
    return html.Ul([html.Li(_entry(row, links)) for row in rows], className="incident-list")


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
                    html.Div(
                        wording.gist(row.get("culprit_line")) or "no failing line kept", className=_culprit_class(row)
                    ),
                ],
                className="incident-what",
            ),
            html.Div(
                [html.Div(_where(row)), html.Div(["since ", marks.age(row["first_seen"])], className="dim")],
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
                [
                    html.Div(wording.plural(row.get("job_count") or 0, "job")),
                    html.Div(wording.core_hours(row.get("lost_core_s")) + " lost", className="dim"),
                ],
                className="incident-cost",
            ),
            html.Div(
                [html.Div(row.get("owner") or "nobody yet"), html.Div(f"#{row['incident_id']}", className="dim")],
                className="incident-owner",
            ),
        ],
        href=links.page("incident", row["incident_id"]),
        className="incident-entry",
        style={"--colour": look.colour},
    )


def _culprit_class(row: Row) -> str:
    return "incident-culprit mono" if row.get("culprit_line") else "incident-culprit dim"


def _where(row: Row) -> str:
    queue = row.get("computing_site") or row.get("component") or "everywhere"
    others = (row.get("queue_count") or 1) - 1
    return f"{queue} and {wording.plural(others, 'other')}" if others > 0 else str(queue)
