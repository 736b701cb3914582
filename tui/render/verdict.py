"""Whose a trouble is: the verdict as a word, a line, and a table of the counts it rests on. Nothing is computed here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tui.palette import Palette
from tui.render.facts import facts
from tui.text import number, percent, plain, plural
from tui.widgets.virtual_table import Row

_OWNERS = {"user": "the user's", "site": "the site's", "operators": "the operators'", "data": "that of the data"}

_FEWEST = 3
"""Fewer failures are not compared: the table would say nothing."""


def verdict_word(row: Row) -> str:
    """`node wn042`, `central`; empty while it is not judged."""
    return " ".join(filter(None, (plain(row.get(name), limit=80) for name in ("verdict", "verdict_value"))))


def verdict_cell(row: Row, palette: Palette) -> Text:
    """For lists: what is unclear is dim."""
    is_clear = row.get("verdict") not in (None, "", "unclear")
    return Text(verdict_word(row), style=palette.active if is_clear else palette.muted, no_wrap=True, end="")


def verdict_line(row: Row, judged: Mapping[str, Any] | None, palette: Palette) -> Text:
    """On one line: the word, how sure it is, and the sentence as far as there is room."""
    line = Text(no_wrap=True, overflow="ellipsis", style=palette.text)
    if not row.get("verdict"):
        return line
    line.append(verdict_word(row), palette.active if row.get("verdict") != "unclear" else palette.muted)
    document = (judged or {}).get("document") or {}
    if document.get("confidence"):
        line.append(f" ({plain(document['confidence'], limit=20)})", palette.muted)
    if (judged or {}).get("sentence"):
        line.append(f": {plain(judged['sentence'], limit=600)}" if judged else "")
    return line


def judgement(
    judged: Mapping[str, Any] | None, row: Row, owner_hint: str, palette: Palette, width: int
) -> RenderableType | None:
    """The sentence, how sure, what usually is the cause, and every value that competed with its numbers."""
    if not judged:
        return None
    document = judged.get("document") or {}
    hint = document.get("hint") or owner_hint
    usual = f"failures of this kind are usually {_OWNERS.get(str(hint), plain(hint, limit=40))}" if hint else ""
    is_unclear = row.get("verdict") in (None, "", "unclear")
    parts: list[RenderableType] = [
        Text(plain(judged.get("sentence"), limit=1000), style=palette.strong, overflow="fold"),
        facts(
            [
                ("usually", Text(usual if is_unclear else "")),
                ("note", Text(plain(document.get("note"), limit=400))),
            ],
            palette,
        ),
    ]
    if document.get("dimensions") and int(document.get("n") or 0) >= _FEWEST:
        parts.append(_table(document["dimensions"], row, palette, width))
    return Group(*parts)


def how_sure(judged: Mapping[str, Any] | None) -> str:
    """`strong · 24 failures of 400 jobs that ended`."""
    document = (judged or {}).get("document") or {}
    said = [plain(document.get("confidence"), limit=20)]
    if document.get("n"):
        ended = int(document.get("ended") or 0)
        of = f" of {plural(ended, 'job')} that ended" if ended else ""
        said.append(plural(int(document["n"]), "failure") + of)
    if document.get("estimated"):
        said.append("estimated")
    return " · ".join(filter(None, said))


def _table(dimensions: list[Mapping[str, Any]], row: Row, palette: Palette, width: int) -> Table:
    """One line for each dimension's top value: of the failures, of all work, how many times as much, its failure rate."""
    table = Table.grid(padding=(0, 2), expand=True)
    table.add_column(no_wrap=True, style=palette.muted)
    table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    headings = ["failures", "of all work", "score"] + (["fails", ""] if width >= 76 else [])
    for _ in headings:
        table.add_column(justify="right", no_wrap=True)
    table.add_row(*(Text(word, style=palette.heading) for word in ["", "", *headings]))
    for one in dimensions:
        is_it = one.get("value") == row.get("verdict_value") and bool(one.get("is_candidate"))
        style = palette.active if is_it else palette.text if one.get("is_candidate") else palette.muted
        cells = [
            f"{number(one.get('k'))} · {percent(one.get('p'))}",
            f"{number(one.get('b'))} · {percent(one.get('q'))}",
            f"{float(one.get('score') or 0):.2f}",
        ]
        if width >= 76:
            cells += [percent(one.get("rate")), _remark(one, is_it=is_it)]
        name = f"{'▶ ' if is_it else '  '}{plain(one.get('dimension'), limit=20)}"
        value = Text(plain(one.get("value"), limit=120), style=style)
        table.add_row(Text(name), value, *(Text(cell, style=style) for cell in cells))
    return table


def _remark(one: Mapping[str, Any], *, is_it: bool) -> str:
    if is_it:
        return "the verdict"
    if one.get("explained_by"):
        others = f"{number(one.get('others_failed'))} of {number(one.get('others'))} others"
        return f"explained: {others}"
    return "" if one.get("is_candidate") else "no candidate"
