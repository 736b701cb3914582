"""Frames: panels, tiles, tables, and what stands in them when there is nothing or something is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

import dash_mantine_components as dmc
from dash import html

from dashboard.components.attributes import attributes
from pandascope.errors import ClientError, Refused


def panel(title: Any, children: Any, *, aside: Any = None, class_name: str = "", flush: bool = False) -> html.Section:
    """A titled frame. `flush` lets the content reach the border (tables, lists)."""
    head = html.Header([html.H2(title), html.Div(aside, className="panel-aside")], className="panel-head")
    body = html.Div(children, className="panel-body flush" if flush else "panel-body")
    return html.Section([head, body], className=f"panel {class_name}".strip())


def tile(caption: str, value: Any, note: Any = None, *, extra: Any = None, href: str | None = None) -> Any:
    """One number that answers one question; with `href` the whole tile is a link."""
    content = [
        html.Div(caption, className="tile-caption"),
        html.Div(
            [html.Div(value, className="tile-value"), html.Div(extra, className="tile-extra")], className="tile-line"
        ),
        html.Div(note, className="tile-note"),
    ]
    if href:
        return html.A(content, href=href, className="tile")
    return html.Div(content, className="tile")


def table(
    heads: Sequence[Any], rows: Sequence[Sequence[Any]], *, class_name: str = "", keys: Sequence[str] = ()
) -> html.Div:
    """A plain table for short lists. A head that begins with '#' is a column of numbers.

    `keys`: one for each row, so that what is unfolded in a row stays so when others come before it.
    """
    numeric = [isinstance(head, str) and head.startswith("#") for head in heads]
    labels = [head.removeprefix("#") if isinstance(head, str) else head for head in heads]
    cells = ["numeric" if is_number else "" for is_number in numeric]
    return html.Div(
        html.Table(
            [
                html.Thead(html.Tr([html.Th(label, className=c) for label, c in zip(labels, cells, strict=True)])),
                html.Tbody([_line(row, cells, labels, key) for row, key in zip_longest(rows, keys)]),
            ],
            className=f"table {class_name}".strip(),
        ),
        className="table-frame",
    )


def _line(row: Sequence[Any], cells: Sequence[str], labels: Sequence[Any], key: str | None) -> html.Tr:
    named: dict[str, Any] = {} if key is None else {"key": key}
    return html.Tr([_cell(*one) for one in zip(row, cells, labels, strict=True)], **named)


def _cell(value: Any, class_name: str, label: Any) -> html.Td:
    """A cell that knows its head: on a telephone some tables show each row as a card."""
    return html.Td(value, className=class_name, **attributes(data_label=label if isinstance(label, str) else None))


def facts(pairs: Sequence[tuple[str, Any]]) -> html.Dl:
    """Names and values, two by two; pairs without a value are left out."""
    shown = [(name, value) for name, value in pairs if value not in (None, "")]
    return html.Dl(
        [html.Div([html.Dt(name), html.Dd(value)], className="fact") for name, value in shown], className="facts"
    )


def folded(text: str, most: int = 140, class_name: str = "") -> Any:
    """A text of any length: what is longer than `most` characters is cut, and unfolds."""
    if len(text) <= most:
        return html.Span(text, className=f"wrap {class_name}".strip())
    head = html.Summary(text[: most - 1].rstrip() + "…", title="click: all of it", className="wrap")
    return html.Details([head, html.Div(text, className="wrap folded-whole")], className=f"folded {class_name}".strip())


def empty(sentence: str, *actions: Any) -> html.Div:
    """What to say when there is nothing to show, and what to do about it."""
    return html.Div([html.P(sentence), html.Div(list(actions), className="empty-actions")], className="empty")


def problem(error: ClientError, remedy: str = "") -> html.Div:
    """A refusal or failure in the server's own words; `remedy` where the page knows a better one."""
    lines: list[Any] = [html.Strong(error.detail)]
    if error.field and not error.detail.startswith(f"{error.field}:"):
        lines.append(html.Span(f"Field: {error.field}"))
    if remedy or error.remedy:
        lines.append(html.Span(f"Remedy: {remedy or error.remedy}"))
    trace = error.problem.get("trace_id") if isinstance(error, Refused) else None
    if trace:
        lines.append(html.Span(f"Trace: {trace}"))
    return html.Div(lines, className="problem", role="alert")


def away(error: ClientError) -> html.Div:
    """The server does not answer; what is on the page stays."""
    return html.Div(
        [
            html.Strong("The server does not answer. "),
            html.Span("What you see is the last it said. "),
            html.Span(error.detail),
        ],
        className="problem stale",
        role="status",
    )


def skeleton(*heights: int) -> html.Div:
    """Grey blocks in the shape of what is being read."""
    return html.Div([dmc.Skeleton(height=height, radius="md") for height in heights], className="skeletons")
