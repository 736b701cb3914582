"""Markdown of a handover as headings, lists and paragraphs of plain text. Nothing in it becomes a link, an image or HTML."""

from __future__ import annotations

import re
from typing import Any

from dash import html

_ESCAPED = re.compile(r"\\([\\`*_\[\]<>#|~$&@+.():=-])")
_BOLD = re.compile(r"(?<![\\*])\*\*(?![\s*])(.+?)(?<![\\\s*])\*\*(?!\*)")
_HEADING = re.compile(r"(#{1,4}) +(.*)")
_ITEM = re.compile(r"[-*+] +(.*)")
_MOST_LINES = 4000


def document(text: str) -> html.Div:
    """The text with its headings and lists; what is anything else in Markdown stays as it is written."""
    parts: list[Any] = []
    items: list[Any] = []
    for line in text.splitlines()[:_MOST_LINES]:
        item = _ITEM.fullmatch(line.strip())
        if item:
            items.append(html.Li(_inline(item[1])))
            continue
        if items:
            parts.append(html.Ul(items))
            items = []
        if not line.strip():
            continue
        head = _HEADING.fullmatch(line)
        parts.append(_heading(len(head[1]), plain(head[2])) if head else html.P(_inline(line)))
    if items:
        parts.append(html.Ul(items))
    return html.Div(parts, className="document")


def plain(text: str) -> str:
    """The words without the backslashes that kept them words."""
    return _words(text).strip()


def _inline(text: str) -> list[Any]:
    """A line with what is **bold** in it; of what is escaped nothing is."""
    return [html.Strong(plain(part)) if index % 2 else _words(part) for index, part in enumerate(_BOLD.split(text))]


def _words(text: str) -> str:
    return _ESCAPED.sub(r"\1", text)


def _heading(level: int, words: str) -> Any:
    return html.H3(words, className="document-title") if level == 1 else html.H3(words)
