"""Ended jobs over time as stacked bars: failures at the foot, then cancelled ones, then what finished. Knows no API."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.style import Style
from rich.text import Text
from textual.app import RenderResult
from textual.widget import Widget

from tui.palette import Palette
from tui.text import clock, number

_EIGHTHS = " ▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class Course:
    """Counts per bin of ended jobs; `bins` are the times the bins begin at, ISO 8601."""

    bins: Sequence[str] = ()
    finished: Sequence[int] = ()
    failed: Sequence[int] = field(default=())
    cancelled: Sequence[int] = field(default=())

    def since_first(self, least: int) -> Course:
        """Without the empty bins before the first count, but at least the last `least` bins: a young system has a
        short history, and it should be seen."""
        first = next((position for position, count in enumerate(self.totals) if count), len(self.bins))
        start = max(0, min(first, len(self.bins) - least))
        return Course(self.bins[start:], self.finished[start:], self.failed[start:], self.cancelled[start:])

    def folded(self, most: int) -> Course:
        """Neighbouring bins added up until there are at most `most`."""
        size = -(-len(self.bins) // max(1, most))
        if size <= 1:
            return self
        columns = (fold(counts, size) for counts in (self.finished, self.failed, self.cancelled))
        return Course(self.bins[::size], *columns)

    @property
    def totals(self) -> list[int]:
        """Ended jobs per bin."""
        return [sum(counts) for counts in zip(self.failed, self.cancelled, self.finished, strict=True)]


def fold(values: Sequence[int], size: int) -> list[int]:
    """Sums of `size` neighbouring counts each."""
    return [sum(values[start : start + size]) for start in range(0, len(values), size)]


def chart_lines(course: Course, palette: Palette, width: int, height: int) -> list[Text]:
    """`height` lines of stacked bars with the scale at the left over the whole width, and the line of times."""
    axis = len(number(sum(course.totals))) + 1
    course = course.folded(max(1, width - axis))
    highest = max(course.totals, default=0)
    room, amount = max(1, width - axis), max(1, len(course.bins))
    widths = [room * (position + 1) // amount - room * position // amount for position in range(len(course.bins))]
    styles = (palette.bad, palette.muted, palette.good)
    stacks = [
        _heights(counts, height * 8 / max(1, highest))
        for counts in zip(course.failed, course.cancelled, course.finished, strict=True)
    ]
    lines = []
    for level in reversed(range(height)):
        label = number(highest) if level == height - 1 and highest else "0" if level == 0 else ""
        line = Text(label.rjust(axis - 1) + " ", style=palette.muted, no_wrap=True, end="")
        for tops, cells in zip(stacks, widths, strict=True):
            cell, style = _cell(tops, styles, level, palette)
            line.append(cell * cells, style)
        lines.append(line)
    first = f"{clock(course.bins[0])[:5]} UTC" if course.bins else ""
    first = first if len(first) + len(" now") <= room else ""
    times = " " * axis + first + "now".rjust(room - len(first))
    return [*lines, Text(times[:width], style=palette.muted, no_wrap=True, end="")]


def _heights(counts: Sequence[int], scale: float) -> list[int]:
    """Where each layer of a bar ends, in eighths of a line; what occurs is never too small to see."""
    tops, total, top = [], 0, 0
    for count in counts:
        total += count
        top = max(round(total * scale), top + 1 if count else top)
        tops.append(top)
    return tops


def _cell(tops: Sequence[int], styles: Sequence[Style], level: int, palette: Palette) -> tuple[str, Style]:
    """One cell of a bar. A cell has two colours: the layer at its foot, and the one that stands on that."""
    here = [max(0, min(8, top - level * 8)) for top in tops]
    if not here[-1]:
        return ("▁" if level == 0 else " "), palette.muted
    foot = next(position for position, filled in enumerate(here) if filled)
    above = next((position for position, filled in enumerate(here) if filled > here[foot]), foot)
    if above == foot:
        return _EIGHTHS[here[foot]], styles[foot]
    return _EIGHTHS[here[foot]], Style(color=styles[foot].color, bgcolor=styles[above].color)


class ThroughputChart(Widget):
    """Draws `chart_lines`; the totals stand in the border."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, classes="panel")
        self.border_title = "Ended jobs"
        self._course: Course | None = None
        self._palette: Palette | None = None

    def show(self, course: Course, palette: Palette) -> None:
        """Draw other counts."""
        self._course, self._palette = course, palette
        words = [f"✓ {number(sum(course.finished))} finished", f"✗ {number(sum(course.failed))} failed"]
        if any(course.cancelled):
            words.append(f"⊘ {number(sum(course.cancelled))} cancelled")
        self.border_subtitle = " · ".join(words)
        self.refresh()

    def render(self) -> RenderResult:
        """Bars above a line of times."""
        if self._course is None or self._palette is None or self.size.height < 2:
            return Text("")
        if not any(self._course.totals):
            return Text("No job has ended lately.", style=self._palette.muted)
        return Text("\n").join(chart_lines(self._course, self._palette, self.size.width, self.size.height - 1))
