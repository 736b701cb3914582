"""A shift in words: who has the watch since when, the signatures, the handover, notes, and the shifts before."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tui.palette import Palette
from tui.render.facts import facts
from tui.text import ago, moment, plain, plain_lines, plural, stamp
from tui.widgets.virtual_table import Row

_ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")
"""What Markdown lets one escape: any ASCII punctuation."""
_BOLD = re.compile(r"(?<![\\*])\*\*(?![\s*])(.+?)(?<![\\\s*])\*\*(?!\*)")


def watch(row: Row, plan: Mapping[str, Any], palette: Palette, now: datetime) -> RenderableType:
    """Who has it, since when, who signed what, and what the next signature needs."""
    people = ", ".join(plain(name, limit=60) for name in row.get("people") or [])
    is_running = row.get("state") == "running"
    ended = "" if is_running else f", ended {stamp(row.get('end_time'))[:-3]}"
    late = "it should have been handed over by now" if row.get("is_overdue") else ""
    return facts(
        [
            ("log", Text(f"{plain(row.get('name'), limit=60)} {row.get('shift_id')}", style=palette.strong)),
            ("watch", Text(people, style=palette.strong)),
            ("since", Text(f"{stamp(row.get('start_time'))[:-3]} UTC, {ago(row.get('start_time'), now)} ago{ended}")),
            ("by plan", Text(plan_words(plan, now) if is_running else "")),
            ("late", Text(late, style=palette.bad)),
            ("signed", Text(_signatures(row))),
            ("next", Text(next_step(row), style=palette.accent)),
        ],
        palette,
    )


def plan_words(plan: Mapping[str, Any], now: datetime) -> str:
    """`from 07:00 to 15:00 UTC, 2 h left`."""
    start, end = moment(plan.get("start")), moment(plan.get("end"))
    if start is None or end is None:
        return ""
    left = ago(now.isoformat(), end)
    return f"from {start:%H:%M} to {end:%H:%M} UTC, {left} left"


def next_step(row: Row) -> str:
    """What is to be done with the handover, and by which key."""
    if row.get("state") != "running":
        return ""
    if row.get("outgoing_by"):
        return f"a: somebody else than {plain(row['outgoing_by'], limit=60)} takes the watch over, having read this"
    return "C notes, E edits the handover, O signs it out"


def handover(text: str, palette: Palette) -> RenderableType | None:
    """The Markdown as it is read: headings and what is bold stand out, and what was escaped is shown as it was meant."""
    lines = plain_lines(text)
    if not any(lines):
        return None
    return Text("\n").join(_line(line, palette) for line in lines)


def _line(line: str, palette: Palette) -> Text:
    if line.startswith("#"):
        return Text(_ESCAPED.sub(r"\1", line), style=palette.heading, overflow="fold")
    shown = Text(style=palette.text, overflow="fold")
    for index, part in enumerate(_BOLD.split(line)):
        shown.append(_ESCAPED.sub(r"\1", part), style=palette.strong if index % 2 else None)
    return shown


def difference(lines: Sequence[str], palette: Palette) -> RenderableType | None:
    """What the draft would say now, of a text that somebody wrote."""
    if not lines:
        return None
    styles = {"+": palette.good, "-": palette.bad}
    return Group(*(Text(plain(line, limit=600), style=styles.get(line[:1], palette.muted)) for line in lines))


def notes(rows: Sequence[Row], palette: Palette) -> RenderableType | None:
    """What was written down, in order."""
    if not rows:
        return None
    table = Table.grid(padding=(0, 2), expand=True)
    table.add_column(no_wrap=True, style=palette.muted)
    table.add_column(no_wrap=True, style=palette.strong)
    table.add_column(ratio=1, overflow="fold")
    for row in rows:
        about = f" (incident {row['incident_id']})" if row.get("incident_id") else ""
        table.add_row(Text(stamp(row.get("time"))[:-3]), Text(plain(row.get("who"), limit=30)),
                      Text(plain(row.get("text"), limit=4000) + about))  # fmt: skip
    return table


def earlier(rows: Sequence[Row], palette: Palette) -> RenderableType | None:
    """The shifts before, one per line."""
    if not rows:
        return None
    lines = []
    for row in rows:
        people = ", ".join(plain(name, limit=40) for name in row.get("people") or [])
        words = f"{stamp(row.get('start_time'))[:-3]}  {people} · {_signatures(row) or 'not signed'}"
        lines.append(Text.assemble((f"{row.get('shift_id'):>4}  ", palette.strong), (words, palette.muted),
                                   (f" · {plural(int(row.get('note_count') or 0), 'note')}", palette.muted)))  # fmt: skip
    return Group(*lines)


def _signatures(row: Row) -> str:
    out = (
        f"out by {plain(row['outgoing_by'], limit=60)} {stamp(row.get('outgoing_time'))[:-3]}"
        if row.get("outgoing_by")
        else ""
    )
    came = (
        f"in by {plain(row['incoming_by'], limit=60)} {stamp(row.get('incoming_time'))[:-3]}"
        if row.get("incoming_by")
        else ""
    )
    digest = f"text {plain(row['digest'], limit=400)[:8]}" if row.get("digest") else ""
    return ", ".join(filter(None, [out, came, digest]))
