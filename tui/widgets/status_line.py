"""The first line of every screen: which instance, who am I, how fresh, what is open. Draws; asks nothing itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rich.style import Style
from rich.text import Text
from textual.app import RenderResult
from textual.widget import Widget

from tui.live import MEANING, LiveState
from tui.palette import Palette
from tui.text import age, number, plain

_BADGES: dict[LiveState, tuple[str, str]] = {
    LiveState.CONNECTING: ("…", "muted"),
    LiveState.LIVE: ("●", "good"),
    LiveState.LAGGING: ("◐", "waiting"),
    LiveState.PAUSED: ("‖", "active"),
    LiveState.REFUSED: ("✗", "bad"),
    LiveState.DISCONNECTED: ("✗", "bad"),
}
_SEVERITIES = ("critical", "error", "warning")


@dataclass(frozen=True)
class Status:
    """What the line tells. `age_s`: seconds since the last good data; `severities`: unresolved incidents by severity."""

    instance: str = ""
    role: str = ""
    window: str = ""
    state: LiveState = LiveState.CONNECTING
    age_s: float | None = None
    severities: Mapping[str, int] | None = None


def status_text(status: Status, palette: Palette, width: int) -> Text:
    """The line at a given width: words give way to symbols, then the less important parts go, whether it is live last."""
    for detail in (3, 2, 1, 0, -1, -2, -3):
        left, right = _left(status, palette, detail), _right(status, palette, detail)
        spare = width - left.cell_len - right.cell_len
        if spare >= 1:
            break
    line = Text(no_wrap=True, end="")
    line.append_text(left).append(" " * max(1, spare)).append_text(right)
    line.truncate(width, overflow="ellipsis")
    return line


def _left(status: Status, palette: Palette, detail: int) -> Text:
    line = Text(" ", end="")
    if detail < -1:
        return line
    line.append("panda", palette.strong).append("scope", palette.active + Style(bold=True))
    if status.instance and detail >= 0:
        line.append("  ").append(plain(status.instance, limit=60), palette.text)
    if status.role and detail >= 1:
        line.append("  ").append(plain(status.role, limit=40), palette.muted)
    if status.window and detail >= 2:
        line.append("  ").append(plain(status.window, limit=40), palette.muted)
    return line


def _right(status: Status, palette: Palette, detail: int) -> Text:
    line = Text(end="")
    if status.severities is not None and detail >= -2:
        line.append_text(_severities(status.severities, palette, in_words=detail >= 3)).append("   ")
    if status.age_s is not None and detail >= -2:
        line.append(f"as of {age(status.age_s)} ago" if detail >= 2 else age(status.age_s), palette.muted).append("   ")
    symbol, role = _BADGES[status.state]
    line.append(f"{symbol} {status.state}", palette.style(role) + Style(bold=True)).append(" ")
    return line


def _severities(counts: Mapping[str, int], palette: Palette, *, in_words: bool) -> Text:
    line = Text(end="")
    for severity in _SEVERITIES:
        amount = int(counts.get(severity) or 0)
        if not amount:
            continue
        if line:
            line.append("  ")
        mark = palette.severity(severity, symbol_only=True)
        line.append(f"{mark.plain} {number(amount)}" + (f" {severity}" if in_words else ""), mark.style)
    return line or Text("✓ no open incident" if in_words else "✓ 0", style=palette.good, end="")


class StatusLine(Widget):
    """Draws `status_text` for the latest status."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._status = Status()
        self._palette: Palette | None = None

    def show(self, status: Status, palette: Palette) -> None:
        """Draw another status."""
        if (status, palette) != (self._status, self._palette):
            self._status, self._palette = status, palette
            self.tooltip = MEANING[status.state]
            self.refresh()

    def render(self) -> RenderResult:
        """The line."""
        return Text("") if self._palette is None else status_text(self._status, self._palette, self.size.width)
