"""Markdown of a handover as headings, lists and paragraphs of plain text. Nothing in it becomes HTML, an image or a link,
but the number of an incident, which leads to the page of that incident.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from dash import html

_ESCAPED = re.compile(r"\\([\\`*_\[\]<>#|~$&@+.():=-])")
_BOLD = re.compile(r"(?<![\\*])\*\*(?![\s*])(.+?)(?<![\\\s*])\*\*(?!\*)")
_HEADING = re.compile(r"(#{1,4}) +(.*)")
_ITEM = re.compile(r"[-*+] +(.*)")
_INCIDENT = re.compile(r"\bincident (?=[0-9]{1,15}\b)([0-9]+)")
_MOST_LINES = 4000


def document(text: str, to_incident: Callable[[int], str] | None = None) -> html.Div:
    """The text with its headings and lists; what is anything else in Markdown stays as it is written.

    `to_incident`: the address of an incident by its number.
    """
    parts: list[Any] = []
    items: list[Any] = []
    for line in text.splitlines()[:_MOST_LINES]:
        item = _ITEM.fullmatch(line.strip())
        if item:
            items.append(html.Li(_inline(item[1], to_incident)))
            continue
        if items:
            parts.append(html.Ul(items))
            items = []
        if not line.strip():
            continue
        head = _HEADING.fullmatch(line)
        parts.append(_heading(len(head[1]), plain(head[2])) if head else html.P(_inline(line, to_incident)))
    if items:
        parts.append(html.Ul(items))
    return html.Div(parts, className="document")


def plain(text: str) -> str:
    """The words without the backslashes that kept them words."""
    return _words(text).strip()


def _inline(text: str, to_incident: Callable[[int], str] | None) -> list[Any]:
    """A line with what is **bold** in it; of what is escaped nothing is."""
    parts: list[Any] = []
    for index, part in enumerate(_BOLD.split(text)):
        parts += [html.Strong(plain(part))] if index % 2 else _linked(_words(part), to_incident)
    return parts


def _linked(words: str, to_incident: Callable[[int], str] | None) -> list[Any]:
    if to_incident is None:
        return [words]
    pieces = _INCIDENT.split(words)
    return [
        html.A(f"incident {piece}", href=to_incident(int(piece))) if index % 2 else piece
        for index, piece in enumerate(pieces)
    ]


def _words(text: str) -> str:
    return _ESCAPED.sub(r"\1", text)


def _heading(level: int, words: str) -> Any:
    return html.H3(words, className="document-title") if level == 1 else html.H3(words)
