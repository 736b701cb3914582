"""The figures of the first screen in words."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from tui.palette import Palette
from tui.text import ago, duration, moment, number, percent, plain, plural, sparkline
from tui.widgets.tiles import Tile
from tui.widgets.virtual_table import Row

_LATE_S = 60.0
"""An agent whose next run is this far in the past is late."""


def figures(summary: dict[str, Any], palette: Palette) -> list[Tile]:
    """The four tiles."""
    throughput = summary.get("throughput") or {}
    waits = summary.get("waits") or {}
    spark = summary.get("sparkline") or {}
    silent = [plain(name, limit=60) for name in summary.get("silent_queues") or []]
    return [
        _throughput(throughput, spark, palette),
        _failures(throughput, spark, palette),
        Tile(
            "Pilot wait",
            Text(duration(waits.get("p50_s")), style=palette.strong).append(" median", palette.muted),
            Text(f"95 % within {duration(waits.get('p95_s'))}" if waits.get("p95_s") is not None else "none started lately",
                 style=palette.muted),
        ),
        Tile(
            "Silent queues",
            Text(f"✗ {number(len(silent))}" if silent else "✓ none", style=palette.bad if silent else palette.good),
            Text(_first(silent) or "pilots call in", style=palette.bad if silent else palette.muted),
        ),
    ]  # fmt: skip


def _first(names: Sequence[str]) -> str:
    """The first name and how many more: the tile has one line for it, and what is cut there is not seen to be cut."""
    return names[0] + (f" and {number(len(names) - 1)} more" if len(names) > 1 else "") if names else ""


def _throughput(throughput: dict[str, Any], spark: dict[str, Any], palette: Palette) -> Tile:
    finished = int(throughput.get("finished_last_hour") or 0)
    before = throughput.get("finished_same_hour_last_week")
    value = Text(number(finished), style=palette.strong).append(" finished/h  ", palette.muted)
    value.append(sparkline(spark.get("finished") or []), palette.good)
    if not before:
        below = "nothing to compare with last week"
    else:
        below = f"{(finished - before) / before * 100:+.0f} % vs last week ({number(before)})"
    return Tile("Throughput", value, Text(below, style=palette.muted))


def _failures(throughput: dict[str, Any], spark: dict[str, Any], palette: Palette) -> Tile:
    rate = throughput.get("failure_rate")
    failed = int(throughput.get("failed_last_hour") or 0)
    style = palette.bad if rate and rate >= 0.1 else palette.waiting if rate else palette.good
    value = Text(percent(rate or 0.0), style=style).append(" of ended  ", palette.muted)
    value.append(sparkline(spark.get("failed") or []), palette.bad)
    return Tile("Failures", value, Text(f"{plural(failed, 'job')} in the last hour", style=palette.muted))


def agents(rows: Sequence[Row], palette: Palette, now: datetime) -> RenderableType | None:
    """The agents that need a look, one line each; the others in one line together."""
    if not rows:
        return None
    table = Table.grid(padding=(0, 2), expand=True)
    table.add_column(no_wrap=True)
    table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    well = 0
    for row in sorted(rows, key=lambda row: str(row.get("name"))):
        trouble = _trouble(row, now)
        if not trouble:
            well += 1
            continue
        table.add_row(
            Text(f"✗ {plain(row.get('name'), limit=40)}", style=palette.bad),
            Text(trouble, style=palette.bad, no_wrap=True, overflow="ellipsis"),
        )
    if well:
        everyone = "every agent runs" if well == len(rows) else "the others run"
        table.add_row(Text(f"✓ {plural(well, 'agent')}", style=palette.good), Text(everyone, style=palette.muted))
    return table


def _trouble(row: Row, now: datetime) -> str:
    if row.get("last_error"):
        return plain(f"{ago(row.get('last_run'), now)} ago: {row['last_error']}", limit=200)
    due = moment(row.get("next_run"))
    if due is not None and (now - due).total_seconds() > _LATE_S:
        return f"late: last run {ago(row.get('last_run'), now)} ago"
    return ""
