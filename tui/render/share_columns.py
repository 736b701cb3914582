"""The columns of the list of shares. Pure, given a palette."""

from __future__ import annotations

from rich.style import Style
from rich.text import Text

from tui.palette import Palette
from tui.text import number, plain
from tui.widgets.virtual_table import Column, Row

_FAR = 0.05
"""A share that has work and is so far below its target does not hold (domain.md 6.1)."""


def share_columns(palette: Palette) -> list[Column]:
    """Shares: what each is due, uses, and how far it is off."""
    return [
        Column("share", 22, lambda row: _cell("  " * (row["level"] - 1) + row["name"], palette.strong), flex=3, most=44),
        Column("due %", 6, lambda row: _cell(f"{row['percent']:.1f}", palette.text), rank=1, align="right"),
        Column("target", 9, lambda row: _cell(number(round(row["target_power"])), palette.muted), rank=1, align="right"),
        Column("uses", 9, lambda row: _cell(number(round(row["executing_power"])), palette.text), align="right"),
        Column("off", 7, lambda row: _off(row, "deviation", palette), align="right"),
        Column("24 h", 7, lambda row: _off(row, "deviation_24h", palette), rank=3, align="right"),
        Column("running", 8, lambda row: _jobs(row, "executing_jobs", palette.active, palette), align="right"),
        Column("activated", 9, lambda row: _jobs(row, "queued_jobs", palette.waiting, palette), rank=2, align="right"),
        Column("waiting", 8, lambda row: _jobs(row, "waiting_jobs", palette.text, palette), rank=4, align="right"),
        Column("served", 6, lambda row: _cell(f"{row['rank']}." if row["is_leaf"] else "", palette.muted), align="right"),
        Column("full", 10, lambda row: _cell(", ".join(row["throttled"]), palette.bad), flex=1, rank=5),
    ]  # fmt: skip


def _cell(value: object, style: Style | str = "") -> Text:
    return Text(plain(value), style=style, no_wrap=True, end="")


def _off(row: Row, name: str, palette: Palette) -> Text:
    value = row.get(name)
    if value is None:
        return _cell("–", palette.muted)
    per_cent = round(100 * value)
    return _cell(
        f"{per_cent:+d} %" if per_cent else "0 %", palette.bad if row["queued_jobs"] and value < -_FAR else palette.text
    )


def _jobs(row: Row, name: str, style: Style, palette: Palette) -> Text:
    return _cell(number(row[name]), style if row[name] else palette.muted)
