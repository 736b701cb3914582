"""How many of which state: one bar in proportion, the words and figures beside it."""

from __future__ import annotations

from collections.abc import Mapping

from rich.text import Text
from textual.app import RenderResult
from textual.widget import Widget

from tui.palette import Palette
from tui.text import number

ORDER = (
    "failed", "closed", "cancelled", "pending", "defined", "waiting", "assigned", "throttled", "activated", "sent",
    "starting", "stagein", "running", "stageout", "holding", "merging", "transferring", "finished",
)  # fmt: skip


def shares(counts: Mapping[str, int], width: int) -> dict[str, int]:
    """Cells for each state: in proportion, at least one for a state that occurs, `width` together."""
    present = {state: counts[state] for state in sorted(counts, key=_rank) if counts[state] > 0}
    total = sum(present.values())
    if not total or width < len(present):
        return {}
    cells = {state: max(1, round(amount / total * width)) for state, amount in present.items()}
    while (excess := sum(cells.values()) - width) != 0:
        largest = max(cells, key=lambda state: cells[state])
        cells[largest] -= max(-width, min(excess, cells[largest] - 1))
    return cells


def _rank(state: str) -> int:
    return ORDER.index(state) if state in ORDER else len(ORDER)


def ribbon_text(counts: Mapping[str, int], palette: Palette, width: int) -> Text:
    """The bar at the left, the legend at the right; the rarest states leave the legend first."""
    legend: list[Text] = []
    room = width - 2
    entries = [state for state in sorted(counts, key=_rank) if counts[state]]
    for state in sorted(entries, key=lambda state: (state != "failed", -counts[state])):
        mark = palette.job_status(state)
        entry = Text(f"{mark.plain.split(' ')[0]} {number(counts[state])} {state}", style=mark.style, end="")
        if room - entry.cell_len - 2 < min(12, width // 4):
            break
        legend.append(entry)
        room -= entry.cell_len + 2
    line = Text(" ", no_wrap=True, end="")
    for state, cells in shares(counts, max(0, min(room, width // 2))).items():
        line.append("━" * cells, palette.job_style(state))
    for entry in legend:
        line.append("  ").append_text(entry)
    return line if entries else Text(" no jobs", style=palette.muted, end="")


class Ribbon(Widget):
    """Draws `ribbon_text`."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._counts: dict[str, int] | None = None
        self._palette: Palette | None = None

    def show(self, counts: Mapping[str, int], palette: Palette) -> None:
        """Draw other counts."""
        self._counts, self._palette = dict(counts), palette
        self.refresh()

    def render(self) -> RenderResult:
        """The line."""
        if self._counts is None or self._palette is None:
            return Text("")
        return ribbon_text(self._counts, self._palette, self.size.width)
