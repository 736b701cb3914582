"""Ended jobs over time as stacked bars, failures at the foot. Draws counts; knows no API."""

from __future__ import annotations

from collections.abc import Sequence

from rich.style import Style
from rich.text import Text
from textual.app import RenderResult
from textual.widget import Widget

from tui.palette import Palette
from tui.text import clock, number, plural

_EIGHTHS = " ▁▂▃▄▅▆▇█"


def fold(values: Sequence[int], bins: int) -> list[int]:
    """At most `bins` sums of neighbouring counts."""
    if len(values) <= bins or bins < 1:
        return list(values)
    size = -(-len(values) // bins)
    return [sum(values[start : start + size]) for start in range(0, len(values), size)]


def chart_lines(
    finished: Sequence[int], failed: Sequence[int], palette: Palette, width: int, height: int
) -> list[Text]:
    """`height` lines of stacked bars, each bar as wide as fits."""
    highest = max((a + b for a, b in zip(finished, failed, strict=True)), default=0)
    axis = len(number(highest)) + 1
    room = max(1, width - axis - 1)
    finished, failed = fold(finished, room), fold(failed, room)
    highest = max((a + b for a, b in zip(finished, failed, strict=True)), default=0)
    per_bar = max(1, room // max(1, len(finished)))
    lines = []
    for level in reversed(range(height)):
        label = number(highest) if level == height - 1 else "0" if level == 0 else ""
        line = Text(label.rjust(axis - 1) + " ", style=palette.muted, no_wrap=True, end="")
        for good, bad in zip(finished, failed, strict=True):
            cell, style = _cell(good, bad, highest, height, level, palette)
            gap = 1 if per_bar > 2 else 0
            line.append(cell * (per_bar - gap), style).append(" " * gap)
        lines.append(line)
    return lines


def _cell(good: int, bad: int, highest: int, height: int, level: int, palette: Palette) -> tuple[str, Style]:
    if highest <= 0:
        return ("▁" if level == 0 else " "), palette.muted
    scale = height * 8 / highest
    foot = round(bad * scale)
    if bad and not foot:
        foot = 1
    top = max(round((good + bad) * scale), foot)
    foot_here = max(0, min(8, foot - level * 8))
    top_here = max(0, min(8, top - level * 8))
    if not top_here:
        return ("▁" if level == 0 else " "), palette.muted
    if foot_here == 0 or foot_here >= top_here:
        return _EIGHTHS[top_here], palette.bad if foot_here else palette.good
    return _EIGHTHS[foot_here], Style(color=palette.bad.color, bgcolor=palette.good.color)


class ThroughputChart(Widget):
    """Draws `chart_lines` with a legend and the times of both ends."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, classes="panel")
        self.border_title = "Ended jobs"
        self._data: tuple[list[str], list[int], list[int]] | None = None
        self._palette: Palette | None = None

    def show(self, bins: Sequence[str], finished: Sequence[int], failed: Sequence[int], palette: Palette) -> None:
        """Draw other counts; `bins` are the times the counts begin at."""
        self._data = (list(bins), list(finished), list(failed))
        self._palette = palette
        self.border_subtitle = (
            f"✓ {plural(sum(finished), 'job')} finished · ✗ {number(sum(failed))} failed" if finished else ""
        )
        self.refresh()

    def render(self) -> RenderResult:
        """Bars above a line of times."""
        if self._data is None or self._palette is None or self.size.height < 2:
            return Text("")
        bins, finished, failed = self._data
        if not bins:
            return Text("no job ended in this time", style=self._palette.muted)
        width, height = self.size.width, self.size.height - 1
        lines = chart_lines(finished, failed, self._palette, width, height)
        axis = len(number(max((a + b for a, b in zip(finished, failed, strict=True)), default=0))) + 1
        drawn = max((line.cell_len for line in lines), default=width)
        first, last = clock(bins[0])[:5], "now"
        times = " " * axis + first + " " * max(1, drawn - axis - len(first) - len(last)) + last
        lines.append(Text(times, style=self._palette.muted, no_wrap=True, end=""))
        return Text("\n").join(lines)
