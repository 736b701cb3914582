"""The Textual application: one client, one event stream, one trail of places, one screen at a time.

Asks nothing about jobs or incidents itself, except the counts of the status line; screens ask what they show.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from textual.app import App
from textual.binding import BindingType
from textual.css.query import NoMatches
from textual.events import Event, Key, Paste
from textual.widgets import Input

from pandascope.addresses import Address, Page
from pandascope.client import AsyncClient
from pandascope.errors import ClientError, ServerUnreachable
from tui.command_line import Command, Find, Help, Quit, Theme
from tui.identity import EVERYBODY, Renewal, caller_of
from tui.keys import OPENING
from tui.live import ASK_ANYWAY_S, WIDE_TOPICS, LiveFeed, LiveState
from tui.navigation import Place, Trail
from tui.palette import DARK, LIGHT, Palette
from tui.screens import SCREENS, screen_for
from tui.screens.base import MonitorScreen
from tui.screens.find import FindScreen
from tui.screens.help import HelpScreen
from tui.screens.leave import LeaveScreen
from tui.text import moment
from tui.typing_order import Fence, TypingOrder
from tui.widgets.status_line import Status
from tui.workers import work

TICK_S = 0.5
"""Live changes are gathered for this long: a screen is asked for at most twice a second."""
AGES_EVERY = 10
"""Ages in lists are drawn anew every so many ticks."""


class ConsoleApp(App[None]):
    """The console. `role` is shown in the status line; `clock` gives monotonic seconds."""

    CSS_PATH = "console.tcss"
    TITLE = "pandascope"
    BINDINGS: ClassVar[list[BindingType]] = []

    def __init__(
        self,
        client: AsyncClient,
        start: Address | None = None,
        *,
        role: str = "",
        renew: Renewal | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self.client = client
        self.client.via = "console"
        self.role = role
        self.caller = EVERYBODY
        self._renew = renew
        self.clock = clock
        self.feed = LiveFeed(started_s=clock())
        self.trail = Trail(start or Address(Page.NOW))
        self.severities: dict[str, int] | None = None
        self.done: list[tuple[str, int]] = []
        """What was done here and can be undone, the last one last: deeds and links of fingerprints, by number."""
        self._typing = TypingOrder(self, super().on_event, self._should_open)
        self._server_ahead = timedelta(0)
        self._heard_topics: tuple[str, ...] = ()
        self._last_seq: int | None = None
        self._stream_over_s: float | None = None
        self._header_mark = -1
        self._asked_at_s = clock()
        self._ticks = 0
        self._palette: tuple[str, Palette] | None = None

    # -- life ---------------------------------------------------------------------------------------------------

    def on_mount(self) -> None:
        """Colours, the first screen, the stream and the tick."""
        self.register_theme(DARK)
        self.register_theme(LIGHT)
        self.theme = DARK.name
        self.push_screen(screen_for(self.trail.here))
        self.set_interval(TICK_S, self._tick)

    def listen(self, topics: Iterable[str]) -> None:
        """Hear of changes of these topics, besides the wide ones. The stream goes on where it was."""
        self.feed.watch(topics)
        wanted = tuple(sorted({*WIDE_TOPICS, *topics}))
        if wanted != self._heard_topics:
            self._heard_topics, self._stream_over_s = wanted, None
            self.run_worker(work(self._follow, wanted), group="stream", exclusive=True, exit_on_error=False)

    async def _follow(self, topics: Iterable[str]) -> None:
        """Listen until other topics are wanted; the client reconnects and resumes by itself."""
        try:
            async for event in self.client.stream(topics, since=self._last_seq):
                self._heard(event)
        except ClientError as error:  # refused: whether that is the token is said by what the screen asks, soon
            self.log.warning(f"the stream: {error}")
            self.feed.stream_refused()
            self._stream_over_s = self.clock()
            self._asked_at_s = self._stream_over_s - ASK_ANYWAY_S + 1.0

    def _heard(self, event: dict[str, Any]) -> None:
        kind, now = event.get("event"), self.clock()
        self._last_seq = event.get("seq", self._last_seq)
        if kind == "disconnected":
            self.feed.stream_lost(str(event.get("detail") or ""))
            self._asked_at_s = now - ASK_ANYWAY_S + 1.0
        elif kind == "change":
            topics = event.get("topics")
            self.feed.signal(now, [str(topic) for topic in topics] if isinstance(topics, list) else ())
        else:
            was_away = self.feed.state(now) is LiveState.DISCONNECTED
            self.feed.signal(now)
            if kind == "resync" or was_away:
                self.feed.everything_changed()
        self.draw_status()

    def _tick(self) -> None:
        now, screen = self.clock(), self.monitor_screen
        if screen is None:
            return
        self._ticks += 1
        state = self.feed.state(now)
        if state is not LiveState.PAUSED:
            is_away = state is LiveState.DISCONNECTED
            unreliable = is_away or state in {LiveState.LAGGING, LiveState.REFUSED}
            ask_after_s = ASK_ANYWAY_S if unreliable else screen.ASKS_EVERY_S
            if (screen.is_outdated and not is_away) or now - self._asked_at_s >= ask_after_s:
                self._ask_screen(screen, now)
            header_is_old = self.severities is None or self.feed.changed_since(self._header_mark, ("incidents",))
            if header_is_old and not is_away:
                self._ask_header(screen)
        if self._ticks % AGES_EVERY == 0:
            with contextlib.suppress(NoMatches):  # parts of a screen that is being taken down are gone already
                screen.redraw_ages()
        self._listen_again(now)
        self.draw_status()

    def _listen_again(self, now: float) -> None:
        """A stream that was refused is tried again: the token may be taken by now."""
        if self._stream_over_s is not None and now - self._stream_over_s >= ASK_ANYWAY_S:
            self._stream_over_s = None
            self.run_worker(work(self._follow, self._heard_topics), group="stream", exclusive=True, exit_on_error=False)

    def _ask_screen(self, screen: MonitorScreen, now: float) -> None:
        if screen.is_asking:
            self.feed.waits(now)
            return
        self._asked_at_s = now
        screen.reload(live=True)

    def _ask_header(self, screen: MonitorScreen) -> None:
        if screen.GIVES_SUMMARY or any(worker.group == "header" for worker in self.workers if worker.is_running):
            return
        self._header_mark = self.feed.mark
        self.run_worker(work(self._load_header), group="header", exit_on_error=False)

    async def _load_header(self) -> None:
        try:
            self.take_summary(await self.client.summary())
        except ServerUnreachable as error:
            self.feed.lost(error.detail)
        except ClientError as error:
            self.log.warning(f"the counts of the status line: {error}")
            self.severities = self.severities or {}

    async def _load_caller(self) -> None:
        try:
            self.caller = await caller_of(self.client)
        except ClientError as error:
            self.log.warning(f"who is at this console: {error}")
        else:
            self.refresh_bindings()

    # -- keys ---------------------------------------------------------------------------------------------------

    async def on_event(self, event: Event) -> None:
        """Every message; keys and pasted text from the terminal wait until those before them have had their effect."""
        if isinstance(event, Key | Paste) and not event.is_forwarded:
            await self._typing.arrived(event)
        else:
            await super().on_event(event)
            await self._typing.handled(event)

    async def on_fence(self, fence: Fence) -> None:
        """What was sent before it has been handled."""
        await self._typing.passed(fence)

    def _should_open(self, key: Key) -> bool:
        """Is a key to open something on the screen that is shown, where nothing is open to type into?"""
        is_typing = isinstance(self.focused, Input)
        return key.key in OPENING and isinstance(self.screen, MonitorScreen) and not is_typing

    # -- what screens use ---------------------------------------------------------------------------------------

    @property
    def monitor_screen(self) -> MonitorScreen | None:
        """The screen of the trail, below any dialogue."""
        return next((screen for screen in reversed(self.screen_stack) if isinstance(screen, MonitorScreen)), None)

    @property
    def palette(self) -> Palette:
        """Styles of the running theme."""
        if self._palette is None or self._palette[0] != self.theme:
            self._palette = (self.theme, Palette.of_theme(self.theme_variables))
        return self._palette[1]

    def now(self) -> datetime:
        """The server's time, so that ages are right on a computer whose clock is not."""
        return datetime.now(UTC) + self._server_ahead

    def answered(self, answer: dict[str, Any]) -> None:
        """An answer came: it is fresh now, and says what time it is at the server."""
        self.feed.answered(self.clock())
        if self.caller is EVERYBODY and not any(
            worker.group == "caller" for worker in self.workers if worker.is_running
        ):
            self.run_worker(work(self._load_caller), group="caller", exit_on_error=False)
        as_of = moment(answer.get("as_of"))
        if as_of is not None:
            self._server_ahead = as_of - datetime.now(UTC)
        self.draw_status()

    def denied(self, detail: str) -> None:
        """The server does not take the token: go on with another one, where there is another one by now."""
        self.feed.denied(detail)
        found = None if self._renew is None else self._renew()
        if found is not None:
            self.client, self.role = found
            self.client.via = "console"
            self.caller = EVERYBODY
            self._asked_at_s = self._stream_over_s = self.clock() - ASK_ANYWAY_S
        self.draw_status()

    def take_summary(self, summary: dict[str, Any]) -> None:
        """Counts of unresolved incidents for the status line."""
        incidents = summary.get("incidents")
        counts = incidents.get("by_severity") if isinstance(incidents, dict) else None
        self.severities = dict(counts) if isinstance(counts, dict) else {}
        self._header_mark = self.feed.mark
        self.draw_status()

    def draw_status(self) -> None:
        """Bring the status line up to date."""
        screen, now = self.monitor_screen, self.clock()
        if screen is None or not screen.is_mounted:
            return
        status = Status(
            instance=self.client.url.partition("://")[2],
            role=self.role,
            window=screen.window_words,
            state=self.feed.state(now),
            age_s=self.feed.data_age_s(now),
            severities=self.severities,
        )
        screen.show_status(status, [place.title for place in self.trail.crumbs])

    # -- moving -------------------------------------------------------------------------------------------------

    def show_place(self, place: Place | None) -> None:
        """Put a place of the trail on the screen; nothing happens for None."""
        screen = self.monitor_screen
        if place is None or (screen is not None and screen.place is place):
            return
        while len(self.screen_stack) > 1 and not isinstance(self.screen, MonitorScreen):
            self.pop_screen()
        if screen is not None:
            screen.leave()
        self.switch_screen(screen_for(place))

    def jump(self, address: Address) -> None:
        """Go to an address on a new path."""
        self.show_place(self.trail.jump(address))

    def drill(self, address: Address, **memory: Any) -> None:
        """Go one level deeper; `memory` is what is known of the object already."""
        place = self.trail.drill(address)
        place.memory.update(memory)
        self.show_place(place)

    def climb(self) -> None:
        """One level up."""
        self.show_place(self.trail.climb())

    def action_crumb(self, level: int) -> None:
        """A click on a crumb."""
        self.show_place(self.trail.climb_to(level))

    def complaint(self, command: Command) -> str:
        """Why a command cannot be carried out; empty when it can."""
        if isinstance(command, Address) and command.page not in SCREENS:
            return f"the console has no such page; the web monitor has: {command.url(self.client.url)}"
        if isinstance(command, Theme) and command.name not in self.available_themes:
            return f"there is no theme '{command.name}'; there are: {', '.join(sorted(self.available_themes))}"
        return ""

    def carry_out(self, command: Command) -> None:
        """Do what a command line asks for."""
        if isinstance(command, Address):
            self.jump(command)
        elif isinstance(command, Theme):
            self.theme = command.name
        elif isinstance(command, Find):
            self.push_screen(FindScreen(command.text))
        elif isinstance(command, Quit):
            self.push_screen(LeaveScreen())
        elif isinstance(command, Help):
            self.push_screen(HelpScreen(self.screen))
