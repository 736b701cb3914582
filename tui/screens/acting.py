"""Verbs with a preview, and the undo, for every screen that has something to act on. Knows no incident, job or queue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from textual.binding import BindingType

from pandascope.client import AsyncClient
from tui.ends import DRAIN_UNTIL
from tui.keys import offered
from tui.render.preview import deed_words
from tui.screens.base import MonitorScreen
from tui.screens.preview import Find, PreviewScreen, Request
from tui.screens.undo import Undoable, UndoScreen, undoable_deed
from tui.text import plain, plural
from tui.widgets.virtual_table import Row

_LOOKED_AT = 50
"""Newest deeds among which one that can be taken back is looked for."""


class ActingScreen(MonitorScreen):
    """`jobs_to_kill`, `tasks_to_retry` say what the verbs are about."""

    BINDINGS: ClassVar[list[BindingType]] = offered("undo")

    def chosen_for(self, action: str) -> tuple[Mapping[str, Any], str] | None:
        """What kill or retry would be about, by kind (incidents, jobs, tasks, queues), and that in words; None: nothing."""
        return None

    def action_kill(self) -> None:
        """`K`."""
        self._act("kill", "There are no jobs here to end.")

    def action_retry(self) -> None:
        """`R`."""
        self._act("retry", "There is no task here to retry.")

    def _act(self, action: str, nothing: str) -> None:
        chosen = self.chosen_for(action)
        if chosen is None:
            self.notify(nothing, severity="warning")
        else:
            self.preview(Request(action, *chosen))

    def preview(self, request: Request | Find) -> None:
        """Show what would follow; what was done then stands in a notice and can be undone."""
        if self.is_possible("preview"):  # nothing was typed for it yet: the server says who may do what to what
            self.app.push_screen(PreviewScreen(request), self._confirmed)

    def is_possible(self, action: str = "") -> bool:
        """Is the server there, and may the person try this (without a name: what operators do)? If not, that is said."""
        reason = self.console_app.feed.why_not(self.console_app.clock()) or self.console_app.caller.why_not(action)
        if reason:
            self.notify(f"Not possible now: {reason}.", severity="error", markup=False)
        return not reason

    def _confirmed(self, deed: dict[str, Any] | None) -> None:
        if deed is None:
            return
        self.console_app.done.append(("deed", int(deed["deed_id"])))
        back = " z takes it back." if undoable_deed(deed) is not None else ""
        self.notify(f"{deed_words(deed)}.{back}", markup=False, timeout=8)
        self.was_done()

    def was_done(self) -> None:
        """Something was changed: show it."""
        self.reload(live=True)

    def action_undo(self) -> None:
        """`z`."""
        if self.is_possible():
            self.app.push_screen(UndoScreen(self.find_undoable), self._undone)

    def _undone(self, was_undone: bool | None) -> None:
        if was_undone:
            self.was_done()

    async def find_undoable(self, client: AsyncClient) -> Undoable | None:
        """What `z` takes back: the last thing done in this console, else the person's last deed."""
        done = self.console_app.done
        while done:
            kind, number = done[-1]
            if kind == "link":
                return Undoable("link", number, f"Merge or split {number}", "all events where they would be without it")
            found = undoable_deed((await client.deed(number)).get("deed") or {})
            if found is not None:
                return found
            done.pop()
        name = str((await client.caller()).get("user_name") or "")
        rows = (await client.deeds(who=name, limit=_LOOKED_AT)).get("deeds") or [] if name else []
        return next(filter(None, map(undoable_deed, rows)), None)


def of_tasks(action: str, numbers: Sequence[int]) -> tuple[Mapping[str, Any], str]:
    """Tasks to be retried, or the jobs of tasks to be ended."""
    words = f"task {numbers[0]}" if len(numbers) == 1 else plural(len(numbers), "task")
    return {"tasks": list(numbers)}, words if action == "retry" else f"jobs of {words}"


def drain_request(queues: Sequence[Row], chosen: Mapping[str, Any]) -> Request:
    """To drain queues; when all of them are drained, tested or off already, to give them work again."""
    is_drained = all(row.get("status") != "online" for row in queues)
    names = [plain(row.get("queue_name"), limit=60) for row in queues]
    words = names[0] if len(names) == 1 else plural(len(names), "queue")
    if is_drained:
        return Request("undrain", chosen, words)
    return Request("drain", chosen, words, {"until": DRAIN_UNTIL})
