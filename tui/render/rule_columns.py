"""The columns of rules for failed jobs, of what they did, of agents and of timeouts. Pure, given a palette and a clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from rich.style import Style
from rich.text import Text

from tui.palette import Palette
from tui.text import ago, clock, core_hours, duration, milliseconds, number, plain, plural
from tui.widgets.virtual_table import Column, Row

Now = Callable[[], datetime]
_NARROWED = (("error_diag", "says"), ("architecture", "architecture"), ("release", "release"), ("gshare", "share"))


def rule_columns(palette: Palette, now: Now) -> list[Column]:
    """Rules: about what, what they do, whether they act, what they did."""
    return [
        Column("rule", 5, lambda row: _cell(row["rule_id"], palette.muted), align="right"),
        Column("error", 14, lambda row: _cell(_error(row), palette.strong), flex=2, most=40),
        Column("action", 24, lambda row: _cell(_action(row), palette.text), flex=2, most=44),
        Column("state", 16, lambda row: _state(row, palette), flex=3, most=60),
        Column("matched", 8, lambda row: _count(row["n_matched"], palette), rank=1, align="right"),
        Column("acted", 7, lambda row: _count(row["n_acted"], palette), align="right"),
        Column("last", 7, lambda row: _cell(ago(row["last_matched"], now()), palette.muted), rank=2, align="right"),
        Column("expires", 10, lambda row: _cell((row["expiration_time"] or "–")[:10], palette.muted), rank=4),
        Column("why it is there", 16, lambda row: _cell(row["description"], palette.muted), flex=3, rank=5),
    ]


def deed_columns(palette: Palette, now: Now) -> list[Column]:
    """What rules did, or would have done."""
    return [
        Column("age", 7, lambda row: _cell(ago(row["time"], now()), palette.muted), align="right"),
        Column("job", 11, lambda row: _cell(row["panda_id"], palette.strong), align="right"),
        Column("task", 11, lambda row: _cell(row["jedi_task_id"] or "–", palette.muted), rank=3, align="right"),
        Column("rule", 5, lambda row: _cell(row["rule_id"] or "class", palette.muted), rank=2, align="right"),
        Column("error", 14, lambda row: _cell(f"{row['error_source']}:{row['error_code']}", palette.text)),
        Column("action", 14, lambda row: _cell(_words(row["action"]), palette.text), rank=1),
        Column("what it did", 16, lambda row: _cell(row["effect"], _acted(row, palette)), flex=4),
    ]


def agent_columns(palette: Palette, now: Now) -> list[Column]:
    """Agents: which is unwell?"""
    return [
        Column("agent", 16, lambda row: _cell(_words(row["name"]), palette.strong), flex=1, most=24),
        Column("state", 9, lambda row: _agent_state(row, palette)),
        Column("last run", 8, lambda row: _cell(ago(row["last_run"], now()), palette.text), align="right"),
        Column("next, UTC", 9, lambda row: _cell(clock(row["next_run"]), palette.muted), rank=3, align="right"),
        Column("took", 9, lambda row: _cell(milliseconds(row["duration_ms"]), palette.text), rank=1, align="right"),
        Column("cycles", 9, lambda row: _cell(number(row["cycle_count"]), palette.muted), rank=4, align="right"),
        Column("host", 10, lambda row: _cell(row["host"], palette.muted), flex=1, most=30, rank=2),
        Column("last error", 16, lambda row: _agent_error(row, palette, now), flex=5),
    ]


def timeout_columns(palette: Palette, now: Now) -> list[Column]:
    """Timeouts: how long, whom they will end, what they ended."""
    return [
        Column("what", 22, lambda row: _cell(row["name"], palette.strong), flex=1, most=34),
        Column("states", 12, lambda row: _cell(", ".join(row["states"]), palette.muted), flex=2, most=44, rank=4),
        Column("limit", 11, lambda row: _cell(duration(row["limit_s"]), palette.text), align="right"),
        Column("past half", 9, lambda row: _count(row["older_than_half"], palette, palette.waiting), align="right"),
        Column("ended", 7, lambda row: _count(row["ended_total"], palette), rank=1, align="right"),
        Column("last", 7, lambda row: _cell(ago(row["last_ended_time"], now()), palette.muted), rank=2, align="right"),
        Column("what happens then", 18, lambda row: _cell(row["effect"], palette.muted), flex=4, rank=3),
    ]


def fault_words(classes: Mapping[str, Mapping[str, Any]]) -> str:
    """Whose fault the failed jobs were, on one line."""
    parts = [
        f"{name} {plural(row['jobs'], 'job')}, {core_hours(row['lost_core_s'])} core-h"
        for name, row in sorted(classes.items(), key=lambda item: -item[1]["jobs"])
    ]
    return "; ".join(parts) or "no job failed"


def _cell(value: object, style: Style | str = "") -> Text:
    return Text(plain(value, limit=400), style=style, no_wrap=True, end="")


def _words(name: str) -> str:
    return name.replace("_", " ")


def _count(value: int, palette: Palette, style: Style | None = None) -> Text:
    return _cell(number(value), (style or palette.text) if value else palette.muted)


def _error(row: Row) -> str:
    narrowed = ", ".join(f"{word} {row[name]}" for name, word in _NARROWED if row[name])
    return f"{row['error_source'] or '*'}:{row['error_code'] or '*'} {narrowed}".strip()


def _action(row: Row) -> str:
    parameters = ", ".join(f"{name} {value}" for name, value in (row["parameters"] or {}).items())
    return f"{_words(row['action'])} {parameters}".strip()


def _state(row: Row, palette: Palette) -> Text:
    if row["disabled_reason"]:
        return _cell(f"✗ disabled: {row['disabled_reason']}", palette.bad)
    if row["acts"]:
        return _cell("● active", palette.good)
    expires = row["expiration_time"]
    words = "passive" if not row["is_active"] else "expired" if expires and expires < row["as_of"] else "action passive"
    return _cell(f"◌ {words}", palette.muted)


def _acted(row: Row, palette: Palette) -> Style:
    return palette.text if row["has_acted"] else palette.muted


def _agent_state(row: Row, palette: Palette) -> Text:
    if row["last_error"]:
        return _cell("✗ failing", palette.bad)
    return _cell("◌ late", palette.waiting) if row["is_late"] else _cell("● runs", palette.good)


def _agent_error(row: Row, palette: Palette, now: Now) -> Text:
    if row["last_error"]:
        return _cell(row["last_error"], palette.bad)
    if row["last_error_time"]:
        return _cell(f"recovered, last one {ago(row['last_error_time'], now())} ago", palette.muted)
    return _cell("none", palette.muted)
