"""The looks of states and severities: a symbol, a word and a colour for each, so that colour never stands alone.

Colours come from the running theme; our own themes use a palette that people with colour-blindness can tell apart
(blue for work under way, bluish green for success, vermilion for failure, yellow for waiting).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rich.color import Color as RichColor
from rich.style import Style
from rich.text import Text
from textual.color import Color, ColorParseError
from textual.theme import Theme

from tui.text import plain

DARK = Theme(
    name="pandascope-dark",
    primary="#56B4E9",
    secondary="#7AA2C7",
    accent="#F0A830",
    foreground="#D8DEE6",
    background="#0E1318",
    surface="#141B22",
    panel="#1D2731",
    success="#2DB58C",
    warning="#E8B93A",
    error="#F0703C",
    dark=True,
    variables={"border": "#31404E", "state-critical": "#F25D94", "block-cursor-background": "#29465C"},
)
LIGHT = Theme(
    name="pandascope-light",
    primary="#0063A6",
    secondary="#41627D",
    accent="#A35F00",
    foreground="#1B232B",
    background="#FAFBFC",
    surface="#F2F4F7",
    panel="#E4E9EE",
    success="#00724F",
    warning="#7F6000",
    error="#C23B00",
    dark=False,
    variables={"border": "#B4C0CB", "state-critical": "#B0145E", "block-cursor-background": "#C7DDEF"},
)

_JOB_STATUSES: dict[str, tuple[str, str]] = {
    "pending": ("·", "muted"),
    "defined": ("·", "muted"),
    "waiting": ("◌", "waiting"),
    "assigned": ("◌", "waiting"),
    "throttled": ("◌", "waiting"),
    "activated": ("○", "waiting"),
    "sent": ("◔", "active"),
    "starting": ("◔", "active"),
    "stagein": ("◔", "active"),
    "running": ("◑", "active"),
    "stageout": ("◕", "active"),
    "holding": ("◕", "active"),
    "merging": ("◕", "active"),
    "transferring": ("◕", "active"),
    "finished": ("✓", "good"),
    "failed": ("✗", "bad"),
    "cancelled": ("⊘", "muted"),
    "closed": ("⊘", "muted"),
}
_TASK_STATUSES: dict[str, tuple[str, str]] = {
    "registered": ("·", "muted"),
    "defined": ("·", "muted"),
    "staging": ("⇣", "active"),
    "staged": ("○", "active"),
    "assigning": ("→", "active"),
    "topreprocess": ("◔", "waiting"),
    "preprocessing": ("◑", "active"),
    "pending": ("◌", "waiting"),
    "paused": ("◌", "waiting"),
    "throttled": ("◌", "waiting"),
    "ready": ("○", "waiting"),
    "scouting": ("◔", "active"),
    "scouted": ("◔", "active"),
    "running": ("◑", "active"),
    "merging": ("◕", "active"),
    "toretry": ("↻", "waiting"),
    "toincexec": ("↻", "waiting"),
    "rerefine": ("↻", "waiting"),
    "toreassign": ("→", "waiting"),
    "reassigning": ("→", "waiting"),
    "prepared": ("◕", "waiting"),
    "passed": ("◕", "waiting"),
    "finishing": ("◕", "waiting"),
    "toabort": ("◕", "waiting"),
    "aborting": ("◕", "waiting"),
    "tobroken": ("✗", "bad"),
    "exhausted": ("✗", "waiting"),
    "done": ("✓", "good"),
    "finished": ("✓", "waiting"),
    "failed": ("✗", "bad"),
    "aborted": ("⊘", "muted"),
    "broken": ("✗", "bad"),
}
_SEVERITIES: dict[str, tuple[str, str]] = {
    "critical": ("▲", "critical"),
    "error": ("◆", "bad"),
    "warning": ("●", "waiting"),
}
_INCIDENT_STATES: dict[str, tuple[str, str]] = {
    "open": ("○", "bad"),
    "reopened": ("↻", "bad"),
    "acknowledged": ("◐", "active"),
    "silenced": ("◌", "muted"),
    "candidate": ("·", "muted"),
    "resolved": ("●", "good"),
}
_QUEUE_STATUSES: dict[str, tuple[str, str]] = {
    "online": ("●", "good"),
    "offline": ("⊘", "bad"),
    "brokeroff": ("◌", "waiting"),
    "test": ("◔", "active"),
}
_STAGING_STATUSES: dict[str, tuple[str, str]] = {
    "queued": ("◌", "waiting"),
    "staging": ("⇣", "active"),
    "done": ("✓", "good"),
    "cancelled": ("⊘", "muted"),
    "retired": ("·", "muted"),
}
_UNKNOWN = ("?", "muted")


@dataclass(frozen=True)
class Palette:
    """Resolved styles of one theme. `muted` is for what is secondary, `strong` for what the eye should find first."""

    good: Style
    bad: Style
    critical: Style
    waiting: Style
    active: Style
    muted: Style
    accent: Style
    text: Style
    strong: Style
    heading: Style

    @classmethod
    def of_theme(cls, variables: Mapping[str, str]) -> Palette:
        """The styles for a theme's variables (those of `App.get_css_variables`)."""
        foreground = _color(variables, "foreground", "#D8DEE6")
        background = _color(variables, "background", "#0E1318")

        def style(name: str, fallback: str = "", *, bold: bool = False) -> Style:
            color = _color(variables, name, variables.get(fallback, "#888888"))
            return Style(color=_rich(color), bold=bold or None)

        return cls(
            good=style("success"),
            bad=style("error"),
            critical=style("state-critical", "error", bold=True),
            waiting=style("warning"),
            active=style("primary"),
            muted=Style(color=_rich(foreground.blend(background, 0.42))),
            accent=style("accent"),
            text=Style(color=_rich(foreground)),
            strong=Style(color=_rich(foreground), bold=True),
            heading=style("secondary", bold=True),
        )

    def style(self, role: str) -> Style:
        """The style of one of the roles named in the tables of this module."""
        found: Style = getattr(self, role)
        return found

    def job_status(self, status: object, *, symbol_only: bool = False) -> Text:
        """A job's state as symbol and word."""
        return self._mark(_JOB_STATUSES, status, symbol_only=symbol_only)

    def task_status(self, status: object) -> Text:
        """A task's state as symbol and word."""
        return self._mark(_TASK_STATUSES, status)

    def severity(self, severity: object, *, symbol_only: bool = False) -> Text:
        """An incident's severity as symbol and word."""
        return self._mark(_SEVERITIES, severity, symbol_only=symbol_only)

    def incident_state(self, state: object) -> Text:
        """An incident's state as symbol and word."""
        return self._mark(_INCIDENT_STATES, state)

    def staging_status(self, status: object) -> Text:
        """The status of a dataset that comes from tape as symbol and word."""
        return self._mark(_STAGING_STATUSES, status)

    def queue_status(self, status: object) -> Text:
        """A queue's status as symbol and word."""
        return self._mark(_QUEUE_STATUSES, status)

    def job_style(self, status: object) -> Style:
        """The colour alone, for bars that stand beside the word."""
        return self.style(_JOB_STATUSES.get(str(status), _UNKNOWN)[1])

    def _mark(self, table: Mapping[str, tuple[str, str]], value: object, *, symbol_only: bool = False) -> Text:
        word = plain(value, limit=40)
        symbol, role = table.get(word, _UNKNOWN)
        return Text(symbol if symbol_only else f"{symbol} {word}", style=self.style(role), no_wrap=True, end="")


def _color(variables: Mapping[str, str], name: str, fallback: str) -> Color:
    for candidate in (variables.get(name, ""), fallback):
        try:
            return Color.parse(candidate)
        except ColorParseError:
            continue
    return Color.parse("#888888")


def _rich(color: Color) -> RichColor:
    return color.rich_color
