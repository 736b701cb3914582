"""What belongs to an incident beside its failures: earlier occurrences, what it explains, silences, deeds, links."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from rich.console import RenderableType
from rich.style import Style
from rich.table import Table
from rich.text import Text

from tui.palette import Palette
from tui.render.preview import so_far_of, way_of
from tui.render.verdict import verdict_word
from tui.text import ago, core_hours, number, plain, plural, stamp
from tui.widgets.virtual_table import Column, Row

Now = Callable[[], datetime]
_KINDS = {
    "shift": "the shift ends",
    "doubles": "twice as many",
    "second_queue": "a second queue",
    "fixed": "it is fixed",
}


def previous(rows: Sequence[Row], palette: Palette) -> RenderableType | None:
    """When it was there before, how large, whose, and what ended it."""
    return _lines(
        [
            [
                (f"{row.get('incident_id')}", palette.strong),
                (stamp(row.get("first_seen")), palette.muted),
                (plural(int(row.get("job_count") or 0), "job"), palette.text),
                (verdict_word(row), palette.active),
                (_ended(row), palette.muted),
            ]
            for row in rows
        ]
    )


def explained(rows: Sequence[Row], palette: Palette) -> RenderableType | None:
    """Incidents that are consequences of this one."""
    return _lines(
        [
            [
                (f"{row.get('incident_id')}", palette.strong),
                (plain(row.get("computing_site"), limit=40), palette.muted),
                (plural(int(row.get("job_count") or 0), "job"), palette.text),
                (plain(row.get("title"), limit=300), palette.text),
            ]
            for row in rows
        ]
    )


def silences(rows: Sequence[Row], palette: Palette, now: datetime) -> RenderableType | None:
    """Who silenced it until what, and how it grew meanwhile."""
    return _lines(
        [
            [
                (plain(row.get("who"), limit=30), palette.strong),
                (f"until {silence_end_words(row)}", palette.text),
                (_silence_state(row, now), palette.muted),
                (growth_words(row), palette.bad),
                (plain(row.get("reason"), limit=400), palette.muted),
            ]
            for row in rows
        ]
    )


def deeds(rows: Sequence[Row], palette: Palette) -> RenderableType | None:
    """What was done because of it, and what of that goes back."""
    return _lines(
        [
            [
                (f"{row.get('deed_id')}", palette.strong),
                (stamp(row.get("time")), palette.muted),
                (plain(row.get("who"), limit=30), palette.text),
                (f"{plain(row.get('action'), limit=30)} {_counts(row)}", palette.active),
                (" · ".join(filter(None, [way_of(row), plain(row.get("reason"), limit=300)])), palette.muted),
            ]
            for row in rows
        ]
    )


def links(rows: Sequence[Row], palette: Palette) -> RenderableType | None:
    """Merges and splits, those that were taken back too."""
    return _lines(
        [
            [
                (stamp(row.get("time")), palette.muted),
                (plain(row.get("who"), limit=30), palette.text),
                (_link_words(row), palette.active),
                (f"taken back by {plain(row.get('undone_by'), limit=30)}" if row.get("undone_time")
                 else plain(row.get("comment"), limit=300), palette.muted),
            ]
            for row in rows
        ]
    )  # fmt: skip


def silence_columns(palette: Palette, now: Now) -> list[Column]:
    """Silences: of what, until when, and is it still right?"""
    return [
        Column("no.", 5, lambda row: _cell(row.get("silence_id"), palette.muted), align="right", rank=6),
        Column("silenced", 24, lambda row: _cell(_silenced(row), palette.strong), flex=4),
        Column("until", 16, lambda row: _cell(silence_end_words(row), palette.text), flex=1, most=26),
        Column("grew since", 14, lambda row: _cell(growth_words(row), palette.bad), align="right"),
        Column("by", 9, lambda row: _cell(row.get("who"), palette.text), flex=1, most=20, rank=2),
        Column("age", 6, lambda row: _cell(ago(row.get("start_time"), now()), palette.muted), align="right", rank=1),
        Column("where", 12, lambda row: _cell(row.get("computing_site") or "", palette.muted), flex=1, most=20, rank=5),
        Column("why", 16, lambda row: _cell(row.get("reason") or "", palette.muted), flex=3, rank=4),
    ]


def deed_columns(palette: Palette, now: Now) -> list[Column]:
    """Deeds: who did what to how many, and does it go back?"""
    return [
        Column("deed", 6, lambda row: _cell(row.get("deed_id"), palette.strong), align="right"),
        Column("ago", 6, lambda row: _cell(ago(row.get("time"), now()), palette.muted), align="right"),
        Column("who", 9, lambda row: _cell(row.get("who"), palette.text), flex=1, most=20),
        Column("what", 20, lambda row: _cell(f"{row.get('action')} {_counts(row)}", palette.active), flex=2, most=36),
        Column("state", 10, lambda row: _deed_state(row, palette), rank=3),
        Column("back", 19, lambda row: _cell(_back(row), palette.text), flex=2, most=36, rank=1),
        Column("incident", 8, lambda row: _cell(row.get("incident_id") or "", palette.muted), align="right", rank=5),
        Column("by way of", 9, lambda row: _cell(row.get("via"), palette.muted), rank=6),
        Column("why", 14, lambda row: _cell(row.get("reason") or "", palette.muted), flex=3, rank=4),
    ]


def audit_columns(palette: Palette, now: Now) -> list[Column]:
    """The audit: who changed which object."""
    return [
        Column("ago", 6, lambda row: _cell(ago(row.get("time"), now()), palette.muted), align="right"),
        Column("who", 9, lambda row: _cell(row.get("who"), palette.text), flex=1, most=24),
        Column("what", 14, lambda row: _cell(row.get("action"), palette.active), flex=1, most=24),
        Column("object", 18, lambda row: _cell(_object(row), palette.text), flex=2, most=40),
        Column("deed", 6, lambda row: _cell(row.get("deed_id") or "", palette.muted), align="right", rank=3),
        Column("by way of", 9, lambda row: _cell(row.get("via"), palette.muted), rank=4),
        Column("why", 14, lambda row: _cell(row.get("reason") or "", palette.muted), flex=3, rank=2),
    ]  # fmt: skip


def silence_end_words(row: Row) -> str:
    """What ends a silence: `11-29 17:09`, `the shift ends`, `twice as many`."""
    kind = str(row.get("until_kind") or "")
    when = stamp(row.get("until_time"))[:-3] if row.get("until_time") else ""
    if kind == "shift":
        return f"the shift ends{f', {when}' if when else ''}"
    return _KINDS.get(kind, when or plain(kind, limit=30))


def growth_words(row: Row) -> str:
    """`+340, x2.1`; empty when nothing came or it is not known."""
    growth = row.get("growth")
    if isinstance(growth, dict) and growth.get("events"):
        factor = f", x{growth['factor']:.1f}" if isinstance(growth.get("factor"), int | float) else ""
        return f"+{number(growth['events'])}{factor}"
    if row.get("incident_id") is None and row.get("caught"):
        return f"silences {number(row['caught'])}"
    return ""


def _silenced(row: Row) -> str:
    if row.get("incident_id") is not None:
        return f"{row['incident_id']} {row.get('title') or ''}"
    matcher = row.get("matcher")
    pairs = [f"{name}={value}" for name, value in matcher.items()] if isinstance(matcher, dict) else []
    return f"all with {' '.join(pairs)}"


def _silence_state(row: Row, now: datetime) -> str:
    if row.get("end_time"):
        how = plain(row.get("end_reason"), limit=60)
        return (
            f"ended {stamp(row['end_time'])[:-3]} by {plain(row.get('ended_by'), limit=40)}{f', {how}' if how else ''}"
        )
    return f"for {ago(row.get('start_time'), now)}"


def _ended(row: Row) -> str:
    if row.get("state") != "resolved":
        return plain(row.get("state"), limit=20)
    by = plain(row.get("resolved_by"), limit=40)
    how = plain(row.get("resolution"), limit=60).replace("_", " ")
    cost = core_hours(row.get("lost_core_s"))
    return f"ended {stamp(row.get('resolved_time'))[:-3]}{f' by {by}' if by else ''}{f': {how}' if how else ''} · {cost} c·h"


def _counts(row: Row) -> str:
    return plural(int(row.get("target_count") or 0), plain(row.get("target_kind"), limit=20))


def _object(row: Row) -> str:
    return f"{row.get('object_kind')} {row.get('object_id')}"


def _back(row: Row) -> str:
    tests = so_far_of(row)
    if tests:
        return f"tests: {tests.replace(' succeeded', '')}"
    return way_of(row).removeprefix("goes ").removesuffix(" UTC") or (
        "z takes it back" if row.get("can_be_undone") else ""
    )


def _deed_state(row: Row, palette: Palette) -> Text:
    state = plain(row.get("state"), limit=20)
    styles = {"done": palette.good, "partly": palette.waiting, "failed": palette.bad, "executing": palette.active}
    return Text(state, style=styles.get(state, palette.muted), no_wrap=True, end="")


def _link_words(row: Row) -> str:
    if row.get("kind") == "merge":
        return f"merged {row.get('incident_id')} into {row.get('into_incident_id')}"
    value = plain(f"{row.get('dimension')} {row.get('value')}", limit=120)
    return f"split {value} of {row.get('incident_id')} off, as {row.get('into_incident_id')}"


def _cell(value: object, style: Style) -> Text:
    return Text(plain(value, limit=400), style=style, no_wrap=True, end="")


def _lines(rows: Iterable[Sequence[tuple[str, Style]]]) -> RenderableType | None:
    """A grid, the last column of which takes the room that is left; None without rows."""
    rows = list(rows)
    if not rows:
        return None
    table = Table.grid(padding=(0, 2), expand=True)
    for position in range(len(rows[0])):
        is_last = position == len(rows[0]) - 1
        table.add_column(ratio=1 if is_last else None, overflow="fold" if is_last else "ellipsis", no_wrap=not is_last)
    for row in rows:
        table.add_row(*(Text(words, style=style) for words, style in row))
    return table
