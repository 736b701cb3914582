"""Keys one after the other: the next is handed on when what the one before it opens is there and has the focus.

Terminals deliver pasted and delayed keys in one read, faster than prompts and dialogues open; without this their text
would be commands of the screen below. Knows no screen; a dialogue says itself since when it can be answered (`shown_s`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from textual.events import Event, Key, Paste
from textual.message import Message
from textual.message_pump import MessagePump

if TYPE_CHECKING:
    from textual.app import App

_GIVE_UP_S = 0.5
"""A fence is lost with the widget that held it, when that is taken down meanwhile; then another one is sent."""
_SAME_BURST_S = 0.03
"""Keys that follow each other faster than this were not typed by a person who saw what the first one did."""
_FREE_WHILE_PREPARING = frozenset({"escape", "ctrl+c", "ctrl+q"})
DROPPED = "What was typed ahead was dropped: what it was meant for was not there. Type it again."


class Fence(Message, bubble=True):
    """Goes the way of a key from widget to widget up to the application: what was sent before it has been handled then."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


class TypingOrder:
    """The keys that wait. `hand_on` gives one to Textual; `opens` says whether a key is to open something to type into."""

    def __init__(
        self,
        app: App[Any],
        hand_on: Callable[[Event], Awaitable[None]],
        opens: Callable[[Key], bool],
    ) -> None:
        self._app = app
        self._hand_on = hand_on
        self._opens = opens
        self._waiting: deque[Key | Paste] = deque()
        self._under_way: Key | Paste | None = None
        self._was_handled = False
        self._number = 0
        self._place: tuple[object, object] = (None, None)
        self._before: tuple[object, object] = (None, None)
        self._dropping_since: float | None = None
        self._was_in_prose = False
        self._has_said = False
        self._timeout: asyncio.TimerHandle | None = None

    async def arrived(self, event: Key | Paste) -> None:
        """A key from the terminal: handed on now, or when those before it are done."""
        self._waiting.append(event)
        if self._under_way is None:
            await self._next()

    async def handled(self, event: Event) -> None:
        """A key has come back up to the application, which has carried it out."""
        if event is self._under_way and self._app.screen_stack:
            self._was_handled = True
            self._send_fence()

    async def passed(self, fence: Fence) -> None:
        """A fence has arrived."""
        if fence.number != self._number or self._under_way is None or not self._app.screen_stack:
            return  # an older one, or the console closes
        if not self._was_handled:
            self._was_handled = True  # a widget kept the key for itself; what it sent then follows this fence
            self._send_fence()
        elif self._here() != self._place:
            self._send_fence()
        else:
            self._note_unopened(self._under_way)
            self._under_way = None
            if self._timeout is not None:
                self._timeout.cancel()
            await self._next()

    async def _next(self) -> None:
        while self._waiting and self._app.screen_stack:
            event = self._waiting.popleft()
            if self._is_dropped(event):
                self._say()
                continue
            self._has_said = False
            self._under_way, self._was_handled, self._before = event, False, self._here()
            self._was_in_prose = getattr(self._app.focused, "takes_prose", False)
            await self._hand_on(event)
            if not self._was_handled and self._app.screen_stack:
                self._send_fence()
            return

    def _here(self) -> tuple[object, object]:
        return self._app.screen, self._app.focused

    def _send_fence(self) -> None:
        self._number += 1
        number, self._place = self._number, self._here()
        target: MessagePump = self._app.focused or self._app.screen
        target.post_message(Fence(number))
        if self._timeout is not None:
            self._timeout.cancel()
        self._timeout = asyncio.get_running_loop().call_later(_GIVE_UP_S, self._lost, number)

    def _lost(self, number: int) -> None:
        if number == self._number and self._under_way is not None and self._app.screen_stack:
            self._was_handled = True
            self._send_fence()

    # -- keys that have nowhere to go ---------------------------------------------------------------------------

    def _note_unopened(self, event: Key | Paste) -> None:
        """What comes in one go with a key was meant for what it should have opened and did not, or for the text that it
        has sent: further lines of a paste."""
        has_moved = self._here() != self._before
        opened_nothing = isinstance(event, Key) and not has_moved and self._opens(event)
        if opened_nothing or (has_moved and self._was_in_prose):
            self._dropping_since = event.time

    def _is_dropped(self, event: Key | Paste) -> bool:
        """Typed before the dialogue showed what it is about, or in one go with a key that was dropped or opened nothing."""
        shown_s = getattr(self._app.screen, "shown_s", 0.0)
        is_leaving = isinstance(event, Key) and event.key in _FREE_WHILE_PREPARING
        is_unseen = (shown_s is None or event.time < shown_s) and not is_leaving
        since, self._dropping_since = self._dropping_since, None
        is_same_burst = since is not None and event.time - since <= _SAME_BURST_S
        if is_unseen or is_same_burst:
            self._dropping_since = event.time
        return is_unseen or is_same_burst

    def _say(self) -> None:
        """Once for all of them."""
        if not self._has_said:
            self._has_said = True
            self._app.notify(DROPPED, severity="warning", markup=False)
