"""Datasets that are brought from tape: the columns of their list, and a few lines for a task. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from rich.style import Style
from rich.text import Text

from tui.palette import Palette
from tui.text import ago, bar, bytes_size, number, plain
from tui.widgets.virtual_table import Column, Row

_BAR = 10


def staging_columns(palette: Palette, now: Callable[[], datetime]) -> list[Column]:
    """Requests of the data carousel: what, from where to where, how far, for whom."""
    return [
        Column("state", 11, lambda row: _state(row, palette)),
        Column("dataset", 20, lambda row: _cell(row["dataset"], palette.strong), flex=4, most=70),
        Column("arrived", 16, lambda row: _arrived(row, palette)),
        Column("files", 9, lambda row: _cell(number(row["n_files"]), palette.text), rank=2, align="right"),
        Column("failed", 7, lambda row: _cell(number(row["n_failed"]), _bad_if(row["n_failed"], palette)), rank=3, align="right"),
        Column("size", 8, lambda row: _cell(bytes_size(row["n_bytes"]), palette.muted), rank=5, align="right"),
        Column("from tape", 12, lambda row: _cell(row["source_endpoint"] or "–", palette.text), rank=1, flex=1, most=24),
        Column("to disk", 12, lambda row: _cell(row["destination_endpoint"] or "–", palette.text), rank=1, flex=1, most=24),
        Column("tasks", 10, lambda row: _tasks(row, palette), rank=4),
        Column("arrival", 8, lambda row: _cell(_last(row, now()), palette.muted), rank=6, align="right"),
        Column("trouble", 12, lambda row: _cell(row["trouble"], palette.bad), flex=3, rank=7),
    ]  # fmt: skip


def _cell(value: object, style: Style | str = "") -> Text:
    return Text(plain(value), style=style, no_wrap=True, end="")


def _state(row: Row, palette: Palette) -> Text:
    if row["pace"]:
        return _cell(f"✗ {row['pace']}", palette.bad if row["pace"] == "stuck" else palette.waiting)
    return palette.staging_status(row["status"])


def _bad_if(value: object, palette: Palette) -> Style:
    return palette.bad if value else palette.muted


def _arrived(row: Row, palette: Palette) -> Text:
    part = row["n_staged"] / max(1, row["n_files"])
    text = Text(no_wrap=True, end="")
    text.append(bar(part, _BAR).ljust(_BAR, "░"), palette.good if row["n_staged"] else palette.muted)
    return text.append(f" {100 * part:3.0f} %", palette.text)


def _tasks(row: Row, palette: Palette) -> Text:
    numbers, more = list(row["tasks"]), f" +{row['n_tasks'] - 1}" if row["n_tasks"] > 1 else ""
    return _cell(f"{numbers[0]}{more}" if numbers else "none", palette.text if numbers else palette.muted)


def _last(row: Row, now: datetime) -> str:
    return ago(row["progress_time"], now) if row["n_staged"] else "–"


def tape_lines(rows: Sequence[Row], palette: Palette) -> Text | None:
    """What of the input of a task comes from tape, one line for each dataset and one for its trouble."""
    lines = []
    for row in rows:
        tape, disk = (
            row["source_endpoint"] or "a tape to be chosen",
            row["destination_endpoint"] or "a disk to be chosen",
        )
        places = f"from {tape} to {disk}"
        files = f"  {number(row['n_staged'])} of {number(row['n_files'])} files"
        line = Text.assemble(
            _state(row, palette), f"  {plain(row['dataset'])}", files, (f"  {plain(places)}", palette.muted)
        )
        if row["trouble"]:
            line.append(f"\n  {plain(row['trouble'])}", palette.bad)
        lines.append(line)
    return Text("\n").join(lines) if lines else None
