"""The progress bar of a task: ended jobs of all, by state. In a pipe one line per quarter instead.

When nothing moves, one line says why, in both.
"""

from __future__ import annotations

from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from pandascope.cli.rendering import STATE_STYLES, console, plain


class TaskProgress:
    """Shows the rows that `Client.wait` reads; use it in a `with` statement."""

    def __init__(self, title: str, *, is_shown: bool = True) -> None:
        self._terminal = console(stderr=True)
        self._is_live = is_shown and self._terminal.is_terminal
        self._is_shown = is_shown
        self._title = title
        self._last_quarter = 0
        self._last_reason = ""
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[states]}", markup=True),
            TimeElapsedColumn(),
            console=self._terminal,
            disable=not self._is_live,
        )
        self._task = self._bar.add_task(title, total=None, states="")

    def show(self, row: dict[str, Any]) -> None:
        """Draw the state of a task."""
        by_state = {name: int(row.get(f"n_{name}") or 0) for name in ("finished", "failed", "cancelled")}
        total, ended = int(row.get("n_jobs") or 0), sum(by_state.values())
        active = int(row.get("n_active") or 0)
        words = [f"[{STATE_STYLES[name]}]{number} {name}[/]" for name, number in by_state.items() if number]
        words += [f"{active} active"] if active else []
        self._bar.update(self._task, total=total or None, completed=ended, states=", ".join(words))
        self._say_reason(str(row.get("waiting_reason") or ""))
        quarter = 4 * ended // total if total else 0
        if self._is_shown and not self._is_live and quarter > self._last_quarter:
            self._last_quarter = quarter
            self._terminal.print(f"{self._title}: {ended} of {total} jobs ended")

    def _say_reason(self, reason: str) -> None:
        """Why nothing moves, one line for each change."""
        if reason and reason != self._last_reason and self._is_shown:
            self._terminal.print(Text(plain(reason), style="yellow"), soft_wrap=True)
        self._last_reason = reason or self._last_reason

    def __enter__(self) -> TaskProgress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()
