"""The figures of the first screen in words."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from tui.palette import Palette
from tui.text import ago, duration, number, percent, plain, plural, sparkline
from tui.widgets.tiles import Tile
from tui.widgets.virtual_table import Row


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
            "Wait for a pilot",
            Text(duration(waits.get("p50_s")), style=palette.strong).append(" median", palette.muted),
            Text(f"95 % within {duration(waits.get('p95_s'))}" if waits.get("p95_s") is not None else "none started lately",
                 style=palette.muted),
        ),
        Tile(
            "Silent queues",
            Text(f"✗ {number(len(silent))}" if silent else "✓ none", style=palette.bad if silent else palette.good),
            Text(", ".join(silent) if silent else "pilots come where work waits", style=palette.bad if silent else palette.muted),
        ),
    ]  # fmt: skip


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
    """Each agent with its last run; errors stand out."""
    if not rows:
        return None
    table = Table.grid(padding=(0, 2), expand=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, justify="right")
    table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    for row in sorted(rows, key=lambda row: (not row.get("last_error"), str(row.get("name")))):
        error = row.get("last_error")
        name = Text(
            f"{'✗' if error else '●'} {plain(row.get('name'), limit=40)}", style=palette.bad if error else palette.good
        )
        table.add_row(
            name,
            Text(f"{ago(row.get('last_run'), now)} ago", style=palette.muted),
            Text(plain(error or "", limit=200), style=palette.bad),
        )
    return table
