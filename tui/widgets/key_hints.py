"""The last line: the keys that do something here and now, the most important first. Takes them from the live bindings."""

from __future__ import annotations

from collections.abc import Callable

from rich.style import Style
from rich.text import Text
from textual.app import RenderResult
from textual.screen import Screen
from textual.widget import Widget

from tui.keys import BY_ACTION, Key
from tui.palette import Palette

_SCREENS = ("now", "incidents", "queues", "jobs", "tasks")


def hints_text(keys: list[tuple[Key, bool]], palette: Palette, width: int) -> Text:
    """As many hints as fit; `?` is always among them. Disabled actions are shown dim and struck through."""
    always = [hint for hint in keys if hint[0].action == "help"]
    others = [hint for hint in keys if hint[0].action != "help" and hint[0].action not in _SCREENS]
    last = Text(end="")
    for key, enabled in always:
        last.append_text(_hint(key.shown_key, key.word, key.action, palette, enabled=enabled))
    if any(key.action in _SCREENS for key, _ in keys):
        last.append("  ").append_text(_hint("0-9", "screens", "", palette, enabled=True))
    line = Text(" ", no_wrap=True, end="")
    for key, enabled in others:
        hint = _hint(key.shown_key, key.word, key.action, palette, enabled=enabled)
        if line.cell_len + hint.cell_len + 2 + last.cell_len + 1 > width:
            continue
        line.append_text(hint).append("  ")
    line.append_text(last)
    return line


def _hint(key: str, word: str, action: str, palette: Palette, *, enabled: bool) -> Text:
    click = Style.from_meta({"@click": f"screen.press('{action}')"}) if action else Style()
    hint = Text(end="")
    hint.append(key, (palette.accent if enabled else palette.muted) + Style(bold=enabled) + click)
    hint.append(f" {word}", palette.muted + Style(strike=None if enabled else True) + click)
    return hint


class KeyHints(Widget):
    """Draws the hints of the focused thing and of its screen; `is_useful` says which of its keys do something now."""

    def __init__(self, is_useful: Callable[[str], bool], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._is_useful = is_useful

    def on_mount(self) -> None:
        """Draw anew whenever the focus or the set of actions changes."""
        self.screen.bindings_updated_signal.subscribe(self, self._changed)

    def _changed(self, _: Screen[object]) -> None:
        if self.is_attached:
            self.refresh()

    def render(self) -> RenderResult:
        """The line."""
        found: dict[str, tuple[Key, bool]] = {}
        for active in self.screen.active_bindings.values():
            key = BY_ACTION.get(active.binding.id or "")
            if key is not None and key.rank and self._is_useful(key.action):
                found.setdefault(key.action, (key, active.enabled))
        ordered = sorted(found.values(), key=lambda hint: hint[0].rank)
        return hints_text(ordered, Palette.of_theme(self.app.theme_variables), self.size.width)
