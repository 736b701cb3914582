"""The failing line, with the lines around it, and the link that opens it in the log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dash import html

from dashboard.links import Links

_LINES_BEFORE, _LINES_AFTER = 13, 6
"""A traceback stands before its last line; more than this would push the line itself out of sight."""


def culprit(found: Mapping[str, Any] | None, links: Links) -> html.Div:
    """Lines with numbers; the failing one is marked by an arrow and a band."""
    if not found:
        return html.Div("No failing line was found in what the jobs reported.", className="dim")
    number = found["line_number"]
    around = found.get("around") or [{"line_number": number, "text": found["text"]}]
    around = [line for line in around if -_LINES_BEFORE <= line["line_number"] - number <= _LINES_AFTER]
    lines = [_line(line["line_number"], line["text"], line["line_number"] == number) for line in around]
    is_gone = bool(found.get("is_kept"))
    words = f"{found['log_name']} of job {found['panda_id']}, line {found['line_number']}"
    to_log = links.page("log", found["panda_id"], name=found["log_name"], line=found["line_number"])
    source = html.Div(
        [
            html.Span(words, className="dim"),
            None if is_gone else html.A("Open in log", href=to_log, className="button", id="open-in-log"),
        ],
        className="culprit-source",
    )
    return html.Div([html.Div(lines, className="log-lines culprit-lines"), source])


def _line(number: int, text: str, is_culprit: bool) -> html.Div:
    return html.Div(
        [html.Span(str(number), className="log-number"), html.Span(text, className="log-text")],
        className="log-line is-culprit" if is_culprit else "log-line",
    )
